/* crl_mbedtls.c: crl.h by mbedTLS. The serial numbers are copied out of its list and sorted: asking costs a binary search,
 * where mbedTLS would walk through a chain of entries. */
#include <mbedtls/md.h>
#include <mbedtls/x509_crl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/grow.h"
#include "credentials/crl.h"
#include "credentials/mbedtls.h"

#define CRL_MAX ((size_t)64 << 20)
#define CA_MAX ((size_t)1 << 20)

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#define OF(name) MBEDTLS_PRIVATE(name)
#else
#define OF(name) name
#endif

typedef char serial[RD_PEER_SERIAL_MAX];

struct rd_crl {
    serial *serials; /* (count) sorted */
    size_t count, capacity;
    double next_update;
};

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Has this authority signed the list? */
static bool is_signed_by(const mbedtls_x509_crl *list, mbedtls_x509_crt *authority)
{
    unsigned char hash[MBEDTLS_MD_MAX_SIZE];
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(list->OF(sig_md));
    if (authority->subject_raw.len != list->issuer_raw.len ||
        memcmp(authority->subject_raw.p, list->issuer_raw.p, list->issuer_raw.len) != 0)
        return false;
    if (md == NULL || mbedtls_x509_crt_check_key_usage(authority, MBEDTLS_X509_KU_CRL_SIGN) != 0 ||
        mbedtls_md(md, list->tbs.p, list->tbs.len, hash) != 0)
        return false;
    return mbedtls_pk_verify_ext(list->OF(sig_pk), list->OF(sig_opts), &authority->pk, list->OF(sig_md), hash,
                                 mbedtls_md_get_size(md), list->OF(sig).p, list->OF(sig).len) == 0;
}

static rd_status check_signature(const mbedtls_x509_crl *list, const char *path, const char *ca, rd_error *err)
{
    rd_status status = RD_OK;
    char *pem = NULL;
    size_t size;
    mbedtls_x509_crt authorities;
    mbedtls_x509_crt_init(&authorities);
    RD_TRY(rd_file_read(ca, CA_MAX, &pem, &size, err));
    if (mbedtls_x509_crt_parse(&authorities, (const unsigned char *)pem, size + 1) != 0)
        RD_THROW(RD_ERR_CONFIG, "--ca %s: expected certificates in PEM", ca);
    mbedtls_x509_crt *authority = &authorities;
    while (authority != NULL && !is_signed_by(list, authority))
        authority = authority->next;
    if (authority == NULL)
        status = rd_fail(err, RD_ERR_CONFIG, "--crl %s: no authority in --ca %s has signed it", path, ca);
cleanup:
    free(pem);
    mbedtls_x509_crt_free(&authorities);
    return status;
}

static rd_status take_serials(rd_crl *c, const mbedtls_x509_crl *list, const char *path, rd_error *err)
{
    for (const mbedtls_x509_crl_entry *e = &list->entry; e != NULL && e->serial.len > 0; e = e->next) {
        rd_status status = rd_grow(&c->serials, &c->capacity, c->count + 1, sizeof *c->serials, "serials", err);
        if (status != RD_OK)
            return status;
        if (!rd_serial_write(&e->serial, c->serials[c->count]))
            return rd_fail(err, RD_ERR_CONFIG, "--crl %s: a serial number of more than 32 bytes", path);
        c->count++;
    }
    if (c->count > 0)
        qsort(c->serials, c->count, sizeof *c->serials, compare);
    return RD_OK;
}

rd_status rd_crl_load(const char *path, const char *ca, rd_crl **out, rd_error *err)
{
    rd_status status = RD_OK;
    char *pem = NULL;
    size_t size = 0;
    mbedtls_x509_crl list;
    rd_crl *c = calloc(1, sizeof *c);
    *out = NULL;
    mbedtls_x509_crl_init(&list);
    if (c == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for --crl %s", path);
    if (rd_file_read(path, CRL_MAX, &pem, &size, err) != RD_OK)
        RD_THROW(RD_ERR_CONFIG, "--crl %s", strdupa(err->message));
    int code = mbedtls_x509_crl_parse(&list, (const unsigned char *)pem, size + 1);
    if (code != 0 || list.version == 0)
        RD_THROW(RD_ERR_CONFIG, "--crl %s: expected a certificate revocation list in PEM, found none (mbedTLS -0x%04x)",
                 path, (unsigned)-code);
    if (list.next != NULL)
        RD_THROW(RD_ERR_CONFIG, "--crl %s: expected one list, found several", path);
    RD_TRY(check_signature(&list, path, ca, err));
    c->next_update = list.next_update.year != 0 ? rd_x509_seconds(&list.next_update) : 0.0;
    if (c->next_update != 0.0 && c->next_update < rd_clock_unix())
        RD_THROW(RD_ERR_CONFIG, "--crl %s: its next update was due on %04d-%02d-%02d; expected a newer list", path,
                 list.next_update.year, list.next_update.mon, list.next_update.day);
    RD_TRY(take_serials(c, &list, path, err));
    *out = c;
    c = NULL;
cleanup:
    free(pem);
    mbedtls_x509_crl_free(&list);
    rd_crl_free(c);
    return status;
}

void rd_crl_free(rd_crl *c)
{
    if (c == NULL)
        return;
    free(c->serials);
    free(c);
}

size_t rd_crl_count(const rd_crl *c)
{
    return c->count;
}

double rd_crl_next_update(const rd_crl *c)
{
    return c->next_update;
}

bool rd_crl_has(const rd_crl *c, const rd_peer *peer)
{
    return c->count > 0 && bsearch(peer->serial, c->serials, c->count, sizeof *c->serials, compare) != NULL;
}
