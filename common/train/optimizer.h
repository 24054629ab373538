/* optimizer.h: how a gradient changes the parameters.
 *
 * An optimizer is one file that offers one rd_optimizer. Two ways lead through it. Where a step is linear in
 * the gradient and needs no memory, the backward pass adds the gradient straight to the parameters (in_place)
 * and no gradient vector exists. Otherwise the trainer collects the gradient of the mini-batch in a vector,
 * piece by piece where the batch is large, and update does the rest. */
#ifndef RONDO_TRAIN_OPTIMIZER_H
#define RONDO_TRAIN_OPTIMIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "train/local_round.h"

typedef struct rd_optimizer {
    const char *name;

    /* Can a step be p = scale * p + rate * dL/dp? Gives both numbers if so. */
    bool (*in_place)(const rd_training *t, float learning_rate, float *scale, float *rate);

    /* Vectors of the parameters' size that update works with, zero at the start of a round. The first is the
     * gradient's: before update it becomes keep * itself + dL/dp. */
    size_t vectors;
    float (*keep)(const rd_training *t);

    /* parameters (n), vectors (vectors, n) */
    void (*update)(const rd_training *t, float learning_rate, size_t n, float *parameters, float *vectors);
} rd_optimizer;

extern const rd_optimizer rd_sgd;

#endif
