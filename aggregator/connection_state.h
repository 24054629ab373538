/* connection_state.h: what connection.c (when something happens) and exchange.c (what is said) share, and
 * nobody else sees. */
#ifndef RONDO_AGGREGATOR_CONNECTION_STATE_H
#define RONDO_AGGREGATOR_CONNECTION_STATE_H

#include "connection.h"
#include "http.h"

typedef enum phase { PHASE_HANDSHAKE, PHASE_RECEIVE, PHASE_PARKED, PHASE_SEND, PHASE_LINGER } phase;

struct rd_exchange {
    rd_connection *connection;
    void *user;
    bool open;      /* between on_request and on_close */
    bool completed; /* on_complete was called */
    bool answered;  /* an answer is in the output, or being put there */
    bool parked;
    uint64_t park_ms;
};

struct rd_connection {
    rd_link in_all, in_parked; /* must be the first two members */
    rd_worker *worker;
    phase phase;
    rd_tls_session tls;
    rd_http *http;
    rd_exchange exchange;
    int fd;
    int budget;       /* records left in this turn */
    bool first_seen;  /* the first byte looked like TLS */
    bool established; /* the handshake is done */
    bool keep;        /* the connection outlives the answer under way */
    bool continued;   /* "100 Continue" was sent for the request under way */
    bool draining;    /* the answer is out, and the rest of the request's body is read and dropped */
    bool broken;      /* no memory for an answer: close */
    bool closing;

    uint8_t *in; /* RD_TLS_RECORD bytes, or NULL */
    size_t in_begin, in_end;
    uint8_t *out; /* what is to be sent, or NULL */
    size_t out_begin, out_end;
    int file; /* what is to be sent after that, or -1 */
    uint64_t file_at, file_left;

    uv_poll_t poll;
    uv_timer_t timer;
    unsigned handles; /* that libuv has not let go of */
    int watched;      /* events asked of poll */
    uint64_t deadline, timer_due;
    char peer[64];
    uint64_t tag; /* the application's */
};

/* Reports a line about the connection to the application's log. */
void rd_connection_trouble(rd_connection *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts an answer into the output; decides c->keep. On failure c->broken is set. */
void rd_output_put(rd_connection *c, int status, const char *content_type, const char *headers, const void *body,
                   size_t count);
/* Fills the record up from the file, behind what is in it already (the head, the first time). False: the file
 * is shorter than it was said to be, so that the answer cannot be completed. */
bool rd_output_refill(rd_connection *c);
void rd_output_release(rd_connection *c);

#endif
