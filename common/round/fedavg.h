/* fedavg.h: federated averaging (McMahan et al. 2017, algorithm 1): w <- w + sum_k (n_k / n) * delta_k, with
 * n_k the samples of client k and n their sum. The sum is the exact one, so w is the same in any order. */
#ifndef RONDO_ROUND_FEDAVG_H
#define RONDO_ROUND_FEDAVG_H

#include <stddef.h>
#include <stdint.h>

#include "core/exact_sum.h"

/* Applies the average of sum to parameters [first, first + count). total_weight is n, > 0.
 * Returns the sum of squares of the changes, for the norm of the update. */
double rd_fedavg_apply(const rd_exact_vector *sum, uint64_t total_weight, size_t first, size_t count,
                       float *parameters);

#endif
