/* aggregate_state.h: the inside of an rd_aggregate, for the two files that make it up. */
#ifndef RONDO_RUN_AGGREGATE_STATE_H
#define RONDO_RUN_AGGREGATE_STATE_H

#include <pthread.h>

#include "run/aggregate.h"
#include "run/client_sums.h"
#include "run/collection.h"
#include "run/server_companions.h"
#include "run/striped_sum.h"

struct rd_aggregate {
    const rd_strategy *strategy;
    const rd_training *training;
    const rd_model *model;
    size_t n, update_size; /* n, and n more for each companion that goes up */
    rd_striped_sum sum;    /* (update_size); none with RD_COLLECTS_ALL */
    rd_server_companions companions;
    float *own; /* (n) the server's own delta, where it trains; else NULL */
    double own_norm;
    uint64_t most_weight; /* of the round (rd_aggregate_limit_weights) */

    pthread_mutex_t lock; /* guards what follows */
    rd_client_sums clients;
    rd_collection collected;
};

/* What was taken in becomes the target's parameters. learning_rate: that clients trained with; *norm: of the change. */
rd_status rd_aggregate_apply(rd_aggregate *a, double learning_rate, const rd_target *target, double *norm,
                             rd_error *err) RD_MUST_CHECK;

#endif
