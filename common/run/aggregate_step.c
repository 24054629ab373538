/* aggregate_step.c: from the updates of a round to the parameters: the mean of the exact sum, what the strategy makes
 * of the rows, or what was counted; and the server's step with it. */
#include <math.h>
#include <stdlib.h>

#include "model/counting.h"
#include "run/aggregate_state.h"

#define BLOCK 512 /* elements that are averaged at a time: they stay in the first-level cache */

static double step(rd_aggregate *a, double *mean, size_t first, size_t count, rd_tensor_role role,
                   const rd_target *target)
{
    if (target->index == NULL && role == RD_TENSOR_TRAINED) {
        float *kept[RD_COMPANIONS_MAX];
        rd_server_memory_from(&a->memory, first, kept);
        return rd_server_step(a->strategy, mean, count, target->parameters + first, kept);
    }
    if (target->index == NULL)
        return rd_server_add(mean, count, target->parameters + first);
    double squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += rd_server_add(mean + i, 1, target->parameters + target->index[first + i]);
    return squares;
}

typedef struct source {
    const float *row; /* (n) what the strategy made of the rows; NULL: the exact sum */
    uint64_t weight;
    double factor;
} source;

static double step_range(rd_aggregate *a, const source *from, size_t first, size_t count, rd_tensor_role role,
                         const rd_target *target)
{
    double mean[BLOCK], squares = 0;
    for (size_t done = 0; done < count; done += BLOCK) {
        size_t n = count - done < BLOCK ? count - done : BLOCK;
        if (from->row == NULL)
            rd_exact_vector_mean(&a->sum.exact, first + done, n, from->weight, mean);
        for (size_t i = 0; i < n && from->row != NULL; i++)
            mean[i] = (double)from->row[first + done + i];
        for (size_t i = 0; i < n && from->factor != 1; i++)
            mean[i] *= from->factor;
        squares += step(a, mean, first + done, n, role, target);
    }
    return squares;
}

static double step_all(rd_aggregate *a, const source *from, const rd_target *target)
{
    double squares = 0;
    const rd_tensor_table table = rd_model_tensors(a->model, RD_TENSORS_TRAVELLING);
    if (target->index != NULL)
        return step_range(a, from, 0, target->count, RD_TENSOR_TRAINED, target);
    for (size_t i = 0; i < table.count; i++)
        squares += step_range(a, from, table.tensors[i].offset, table.tensors[i].count, table.tensors[i].role, target);
    return squares;
}

/* What came up beside the deltas changes what the server keeps. */
static void take_companions(rd_aggregate *a, size_t clients)
{
    double mean[BLOCK];
    const rd_strategy *s = a->strategy;
    const rd_round_facts facts = {.updates = a->clients.updates, .clients = clients};
    size_t at = a->n;
    for (size_t i = 0; i < RD_COMPANIONS_MAX; i++) {
        if ((s->kind->companions[i].where & RD_GOES_UP) == 0)
            continue;
        for (size_t done = 0; done < a->n; done += BLOCK) {
            float *kept[RD_COMPANIONS_MAX];
            size_t n = a->n - done < BLOCK ? a->n - done : BLOCK;
            rd_server_memory_from(&a->memory, done, kept);
            rd_exact_vector_mean(&a->sum.exact, at + done, n, a->clients.weight, mean);
            s->kind->companions[i].take(s, &facts, mean, n, kept);
        }
        at += a->n;
    }
}

/* What the strategy makes of the rows, in rising order of key, which no order of arrival can change. */
static rd_status agree(rd_aggregate *a, float *out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_collection *c = &a->collected;
    const float **values = malloc(c->row_count * sizeof *values);
    uint32_t *weights = malloc(c->row_count * sizeof *weights);
    if (values == NULL || weights == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for %zu updates", c->row_count);
    rd_collection_sort(c);
    for (size_t i = 0; i < c->row_count; i++) {
        values[i] = c->rows[i].values;
        weights[i] = c->rows[i].weight;
    }
    const rd_update_rows rows = {values, weights, c->row_count, a->n};
    status = a->strategy->kind->combine(a->strategy, &rows, out, err);
cleanup:
    free(values);
    free(weights);
    return status;
}

/* What was counted, all clients' together, becomes the model. */
static rd_status conclude(rd_aggregate *a, const rd_target *target, rd_error *err)
{
    double *total = malloc((a->n + 1) * sizeof *total);
    if (total == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %zu sums", a->n);
    rd_exact_vector_mean(&a->sum.exact, 0, a->n, 1, total);
    rd_status status = rd_model_conclude(a->model, total, target->parameters, err);
    free(total);
    return status;
}

rd_status rd_aggregate_apply(rd_aggregate *a, double learning_rate, const rd_target *target, double *norm,
                             rd_error *err)
{
    const rd_strategy *s = a->strategy;
    const rd_client_sums *c = &a->clients;
    double extra = rd_exact_scalar_mean(&c->extra);
    source from = {NULL, c->weight, 1};
    if (rd_model_counts(a->model))
        return conclude(a, target, err);
    if (s->kind->collects == RD_COLLECTS_ALL) {
        float *agreed = malloc((a->n + 1) * sizeof *agreed);
        if (agreed == NULL)
            return rd_fail(err, RD_ERR_MEMORY, "no memory for %zu parameters", a->n);
        rd_status status = agree(a, agreed, err);
        from.row = agreed;
        if (status == RD_OK)
            *norm = sqrt(step_all(a, &from, target));
        free(agreed);
        return status;
    }
    if (c->weight == 0)
        return rd_fail(err, RD_ERR_RANGE, "none of %llu updates is trusted", (unsigned long long)c->updates);
    from.factor = rd_strategy_factor(s, isnan(extra) ? 0 : extra, learning_rate);
    *norm = sqrt(step_all(a, &from, target));
    take_companions(a, target->clients);
    return RD_OK;
}
