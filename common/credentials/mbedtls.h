/* mbedtls.h: credentials as mbedTLS holds them, for what else of Rondo is made by mbedTLS (aggregator/https/tls_mbedtls.c). */
#ifndef RONDO_CREDENTIALS_MBEDTLS_H
#define RONDO_CREDENTIALS_MBEDTLS_H

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

#include "credentials/credentials.h"

struct rd_credentials {
    mbedtls_x509_crt ca, certificate;
    mbedtls_pk_context key;
    char passphrase[RD_PASSPHRASE_MAX]; /* "" where the key is plain */
    bool own_authority;                 /* --ca signed --cert, too; it need not have */
};

/* Can the aggregator's TLS work with this key? kind becomes its name in words: "EC secp521r1". */
bool rd_key_is_usable(const mbedtls_pk_context *key, char *kind, size_t size);

/* pkcs8_mbedtls.c: parses a private key in PEM. Returns mbedTLS's code. */
int rd_private_key_parse(mbedtls_pk_context *key, const char *pem, size_t size, const char *passphrase);
/* Do certificate and key belong together? 0: yes. */
int rd_private_key_check(const mbedtls_x509_crt *certificate, const mbedtls_pk_context *key);

#endif
