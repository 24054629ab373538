/* renewal.h: a certificate is made anew before it ends, while the run goes on, and nobody has to think of it: when less than a
 * third of its life is left, the client asks the aggregator for a newer one, under the old one and for the same key. The
 * key stays because it is then one file that changes, which takes its place at once: no crash can leave a certificate
 * beside another one's key. Who wants a new key enrols anew.
 *
 * Where that cannot be, whoever runs the client is told, at once and then once a day. */
#ifndef RONDO_CLIENT_RENEWAL_H
#define RONDO_CLIENT_RENEWAL_H

#include <stdbool.h>

#include "core/error.h"
#include "credentials/endings.h"
#include "request.h"

typedef struct rd_renewal {
    double next; /* seconds since 1970: no attempt before; 0 at first */
    rd_endings told;
} rd_renewal;

/* Does what is due. An attempt that failed is no failure, and repeated in an hour, or a tenth of the time that is left. */
rd_status rd_renewal_look(rd_renewal *r, rd_requester *requester, bool quiet, rd_error *err) RD_MUST_CHECK;

#endif
