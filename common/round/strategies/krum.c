/* krum.c: the update with the smallest sum of squared distances to the n - f - 2 nearest (Blanchard et al. 2017),
 * 2 f + 2 < n. */
#include "round/robust.h"

enum { BYZANTINE };

static rd_status combine(const rd_strategy *s, const rd_collected_updates *updates, float *out, rd_error *err)
{
    rd_status status = rd_robust_check(s, updates, err);
    return status == RD_OK ? rd_robust_mean_of_best(updates, (size_t)s->value[BYZANTINE], 1, out, err) : status;
}

const rd_strategy_kind rd_strategy_krum = {
    .name = "krum",
    .keys = {[BYZANTINE] = {.name = "byzantine", .whole = true, .most = 1e6, .required = true}},
    .collects = RD_COLLECTS_ALL,
    .withstands = {.among = 3, .each = 2},
    .combine = combine,
};
