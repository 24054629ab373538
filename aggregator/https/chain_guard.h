/* chain_guard.h: looks at the certificates that a client sends before the TLS library checks any signature.
 *
 * A library checks a chain from the first certificate on, with the keys that are in it, and learns last that none of it
 * leads to our authority. So a stranger chooses what a check costs: with RSA of 8192 bits and exponents as long, 14 KB
 * of certificates are five seconds. Here only lengths are read, and what is larger than any client of ours needs is
 * refused.
 *
 * In TLS 1.2 the certificates come in clear, so the guard takes the bytes as they come from the socket and knows no
 * library. A library that speaks TLS 1.3 would have to hand over the message itself, to rd_chain_check. */
#ifndef RONDO_HTTPS_CHAIN_GUARD_H
#define RONDO_HTTPS_CHAIN_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define RD_CHAIN_BYTES_MAX 4096 /* of the message with all certificates: two of RSA-4096 with their names fit */
#define RD_CHAIN_LENGTH_MAX 4   /* certificates: the client's own one and three authorities between it and --ca */

/* A certificate in DER, inside the message that it was found in. */
typedef struct rd_certificate_bytes {
    const uint8_t *bytes; /* NULL: none */
    size_t size;
} rd_certificate_bytes;

/* Checks the body of a Certificate message (RFC 5246, 7.4.2): number of certificates, and for each the kind and the size
 * of its key (credentials.h). RD_ERR_REFUSED says why not, of the certificate *which, or of all where it is none. */
rd_status rd_chain_check(const uint8_t *message, size_t size, rd_certificate_bytes *which, rd_error *err) RD_MUST_CHECK;

/* What a client has sent, up to its certificates. Begins as zeros. */
typedef struct rd_chain_guard {
    bool done; /* the certificates have been seen, or cannot come any more */
    uint8_t record_type;
    uint8_t record_head[5], message_head[4];
    size_t record_head_count, message_head_count;
    size_t record_left, message_left;
    uint8_t *message; /* owned; the Certificate message as far as it is there, or NULL */
    size_t message_count;
    rd_certificate_bytes refused; /* after RD_ERR_REFUSED: which certificate, inside message */
} rd_chain_guard;

/* Takes the next bytes from the socket, before the library is given them. RD_ERR_REFUSED: the library must not be. */
rd_status rd_chain_guard_take(rd_chain_guard *g, const uint8_t *bytes, size_t count, rd_error *err) RD_MUST_CHECK;
void rd_chain_guard_free(rd_chain_guard *g);

#endif
