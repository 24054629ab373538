/* aggregate.h: the updates of a round, on their way into the next model. Updates are taken in from any
 * thread, in any order; what comes out does not depend on it.
 *
 * Sums are exact and shared by all threads: parameters are cut into stripes with a lock each, so two updates
 * are added side by side, one a stripe behind the other. Strategies that must look at whole updates
 * collect them first (round/strategy.h, rd_collect_kind).
 *
 * Memory, with n parameters that travel: 16 n bytes for the sum, as much for each companion that goes up, and 4 n for
 * each that the server keeps; where each update is collected (RD_COLLECTS_EACH) 4 n for each that is being taken in;
 * where all are (RD_COLLECTS_ALL) no sum, but 4 n for each of the cohort. */
#ifndef RONDO_RUN_AGGREGATE_H
#define RONDO_RUN_AGGREGATE_H

#include "core/exact_sum.h"
#include "model/model.h"
#include "round/strategy.h"
#include "store/store.h"
#include "train/local_round.h"

typedef struct rd_aggregate rd_aggregate;

/* All three must outlive it. */
rd_status rd_aggregate_create(const rd_strategy *s, const rd_training *training, const rd_model *m, rd_aggregate **out,
                              rd_error *err) RD_MUST_CHECK;
void rd_aggregate_free(rd_aggregate *a);

/* In the round that begins now no client's samples count more than this (rd_weight_limit); 0, and in every round that
 * does not say so: as many as they are. */
void rd_aggregate_limit_weights(rd_aggregate *a, uint64_t most);

/* ---- from any thread ---- */

/* What is known of an update before its elements are summed. */
typedef struct rd_arrival {
    uint64_t key;            /* rd_client_key */
    uint64_t round;          /* that it was trained for */
    uint64_t staleness;      /* rounds since the model that it was trained from was the newest */
    const rd_report *report; /* the caller's; copied */
    float largest;           /* of its elements' magnitudes (rd_exact_largest) */
} rd_arrival;

/* An update that the gate has admitted and that is being added. */
typedef struct rd_admission {
    rd_report report;
    uint64_t round, key;
    float largest;
    rd_contribution contribution;
    float *collected; /* (update size) where it is collected; NULL: it goes straight into the sum */
} rd_admission;

/* The gate: reserves the update's weight in the sum and takes its metrics in. RD_ERR_RANGE, RD_ERR_DATA where an
 * element, its weight or a metric is beyond what sums hold, also after what the strategy multiplies it with, or the
 * strategy cannot use it; then nothing has changed. */
rd_status rd_aggregate_admit(rd_aggregate *a, const rd_arrival *arrival, rd_admission *out,
                             rd_error *err) RD_MUST_CHECK;
/* The values of elements [first, first + count). Every element comes once. */
void rd_aggregate_add(rd_aggregate *a, rd_admission *in, size_t first, const float *values, size_t count);
/* All of it has come. RD_ERR_RANGE: seen as a whole it is beyond what sums hold (RD_COLLECTS_EACH only); then it is as
 * if it had not been admitted. */
rd_status rd_aggregate_complete(rd_aggregate *a, rd_admission *in, rd_error *err) RD_MUST_CHECK;

/* ---- from one thread, while nothing is added ---- */

/* Where the averages go: parameter index[i] (NULL: i) for element i of the sum. */
typedef struct rd_target {
    float *parameters;
    const uint32_t *index; /* (count) of a pruned model */
    size_t count;          /* elements of the sum that are in use, with an index */
    size_t clients;        /* of the whole run, those that were not selected included */
    bool last;             /* no round follows: the parameters need only be finite */
} rd_target;

/* The server's step with what has come, from which the round's record is filled in (samples, clients'
 * metrics, norm). apply false: the parameters stay. Leaves the sums empty. RD_ERR_RANGE, RD_ERR_DATA: nothing can be
 * made of these updates (fewer than the strategy withstands, nobody to trust, a model that no client would take); the
 * parameters stay, and so does what the server keeps. */
rd_status rd_aggregate_finish(rd_aggregate *a, uint64_t round, bool apply, const rd_target *target,
                              rd_round_record *record, rd_error *err) RD_MUST_CHECK;

/* The delta (n) of the server's own training, for strategies that compare the others with it; before any update of the
 * round is admitted. RD_ERR_RANGE: an element or its norm is beyond what sums hold; then it is as if it had none. */
rd_status rd_aggregate_set_own(rd_aggregate *a, const float *delta, rd_error *err) RD_MUST_CHECK;

/* What the server keeps between rounds, the strategy's companions one after the other, and their table for the file;
 * without tensors, and NULL, where it keeps nothing. */
rd_tensor_table rd_aggregate_companion_table(const rd_aggregate *a);
float *rd_aggregate_companions(rd_aggregate *a);
/* (n) its companions that go down with the model, which are among these. */
void rd_aggregate_down(const rd_aggregate *a, const float *out[RD_COMPANIONS_MAX]);

/* ---- between processes that each took in a part of a round; before rd_aggregate_finish ---- */

/* The exact sum; no elements where all updates are collected. */
rd_exact_vector *rd_aggregate_sum(rd_aggregate *a);
/* What else was added up, as bytes for another process of the same program. */
size_t rd_aggregate_totals_size(void);
void rd_aggregate_get_totals(const rd_aggregate *a, void *bytes);
void rd_aggregate_add_totals(rd_aggregate *a, const void *bytes);
/* Updates that are collected. values (n). */
size_t rd_aggregate_collected_count(const rd_aggregate *a);
void rd_aggregate_get_collected(const rd_aggregate *a, size_t i, uint64_t *key, uint64_t *weight, float *values);
rd_status rd_aggregate_add_collected(rd_aggregate *a, uint64_t key, uint64_t weight, const float *values,
                                     rd_error *err) RD_MUST_CHECK;

#endif
