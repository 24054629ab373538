/* median.c: each coordinate's median (Yin et al. 2018), near the honest updates while 2 f < n. */
#include "round/robust.h"

static void median(const float *x, size_t k, size_t number, size_t count, float *column, float *out)
{
    (void)number;
    for (size_t c = 0; c < count; c++) {
        for (size_t i = 0; i < k; i++)
            column[i] = x[i * RD_COLUMNS + c];
        out[c] = (float)rd_robust_middle(column, k);
    }
}

static rd_status combine(const rd_strategy *s, const rd_collected_updates *updates, float *out, rd_error *err)
{
    rd_status status = rd_robust_check(s, updates, err);
    return status == RD_OK ? rd_robust_by_coordinate(updates, median, 0, out, err) : status;
}

const rd_strategy_kind rd_strategy_median = {
    .name = "median",
    .collects = RD_COLLECTS_ALL,
    .withstands = {.among = 1, .each = 2},
    .combine = combine,
};
