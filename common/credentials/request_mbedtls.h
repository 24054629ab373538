/* request_mbedtls.h: what the two halves of request.h share. */
#ifndef RONDO_CREDENTIALS_REQUEST_MBEDTLS_H
#define RONDO_CREDENTIALS_REQUEST_MBEDTLS_H

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/x509_crt.h>

#include "core/error.h"

typedef struct rd_dice {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
} rd_dice;

int rd_dice_open(rd_dice *d); /* mbedTLS's code; to be closed either way */
void rd_dice_close(rd_dice *d);

rd_status rd_fail_mbedtls(rd_error *err, rd_status status, const char *what, int code);
/* RD_ERR_CONFIG names the file. */
rd_status rd_key_read(const char *path, const char *passphrase, mbedtls_pk_context *key, rd_error *err) RD_MUST_CHECK;
/* One certificate and no more. RD_ERR_FORMAT. */
rd_status rd_certificate_parse(const char *pem, mbedtls_x509_crt *certificate, rd_error *err) RD_MUST_CHECK;

#endif
