/* state.h: the inside of the round core, for the files that make it up:
 *
 *   round.c   events, actions and questions, whatever rounds are like
 *   sync.c    rounds that wait for their cohort, a step after the other
 *   async.c   rounds that go on while clients train */
#ifndef RONDO_ROUND_STATE_H
#define RONDO_ROUND_STATE_H

#include <stdatomic.h>

#include "round/roster.h"
#include "round/round.h"

typedef enum rd_phase {
    RD_PHASE_WAITING,    /* for enough clients, or for nothing */
    RD_PHASE_COLLECTING, /* a step of a round is open */
    RD_PHASE_CLOSING,    /* CLOSE was handed out, rd_rounds_committed is awaited */
    RD_PHASE_FINISHING,  /* FINISH is the next action */
    RD_PHASE_FINISHED,
} rd_phase;

/* What differs between the two kinds of rounds. */
typedef struct rd_round_kind {
    size_t (*needed)(const rd_cohort_config *c); /* rd_cohort_needed */
    /* Room for what this kind keeps. */
    rd_status (*prepare)(rd_rounds *r, rd_error *err);
    /* WAITING, and enough clients are there. */
    rd_action (*open)(rd_rounds *r);
    /* COLLECTING: the next thing, if there is one. */
    rd_action (*collect)(rd_rounds *r);
    /* Of an answer that is no duplicate. */
    rd_verdict (*may_deliver)(const rd_rounds *r, const rd_roster_client *c, uint64_t round, size_t step);
    /* May who was asked in this round still answer? */
    bool (*is_open)(const rd_rounds *r, uint64_t round);
    /* A client has had its part: it has delivered, or failed. */
    void (*part_ended)(rd_rounds *r, size_t client);
    /* A client is told of its task. */
    void (*assigned)(rd_rounds *r, rd_roster_client *c);
} rd_round_kind;

extern const rd_round_kind rd_synchronous, rd_asynchronous;

struct rd_rounds {
    const rd_round_kind *kind;
    rd_cohort_config config;
    const rd_step *const *steps;
    uint64_t seed;
    uint64_t rounds; /* how many in all */
    uint64_t round;  /* being collected or closed, or next */
    rd_phase phase;
    size_t step; /* of the round, that is open */
    bool deadline_passed;
    atomic_bool inside; /* an event or an action is being worked on */

    rd_roster roster;
    size_t *cohort; /* (cohort_size, of cohort_capacity) of the current round; asynchronous: who ended its
                       part in it */
    size_t cohort_size, cohort_capacity;
    size_t wanted;     /* answers that complete the step */
    size_t asked;      /* clients of the step not heard from */
    size_t delivering; /* answers being taken in */
    size_t answers;    /* that are taken in */
    size_t left_out;   /* rd_rounds_left_out */
    size_t early;      /* rd_rounds_asked_early */

    size_t *newly;  /* (concurrency) asynchronous: asked by the last action */
    uint64_t picks; /* asynchronous: clients that were ever picked */
};

/* What opening a round and opening a step have in common. */
void rd_rounds_collect(rd_rounds *r, size_t step, size_t wanted);
/* Nobody has a part in the round any more but those who still train. */
void rd_rounds_forget_cohort(rd_rounds *r);
/* The client has a task for the current round. */
void rd_rounds_ask(rd_rounds *r, size_t client);
/* The client has let a deadline pass, or was not needed any more. */
void rd_rounds_give_up(rd_rounds *r, size_t client, bool gone);
/* Has the step that is open as many answers as it must have? */
bool rd_rounds_has_quorum(const rd_rounds *r, size_t asked);
rd_action rd_rounds_close(rd_rounds *r, bool aggregate);

#endif
