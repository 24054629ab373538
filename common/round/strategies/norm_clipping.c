/* norm_clipping.c: the mean of deltas that are made no longer than C (Sun et al. 2019). */
#include "round/strategy.h"

enum { CLIP_NORM };

static rd_status weigh(const rd_strategy *s, const rd_update_facts *u, rd_contribution *out, rd_error *err)
{
    (void)err;
    if (u->norm > s->value[CLIP_NORM])
        out->scale = s->value[CLIP_NORM] / u->norm;
    return RD_OK;
}

const rd_strategy_kind rd_strategy_norm_clipping = {
    .name = "norm_clipping",
    .keys = {[CLIP_NORM] = {.name = "clip_norm", .above = true, .most = 1e9, .required = true}},
    .weighted = true,
    .uniform = true, /* C bounds what one client can do, but not where its claim of samples multiplies it */
    .collects = RD_COLLECTS_EACH,
    .weigh = weigh,
};
