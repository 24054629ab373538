/* round.h: the round core. All that decides *what* happens in a run, and nothing else: no socket, no file,
 * no clock, no thread. It is told events and asked for the next action. The aggregator drives it from the
 * network, the simulator from a loop; neither decides anything about rounds itself.
 *
 *     waiting ---- enough clients joined ---> collecting ---- last step over ---> closing
 *        ^                                    |        ^                             |
 *        |                                    '-- STEP-'                             |
 *        '------------- rd_rounds_committed (next round), or finished ---------------'
 *
 * A round is a sequence of steps (step.h). In each, the clients of the cohort are asked once and answer once; it is over
 * when as many have answered as are wanted, when nobody is left to wait for, or at its deadline. Then those who have
 * answered are asked in the next step. Where they are fewer than its quorum the round is abandoned.
 *
 * Rounds are synchronous (sync.c): each waits for its cohort. Or they are asynchronous (async.c) and have none:
 * `concurrency` clients train at any time, each from the model that was the newest when it asked for work; whoever has
 * delivered is replaced by another, and every buffer_size updates close a round. Which of both is chosen once, by
 * rd_rounds_create.
 *
 * A client is a number from rd_rounds_join on; its name gives the key of its random streams, so a selection
 * does not depend on who joined first. Not thread-safe: the caller holds a lock, and the core ends the process where it
 * is entered twice.
 *
 * Whoever is late or fails in one round after the other is left out of more and more (backoff.h), as long as enough
 * others are there.
 *
 * Selection: for every available client a number is drawn from the stream (seed, SELECT, round, client); the
 * k clients with the smallest numbers are the cohort. */
#ifndef RONDO_ROUND_ROUND_H
#define RONDO_ROUND_ROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "round/step.h"

typedef enum rd_selection {
    RD_SELECT_ALL,
    RD_SELECT_FRACTION, /* max(1, round(fraction * available)) clients */
    RD_SELECT_COUNT,
} rd_selection;

#define RD_COHORT_MAX_SAMPLES 10000000
#define RD_COHORT_MAX_ABANDONED 10
#define RD_COHORT_MAX_BACKOFF 64
#define RD_COHORT_GRACE_SECONDS 60

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
    uint64_t max_abandoned;  /* so many rounds abandoned in a row end the run; default RD_COHORT_MAX_ABANDONED */
    uint64_t max_samples;    /* that a client may join with; default RD_COHORT_MAX_SAMPLES */
    uint64_t max_backoff;    /* of so many rounds who missed some is left out at most; default RD_COHORT_MAX_BACKOFF */
    double max_weight;       /* (0, 1]: share of a round that one client counts; 0: not said (weight_limit.h) */
    double deadline_seconds; /* of each step of a round, from its publication; default 600 */
    double grace_seconds;    /* by which its deadlines are put off at most; default RD_COHORT_GRACE_SECONDS */
    /* Asynchronous rounds: */
    uint64_t buffer_size;    /* so many updates make a round; 0: rounds are synchronous */
    uint64_t concurrency;    /* so many clients train at a time */
    uint64_t most_staleness; /* rounds that may pass while a client trains; 0 where rounds are synchronous */
} rd_cohort_config;

/* Do clients train while rounds come and go? Else each round waits for its cohort. */
bool rd_cohort_is_asynchronous(const rd_cohort_config *c);
/* How many clients must be available for a round to begin: min_clients, and so many that what it wants of them reaches
 * min_updates. SIZE_MAX: no number is enough. */
size_t rd_cohort_needed(const rd_cohort_config *c);

typedef struct rd_rounds rd_rounds;

/* What became of one client in one round. */
typedef enum rd_participation {
    RD_PART_NONE = 0,   /* not in the cohort */
    RD_PART_ASKED,      /* in the step that is open, nothing heard yet */
    RD_PART_DELIVERING, /* a valid answer is being taken in: it counts, and the step waits for it */
    RD_PART_ANSWERED,   /* in this step, which is not the one that updates come in */
    RD_PART_COUNTED,    /* its update is in the sum, whatever became of it in later steps */
    RD_PART_LATE,       /* had not answered when a step was over */
    RD_PART_FAILED,     /* said, or was found, to be unable: refused update, client error */
} rd_participation;
const char *rd_participation_name(rd_participation p); /* "counted" ... */

typedef struct rd_rounds_options {
    const rd_cohort_config *cohort; /* copied */
    const rd_step *const *steps; /* of each round, in order, behind the last NULL; asynchronous: one. rd_round_steps */
    uint64_t seed;
    uint64_t rounds;      /* how many there are in all */
    uint64_t first_round; /* 1, or the one after the last committed one on resuming */
} rd_rounds_options;

rd_status rd_rounds_create(const rd_rounds_options *options, rd_rounds **out, rd_error *err) RD_MUST_CHECK;
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
    RD_VERDICT_BUSY,         /* the same client's update is being added at this moment, or the round closes */
} rd_verdict;

/* May this client answer in this step (its number, 0 first) of this round now? Asked when an upload begins; changes
 * nothing. */
rd_verdict rd_rounds_may_deliver(const rd_rounds *r, size_t client, uint64_t round, size_t step);
/* The answer is complete and valid. ACCEPT: it will be taken in now, and the step is not over before
 * rd_rounds_delivered or rd_rounds_unfit. Anything else: it must not be taken in. */
rd_verdict rd_rounds_deliver(rd_rounds *r, size_t client, uint64_t round, size_t step);
/* The answer is taken in: an update is in the sum. */
void rd_rounds_delivered(rd_rounds *r, size_t client);
/* The answer that was being taken in cannot be used, after all: nothing of it is in the sum. */
void rd_rounds_unfit(rd_rounds *r, size_t client);
/* The client cannot answer in this round; reason is the caller's to record. */
void rd_rounds_fail(rd_rounds *r, size_t client, uint64_t round);
/* The same, as the client has nothing to do in this round: the round goes on without it, but it has not missed it. */
void rd_rounds_pass(rd_rounds *r, size_t client, uint64_t round);
/* The deadline of the open step of this round has passed (ignored if the round is another one by now). */
void rd_rounds_deadline(rd_rounds *r, uint64_t round);
/* The caller has done what RD_ACTION_CLOSE asked. stop: the run is to end here (target reached). */
void rd_rounds_committed(rd_rounds *r, uint64_t round, bool stop);

/* ---- actions ---- */

typedef enum rd_action_kind {
    RD_ACTION_NONE,  /* nothing to do until the next event */
    RD_ACTION_OPEN,  /* a round begins: ask the clients of the cohort to train; start the deadline */
    RD_ACTION_STEP,  /* the next step of the round begins: ask those whose participation is ASKED; start the deadline */
    RD_ACTION_ASK,   /* asynchronous: more clients are to train, the cohort of this action */
    RD_ACTION_CLOSE, /* the round ends: average (aggregate) or leave the model alone; then rd_rounds_committed */
    RD_ACTION_FINISH, /* no more rounds */
} rd_action_kind;

typedef struct rd_action {
    rd_action_kind kind;
    uint64_t round;
    bool aggregate; /* CLOSE: false = too few answers, the round is abandoned */
    /* Client numbers, rising by key. OPEN, STEP, CLOSE: of the round (asynchronous: who had a part, in order of its end; at
     * OPEN nobody yet); ASK: who is asked. Valid until the next action. */
    const size_t *cohort;
    size_t cohort_size;
} rd_action;

/* Each action is handed out once. */
rd_action rd_rounds_next(rd_rounds *r);

/* What a client is to answer. */
typedef struct rd_assignment {
    uint64_t round;
    const rd_step *step;
} rd_assignment;
/* The client, which has a task, is told of it now. */
rd_assignment rd_rounds_assign(rd_rounds *r, size_t client);

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
/* Clients that are there; a round begins with rd_cohort_needed of them. */
size_t rd_rounds_available(const rd_rounds *r);
/* Answers that the open step still wants. */
size_t rd_rounds_missing(const rd_rounds *r);
/* Rounds since the model that the client got was the newest. */
uint64_t rd_rounds_staleness(const rd_rounds *r, size_t client);
/* The last round in which an update of the client counted; 0: none. What is known of rounds before this process began is
 * told by rd_rounds_set_last_counted. */
uint64_t rd_rounds_last_counted(const rd_rounds *r, size_t client);
void rd_rounds_set_last_counted(rd_rounds *r, size_t client, uint64_t round);
/* How many rounds in a row, up to the last that it was asked in, the client was late or failed (255: or more). What is
 * known of rounds before this process began is told by rd_rounds_set_missed, with the last of these rounds. */
unsigned rd_rounds_missed(const rd_rounds *r, size_t client);
void rd_rounds_set_missed(rd_rounds *r, size_t client, unsigned missed, uint64_t last);
/* Of the clients that were there when the open round began: how many it left out for that; and how many it asked all the
 * same, because too few others were there. */
size_t rd_rounds_left_out(const rd_rounds *r);
size_t rd_rounds_asked_early(const rd_rounds *r);
/* Is there work for this client: asked in a step that is open, and nothing delivered yet? */
bool rd_rounds_has_task(const rd_rounds *r, size_t client);
/* Is its answer for this round waited for? */
bool rd_rounds_awaits(const rd_rounds *r, size_t client, uint64_t round);
/* Number of the step of this name; SIZE_MAX: rounds have no such step. */
size_t rd_rounds_find_step(const rd_rounds *r, const char *name);

#endif
