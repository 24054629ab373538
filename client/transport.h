/* transport.h: one kept-open HTTPS connection to the aggregator, one request at a time. */
#ifndef RONDO_CLIENT_TRANSPORT_H
#define RONDO_CLIENT_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "credentials/credentials.h"

typedef struct rd_transport rd_transport;

typedef struct rd_transport_options {
    const char *url; /* "https://HOST:PORT", without a path */
    rd_credential_files files; /* cert NULL: none is shown, for who has none yet; ca NULL: whoever answers is believed, so that
                                  nothing may be told to him, and what he says must be proved otherwise */
    const char *passphrase; /* of the key; "" where it is plain */
    const char *proxy;      /* http://HOST:PORT; "": none; NULL: as https_proxy and no_proxy say */
    const char *session;    /* Rondo-Session, sent with each request */
    const char *key_log;    /* file for the keys of connections; NULL: none, whatever the environment says */
    int signals;            /* rd_signals_open: when one arrives, what is under way is given up; -1: never */
    double most_seconds;    /* no request may take longer; 0: as long as something moves */
} rd_transport_options;

rd_status rd_transport_create(const rd_transport_options *options, rd_transport **out, rd_error *err) RD_MUST_CHECK;
void rd_transport_free(rd_transport *t);

/* A body in pieces that lie where they lie: the header of an update, and the delta itself. */
typedef struct rd_piece {
    const void *bytes;
    size_t count;
} rd_piece;
#define RD_REQUEST_PIECES 2

/* What an earlier attempt has left to do. It is request.c that continues: for all others it is empty. */
typedef struct rd_continuation {
    uint64_t from;    /* bytes of the body that are there: of the answer's, or with PATCH of the request's */
    const char *etag; /* of the answer that they are the beginning of */
} rd_continuation;

typedef struct rd_request {
    const char *method;       /* "GET", "POST"; where something is continued, "HEAD" and "PATCH" */
    const char *path;         /* "/v1/task?wait=30" */
    const char *content_type; /* of the body; NULL: no body */
    const char *model;        /* what was trained from, sent as Rondo-Model; NULL: nothing was */
    rd_piece body[RD_REQUEST_PIECES];
    const char *digest;        /* of the whole body, sent with POST as Content-Digest; NULL: none is sent */
    unsigned long_poll_seconds; /* how long the aggregator may take to begin its answer; 0: not long */
    /* Takes the body of a 200 as it arrives; NULL: it is collected like any other. A failure ends the
     * request. */
    rd_status (*take)(void *user, const void *bytes, size_t count, rd_error *err);
    /* What comes next is the body's beginning, once more: resets what take has begun. Never NULL beside take. */
    void (*restart)(void *user);
    void *user;
    rd_continuation rest;
} rd_request;

/* Bytes of the body. */
size_t rd_request_body_size(const rd_request *r);

#define RD_ETAG_MAX 160

typedef struct rd_response {
    int status;             /* 200 also where the rest of a body came */
    char etag[RD_ETAG_MAX]; /* as it came; "": none, or longer */
    unsigned retry_after;   /* seconds; 0: not given */
    bool has_return;        /* the aggregator says how to come back to it */
    unsigned return_within; /* seconds over which those who have lost it should spread */
    const char *body;       /* (size), valid until the next request; at most 16 MB */
    size_t size;
    uint64_t received;      /* bytes of body, taken ones included, in all attempts */
    uint64_t taken;         /* bytes of this body that take has, from its beginning */
    uint64_t upload_offset; /* the aggregator has so many bytes of an update that was cut off */
} rd_response;

/* RD_OK: there is an answer, whatever its status. RD_ERR_NETWORK: unreachable or gone, trying again may help;
 * RD_ERR_REFUSED: TLS failed for a reason that will not go away; RD_ERR_CONFIG: a certificate file is
 * unusable; or what take returned. */
rd_status rd_transport_request(rd_transport *t, const rd_request *request, rd_response *response,
                               rd_error *err) RD_MUST_CHECK;

#endif
