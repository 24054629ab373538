/* request.h: a request to the aggregator, until it is answered. The one place that knows about lost connections, busy
 * aggregators and restarts: a connection is made again with growing, random pauses, a restarted aggregator is joined
 * again, and whoever watches is told what is waited for. What a broken connection has brought is not sent again: the rest
 * of a download is asked for, and that of an upload with a digest sent. */
#ifndef RONDO_CLIENT_REQUEST_H
#define RONDO_CLIENT_REQUEST_H

#include <stdbool.h>

#include "core/error.h"
#include "transport.h"

typedef struct rd_requester rd_requester;

typedef struct rd_requester_options {
    rd_transport_options transport;
    double retry_seconds; /* give up after so long without an answer; 0: at the first failure */
    /* The aggregator does not know this client any more: joins again, by requests of its own. */
    rd_status (*rejoin)(void *user, rd_error *err);
    void (*say)(void *user, const char *line); /* a line for whoever watches */
    void *user;
} rd_requester_options;

rd_status rd_requester_create(const rd_requester_options *options, rd_requester **out, rd_error *err) RD_MUST_CHECK;
void rd_requester_free(rd_requester *r);

/* Sends the request until there is an answer that is more than "later" (RD_OK, whatever its status). RD_ERR_NETWORK:
 * nothing has been heard for retry_seconds since the connection was lost (who answers, if only "busy", is there), or a
 * signal arrived. Else as rd_transport_request, or what rejoin returned. */
rd_status rd_requester_ask(rd_requester *r, const rd_request *request, rd_response *response,
                           rd_error *err) RD_MUST_CHECK;
/* After a signal, which makes the transport give up whatever it does: sends the request once, on a connection of its
 * own, and does not wait long. Nothing else can be asked afterwards. */
rd_status rd_requester_last_word(rd_requester *r, const rd_request *request, rd_response *response,
                                 rd_error *err) RD_MUST_CHECK;

/* RD_ERR_REFUSED: what the aggregator said. */
rd_status rd_requester_refused(const rd_response *response, rd_error *err);

/* The client's certificate, as it was read; valid as long as r, which may read another. */
typedef struct rd_own_certificate {
    rd_credential_files files;
    const char *passphrase;
    rd_peer peer;
    bool own_authority; /* --ca has signed it */
} rd_own_certificate;
const rd_own_certificate *rd_requester_certificate(const rd_requester *r);
/* The file of the certificate holds another one: what is asked from now on is asked under that. */
rd_status rd_requester_reload(rd_requester *r, rd_error *err) RD_MUST_CHECK;

/* Has a signal arrived? */
bool rd_requester_stopped(const rd_requester *r);
/* Less when a signal arrives. */
void rd_requester_sleep(const rd_requester *r, double seconds);

/* How long to pause before the next of several attempts: longer and longer, and random, so that the clients of an
 * aggregator that comes back do not come all at once. */
typedef struct rd_backoff {
    double most; /* seconds; 0: no attempt has failed yet */
} rd_backoff;
double rd_requester_next_pause(rd_requester *r, rd_backoff *b);
/* For how long to pause where the aggregator asks for so many seconds: no less, and a part of a second more that is drawn
 * at random, because others were asked for as many. 0: not at all. */
double rd_requester_asked_pause(rd_requester *r, double seconds);

#endif
