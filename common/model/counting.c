/* counting.c: see counting.h. */
#include "model/counting.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/plan.h"

static const rd_counting_type *counting_of(const rd_model *m)
{
    return m->layers[0].type->counting;
}

/* The layer's last tensor holds the sums. */
static const rd_tensor *sums_tensor(const rd_model *m)
{
    return m->layers[0].tensors[m->layers[0].tensor_count - 1];
}

bool rd_model_counts(const rd_model *m)
{
    return counting_of(m) != NULL;
}

bool rd_model_has_counted(const rd_model *m, const float *parameters)
{
    const rd_tensor *t = sums_tensor(m);
    for (size_t i = 0; i < t->count; i++)
        if (parameters[t->offset + i] != 0.0f)
            return true;
    return false;
}

size_t rd_model_sum_count(const rd_model *m)
{
    return counting_of(m)->sum_count(&m->layers[0]);
}

void rd_model_count(const rd_model *m, const float *parameters, const float *x, const int32_t *labels, size_t B,
                    rd_sum *sums)
{
    counting_of(m)->count(&m->layers[0], parameters, x, labels, B, sums);
}

void rd_model_count_start(const rd_model *m, const float *x, size_t rows, rd_sum *sums)
{
    counting_of(m)->count_start(&m->layers[0], x, rows, sums);
}

size_t rd_model_start_rows(const rd_model *m)
{
    return counting_of(m)->start_rows != NULL ? counting_of(m)->start_rows(&m->layers[0]) : 0;
}

rd_status rd_model_write_sums(const rd_model *m, const rd_sum *sums, float *update, rd_error *err)
{
    const rd_sum unit = (rd_sum)1 << 24, large = (rd_sum)1 << 44, limit = (rd_sum)1 << 67;
    const rd_tensor *t = sums_tensor(m);
    memset(update, 0, m->parameter_count * sizeof *update);
    for (size_t i = 0; i < t->count / 3; i++) {
        rd_sum s = sums[i];
        if (s >= limit || s <= -limit)
            return rd_fail(err, RD_ERR_RANGE,
                           "a sum over the rows is %g, beyond 2^43; smaller features are needed "
                           "(standardised ones, for instance)",
                           rd_sum_value(s));
        float *part = update + t->offset + 3 * i;
        part[0] = (float)(s / large); /* division cuts towards zero, so all three have the sign of the sum */
        part[1] = (float)(s % large / unit);
        part[2] = (float)((double)(s % unit) / 16777216.0);
    }
    return RD_OK;
}

rd_status rd_model_conclude(const rd_model *m, const double *total, float *parameters, rd_error *err)
{
    const rd_tensor *t = sums_tensor(m);
    size_t count = t->count / 3;
    rd_sum *sums = malloc(count * sizeof *sums);
    if (sums == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %zu sums", count);
    for (size_t i = 0; i < count; i++) {
        const double *part = total + t->offset + 3 * i;
        sums[i] =
            ((rd_sum)llrint(part[0]) << 44) + ((rd_sum)llrint(part[1]) << 24) + (rd_sum)llrint(part[2] * 16777216.0);
    }
    for (size_t i = 0; i < t->count; i++)
        parameters[t->offset + i] = (float)total[t->offset + i];
    counting_of(m)->conclude(&m->layers[0], sums, parameters);
    free(sums);
    return RD_OK;
}
