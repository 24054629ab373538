/* round.h: the round core. All that decides *what* happens in a run, and nothing else: no socket, no file,
 * no clock, no thread. It is told events and asked for the next action. The aggregator drives it from the
 * network, the simulator from a loop; neither decides anything about rounds itself.
 *
 *     waiting ---- enough clients joined ---> collecting ---- cohort complete, or deadline ---> closing
 *        ^                                                                                        |
 *        '------------- round_committed (next round), or finished after the last one -------------'
 *
 * A client is a number from rd_rounds_join on; its name gives the key of its random streams, so a selection
 * does not depend on who joined first. Not thread-safe: the caller holds a lock.
 *
 * Asynchronous rounds have no cohort. `concurrency` clients train at any time, each from the model that was
 * the newest when it asked for work; whoever has delivered is replaced by another, and every buffer_size
 * updates close a round.
 *
 * Selection: for every available client a number is drawn from the stream (seed, SELECT, round, client); the
 * k clients with the smallest numbers are the cohort. */
#ifndef RONDO_ROUND_ROUND_H
#define RONDO_ROUND_ROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

typedef enum rd_selection {
    RD_SELECT_ALL,
    RD_SELECT_FRACTION, /* max(1, round(fraction * available)) clients */
    RD_SELECT_COUNT,
} rd_selection;

/* run.json "cohort" */
typedef struct rd_cohort_config {
    rd_selection select;     /* "select": "all" | "fraction" | "count"; default all */
    double fraction;         /* (0, 1] */
    uint64_t count;          /* >= 1 */
    double over_selection;   /* "over_selection" >= 1: this many times as many are asked, and the round closes
                              when the wanted number has delivered; default 1 */
    uint64_t min_clients;    /* rounds start only while at least so many clients are available, and so many that
                              min_updates of them are asked; default 1 */
    uint64_t min_updates;    /* a round with fewer updates at its deadline is abandoned: the model stays; default 1 */
    double deadline_seconds; /* of a round, from its publication; default 600 */
    /* Asynchronous rounds: */
    uint64_t buffer_size;    /* so many updates make a round; 0: rounds are synchronous */
    uint64_t concurrency;    /* so many clients train at a time */
    uint64_t most_staleness; /* rounds that may pass while a client trains */
} rd_cohort_config;

typedef struct rd_rounds rd_rounds;

/* What became of one client in one round. */
typedef enum rd_participation {
    RD_PART_NONE = 0,   /* not in the cohort */
    RD_PART_ASKED,      /* selected, nothing heard yet */
    RD_PART_DELIVERING, /* a valid update is being folded in: it counts, and the round waits for it */
    RD_PART_COUNTED,    /* its update is in the sum */
    RD_PART_LATE,       /* had not delivered when the round closed */
    RD_PART_FAILED,     /* said, or was found, to be unable: refused update, client error */
} rd_participation;
const char *rd_participation_name(rd_participation p); /* "counted" ... */

/* rounds: how many there are in all. first_round: 1, or the one after the last committed one on resuming. */
rd_status rd_rounds_create(const rd_cohort_config *config, uint64_t seed, uint64_t rounds, uint64_t first_round,
                           rd_rounds **out, rd_error *err) RD_MUST_CHECK;
void rd_rounds_free(rd_rounds *r);

/* ---- events ---- */

/* A client is there (again). Known names keep their number. *client < rd_rounds_client_count. */
rd_status rd_rounds_join(rd_rounds *r, const char *name, size_t *client, rd_error *err) RD_MUST_CHECK;
/* Any sign of life of a client that was given up (late): it may be selected again. */
void rd_rounds_seen(rd_rounds *r, size_t client);
/* A simulated client comes and goes, without having taken part in anything. */
void rd_rounds_set_available(rd_rounds *r, size_t client, bool available);
/* A client says goodbye: it is not selected until it is seen again. In the cohort it counts as failed. */
void rd_rounds_leave(rd_rounds *r, size_t client);

typedef enum rd_verdict {
    RD_VERDICT_ACCEPT,       /* go on */
    RD_VERDICT_DUPLICATE,    /* already counted: answer as if it were the first time */
    RD_VERDICT_STALE,        /* the round is over */
    RD_VERDICT_FUTURE,       /* the round has not begun */
    RD_VERDICT_NOT_SELECTED, /* not in this round's cohort */
    RD_VERDICT_BUSY,         /* the same client's update is being folded in at this moment, or the round closes */
} rd_verdict;

/* May this client deliver an update for this round now? Asked when an upload begins; changes nothing. */
rd_verdict rd_rounds_may_deliver(const rd_rounds *r, size_t client, uint64_t round);
/* The upload is complete and valid. ACCEPT: it will be folded in now, and the round does not close before
 * rd_rounds_folded. Anything else: it must not be folded. */
rd_verdict rd_rounds_deliver(rd_rounds *r, size_t client, uint64_t round);
/* The update is in the sum. */
void rd_rounds_folded(rd_rounds *r, size_t client);
/* The update that was being folded in cannot be used, after all: none of it is in the sum. */
void rd_rounds_unfit(rd_rounds *r, size_t client);
/* The client cannot deliver in this round; reason is the caller's to record. */
void rd_rounds_fail(rd_rounds *r, size_t client, uint64_t round);
/* The deadline of this round has passed (ignored if the round is another one by now). */
void rd_rounds_deadline(rd_rounds *r, uint64_t round);
/* The caller has done what RD_ACTION_CLOSE asked. stop: the run is to end here (target reached). */
void rd_rounds_committed(rd_rounds *r, uint64_t round, bool stop);

/* ---- actions ---- */

typedef enum rd_action_kind {
    RD_ACTION_NONE,   /* nothing to do until the next event */
    RD_ACTION_OPEN,   /* a round begins: ask the clients of the cohort to train; start the deadline */
    RD_ACTION_ASK,    /* asynchronous: more clients are to train, the cohort of this action */
    RD_ACTION_CLOSE,  /* the round ends: average (aggregate) or leave the model alone; then rd_rounds_committed
                      */
    RD_ACTION_FINISH, /* no more rounds */
} rd_action_kind;

typedef struct rd_action {
    rd_action_kind kind;
    uint64_t round;
    bool aggregate;       /* CLOSE: false = too few updates, the round is abandoned */
    const size_t *cohort; /* OPEN, CLOSE: client numbers, rising by key (asynchronous CLOSE: who had a part, in order
                    of its end; OPEN: nobody yet); ASK: who is asked. Valid until the next action */
    size_t cohort_size;
} rd_action;

/* Each action is handed out once. */
rd_action rd_rounds_next(rd_rounds *r);

/* The client gets its task now: the round that it is to deliver for. */
uint64_t rd_rounds_take_task(rd_rounds *r, size_t client);

/* ---- questions ---- */

size_t rd_rounds_client_count(const rd_rounds *r);
const char *rd_rounds_client_name(const rd_rounds *r, size_t client);
uint64_t rd_rounds_client_key(const rd_rounds *r, size_t client);
/* Number of a name, or SIZE_MAX. */
size_t rd_rounds_find(const rd_rounds *r, const char *name);
uint64_t rd_rounds_current(const rd_rounds *r); /* the round being collected or closed, or the next one */
bool rd_rounds_finished(const rd_rounds *r);
/* Are so many clients there as a round needs to begin? */
bool rd_rounds_has_enough(const rd_rounds *r);
/* In the current round. */
rd_participation rd_rounds_participation(const rd_rounds *r, size_t client);
/* Is no round open because too few clients are available? */
bool rd_rounds_waiting(const rd_rounds *r);
/* Clients that must be available for a round to begin (rd_selection_needed), and those that are. */
size_t rd_rounds_needed(const rd_rounds *r);
size_t rd_rounds_available(const rd_rounds *r);
/* Updates that the open round still wants. */
size_t rd_rounds_missing(const rd_rounds *r);
/* Rounds since the model that the client got was the newest. */
uint64_t rd_rounds_staleness(const rd_rounds *r, size_t client);
/* The last round in which an update of the client counted; 0: none. What is known of rounds before this process began is
 * told by rd_rounds_set_last_counted. */
uint64_t rd_rounds_last_counted(const rd_rounds *r, size_t client);
void rd_rounds_set_last_counted(rd_rounds *r, size_t client, uint64_t round);
/* Is there work for this client: selected in a round that is collecting, and not delivered yet? */
bool rd_rounds_has_task(const rd_rounds *r, size_t client);

#endif
