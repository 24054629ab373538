/* bulyan.c: n - 2 f updates are selected by repeated krum; then each coordinate's mean of the n - 4 f values closest to
 * the median (El Mhamdi et al. 2018), 4 f + 2 < n. */
#include <stdlib.h>

#include "round/robust.h"

enum { BYZANTINE };

/* Mean of the `number` values closest to the median: they lie side by side. */
static void mean_around_middle(const float *x, size_t k, size_t number, size_t count, float *column, float *out)
{
    for (size_t c = 0; c < count; c++) {
        for (size_t i = 0; i < k; i++)
            column[i] = x[i * RD_COLUMNS + c];
        double middle = rd_robust_middle(column, k);
        size_t first = 0, last = k; /* [first, last) is left */
        while (last - first > number) {
            if (middle - (double)column[first] > (double)column[last - 1] - middle)
                first++;
            else
                last--;
        }
        out[c] = (float)rd_robust_mean(column + first, number);
    }
}

static rd_status combine(const rd_strategy *s, const rd_collected_updates *updates, float *out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_ranking *r = NULL;
    const float **some = NULL;
    RD_TRY(rd_robust_check(s, updates, err));
    size_t f = (size_t)s->value[BYZANTINE], selected = updates->count - 2 * f;
    some = malloc(selected * sizeof *some);
    if (some == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory to select %zu updates", selected);
    RD_TRY(rd_ranking_create(updates, &r, err));
    for (size_t i = 0; i < selected; i++) {
        rd_ranking_score(r, updates->count - i, f);
        some[i] = updates->values[rd_ranking_take_best(r)];
    }
    const rd_collected_updates left = {.values = some, .count = selected, .n = updates->n};
    RD_TRY(rd_robust_by_coordinate(&left, mean_around_middle, selected - 2 * f, out, err));
cleanup:
    rd_ranking_free(r);
    free(some);
    return status;
}

const rd_strategy_kind rd_strategy_bulyan = {
    .name = "bulyan",
    .keys = {[BYZANTINE] = {.name = "byzantine", .whole = true, .most = 1e6, .required = true}},
    .collects = RD_COLLECTS_ALL,
    .withstands = {.among = 3, .each = 4},
    .combine = combine,
};
