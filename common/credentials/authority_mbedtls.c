/* authority_mbedtls.c: the aggregator's half of request.h, by mbedTLS. */
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/x509_csr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/file.h"
#include "core/clock.h"
#include "credentials/mbedtls.h"
#include "credentials/request.h"
#include "credentials/request_mbedtls.h"

#define SERIAL_BYTES 16
#define DAY 86400.0
#define KEY_DER_MAX 1024

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#define OF(name) MBEDTLS_PRIVATE(name)
#else
#define OF(name) name
#endif

static rd_status parse_request(const char *pem, mbedtls_x509_csr *request, rd_error *err)
{
    int code = mbedtls_x509_csr_parse(request, (const unsigned char *)pem, strlen(pem) + 1);
    if (code == 0)
        return RD_OK;
    return rd_fail(err, RD_ERR_FORMAT, "request: expected a certificate request in PEM (mbedTLS -0x%04x)",
                   (unsigned)-code);
}

/* Who asks has the key: the request is signed by it, which mbedTLS does not look at. */
static bool is_signed_by_itself(mbedtls_x509_csr *r)
{
    unsigned char hash[MBEDTLS_MD_MAX_SIZE];
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(r->OF(sig_md));
    return md != NULL && mbedtls_md(md, r->cri.p, r->cri.len, hash) == 0 &&
           mbedtls_pk_verify_ext(r->OF(sig_pk), r->OF(sig_opts), &r->pk, r->OF(sig_md), hash, mbedtls_md_get_size(md),
                                 r->OF(sig).p, r->OF(sig).len) == 0;
}

rd_status rd_request_check(const char *pem, const char *name, rd_error *err)
{
    rd_status status = RD_OK;
    char found[RD_PEER_NAME_MAX], kind[64];
    mbedtls_x509_csr request;
    mbedtls_x509_csr_init(&request);
    RD_TRY(parse_request(pem, &request, err));
    const char *wrong = rd_x509_common_name(&request.subject, found);
    if (wrong != NULL)
        RD_THROW(RD_ERR_REFUSED, "request: %s", wrong);
    if (strcmp(found, name) != 0)
        RD_THROW(RD_ERR_REFUSED, "request: it is for '%.80s', expected '%.80s'", found, name);
    if (!rd_key_is_usable(&request.pk, kind, sizeof kind))
        RD_THROW(RD_ERR_REFUSED, "request: its key is %s, which cannot be used; expected " RD_KEY_KINDS, kind);
    if (!is_signed_by_itself(&request))
        RD_THROW(RD_ERR_REFUSED, "request: its signature is not that of its key");
cleanup:
    mbedtls_x509_csr_free(&request);
    return status;
}

/* ---- signing ---- */

static rd_status open_authority(const rd_authority *a, mbedtls_x509_crt *certificate, mbedtls_pk_context *key,
                                rd_error *err)
{
    char pem[RD_CERTIFICATE_MAX];
    rd_status status = rd_authority_read(a->certificate, pem, err);
    if (status == RD_OK)
        status = rd_certificate_parse(pem, certificate, err);
    if (status == RD_OK)
        status = rd_key_read(a->key, "", key, err);
    if (status == RD_OK && rd_private_key_check(certificate, key) != 0)
        status = rd_fail(err, RD_ERR_CONFIG, "--ca-key %s is not the key of the certificate --ca %s", a->key,
                         a->certificate);
    return status;
}

rd_status rd_authority_check(const rd_authority *a, rd_error *err)
{
    mbedtls_x509_crt certificate;
    mbedtls_pk_context key;
    mbedtls_x509_crt_init(&certificate);
    mbedtls_pk_init(&key);
    rd_status status = open_authority(a, &certificate, &key, err);
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&certificate);
    return status;
}

static void write_moment(double seconds, char text[16])
{
    const time_t when = (time_t)seconds;
    struct tm parts = {0};
    (void)gmtime_r(&when, &parts);
    (void)strftime(text, 16, "%Y%m%d%H%M%S", &parts);
}

static int set_serial(mbedtls_x509write_cert *w, rd_dice *dice)
{
    unsigned char bytes[SERIAL_BYTES];
    int code = mbedtls_ctr_drbg_random(&dice->random, bytes, sizeof bytes);
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, and of the same length always */
    if (code != 0)
        return code;
#if MBEDTLS_VERSION_NUMBER >= 0x03040000
    return mbedtls_x509write_crt_set_serial_raw(w, bytes, sizeof bytes);
#else
    mbedtls_mpi number;
    mbedtls_mpi_init(&number);
    code = mbedtls_mpi_read_binary(&number, bytes, sizeof bytes);
    if (code == 0)
        code = mbedtls_x509write_crt_set_serial(w, &number);
    mbedtls_mpi_free(&number);
    return code;
#endif
}

/* What the certificate is good for: a client's TLS, and nothing else. */
static int set_use(mbedtls_x509write_cert *w)
{
    static const unsigned char client[] = {0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02};
    int code = mbedtls_x509write_crt_set_basic_constraints(w, 0, -1);
    if (code == 0)
        code = mbedtls_x509write_crt_set_key_usage(w, MBEDTLS_X509_KU_DIGITAL_SIGNATURE);
    if (code == 0)
        code = mbedtls_x509write_crt_set_extension(w, MBEDTLS_OID_EXTENDED_KEY_USAGE,
                                                   MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE), 0, client,
                                                   sizeof client);
    if (code == 0)
        code = mbedtls_x509write_crt_set_subject_key_identifier(w);
    return code == 0 ? mbedtls_x509write_crt_set_authority_key_identifier(w) : code;
}

static int fill_in(mbedtls_x509write_cert *w, const rd_authority *a, const mbedtls_x509_crt *authority, const char *name,
                   rd_dice *dice)
{
    char subject[RD_PEER_NAME_MAX + 8], issuer[512], from[16], to[16];
    const double now = rd_clock_unix();
    (void)snprintf(subject, sizeof subject, "CN=%s", name);
    write_moment(now - (a->seconds < DAY ? a->seconds : DAY), from);
    write_moment(now + a->seconds, to);
    mbedtls_x509write_crt_set_version(w, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(w, MBEDTLS_MD_SHA256);
    int code = mbedtls_x509_dn_gets(issuer, sizeof issuer, &authority->subject);
    if (code > 0)
        code = mbedtls_x509write_crt_set_issuer_name(w, issuer);
    if (code == 0)
        code = mbedtls_x509write_crt_set_subject_name(w, subject);
    if (code == 0)
        code = mbedtls_x509write_crt_set_validity(w, from, to);
    if (code == 0)
        code = set_serial(w, dice);
    return code == 0 ? set_use(w) : code;
}

rd_status rd_authority_sign(const rd_authority *a, const char *request_pem, const char *name, char pem[RD_CERTIFICATE_MAX],
                            rd_error *err)
{
    rd_status status = RD_OK;
    mbedtls_x509_crt authority;
    mbedtls_pk_context key;
    mbedtls_x509_csr request;
    mbedtls_x509write_cert w;
    rd_dice dice;
    mbedtls_x509_crt_init(&authority);
    mbedtls_pk_init(&key);
    mbedtls_x509_csr_init(&request);
    mbedtls_x509write_crt_init(&w);
    int code = rd_dice_open(&dice);
    RD_TRY(open_authority(a, &authority, &key, err));
    RD_TRY(parse_request(request_pem, &request, err));
    mbedtls_x509write_crt_set_subject_key(&w, &request.pk);
    mbedtls_x509write_crt_set_issuer_key(&w, &key);
    if (code == 0)
        code = fill_in(&w, a, &authority, name, &dice);
    if (code == 0)
        code = mbedtls_x509write_crt_pem(&w, (unsigned char *)pem, RD_CERTIFICATE_MAX, mbedtls_ctr_drbg_random,
                                         &dice.random);
    if (code != 0)
        status = rd_fail_mbedtls(err, RD_ERR_INTERNAL, "signing a certificate", code);
cleanup:
    mbedtls_x509write_crt_free(&w);
    mbedtls_x509_csr_free(&request);
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&authority);
    rd_dice_close(&dice);
    return status;
}

/* ---- what was signed ---- */

static bool is_same_key(mbedtls_pk_context *a, mbedtls_pk_context *b)
{
    unsigned char first[KEY_DER_MAX], second[KEY_DER_MAX];
    int one = mbedtls_pk_write_pubkey_der(a, first, sizeof first);
    int other = mbedtls_pk_write_pubkey_der(b, second, sizeof second);
    return one > 0 && one == other && memcmp(first + sizeof first - one, second + sizeof second - one, (size_t)one) == 0;
}

static const char *judge(mbedtls_x509_crt *certificate, mbedtls_x509_csr *request, const char *name, mbedtls_x509_crt *ca,
                         rd_peer *peer)
{
    uint32_t flags = 0;
    const char *wrong = rd_peer_read(certificate, peer);
    if (wrong != NULL)
        return wrong;
    if (strcmp(peer->name, name) != 0)
        return "it is for another name";
    if (!is_same_key(&certificate->pk, &request->pk))
        return "it is for another key";
    if (!rd_certificate_is_clients(certificate))
        return "it is not a client's (extended key usage clientAuth, and no authority)";
    if (mbedtls_x509_crt_verify(certificate, ca, NULL, NULL, &flags, NULL, NULL) != 0)
        return "it is not signed by --ca, or not valid now";
    return NULL;
}

rd_status rd_certificate_check(const char *pem, const char *request_pem, const char *name, const char *ca, rd_peer *peer,
                               rd_error *err)
{
    rd_status status = RD_OK;
    char authority_pem[RD_CERTIFICATE_MAX];
    mbedtls_x509_crt certificate, authority;
    mbedtls_x509_csr request;
    mbedtls_x509_crt_init(&certificate);
    mbedtls_x509_crt_init(&authority);
    mbedtls_x509_csr_init(&request);
    RD_TRY(rd_authority_read(ca, authority_pem, err));
    RD_TRY(rd_certificate_parse(authority_pem, &authority, err));
    RD_TRY(parse_request(request_pem, &request, err));
    RD_TRY(rd_certificate_parse(pem, &certificate, err));
    const char *wrong = judge(&certificate, &request, name, &authority, peer);
    if (wrong != NULL)
        status = rd_fail(err, RD_ERR_REFUSED, "the certificate that was signed is not what was asked for: %s", wrong);
cleanup:
    mbedtls_x509_csr_free(&request);
    mbedtls_x509_crt_free(&authority);
    mbedtls_x509_crt_free(&certificate);
    return status;
}

rd_status rd_authority_read(const char *path, char pem[RD_CERTIFICATE_MAX], rd_error *err)
{
    char *text = NULL, digest[RD_SHA256_HEX];
    size_t size = 0;
    rd_status status = rd_file_read(path, RD_CERTIFICATE_MAX - 1, &text, &size, err);
    if (status != RD_OK)
        return rd_fail_as(err, RD_ERR_CONFIG);
    memcpy(pem, text, size + 1);
    free(text);
    if (rd_certificate_digest(pem, digest, err) != RD_OK)
        return rd_fail_context(err, RD_ERR_CONFIG, "--ca %s", path);
    return RD_OK;
}
