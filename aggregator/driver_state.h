/* driver_state.h: the inside of a driver, for the files that make it up:
 *
 *   driver.c     its life and its loop: signals, timers, when to look what is to be done
 *   decisions.c  what the round core has decided is carried out, on the driver's thread
 *   watch.c      what a run that stands still waits for
 *   events.c     what worker threads tell
 *
 * Each calls only those below it. */
#ifndef RONDO_AGGREGATOR_DRIVER_STATE_H
#define RONDO_AGGREGATOR_DRIVER_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "account.h"
#include "attendance.h"
#include "driver.h"
#include "grace.h"
#include "published.h"
#include "recalled.h"
#include "waiting.h"

/* A client whose join is yet to be written to the store, which only the driver's thread touches; in the list once. */
typedef struct newcomer {
    struct newcomer *next;
    size_t client;
    rd_join join; /* filled in when it is written */
    double at;
    char name[];
} newcomer;

struct rd_driver {
    rd_run *run;
    rd_settling *settling; /* its lock may be taken under this one, never the other way round */
    bool settled;          /* the driver's thread only */
    rd_driver_callbacks callbacks;
    rd_log *log;
    uv_loop_t loop;
    uv_async_t wake; /* there is news */
    uv_timer_t deadline, linger;
    int signal_fd; /* SIGINT and SIGTERM arrive here: the loop polls it, and so does a step that waits for the
                      disk */
    uv_poll_t signals, hangup;
    uv_timer_t watch;        /* once a second: is something waited for? */
    rd_waiting waiting;      /* what was last reported of it */
    uv_handle_t *handles[6]; /* (handle_count) of these, those that are open */
    size_t handle_count;
    bool loop_open;
    double linger_seconds;
    bool interrupted, finished;
    rd_error failure; /* status RD_OK: none */

    pthread_mutex_t lock; /* guards what follows */
    rd_rounds *rounds;
    rd_sessions *sessions;
    bool clients_keep;   /* something between rounds, and rounds are synchronous */
    rd_recalled counted; /* in rounds before this process began; empty unless clients_keep */
    rd_recalled missed;  /* rounds before this process began */
    rd_published published;
    rd_attendance attendance;
    double opened_at; /* rd_clock_seconds */
    rd_grace grace;   /* of the open round */
    uint64_t bytes_in_before, bytes_out_before;
    newcomer *newcomers;
    rd_error fatal;
    atomic_uint_fast64_t closings; /* rounds that have closed; read without the lock */
    atomic_uint_fast64_t commits;  /* of rounds; read without the lock */
    atomic_uint_fast64_t moved;    /* bytes of updates on their way in; without the lock */

    rd_account account; /* has a lock of its own, the last to be taken */

    const newcomer *joining;           /* being written; the driver's thread only */
    const rd_account_item *accounting; /* the same */

    /* The round that is published and not yet committed; the driver's thread only. */
    bool uncommitted;
    rd_round_record record;
    rd_participation_record *record_parts;
    size_t record_part_count, record_part_capacity;
};

/* Wakes the driver's loop, which then does what is due. From any thread. */
void rd_driver_wake(rd_driver *d);
/* With the lock held, or before other threads are there: clients may train from the run's model as it is now. */
void rd_driver_note_model(rd_driver *d);

/* ---- the driver's thread ---- */

/* Carries out all that the core decides, until there is nothing more to do; what goes wrong ends the loop. */
void rd_driver_carry_out(rd_driver *d);
/* A round that is published and not yet committed is committed. */
rd_status rd_driver_commit(rd_driver *d, rd_error *err) RD_MUST_CHECK;
/* What a run that stands still waits for, in a line; *what is a number for it (waiting.h), 0: it does not. */
void rd_driver_describe_waiting(rd_driver *d, uint64_t *what, char *line, size_t size);

#endif
