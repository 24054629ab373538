/* multi_krum.c: the mean of the `chosen` updates that krum finds best (Blanchard et al. 2017), 2 f + 2 < n; all but f
 * where their number is not said. */
#include "round/robust.h"

enum { BYZANTINE, CHOSEN };

/* Those chosen are not among the f. */
static size_t least_updates(const rd_strategy *s)
{
    size_t f = (size_t)s->value[BYZANTINE], chosen = (size_t)s->value[CHOSEN];
    return chosen > f + 3 ? chosen + f : 2 * f + 3;
}

static rd_status combine(const rd_strategy *s, const rd_collected_updates *updates, float *out, rd_error *err)
{
    size_t f = (size_t)s->value[BYZANTINE], chosen = (size_t)s->value[CHOSEN];
    rd_status status = rd_robust_check(s, updates, err);
    return status == RD_OK ? rd_robust_mean_of_best(updates, f, chosen > 0 ? chosen : updates->count - f, out, err)
                           : status;
}

const rd_strategy_kind rd_strategy_multi_krum = {
    .name = "multi_krum",
    .keys = {[BYZANTINE] = {.name = "byzantine", .whole = true, .most = 1e6, .required = true},
             [CHOSEN] = {.name = "chosen", .whole = true, .least = 1, .most = 1e6}},
    .collects = RD_COLLECTS_ALL,
    .withstands = {.among = 3, .each = 2},
    .combine = combine,
    .least_updates = least_updates,
};
