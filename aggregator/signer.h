/* signer.h: who signs the certificates of those who enrol: a key beside the aggregator (--ca-key), or a command that gets the
 * request on its standard input and prints the certificate (--sign-command), so that the key may lie on another machine or in a
 * token. Whoever signs, what comes back is looked at: it must be what was asked for, and no more.
 *
 * Signing may take seconds, so it is for a thread of its own. */
#ifndef RONDO_AGGREGATOR_SIGNER_H
#define RONDO_AGGREGATOR_SIGNER_H

#include "core/error.h"
#include "credentials/request.h"

#define RD_SIGN_SECONDS 20 /* after which the command is ended */

typedef struct rd_signer {
    const char *ca;      /* file of the one certificate of the authority */
    const char *ca_key;  /* NULL: the command signs */
    const char *command; /* of a shell; NULL: the key does */
    double seconds;      /* how long certificates are good for; the command decides that itself */
} rd_signer;

/* Can it sign, as far as can be told without doing it? RD_ERR_CONFIG. */
rd_status rd_signer_check(const rd_signer *s, rd_error *err) RD_MUST_CHECK;
/* A certificate for NAME and the key of a request. RD_ERR_FORMAT, RD_ERR_REFUSED: the request is of no use; RD_ERR_INTERNAL: it
 * could not be signed. */
rd_status rd_signer_sign(const rd_signer *s, const char *request, const char *name, char pem[RD_CERTIFICATE_MAX],
                         rd_peer *peer, rd_error *err) RD_MUST_CHECK;

#endif
