/* step.h: what a step of a round is to the core: one question to each client of the cohort, and one answer of each.
 *
 * The core decides who is asked, when a step is over and whether the round goes on. What the bytes of an answer do is
 * the aggregator's (aggregator/step_bytes.h), what a client does to answer is the client's (client/step.h); both know
 * the step by its name. */
#ifndef RONDO_ROUND_STEP_H
#define RONDO_ROUND_STEP_H

#include <stdbool.h>
#include <stddef.h>

struct rd_cohort_config;

typedef struct rd_step {
    const char *name; /* in tasks, and in the path that answers go to */
    bool counts;      /* answers are updates: a client whose answer is taken in is counted in the round */
    /* With fewer answers the round is abandoned; NULL: cohort.min_updates, and at least one. asked: clients of the step. */
    size_t (*quorum)(const struct rd_cohort_config *cohort, size_t asked);
} rd_step;

extern const rd_step rd_step_train;

/* Those of every round, in order; NULL behind the last. */
extern const rd_step *const rd_round_steps[];

#endif
