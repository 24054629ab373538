/* credentials_mbedtls.c: credentials.h by mbedTLS. */
#include "credentials/mbedtls.h"

#include <errno.h>
#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/rsa.h>
#include <mbedtls/version.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"

#define PEM_MAX ((size_t)1 << 20)
#define DATE "%04d-%02d-%02d"
#define DATE_OF(t) (t).year, (t).mon, (t).day

/* Reads a PEM file; the size that mbedTLS wants counts the '\0' at the end. */
static rd_status read_pem(const char *path, const char *option, char **bytes, size_t *size, rd_error *err)
{
    if (path == NULL || *path == '\0')
        return rd_fail(err, RD_ERR_CONFIG, "%s: expected the path of a PEM file", option);
    if (rd_file_read(path, PEM_MAX, bytes, size, err) != RD_OK)
        return rd_fail(err, RD_ERR_CONFIG, "%s %s", option, strdupa(err->message));
    *size += 1;
    return RD_OK;
}

/* ---- certificates ---- */

static bool is_unknown_kind(int code)
{
    int high = -(-code & 0x7f80);
    return high == MBEDTLS_ERR_PK_UNKNOWN_PK_ALG || high == MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE ||
           high == MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG || high == MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE;
}

static rd_status load_certificates(const char *path, const char *option, mbedtls_x509_crt *chain, bool *early,
                                   rd_error *err)
{
    char *pem = NULL;
    size_t size = 0;
    rd_status status = RD_OK;
    RD_TRY(read_pem(path, option, &pem, &size, err));
    errno = 0; /* mbedTLS has many names for a lack of memory, and keeps some to itself; the C library has one */
    int code = mbedtls_x509_crt_parse(chain, (const unsigned char *)pem, size);
    if (code != 0 && errno == ENOMEM)
        status = rd_fail(err, RD_ERR_MEMORY, "%s %s: no memory to read it", option, path);
    else if (code > 0)
        status = rd_fail(err, RD_ERR_CONFIG, "%s %s: %d of its certificates cannot be read", option, path, code);
    else if (is_unknown_kind(code))
        status = rd_fail(err, RD_ERR_CONFIG,
                         "%s %s: its key or its signature is of a kind that the aggregator's TLS library cannot use; "
                         "expected " RD_KEY_KINDS,
                         option, path);
    else if (code < 0)
        status = rd_fail(err, RD_ERR_CONFIG, "%s %s: expected certificates in PEM, found none (mbedTLS -0x%04x)",
                         option, path, (unsigned)-code);
    else if (mbedtls_x509_time_is_past(&chain->valid_to))
        status = rd_fail(err, RD_ERR_CONFIG, "%s %s: the certificate expired on " DATE, option, path,
                         DATE_OF(chain->valid_to));
    else if (mbedtls_x509_time_is_future(&chain->valid_from)) {
        *early = true;
        status = rd_fail(err, RD_ERR_CONFIG, "%s %s: the certificate is not valid before " DATE "; is the clock right?",
                         option, path, DATE_OF(chain->valid_from));
    }
cleanup:
    free(pem);
    return status;
}

static size_t count_exponent_bits(const mbedtls_pk_context *key)
{
    mbedtls_mpi exponent;
    mbedtls_mpi_init(&exponent);
    int code = mbedtls_rsa_export(mbedtls_pk_rsa(*key), NULL, NULL, NULL, NULL, &exponent);
    size_t bits = code == 0 ? mbedtls_mpi_bitlen(&exponent) : SIZE_MAX;
    mbedtls_mpi_free(&exponent);
    return bits;
}

/* What the aggregator's TLS can work with: aggregator/https/tls_mbedtls.c allows these groups, mbedTLS's profile these sizes. */
bool rd_key_is_usable(const mbedtls_pk_context *key, char *kind, size_t size)
{
    size_t bits = mbedtls_pk_get_bitlen(key);
    if (mbedtls_pk_get_type(key) == MBEDTLS_PK_RSA) {
        size_t exponent_bits = count_exponent_bits(key);
        (void)snprintf(kind, size, "RSA of %zu bits with an exponent of %zu bits", bits, exponent_bits);
        return bits >= 2048 && bits <= RD_RSA_BITS_MAX && exponent_bits <= RD_RSA_EXPONENT_BITS_MAX;
    }
    if (!mbedtls_pk_can_do(key, MBEDTLS_PK_ECDSA)) {
        (void)snprintf(kind, size, "%s", mbedtls_pk_get_name(key));
        return false;
    }
#if MBEDTLS_VERSION_NUMBER >= 0x03000000 /* 3.6 has a function for it, which those before it lack */
    mbedtls_ecp_group_id group = mbedtls_pk_ec(*key)->MBEDTLS_PRIVATE(grp).id;
#else
    mbedtls_ecp_group_id group = mbedtls_pk_ec(*key)->grp.id;
#endif
    const mbedtls_ecp_curve_info *curve = mbedtls_ecp_curve_info_from_grp_id(group);
    (void)snprintf(kind, size, "EC %s", curve != NULL ? curve->name : "of an unknown curve");
    return group == MBEDTLS_ECP_DP_SECP256R1 || group == MBEDTLS_ECP_DP_SECP384R1;
}

static rd_status check_certificate(rd_credentials *c, const char *path, rd_credential_side side, rd_error *err)
{
    char kind[64], what[256];
    uint32_t flags = 0;
    errno = 0;
    const char *use = side == RD_SIDE_CLIENT ? MBEDTLS_OID_CLIENT_AUTH : MBEDTLS_OID_SERVER_AUTH;
    if (!rd_key_is_usable(&c->certificate.pk, kind, sizeof kind))
        return errno == ENOMEM
                   ? rd_fail(err, RD_ERR_MEMORY, "--cert %s: no memory to check it", path)
                   : rd_fail(
                         err, RD_ERR_CONFIG,
                         "--cert %s: its key is %s, which the aggregator's TLS does not use; expected " RD_KEY_KINDS,
                         path, kind);
    if (mbedtls_x509_crt_check_extended_key_usage(&c->certificate, use, MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)) != 0)
        return rd_fail(err, RD_ERR_CONFIG, "--cert %s: it is not %s certificate (its extended key usage is another)",
                       path, side == RD_SIDE_CLIENT ? "a client's" : "an aggregator's");
    if (mbedtls_x509_crt_check_key_usage(&c->certificate, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) != 0)
        return rd_fail(err, RD_ERR_CONFIG, "--cert %s: it may not be used to sign (key usage), which TLS needs", path);
    (void)mbedtls_x509_crt_verify(&c->certificate, &c->ca, NULL, NULL, &flags, NULL, NULL);
    if (errno == ENOMEM)
        return rd_fail(err, RD_ERR_MEMORY, "--cert %s: no memory to check it", path);
    c->own_authority = (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) == 0;
    flags &= MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY;
    if (flags == 0)
        return RD_OK;
    if (mbedtls_x509_crt_verify_info(what, sizeof what, "", flags) < 0)
        (void)snprintf(what, sizeof what, "flags 0x%x", flags);
    what[strcspn(what, "\n")] = '\0';
    return rd_fail(err, RD_ERR_CONFIG, "--cert %s: the aggregator's TLS does not take it: %s", path, what);
}

/* ---- the key ---- */

/* The first line of the file, without its end. */
static rd_status read_passphrase(const char *path, char passphrase[RD_PASSPHRASE_MAX], rd_error *err)
{
    char *text = NULL;
    size_t size = 0;
    rd_status status = RD_OK;
    if (rd_file_read(path, RD_PASSPHRASE_MAX, &text, &size, err) != RD_OK)
        return rd_fail(err, RD_ERR_CONFIG, "--key-passphrase-file %s", strdupa(err->message));
    size_t length = strcspn(text, "\r\n");
    if (length == 0 || length >= RD_PASSPHRASE_MAX)
        status =
            rd_fail(err, RD_ERR_CONFIG, "--key-passphrase-file %s: expected the pass phrase in its first line", path);
    else
        (void)snprintf(passphrase, RD_PASSPHRASE_MAX, "%.*s", (int)length, text);
    explicit_bzero(text, size);
    free(text);
    return status;
}

/* Whoever has the key is its owner; a group may be given it, all the world may not. */
static rd_status check_mode(const char *path, rd_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return rd_fail(err, RD_ERR_CONFIG, "--key %s: %s", path, strerror(errno));
    if ((info.st_mode & S_IRWXO) == 0)
        return RD_OK;
    return rd_fail(err, RD_ERR_CONFIG, "--key %s: everybody may read it or write to it (mode %03o): chmod 600 %s", path,
                   (unsigned)(info.st_mode & 0777), path);
}

static rd_status load_key(rd_credentials *c, const rd_credential_files *f, rd_error *err)
{
    char *pem = NULL;
    size_t size = 0;
    rd_status status = RD_OK;
    if (f->passphrase != NULL)
        RD_TRY(read_passphrase(f->passphrase, c->passphrase, err));
    RD_TRY(read_pem(f->key, "--key", &pem, &size, err));
    errno = 0;
    int code = rd_private_key_parse(&c->key, pem, size, c->passphrase);
    bool fits = code == 0 && rd_private_key_check(&c->certificate, &c->key) == 0;
    if (!fits && errno == ENOMEM)
        status = rd_fail(err, RD_ERR_MEMORY, "--key %s: no memory to read and check it", f->key);
    else if (code == MBEDTLS_ERR_PK_PASSWORD_REQUIRED)
        status = rd_fail(err, RD_ERR_CONFIG,
                         "--key %s: it is protected by a pass phrase; name a file that holds it with "
                         "--key-passphrase-file, or write a plain key with: openssl pkey -in KEY -out PLAIN-KEY",
                         f->key);
    else if (code == MBEDTLS_ERR_PK_PASSWORD_MISMATCH)
        status = rd_fail(err, RD_ERR_CONFIG, "--key %s: the pass phrase in --key-passphrase-file %s does not open it",
                         f->key, f->passphrase);
    else if (code != 0 && strstr(pem, "ENCRYPTED") != NULL)
        status = rd_fail(err, RD_ERR_CONFIG,
                         "--key %s: it is protected by a pass phrase in a way that cannot be read (mbedTLS -0x%04x); "
                         "write it anew with: openssl pkey -in KEY -aes256 -out NEW-KEY",
                         f->key, (unsigned)-code);
    else if (code != 0)
        status = rd_fail(err, RD_ERR_CONFIG, "--key %s: expected a private key in PEM, found none (mbedTLS -0x%04x)",
                         f->key, (unsigned)-code);
    else if (!fits)
        status = rd_fail(err, RD_ERR_CONFIG, "--key %s is not the key of the certificate --cert %s", f->key, f->cert);
    else
        status = check_mode(f->key, err);
cleanup:
    if (pem != NULL)
        explicit_bzero(pem, size);
    free(pem);
    return status;
}

/* ---- all of it ---- */

rd_status rd_credentials_load(const rd_credential_files *f, rd_credential_side side, rd_credentials **out, bool *early,
                              rd_error *err)
{
    rd_status status = RD_OK;
    rd_credentials *c = calloc(1, sizeof *c);
    *early = false;
    *out = NULL;
    if (c == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for certificates");
    mbedtls_x509_crt_init(&c->ca);
    mbedtls_x509_crt_init(&c->certificate);
    mbedtls_pk_init(&c->key);
    RD_TRY(load_certificates(f->ca, "--ca", &c->ca, early, err));
    RD_TRY(load_certificates(f->cert, "--cert", &c->certificate, early, err));
    RD_TRY(check_certificate(c, f->cert, side, err));
    RD_TRY(load_key(c, f, err));
    (void)rd_peer_read(&c->certificate, &c->peer); /* whether the name is one is for the other side to say */
    *out = c;
    c = NULL;
cleanup:
    rd_credentials_free(c);
    return status;
}

void rd_credentials_free(rd_credentials *c)
{
    if (c == NULL)
        return;
    mbedtls_pk_free(&c->key);
    mbedtls_x509_crt_free(&c->certificate);
    mbedtls_x509_crt_free(&c->ca);
    explicit_bzero(c->passphrase, sizeof c->passphrase);
    free(c);
}

const char *rd_credentials_passphrase(const rd_credentials *c)
{
    return c->passphrase;
}

const rd_peer *rd_credentials_peer(const rd_credentials *c)
{
    return &c->peer;
}

bool rd_credentials_own_authority(const rd_credentials *c)
{
    return c->own_authority;
}
