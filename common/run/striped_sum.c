/* striped_sum.c: see striped_sum.h. */
#include "run/striped_sum.h"

#include <stdlib.h>

#define STRIPE 16384 /* elements under one lock: 256 KB of the sum, a tenth of a millisecond of adding */
#define BLOCK 512    /* elements that are scaled at a time: they stay in the first-level cache */

rd_status rd_striped_sum_create(rd_striped_sum *s, size_t size, rd_error *err)
{
    size_t stripes = size / STRIPE + 1;
    s->stripes = calloc(stripes, sizeof *s->stripes);
    if (s->stripes == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a sum of %zu parameters", size);
    for (s->stripe_count = 0; s->stripe_count < stripes; s->stripe_count++)
        s->stripes[s->stripe_count] = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    return rd_exact_vector_create(size, &s->exact, err);
}

void rd_striped_sum_free(rd_striped_sum *s)
{
    for (size_t i = 0; i < s->stripe_count; i++)
        pthread_mutex_destroy(&s->stripes[i]);
    free(s->stripes);
    rd_exact_vector_free(&s->exact);
}

static void add_unscaled(rd_striped_sum *s, size_t first, const float *values, size_t count, uint32_t weight)
{
    while (count > 0) {
        size_t stripe = first / STRIPE;
        size_t room = (stripe + 1) * STRIPE - first;
        size_t n = count < room ? count : room;
        pthread_mutex_lock(&s->stripes[stripe]);
        rd_exact_vector_add(&s->exact, first, values, n, weight);
        pthread_mutex_unlock(&s->stripes[stripe]);
        first += n;
        values += n;
        count -= n;
    }
}

void rd_striped_sum_add(rd_striped_sum *s, size_t first, const float *values, size_t count, uint32_t weight,
                        double scale)
{
    float block[BLOCK];
    if (weight == 0)
        return;
    if (scale == 1) {
        add_unscaled(s, first, values, count, weight);
        return;
    }
    for (size_t done = 0; done < count; done += BLOCK) {
        size_t n = count - done < BLOCK ? count - done : BLOCK;
        for (size_t i = 0; i < n; i++)
            block[i] = (float)((double)values[done + i] * scale);
        add_unscaled(s, first + done, block, n, weight);
    }
}
