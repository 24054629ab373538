/* connection.h: one client's connection, from accept to close, on one worker.
 *
 * Everything here happens on the worker's own thread, except what is marked atomic. */
#ifndef RONDO_HTTPS_CONNECTION_H
#define RONDO_HTTPS_CONNECTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "https/server.h"
#include "https/tls.h"

typedef struct rd_connection rd_connection;

/* A ring of connections; the head is a link of its own. */
typedef struct rd_link {
    struct rd_link *next, *previous;
} rd_link;
void rd_link_init(rd_link *l);

/* What a connection knows of its worker. */
typedef struct rd_worker {
    const rd_server_app *app;
    rd_tls *tls;
    uv_loop_t loop;
    unsigned idle_seconds, keep_alive_seconds;
    bool stopping;                            /* no further requests; close when the answer under way is out */
    rd_link all, parked;                      /* rings of connections */
    atomic_uint load;                         /* connections handed to this worker and not yet closed */
    atomic_uint *total;                       /* the same of all workers */
    atomic_uint_fast64_t bytes_in, bytes_out; /* of bodies */
    void (*on_empty)(struct rd_worker *w);    /* the last connection has gone while stopping */
} rd_worker;

/* Takes over the socket, which counts in w->load and *w->total already. */
void rd_connection_open(rd_worker *w, int fd);
/* Shows on_wake to every parked exchange. */
void rd_worker_wake(rd_worker *w);
/* Closes what is idle, times out what is parked; what is being received or answered goes on. */
void rd_worker_retire(rd_worker *w);
/* Closes everything. */
void rd_worker_close_all(rd_worker *w);

#endif
