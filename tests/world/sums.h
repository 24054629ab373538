/* sums.h: a second account of the model: every update that counted, and what the strategy's paper makes of them, in
 * plain integers and doubles. The model of the run must have the same bits. Only what robust rules make of a list of
 * updates is asked of the rules themselves (tests/reference holds them); the list is this account's own. */
#ifndef RONDO_TESTS_WORLD_SUMS_H
#define RONDO_TESTS_WORLD_SUMS_H

#include "account.h"
#include "run/own_training.h"
#include "run/run.h"

enum { SUMS_MOST_SAMPLES = 1000, SUMS_ELEMENTS = 6, SUMS_UPDATE = 2 * SUMS_ELEMENTS, SUMS_KEPT = 2 * SUMS_ELEMENTS };

typedef struct sums_update {
    size_t client; /* whose, for the record */
    uint64_t key, staleness;
    rd_report report;
    float values[SUMS_UPDATE]; /* the delta, and what goes up behind it */
} sums_update;

typedef struct sums_model {
    float parameters[SUMS_ELEMENTS];
    float kept[SUMS_KEPT]; /* at the server, one companion behind the other */
} sums_model;

typedef struct sums {
    const rd_config *config;
    rd_own_training own; /* where the server trains, too */
    bool own_diverged;
    sums_model model;
    sums_update updates[ACCOUNT_CLIENTS]; /* (count) of the open round */
    size_t count;
    uint64_t most_weight; /* that one client may count; 0: no limit */
} sums;

rd_status sums_open(sums *s, const rd_config *config, const rd_model *model, rd_error *err) RD_MUST_CHECK;
void sums_close(sums *s);
/* A round begins with a cohort that has told so many samples (count), and ends with `wanted` updates. */
void sums_limit_weights(sums *s, const uint64_t *samples, size_t count, size_t wanted);
/* Before a round. */
void sums_prepare(sums *s, uint64_t round);
/* May the update enter the sum? */
bool sums_can_use(const sums *s, const sums_update *u);
/* Its weight there; whole: what only its elements tell is known. */
uint32_t sums_weight(const sums *s, const sums_update *u);
/* The end of a round: the model after it. False: nothing can be made of these updates, and it stays. */
bool sums_step(sums *s, size_t clients, bool last);
/* Mean of the running losses, by samples; NaN of nothing. */
double sums_running_loss(const sums *s);

#endif
