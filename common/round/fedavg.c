/* fedavg.c: see fedavg.h. */
#include "round/fedavg.h"

#define BLOCK 512 /* elements averaged at a time: the block of doubles stays in the first-level cache */

double rd_fedavg_apply(const rd_exact_vector *sum, uint64_t total_weight, size_t first, size_t count,
                       float *parameters)
{
    double mean[BLOCK], squares = 0.0;
    for (size_t done = 0; done < count; done += BLOCK) {
        size_t n = count - done < BLOCK ? count - done : BLOCK;
        float *w = parameters + first + done;
        rd_exact_vector_mean(sum, first + done, n, total_weight, mean);
        for (size_t i = 0; i < n; i++) {
            w[i] = (float)((double)w[i] + mean[i]);
            squares += mean[i] * mean[i];
        }
    }
    return squares;
}
