/* trimmed_mean.c: each coordinate's mean without its f largest and f smallest values (Yin et al. 2018), 2 f < n. */
#include "round/robust.h"

enum { BYZANTINE };

/* number: of values left out at each end */
static void trimmed(const float *x, size_t k, size_t number, size_t count, float *column, float *out)
{
    double sum[RD_COLUMNS] = {0};
    (void)column;
    for (size_t i = number; i < k - number; i++)
        for (size_t c = 0; c < RD_COLUMNS; c++)
            sum[c] += (double)x[i * RD_COLUMNS + c];
    for (size_t c = 0; c < count; c++)
        out[c] = (float)(sum[c] / (double)(k - 2 * number));
}

static rd_status combine(const rd_strategy *s, const rd_collected_updates *updates, float *out, rd_error *err)
{
    rd_status status = rd_robust_check(s, updates, err);
    return status == RD_OK ? rd_robust_by_coordinate(updates, trimmed, (size_t)s->value[BYZANTINE], out, err) : status;
}

const rd_strategy_kind rd_strategy_trimmed_mean = {
    .name = "trimmed_mean",
    .keys = {[BYZANTINE] = {.name = "byzantine", .whole = true, .most = 1e6, .required = true}},
    .collects = RD_COLLECTS_ALL,
    .withstands = {.among = 1, .each = 2},
    .combine = combine,
};
