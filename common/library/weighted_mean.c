/* weighted_mean.c: rondo/weighted_mean.h over core/exact_sum.h. */
#include "rondo/weighted_mean.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/error.h"
#include "core/exact_sum.h"

struct rd_weighted_mean {
    rd_exact_vector sum;
    uint64_t weight;
};

rd_status rd_weighted_mean_create(size_t count, rd_weighted_mean **out, rd_error *err)
{
    err = err != NULL ? err : &(rd_error){0};
    rd_weighted_mean *m = calloc(1, sizeof *m);
    if (m == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a mean of %zu elements", count);
    rd_status status = rd_exact_vector_create(count, &m->sum, err);
    if (status != RD_OK) {
        free(m);
        return status;
    }
    *out = m;
    return RD_OK;
}

void rd_weighted_mean_free(rd_weighted_mean *m)
{
    if (m == NULL)
        return;
    rd_exact_vector_free(&m->sum);
    free(m);
}

static rd_status check_weight(const rd_weighted_mean *m, uint64_t more, rd_error *err)
{
    if (more > RD_EXACT_MAX_WEIGHT - m->weight)
        return rd_fail(err, RD_ERR_RANGE, "weights of %" PRIu64 " and %" PRIu64 " pass %" PRIu64, m->weight, more,
                       RD_EXACT_MAX_WEIGHT);
    return RD_OK;
}

rd_status rd_weighted_mean_add(rd_weighted_mean *m, const float *x, uint32_t weight, rd_error *err)
{
    err = err != NULL ? err : &(rd_error){0};
    if (weight == 0 || weight > RD_EXACT_MAX_TERM_WEIGHT)
        return rd_fail(err, RD_ERR_RANGE, "expected a weight from 1 to %" PRIu32 ", found %" PRIu32,
                       RD_EXACT_MAX_TERM_WEIGHT, weight);
    size_t unfit = rd_exact_find_unfit(x, m->sum.count);
    if (unfit < m->sum.count)
        return rd_fail(err, RD_ERR_RANGE, "element %zu is %s", unfit, rd_exact_unfit_word((double)x[unfit]));
    rd_status status = check_weight(m, weight, err);
    if (status != RD_OK)
        return status;
    rd_exact_vector_add(&m->sum, 0, x, m->sum.count, weight);
    m->weight += weight;
    return RD_OK;
}

rd_status rd_weighted_mean_merge(rd_weighted_mean *into, const rd_weighted_mean *from, rd_error *err)
{
    err = err != NULL ? err : &(rd_error){0};
    if (into->sum.count != from->sum.count)
        return rd_fail(err, RD_ERR_RANGE, "expected a mean of %zu elements to merge, found one of %zu", into->sum.count,
                       from->sum.count);
    rd_status status = check_weight(into, from->weight, err);
    if (status != RD_OK)
        return status;
    rd_exact_vector_merge(&into->sum, &from->sum);
    into->weight += from->weight;
    return RD_OK;
}

uint64_t rd_weighted_mean_weight(const rd_weighted_mean *m)
{
    return m->weight;
}

rd_status rd_weighted_mean_read(const rd_weighted_mean *m, double *mean, rd_error *err)
{
    err = err != NULL ? err : &(rd_error){0};
    if (m->weight == 0)
        return rd_fail(err, RD_ERR_STATE, "nothing was added to the mean yet");
    rd_exact_vector_mean(&m->sum, 0, m->sum.count, m->weight, mean);
    return RD_OK;
}
