/* request.h: how a client comes to a certificate: it makes its key, which never leaves it, and asks for a certificate with a
 * request (CSR, PKCS #10) that its key has signed; an authority signs, or not.
 *
 * Of a request only the key and the name count. What else it may ask for (to be an authority, to be a server, another name
 * beside its own) is neither granted nor looked at: a certificate is made of what the aggregator knows. */
#ifndef RONDO_CREDENTIALS_REQUEST_H
#define RONDO_CREDENTIALS_REQUEST_H

#include <stddef.h>

#include "core/error.h"
#include "credentials/peer.h"

#define RD_REQUEST_MAX 4096     /* bytes of a request in PEM, and the end of the string */
#define RD_CERTIFICATE_MAX 8192 /* the same of a certificate */

/* ---- the client ---- */

/* Makes a key (EC P-256) in a new file of mode 0600; one that is there already is kept. RD_ERR_IO. */
rd_status rd_key_make(const char *path, rd_error *err) RD_MUST_CHECK;
/* A request for NAME, signed by the key in that file, which the pass phrase opens ("": it is plain). */
rd_status rd_request_write(const char *key, const char *passphrase, const char *name, char pem[RD_REQUEST_MAX], rd_error *err) RD_MUST_CHECK;
/* The fingerprint (SHA-256) of the one certificate in this text. RD_ERR_FORMAT: there is none, or there are several. */
rd_status rd_certificate_digest(const char *pem, char hex[RD_SHA256_HEX], rd_error *err) RD_MUST_CHECK;

/* ---- the aggregator ---- */

/* Is it a request for NAME, signed by its own key, of a kind that can be used? RD_ERR_FORMAT or RD_ERR_REFUSED. */
rd_status rd_request_check(const char *pem, const char *name, rd_error *err) RD_MUST_CHECK;

typedef struct rd_authority {
    const char *certificate, *key; /* PEM files; the key is plain */
    double seconds;                /* for which certificates are good; they begin as long before, at most a day, for clocks
                                      that are behind */
} rd_authority;
/* Can the authority sign? RD_ERR_CONFIG. */
rd_status rd_authority_check(const rd_authority *a, rd_error *err) RD_MUST_CHECK;
/* Signs a client's certificate for NAME and the key of a request that was checked. */
rd_status rd_authority_sign(const rd_authority *a, const char *request, const char *name, char pem[RD_CERTIFICATE_MAX],
                            rd_error *err) RD_MUST_CHECK;
/* Is it what was asked for: one certificate, for NAME and the key of the request, for a client and no authority, signed by the
 * authority in the file ca and good now? RD_ERR_REFUSED says what it is instead. peer is filled in. */
rd_status rd_certificate_check(const char *pem, const char *request, const char *name, const char *ca, rd_peer *peer,
                               rd_error *err) RD_MUST_CHECK;
/* The one certificate in the file, in PEM. RD_ERR_CONFIG: there are several, of which a client could not know which to trust. */
rd_status rd_authority_read(const char *path, char pem[RD_CERTIFICATE_MAX], rd_error *err) RD_MUST_CHECK;

#endif
