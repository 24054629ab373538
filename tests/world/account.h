/* account.h: a second account of the rounds, by the rules that stand in round.h and step.h and by nothing of the core's
 * own. Every event goes through it: it tells the core, and compares what the core answers, and then all that can be
 * asked of it, with what must be so. Where the core keeps counters, this one counts anew.
 *
 * The first thing that is not so stays in `wrong`; test_round_steps.c and world.c look there. */
#ifndef RONDO_TESTS_WORLD_ACCOUNT_H
#define RONDO_TESTS_WORLD_ACCOUNT_H

#include "round/round.h"

enum { ACCOUNT_CLIENTS = 24, ACCOUNT_NAME = 16 };

typedef struct account_client {
    char name[ACCOUNT_NAME];
    uint64_t key;
    bool there;                                  /* may be selected */
    bool takes_part;                             /* in the round; asynchronous: its part has ended in it */
    bool in_step;                                /* asked in the step that is open */
    bool asked, delivering, late, failed, taken; /* in the step: still to answer, ... its answer is in */
    uint64_t task;                               /* the round of its last task */
    size_t answered;                             /* steps of that one */
    uint64_t counted;                            /* the round of its last update that counted */
    bool idle;                                   /* it failed, as it has nothing to do in the round */
    unsigned missed;                             /* rounds in a row, up to that of its last task */
} account_client;

typedef struct account {
    rd_rounds *core;
    rd_cohort_config cohort;
    const rd_step *const *steps;
    uint64_t seed, rounds, round;
    bool open, closing, finishing, finished, deadline_passed;
    size_t step, wanted;
    size_t left_out,
        early; /* of the last round that opened: not asked, as they had missed rounds; asked all the same */
    account_client clients[ACCOUNT_CLIENTS]; /* (count), by the core's numbers */
    size_t count;
    size_t part[ACCOUNT_CLIENTS]; /* (part_count) of the round; asynchronous: in the order in which parts ended */
    size_t part_count;
    char wrong[300]; /* "": nothing */
} account;

/* A core, and nobody there yet. */
void account_open(account *a, const rd_rounds_options *options);
void account_close(account *a);

/* ---- events: as in round.h ---- */

size_t account_join(account *a, const char *name);
void account_set_counted(account *a, size_t client, uint64_t round);
/* So many rounds in a row, the last of them this one, before this core began. */
void account_set_missed(account *a, size_t client, unsigned missed, uint64_t round);
void account_seen(account *a, size_t client);
void account_leave(account *a, size_t client);
rd_verdict account_may_deliver(account *a, size_t client, uint64_t round, size_t step);
rd_verdict account_deliver(account *a, size_t client, uint64_t round, size_t step);
void account_delivered(account *a, size_t client);
void account_unfit(account *a, size_t client);
void account_fail(account *a, size_t client, uint64_t round);
void account_pass(account *a, size_t client, uint64_t round);
void account_deadline(account *a, uint64_t round);
void account_committed(account *a, uint64_t round, bool stop);

/* ---- actions ---- */

rd_action account_next(account *a);
/* Of a client that has a task. */
rd_assignment account_assign(account *a, size_t client);
bool account_has_task(const account *a, size_t client);

/* Clients whose answers are being taken in. */
size_t account_under_way(const account *a);
/* Answers of the open step that are in. */
size_t account_taken(const account *a);

#endif
