/* mbedtls.h: credentials as mbedTLS holds them, for what else of Rondo is made by mbedTLS (aggregator/https/tls_mbedtls.c). */
#ifndef RONDO_CREDENTIALS_MBEDTLS_H
#define RONDO_CREDENTIALS_MBEDTLS_H

#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include "credentials/credentials.h"
#include "credentials/peer.h"

struct rd_credentials {
    mbedtls_x509_crt ca, certificate;
    mbedtls_pk_context key;
    rd_peer peer;                       /* of certificate */
    char passphrase[RD_PASSPHRASE_MAX]; /* "" where the key is plain */
    bool own_authority;                 /* --ca signed --cert, too; it need not have */
};

/* Can the aggregator's TLS work with this key? kind becomes its name in words: "EC secp521r1". */
bool rd_key_is_usable(const mbedtls_pk_context *key, char *kind, size_t size);

/* peer_mbedtls.c: who a certificate says it is. Returns what is wrong with its name, or NULL; the rest of peer is filled
 * in either way. */
const char *rd_peer_read(const mbedtls_x509_crt *certificate, rd_peer *peer);
/* The one common name of a subject; returns what is wrong with it, or NULL. */
const char *rd_x509_common_name(const mbedtls_x509_name *subject, char name[RD_PEER_NAME_MAX]);
/* Does it say that it may be used by TLS clients, and is no authority's? */
bool rd_certificate_is_clients(const mbedtls_x509_crt *certificate);
void rd_certificate_fingerprint(const mbedtls_x509_crt *certificate, char hex[RD_SHA256_HEX]);
/* False: longer than 32 bytes. */
bool rd_serial_write(const mbedtls_x509_buf *number, char hex[RD_PEER_SERIAL_MAX]);
double rd_x509_seconds(const mbedtls_x509_time *t); /* since 1970 */

/* pkcs8_mbedtls.c: parses a private key in PEM. Returns mbedTLS's code. */
int rd_private_key_parse(mbedtls_pk_context *key, const char *pem, size_t size, const char *passphrase);
/* Do certificate and key belong together? 0: yes. */
int rd_private_key_check(const mbedtls_x509_crt *certificate, const mbedtls_pk_context *key);

#endif
