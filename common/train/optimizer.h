/* optimizer.h: how a gradient changes the parameters.
 *
 * An optimizer is one file that offers one rd_optimizer, and a line in the table in optimizer.c. Its
 * definitions are PyTorch's. What it remembers (momentum, squares) starts from zero in every round: clients
 * keep nothing between rounds.
 *
 * Two ways lead through a step. Plain SGD is linear in the gradient and needs no memory: the backward pass
 * adds the gradient straight to the parameters, and no gradient vector exists (rd_optimizer_in_place).
 * Otherwise the trainer collects the gradient of the mini-batch in a vector, clips it where that is asked
 * for, and calls step. */
#ifndef RONDO_TRAIN_OPTIMIZER_H
#define RONDO_TRAIN_OPTIMIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "train/local_round.h"

/* Some parameters on their way through a step. */
typedef struct rd_step {
    const rd_training *training;
    double rate;     /* of this round, above 0: parameters go against the gradient */
    uint64_t number; /* of the step in this round: 1, 2, ... */
    float decay;     /* weight decay of these parameters */
    size_t n;
    float *restrict p; /* (n) parameters */
    /* (n) dL/dp, what strategies and proximal terms add in it, weight decay not; may be overwritten */
    float *restrict g;
    float *state[2]; /* (n) each, as many as the optimizer has */
} rd_step;

typedef struct rd_optimizer {
    const char *name;
    size_t states; /* vectors that it remembers; SGD only with momentum */
    void (*step)(const rd_step *s);
} rd_optimizer;

extern const rd_optimizer rd_optimizers[];     /* in the order of rd_optimizer_kind */
extern const char *const rd_optimizer_names[]; /* the same; ends with NULL */

/* Can every step be p = scale * p + rate * dL/dp? Gives both numbers if so: scale = 1 - lr * decay, rate = -lr. */
bool rd_optimizer_in_place(const rd_training *t, double learning_rate, float *scale, float *rate);
/* Vectors of the size of what travels: the gradient's and the optimizer's own. */
size_t rd_optimizer_vectors(const rd_training *t);

#endif
