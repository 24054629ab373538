/* connection.h: one client's connection, from accept to close, on one worker.
 *
 * Everything here happens on the worker's own thread, except what is marked atomic. */
#ifndef RONDO_HTTPS_CONNECTION_H
#define RONDO_HTTPS_CONNECTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "https/door.h"
#include "https/server.h"
#include "https/tls.h"

typedef struct rd_connection rd_connection;
typedef struct rd_work rd_work;
typedef struct rd_background rd_background;

/* A ring of connections; the head is a link of its own. */
typedef struct rd_link {
    struct rd_link *next, *previous;
} rd_link;
void rd_link_init(rd_link *l);
bool rd_link_alone(const rd_link *l); /* in no ring, or the head of an empty one */

/* The connections of a worker whose handshake is not done. Theirs is the most expensive work that a stranger can ask for, so
 * it is done after all else in a turn of the loop, and for at most half of the time. */
typedef struct rd_handshakes {
    rd_link all;   /* the oldest first */
    rd_link ready; /* those that have sent something */
    unsigned count, most;
    int64_t allowance;   /* nanoseconds that may be spent now */
    uint64_t counted_at; /* uv_hrtime up to which allowance has grown */
    uv_check_t check;
    uv_timer_t pause;
} rd_handshakes;

/* The connections of a worker that have shown a certificate and have no tag: the application has not taken them in. */
typedef struct rd_guests {
    rd_link all; /* the oldest first */
    unsigned count, most;
} rd_guests;

/* What a connection knows of its worker. */
typedef struct rd_worker {
    const rd_server_app *app;
    rd_tls *tls;
    rd_door *door; /* not owned */
    rd_handshakes handshakes;
    rd_guests guests;
    uv_loop_t loop;
    unsigned idle_seconds, keep_alive_seconds;
    bool stopping;                              /* no further requests; close when the answer under way is out */
    rd_link all, parked;                        /* rings of connections */
    atomic_uint load;                           /* connections handed to this worker and not yet closed */
    atomic_uint *total;                         /* the same of all workers ... */
    unsigned most;                              /* ... and how many there may be */
    atomic_uint_fast64_t bytes_in, bytes_out;   /* of bodies */
    void (*on_empty)(struct rd_worker *w);      /* the last connection has gone while stopping */
    bool (*take_newcomer)(struct rd_worker *w); /* opens one that was accepted; false: there is none */
    rd_background *background;                  /* not owned */
    size_t works;                               /* in the background, and not yet back */
    void (*hand_back)(rd_work *work);           /* from any thread: rd_worker_worked is to be called with it */
} rd_worker;

/* Readies loop and rings; rd_worker_end lets the loop end. */
void rd_worker_begin(rd_worker *w);
void rd_worker_end(rd_worker *w);
/* Takes over the socket, which counts in w->load, *w->total and at the door (place) already. */
void rd_connection_open(rd_worker *w, int fd, uint32_t place);
/* Somebody was turned away because there are *total connections: where that is still so, the oldest makes room of those in
 * the handshake or of the guests, whichever are more. */
void rd_worker_make_room(rd_worker *w);
/* Shows on_wake to every parked exchange. */
void rd_worker_wake(rd_worker *w);
/* A work is back. */
void rd_worker_worked(rd_worker *w, rd_work *work);
/* Closes what is idle, times out what is parked; what is being received or answered goes on. */
void rd_worker_retire(rd_worker *w);
/* Closes everything. */
void rd_worker_close_all(rd_worker *w);

#endif
