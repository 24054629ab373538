/* tickets_mbedtls.h: session tickets for tls_mbedtls.c (RFC 5077). A ticket is ours alone to read, so its form is no
 * protocol: the key's name, a nonce, and sealed with ChaCha20-Poly1305 when it was made, until when the certificates are
 * valid that the client showed, and mbedTLS's session with the client's own certificate in it. */
#ifndef RONDO_HTTPS_TICKETS_MBEDTLS_H
#define RONDO_HTTPS_TICKETS_MBEDTLS_H

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

#include "core/crypto.h"
#include "https/ticket_keys.h"

/* A moment of a certificate, as a number that grows with time: 20261126203000. */
uint64_t rd_ticket_moment(const mbedtls_x509_time *time);

typedef struct rd_tickets {
    rd_ticket_keys *keys; /* not owned; NULL: there are no tickets */
    mbedtls_ctr_drbg_context *random;
    uint8_t authorities[RD_SHA256_BYTES]; /* digest of --ca: those of another are nothing to us */
    /* Of the handshake under way: rd_ticket_moment of the first of its certificates that ends. */
    const uint64_t *valid_until;
    /* May the owner of this certificate come back? It was checked when the ticket was made, and is now once more. */
    bool (*may_return)(void *user, mbedtls_x509_crt *certificate);
    void *user;
} rd_tickets;

/* Makes and takes tickets with config; t, its digest filled in here, must outlive it. */
void rd_tickets_use(rd_tickets *t, mbedtls_ssl_config *config, const mbedtls_x509_crt *authorities);

#endif
