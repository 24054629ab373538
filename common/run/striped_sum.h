/* striped_sum.h: the exact sum of a round, shared by all threads: its elements are cut into stripes with a lock
 * each, so two updates are added side by side, one a stripe behind the other. */
#ifndef RONDO_RUN_STRIPED_SUM_H
#define RONDO_RUN_STRIPED_SUM_H

#include <pthread.h>

#include "core/exact_sum.h"

/* Zeroed: without elements. */
typedef struct rd_striped_sum {
    rd_exact_vector exact;
    pthread_mutex_t *stripes; /* (stripe_count) */
    size_t stripe_count;
} rd_striped_sum;

rd_status rd_striped_sum_create(rd_striped_sum *s, size_t size, rd_error *err) RD_MUST_CHECK;
void rd_striped_sum_free(rd_striped_sum *s);
/* From any thread: adds weight x scale x values to elements [first, first + count). Each product with the scale is
 * rounded to a float32 first. */
void rd_striped_sum_add(rd_striped_sum *s, size_t first, const float *values, size_t count, uint32_t weight,
                        double scale);

#endif
