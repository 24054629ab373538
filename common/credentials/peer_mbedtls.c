/* peer_mbedtls.c: peer.h from a certificate as mbedTLS holds it. */
#include <mbedtls/oid.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/utf8.h"
#include "credentials/mbedtls.h"

bool rd_serial_write(const mbedtls_x509_buf *number, char hex[RD_PEER_SERIAL_MAX])
{
    size_t from = 0;
    while (from + 1 < number->len && number->p[from] == 0)
        from++;
    if (2 * (number->len - from) >= RD_PEER_SERIAL_MAX)
        return false;
    hex[0] = '\0';
    for (size_t i = from; i < number->len; i++)
        (void)snprintf(hex + 2 * (i - from), 3, "%02x", number->p[i]);
    return true;
}

double rd_x509_seconds(const mbedtls_x509_time *t)
{
    struct tm parts = {.tm_year = t->year - 1900,
                       .tm_mon = t->mon - 1,
                       .tm_mday = t->day,
                       .tm_hour = t->hour,
                       .tm_min = t->min,
                       .tm_sec = t->sec};
    return (double)timegm(&parts);
}

/* mbedTLS takes a certificate without the extension for one that may be used for anything. */
bool rd_certificate_is_clients(const mbedtls_x509_crt *certificate)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    const bool authority = certificate->MBEDTLS_PRIVATE(ca_istrue) != 0,
               says = mbedtls_x509_crt_has_ext_type(certificate, MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE) != 0;
#else
    const bool authority = certificate->ca_istrue != 0,
               says = (certificate->ext_types & MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE) != 0;
#endif
    return !authority && says &&
           mbedtls_x509_crt_check_extended_key_usage(certificate, MBEDTLS_OID_CLIENT_AUTH,
                                                     MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)) == 0;
}

void rd_certificate_fingerprint(const mbedtls_x509_crt *certificate, char hex[RD_SHA256_HEX])
{
    rd_sha256 digest;
    rd_sha256_start(&digest);
    rd_sha256_add(&digest, certificate->raw.p, certificate->raw.len);
    rd_sha256_finish_hex(&digest, hex);
}

/* True for UTF-8 without control characters, so that a name may stand in logs, JSON and tables as it is. */
static bool is_plain_text(const unsigned char *s, size_t count)
{
    uint32_t code;
    for (size_t i = 0, length; i < count; i += length) {
        length = rd_utf8_decode((const char *)s + i, count - i, &code);
        if (length == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0))
            return false;
    }
    return true;
}

const char *rd_x509_common_name(const mbedtls_x509_name *subject, char name[RD_PEER_NAME_MAX])
{
    const mbedtls_x509_name *found = NULL;
    name[0] = '\0';
    for (const mbedtls_x509_name *n = subject; n != NULL; n = n->next) {
        if (n->oid.p == NULL || MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &n->oid) != 0)
            continue;
        if (found != NULL)
            return "its subject has more than one common name (CN)";
        found = n;
    }
    if (found == NULL || found->val.len == 0)
        return "its subject has no common name (CN), which is the client's name";
    if (found->val.len >= RD_PEER_NAME_MAX)
        return "its common name (CN) is longer than 127 bytes";
    if (!is_plain_text(found->val.p, found->val.len))
        return "its common name (CN) has control characters or is not UTF-8";
    memcpy(name, found->val.p, found->val.len);
    name[found->val.len] = '\0';
    return NULL;
}

const char *rd_peer_read(const mbedtls_x509_crt *certificate, rd_peer *peer)
{
    memset(peer, 0, sizeof *peer);
    const char *wrong = rd_x509_common_name(&certificate->subject, peer->name);
    if (wrong == NULL && !rd_serial_write(&certificate->serial, peer->serial))
        wrong = "its serial number is longer than 32 bytes";
    rd_certificate_fingerprint(certificate, peer->fingerprint);
    peer->not_before = rd_x509_seconds(&certificate->valid_from);
    peer->not_after = rd_x509_seconds(&certificate->valid_to);
    return wrong;
}
