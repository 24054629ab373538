/* geometric_median.c: the point with the smallest weighted sum of distances to the updates, by smoothed Weiszfeld steps
 * (Pillutla et al. 2022, RFA), 2 f < n. Memory: 16 bytes a parameter. */
#include <math.h>
#include <stdlib.h>

#include "round/robust.h"

enum { SMOOTHING, ITERATIONS }; /* distances below the first count as it; most steps */

/* v (n) -> sum of share[i] updates[i] / sum of share, and how far that is from v, squared. */
static double move(const rd_collected_updates *updates, const double *share, double *v)
{
    double total = 0, moved = 0, sum[RD_ROBUST_BLOCK];
    for (size_t i = 0; i < updates->count; i++)
        total += share[i];
    for (size_t first = 0; first < updates->n; first += RD_ROBUST_BLOCK) {
        size_t count = updates->n - first < RD_ROBUST_BLOCK ? updates->n - first : RD_ROBUST_BLOCK;
        rd_robust_add_updates(updates, share, first, count, sum);
        for (size_t j = 0; j < count; j++) {
            double there = sum[j] / total, step = there - v[first + j];
            moved += step * step;
            v[first + j] = there;
        }
    }
    return moved;
}

static rd_status combine(const rd_strategy *s, const rd_collected_updates *updates, float *out, rd_error *err)
{
    rd_status status = RD_OK;
    size_t k = updates->count, n = updates->n;
    double *v = calloc(n + 1, sizeof *v), *share = malloc(k * sizeof *share);
    RD_TRY(rd_robust_check(s, updates, err));
    if (v == NULL || share == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for the median of %zu updates", k);
    for (size_t i = 0; i < k; i++)
        share[i] = (double)updates->weights[i];
    (void)move(updates, share, v);
    for (size_t step = 0; step < (size_t)s->value[ITERATIONS]; step++) {
        double size = 0;
        for (size_t i = 0; i < k; i++)
            share[i] = (double)updates->weights[i] /
                       fmax(s->value[SMOOTHING], sqrt(rd_robust_distance(v, updates->values[i], n)));
        double moved = move(updates, share, v);
        for (size_t j = 0; j < n; j++)
            size += v[j] * v[j];
        if (moved <= 1e-20 * size)
            break;
    }
    for (size_t j = 0; j < n; j++)
        out[j] = (float)v[j];
cleanup:
    free(v);
    free(share);
    return status;
}

const rd_strategy_kind rd_strategy_geometric_median = {
    .name = "geometric_median",
    .keys = {[SMOOTHING] = {.name = "smoothing", .above = true, .most = 1e6, .preset = 1e-6},
             [ITERATIONS] = {.name = "iterations", .whole = true, .least = 1, .most = 1e5, .preset = 100}},
    .uniform = true, /* what a client claims of its samples would move it anywhere */
    .weighted = true,
    .collects = RD_COLLECTS_ALL,
    .withstands = {.among = 1, .each = 2},
    .combine = combine,
};
