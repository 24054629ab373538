/* background.h: threads for what would hold a worker: reading a database, adding a large update. A worker serves thousands
 * of connections from one thread, so a few milliseconds of one request are waited for by all.
 *
 * There are lanes (rd_lane, server.h), each a queue with threads of its own, so that what is in no hurry is never in front of
 * what a round waits for. */
#ifndef RONDO_HTTPS_BACKGROUND_H
#define RONDO_HTTPS_BACKGROUND_H

#include "core/error.h"
#include "https/connection.h"

/* A piece of work of an exchange, from rd_exchange_work until its worker has it back. */
struct rd_work {
    rd_work *next;
    rd_worker *worker;         /* which it is of ... */
    rd_connection *connection; /* ... and the exchange; NULL: that is over. The worker's thread only */
    void (*work)(void *user);
    void (*done)(rd_exchange *x, void *user);
    void *user;
};

rd_status rd_background_start(rd_background **out, rd_error *err) RD_MUST_CHECK;
/* From any thread. The work is done, and handed back to its worker (rd_worker.hand_back). */
void rd_background_add(rd_background *b, rd_lane lane, rd_work *work);
/* Nothing is added any more, and all that was has been handed back. NULL: nothing. */
void rd_background_stop(rd_background *b);

#endif
