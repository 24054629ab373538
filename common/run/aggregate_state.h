/* aggregate_state.h: the inside of an rd_aggregate, for the two files that make it up. */
#ifndef RONDO_RUN_AGGREGATE_STATE_H
#define RONDO_RUN_AGGREGATE_STATE_H

#include <pthread.h>

#include "run/aggregate.h"

#define BLOCK 512 /* elements that are scaled or averaged at a time: they stay in the first-level cache */

/* What the clients of a round have reported, weighted by samples, and what they count. */
typedef struct client_sums {
    uint64_t samples, updates, weight;
    rd_exact_scalar running_loss;
    rd_exact_scalar train_loss, train_accuracy;
    rd_exact_scalar holdout_loss, holdout_accuracy;
    rd_exact_scalar personal_loss, personal_accuracy;
    rd_exact_scalar extra; /* of their contributions */
} client_sums;

/* An update that was collected. */
typedef struct row {
    float *values; /* (update_size) */
    uint64_t key;
    uint32_t weight;
} row;

struct rd_aggregate {
    const rd_config *config;
    const rd_model *model;
    size_t n, update_size;
    rd_exact_vector sum;      /* (update_size); none with RD_INTAKE_ROWS */
    pthread_mutex_t *stripes; /* (stripe_count) */
    size_t stripe_count;

    pthread_mutex_t lock; /* guards what follows */
    client_sums clients;
    row *rows;                                /* (row_count) RD_INTAKE_ROWS: those of this round */
    size_t row_count, row_capacity, rows_due; /* that are there, that there is room for, that were admitted */
    float **spare;                            /* (spare_count) vectors of update_size for updates to come */
    size_t spare_count, spare_capacity;

    float *own; /* (n) the server's own delta, where it trains; else NULL */
    double own_norm;
    rd_tensor_table memory_table;   /* without tensors: the server keeps nothing */
    float *memory;                  /* the strategy's companions at the server, one after the other */
    float *kept[RD_COMPANIONS_MAX]; /* (n) where each begins */
};

/* What was taken in becomes the target's parameters. learning_rate: that clients trained with; *norm: of the change. */
rd_status rd_aggregate_apply(rd_aggregate *a, double learning_rate, const rd_target *target, double *norm,
                             rd_error *err) RD_MUST_CHECK;

#endif
