/* http.h: HTTP/1.1 requests out of a stream of bytes, and nothing about sockets.
 *
 * A pull parser: feed it bytes, and it stops at the first thing worth knowing about (the head is complete,
 * here are bytes of the body, the request has ended). So the caller decides between any two of them whether
 * to go on, which is what makes answering early, waiting, and pipelined requests simple. The parsing itself
 * is done by http-parser, behind this interface and only in http.c. */
#ifndef RONDO_HTTPS_HTTP_H
#define RONDO_HTTPS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RD_HTTP_HEAD_MAX 16384 /* request line and headers together, as they are on the wire */

typedef struct rd_http rd_http;

typedef enum rd_http_event {
    RD_HTTP_MORE,    /* every byte was taken and nothing has happened yet */
    RD_HTTP_REQUEST, /* the head is complete; rd_http_request tells the rest */
    RD_HTTP_BODY,    /* the next bytes of the body are in .body, .body_count */
    RD_HTTP_END,     /* a body, if there was one, is complete; the next byte begins another request */
    RD_HTTP_BAD,     /* this is not a request we can take: .status and .reason; nothing can follow */
} rd_http_event;

/* What is known of the request under way; strings stay valid until the first byte of the next one is fed. */
typedef struct rd_http_request {
    const char *method;     /* "GET" */
    const char *path;       /* "/v1/task" */
    const char *query;      /* what follows the '?', or "" */
    int64_t content_length; /* -1: none given */
    uint64_t body_left;     /* bytes of content_length still to come */
    bool chunked;
    bool keep_alive;       /* the client is willing to send another request */
    bool expects_continue; /* the body comes after "100 Continue" */
    bool complete;         /* all of the request has been read; true at RD_HTTP_REQUEST when it has no body,
                              and no RD_HTTP_END follows then */
    const uint8_t *body;   /* RD_HTTP_BODY: points into the bytes fed */
    size_t body_count;
    int status; /* RD_HTTP_BAD: 400, 405, 413, 417, 431, 505 */
    const char *reason;
} rd_http_request;

/* NULL when memory is short. */
rd_http *rd_http_create(void);
void rd_http_free(rd_http *h);

/* Takes at most count bytes, says in *used how many, and returns what has happened. Call again with the rest
 * after any event but RD_HTTP_BAD. */
rd_http_event rd_http_feed(rd_http *h, const uint8_t *bytes, size_t count, size_t *used);

const rd_http_request *rd_http_request_of(const rd_http *h);
/* True once bytes of a head have come in and until the request is complete. */
bool rd_http_in_request(const rd_http *h);
/* The value of the first header of this name (in any case), or NULL. */
const char *rd_http_header(const rd_http *h, const char *name);

/* "Not Found" for 404. */
const char *rd_http_status_text(int status);

#endif
