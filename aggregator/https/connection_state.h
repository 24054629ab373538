/* connection_state.h: one connection's memory, and what all that work on it need: its deadline, its place among the
 * connections of its worker, its last words.
 *
 *     connection.c   events: accepted, readable, woken, too late, closed
 *     phases.c       what a connection does in each phase of a request
 *     exchange.c     what an application sees of a request, and how it answers
 *     output.c       what is to be sent
 *
 * Each calls only those below it, and this file; nobody outside sees it. */
#ifndef RONDO_HTTPS_CONNECTION_STATE_H
#define RONDO_HTTPS_CONNECTION_STATE_H

#include "https/background.h"
#include "https/connection.h"
#include "https/http.h"
#include "https/output.h"

typedef enum phase { PHASE_HANDSHAKE, PHASE_RECEIVE, PHASE_PARKED, PHASE_WORK, PHASE_SEND, PHASE_LINGER } phase;

struct rd_exchange {
    rd_connection *connection;
    void *user;
    bool open;      /* between on_request and on_close */
    bool completed; /* on_complete was called */
    bool answered;  /* an answer is in the output, or being put there */
    bool parked;
    bool park_anew; /* park_ms is new: it counts from when the callback is back */
    uint64_t park_ms;
    rd_work *work; /* in the background; NULL: none */
};

struct rd_connection {
    rd_link in_all, in_parked, in_handshakes, in_ready, in_guests; /* places in the worker's rings */
    rd_worker *worker;
    phase phase;
    rd_tls_session *tls; /* owned; NULL until its first bytes have their turn */
    rd_http *http;       /* owned */
    rd_exchange exchange;
    int fd;           /* owned */
    int budget;       /* records left until the others have their turn */
    bool first_seen;  /* the first byte looked like TLS */
    bool established; /* the handshake is done */
    bool keep_alive;  /* the connection outlives the answer under way */
    bool continued;   /* "100 Continue" was sent for the request under way */
    bool draining;    /* the answer is out, and the rest of the request's body is read and dropped */
    bool broken;      /* no memory for an answer: close */
    bool last;       /* no request is taken after the one that is under way */
    bool closing;
    bool client_counted; /* at the door */
    uint32_t place, client_place;

    uint8_t *in; /* RD_TLS_RECORD bytes, or NULL */
    size_t in_begin, in_end;
    rd_output output;

    uv_poll_t poll;
    uv_timer_t timer;
    uv_timer_cb on_timer;
    unsigned handles;             /* that libuv has not let go of */
    int watched;                  /* events asked of poll */
    uint64_t deadline, timer_due; /* ms on the loop's clock */
    uint64_t ends_at;             /* when the client's certificate ends, on the same clock; 0: there is none yet */
    uint64_t stretch_began;       /* of a head, a body or an answer, on the same clock ... */
    uint64_t stretch_bytes;       /* ... and what was received of it (a head: 0) */
    uint64_t arrived;        /* of all that was sent, when it was last looked: what has left the system's buffers ... */
    uint64_t arrived_before; /* ... and what of it was there when the stretch began */
    bool slow;               /* the deadline is the least rate's, not that of silence */
    char peer[64];
    uint64_t tag; /* the application's */
};

void rd_link_append(rd_link *ring, rd_link *l);
void rd_link_remove(rd_link *l);

/* The timer fires in ms; at the deadline, or earlier and then sleeps on. */
void rd_connection_arm_timer(rd_connection *c, uint64_t ms);
void rd_connection_set_deadline(rd_connection *c, uint64_t ms);
/* A head, a body or an answer begins: its time counts from now. */
void rd_connection_begin_stretch(rd_connection *c);
/* Something has moved: the client is alive, and has time until it is silent for too long or slower than RD_LEAST_RATE. */
void rd_connection_touch(rd_connection *c);
/* Has more of the answer arrived than when it was last looked? We hear nothing of what leaves the system's buffers. */
bool rd_connection_answer_moves(const rd_connection *c);
/* The time of a long poll, where it is new, counts from now. */
void rd_connection_apply_parking(rd_connection *c);
/* Has a request begun that is not over? */
bool rd_connection_in_request(const rd_connection *c);

/* Reports a line about the connection to the application's log. */
void rd_connection_trouble(rd_connection *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* It is one of the guests; it is none any more (or was none). */
void rd_connection_enter_guests(rd_connection *c);
void rd_connection_leave_guests(rd_connection *c);

void rd_connection_release_input(rd_connection *c);
/* Tells the application, where a request was open, that it is over. */
void rd_connection_finish_exchange(rd_connection *c);

#endif
