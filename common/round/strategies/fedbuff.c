/* fedbuff.c: asynchronous rounds (Nguyen et al. 2022): so many clients train at a time, each K updates make a step,
 * w += eta / K sum s(staleness) d_k with s = (1 + staleness)^-exponent. */
#include <math.h>

#include "round/strategy.h"

enum { BUFFER_SIZE, CONCURRENCY, MOST_STALENESS, STALENESS_EXPONENT };

static rd_buffering buffering(const rd_strategy *s)
{
    return (rd_buffering){.buffer_size = (uint64_t)s->value[BUFFER_SIZE],
                          .concurrency = (uint64_t)s->value[CONCURRENCY],
                          .most_staleness = (uint64_t)s->value[MOST_STALENESS]};
}

static rd_status weigh(const rd_strategy *s, const rd_update_facts *u, rd_contribution *out, rd_error *err)
{
    (void)err;
    out->scale = pow(1 + (double)u->staleness, -s->value[STALENESS_EXPONENT]);
    return RD_OK;
}

const rd_strategy_kind rd_strategy_fedbuff = {
    .name = "fedbuff",
    .keys = {[BUFFER_SIZE] = {.name = "buffer_size", .whole = true, .least = 1, .most = 1e6, .required = true},
             [CONCURRENCY] = {.name = "concurrency", .whole = true, .least = 1, .most = 1e8, .required = true},
             [MOST_STALENESS] = {.name = "most_staleness", .whole = true, .most = 1e6, .preset = 100},
             [STALENESS_EXPONENT] = {.name = "staleness_exponent", .most = 10, .preset = 0.5}},
    .uniform = true,
    .weighted = true,
    .buffering = buffering,
    .weigh = weigh,
};
