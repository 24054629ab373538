/* credentials.h: the certificate files of one side, read and checked before anything is sent.
 *
 * Both sides look with the aggregator's TLS library (credentials_mbedtls.c), because a key that it cannot use ends every
 * handshake, in words that name something else. A key behind a pass phrase is opened with the one in a file; nobody is
 * ever asked on a terminal, where a library would, again at each connection. */
#ifndef RONDO_CREDENTIALS_CREDENTIALS_H
#define RONDO_CREDENTIALS_CREDENTIALS_H

#include <stdbool.h>

#include "core/error.h"
#include "credentials/peer.h"

#define RD_PASSPHRASE_MAX 1024
#define RD_RSA_BITS_MAX 4096
#define RD_RSA_EXPONENT_BITS_MAX 17 /* 65537 has so many; each is a squaring more whenever a signature is checked */
#define RD_KEY_KINDS "EC P-256 or P-384, or RSA of 2048 to 4096 bits with an exponent of at most 17 bits"

typedef struct rd_credential_files {
    const char *ca, *cert, *key; /* PEM */
    const char *passphrase;      /* a file whose first line opens the key; NULL: the key is plain */
} rd_credential_files;

typedef enum rd_credential_side { RD_SIDE_CLIENT, RD_SIDE_AGGREGATOR } rd_credential_side;

typedef struct rd_credentials rd_credentials;

/* Checks that the files are there, can be used for this side, belong together and are valid today. RD_ERR_CONFIG names
 * option and file; *early: all that is wrong is that a certificate is not valid yet, which a clock may explain. */
rd_status rd_credentials_load(const rd_credential_files *files, rd_credential_side side, rd_credentials **out,
                              bool *early, rd_error *err) RD_MUST_CHECK;
void rd_credentials_free(rd_credentials *c); /* NULL: nothing */

/* What opens the key: "" where it is plain. Valid as long as c. */
const char *rd_credentials_passphrase(const rd_credentials *c);
/* Who its certificate says that this side is, and until when. */
const rd_peer *rd_credentials_peer(const rd_credentials *c);
/* Did --ca sign --cert, too? It need not have. */
bool rd_credentials_own_authority(const rd_credentials *c);

#endif
