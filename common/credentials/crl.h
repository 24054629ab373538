/* crl.h: a list of certificates that their authority has revoked (CRL, RFC 5280), as serial numbers.
 *
 * The authority's signature is checked once, when the list is read, and not in each handshake; so the same list is asked
 * at the handshake and at every request after it. */
#ifndef RONDO_CREDENTIALS_CRL_H
#define RONDO_CREDENTIALS_CRL_H

#include <stddef.h>

#include "core/error.h"
#include "credentials/peer.h"

typedef struct rd_crl rd_crl;

/* Reads a list in PEM that one of the certificates in the file ca has signed. RD_ERR_CONFIG names the file: it cannot be
 * read, another authority has signed it, or its next update is overdue. */
rd_status rd_crl_load(const char *path, const char *ca, rd_crl **out, rd_error *err) RD_MUST_CHECK;
void rd_crl_free(rd_crl *c); /* NULL: nothing */
size_t rd_crl_count(const rd_crl *c);
/* When the next one is due, in seconds since 1970; 0: it does not say. */
double rd_crl_next_update(const rd_crl *c);
bool rd_crl_has(const rd_crl *c, const rd_peer *peer);

#endif
