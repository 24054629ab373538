/* request_mbedtls.c: the client's half of request.h, and what both halves need, by mbedTLS. */
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/pem.h>
#include <mbedtls/x509_csr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "credentials/mbedtls.h"
#include "credentials/request.h"
#include "credentials/request_mbedtls.h"

#define KEY_MAX 16384

rd_status rd_fail_mbedtls(rd_error *err, rd_status status, const char *what, int code)
{
    char text[160];
    mbedtls_strerror(code, text, sizeof text);
    return rd_fail(err, status, "%s: %s (mbedTLS -0x%04x)", what, text, (unsigned)-code);
}

int rd_dice_open(rd_dice *d)
{
    mbedtls_entropy_init(&d->entropy);
    mbedtls_ctr_drbg_init(&d->random);
    return mbedtls_ctr_drbg_seed(&d->random, mbedtls_entropy_func, &d->entropy, NULL, 0);
}

void rd_dice_close(rd_dice *d)
{
    mbedtls_ctr_drbg_free(&d->random);
    mbedtls_entropy_free(&d->entropy);
}

static int make_key(mbedtls_pk_context *key, rd_dice *d, char *pem, size_t size)
{
    int code = mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (code == 0)
        code = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key), mbedtls_ctr_drbg_random, &d->random);
    return code == 0 ? mbedtls_pk_write_key_pem(key, (unsigned char *)pem, size) : code;
}

rd_status rd_key_make(const char *path, rd_error *err)
{
    rd_status status = RD_OK;
    char pem[KEY_MAX] = "";
    mbedtls_pk_context key;
    rd_dice dice;
    mbedtls_pk_init(&key);
    int code = rd_dice_open(&dice);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        goto cleanup;
    if (fd < 0)
        RD_THROW(RD_ERR_IO, "%s: %s", path, strerror(errno));
    if (code == 0)
        code = make_key(&key, &dice, pem, sizeof pem);
    if (code != 0)
        status = rd_fail_mbedtls(err, RD_ERR_INTERNAL, "a new key", code);
    if (status == RD_OK)
        status = rd_fd_write_all(fd, pem, strlen(pem), path, err);
    if (status == RD_OK && fsync(fd) != 0)
        status = rd_fail(err, RD_ERR_IO, "%s: cannot reach the disk: %s", path, strerror(errno));
    if (status != RD_OK)
        (void)unlink(path);
cleanup:
    if (fd >= 0)
        close(fd);
    explicit_bzero(pem, sizeof pem);
    mbedtls_pk_free(&key);
    rd_dice_close(&dice);
    return status;
}

rd_status rd_key_read(const char *path, const char *passphrase, mbedtls_pk_context *key, rd_error *err)
{
    char *pem = NULL;
    size_t size = 0;
    rd_status status = rd_file_read(path, KEY_MAX, &pem, &size, err);
    if (status != RD_OK)
        return rd_fail_as(err, RD_ERR_CONFIG);
    int code = rd_private_key_parse(key, pem, size + 1, passphrase);
    if (code != 0)
        status = rd_fail(err, RD_ERR_CONFIG, "%s: it cannot be read as a private key in PEM (mbedTLS -0x%04x)", path, (unsigned)-code);
    explicit_bzero(pem, size);
    free(pem);
    return status;
}

rd_status rd_request_write(const char *key_path, const char *passphrase, const char *name, char pem[RD_REQUEST_MAX],
                           rd_error *err)
{
    rd_status status = RD_OK;
    char subject[RD_PEER_NAME_MAX + 8];
    mbedtls_pk_context key;
    mbedtls_x509write_csr request;
    rd_dice dice;
    mbedtls_pk_init(&key);
    mbedtls_x509write_csr_init(&request);
    int code = rd_dice_open(&dice);
    RD_TRY(rd_key_read(key_path, passphrase, &key, err));
    (void)snprintf(subject, sizeof subject, "CN=%s", name);
    mbedtls_x509write_csr_set_md_alg(&request, MBEDTLS_MD_SHA256);
    mbedtls_x509write_csr_set_key(&request, &key);
    if (code == 0)
        code = mbedtls_x509write_csr_set_subject_name(&request, subject);
    if (code == 0)
        code = mbedtls_x509write_csr_pem(&request, (unsigned char *)pem, RD_REQUEST_MAX, mbedtls_ctr_drbg_random,
                                         &dice.random);
    if (code != 0)
        status = rd_fail_mbedtls(err, RD_ERR_INTERNAL, "a request for a certificate", code);
cleanup:
    mbedtls_x509write_csr_free(&request);
    mbedtls_pk_free(&key);
    rd_dice_close(&dice);
    return status;
}

rd_status rd_certificate_parse(const char *pem, mbedtls_x509_crt *certificate, rd_error *err)
{
    int code = mbedtls_x509_crt_parse(certificate, (const unsigned char *)pem, strlen(pem) + 1);
    if (code != 0)
        return rd_fail(err, RD_ERR_FORMAT, "expected a certificate in PEM (mbedTLS -0x%04x)", (unsigned)-code);
    if (certificate->next != NULL)
        return rd_fail(err, RD_ERR_FORMAT, "expected one certificate, found several");
    return RD_OK;
}

rd_status rd_certificate_digest(const char *pem, char hex[RD_SHA256_HEX], rd_error *err)
{
    mbedtls_x509_crt certificate;
    mbedtls_x509_crt_init(&certificate);
    rd_status status = rd_certificate_parse(pem, &certificate, err);
    if (status == RD_OK)
        rd_certificate_fingerprint(&certificate, hex);
    mbedtls_x509_crt_free(&certificate);
    return status;
}
