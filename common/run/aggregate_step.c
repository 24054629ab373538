/* aggregate_step.c: from the updates of a round to the parameters: the mean of the exact sum, what the strategy makes
 * of the collected updates, or what was counted; and the server's step with it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/counting.h"
#include "run/aggregate_state.h"
#include "run/fitness.h"

#define BLOCK 512 /* elements that are averaged at a time: they stay in the first-level cache */

typedef struct source {
    const float *combined; /* (n) what the strategy made of the collected updates; NULL: the exact sum */
    uint64_t weight;
    double factor;
} source;

/* Elements [first, first + count) of the vector, at most BLOCK, and where their numbers are: in place, or copies. */
typedef struct block {
    size_t first, count;
    rd_tensor_role role;
    float *parameters, *companions[RD_COMPANIONS_MAX];
} block;

static void mean_of(const rd_aggregate *a, const source *from, const block *b, double *mean)
{
    if (from->combined == NULL)
        rd_exact_vector_mean(&a->sum.exact, b->first, b->count, from->weight, mean);
    for (size_t i = 0; i < b->count && from->combined != NULL; i++)
        mean[i] = (double)from->combined[b->first + i];
    for (size_t i = 0; i < b->count && from->factor != 1; i++)
        mean[i] *= from->factor;
}

/* Statistics are averaged, and so is what is left of a pruned model. */
static double step_block(const rd_aggregate *a, const source *from, const block *b, bool pruned)
{
    double mean[BLOCK];
    mean_of(a, from, b, mean);
    if (b->role != RD_TENSOR_TRAINED || pruned)
        return rd_server_add(mean, b->count, b->parameters);
    return rd_server_step(a->strategy, mean, b->count, b->parameters, b->companions);
}

/* What came up beside the deltas changes what the server keeps. */
static void take_block(const rd_aggregate *a, const block *b, size_t clients)
{
    double mean[BLOCK];
    const rd_strategy *s = a->strategy;
    const rd_round_facts facts = {.updates = a->clients.updates, .clients = clients};
    size_t at = a->n;
    for (size_t i = 0; i < RD_COMPANIONS_MAX; i++) {
        if ((s->kind->companions[i].where & RD_GOES_UP) == 0)
            continue;
        rd_exact_vector_mean(&a->sum.exact, at + b->first, b->count, a->clients.weight, mean);
        s->kind->companions[i].take(s, &facts, mean, b->count, b->companions);
        at += a->n;
    }
}

/* Is what the server keeps finite, and what of it goes down fit to be sent? */
static rd_status check_companions(const rd_aggregate *a, const block *b, rd_error *err)
{
    for (size_t c = 0; c < RD_COMPANIONS_MAX; c++) {
        const rd_companion *companion = &a->strategy->kind->companions[c];
        for (size_t i = 0; b->companions[c] != NULL && i < b->count; i++) {
            const double value = (double)b->companions[c][i];
            if (isfinite(value) && ((companion->where & RD_GOES_DOWN) == 0 || rd_exact_is_fit(value)))
                continue;
            return rd_fail(err, RD_ERR_RANGE, "element %zu of what strategy %s keeps (%s) becomes %s", b->first + i,
                           a->strategy->kind->name, companion->file, rd_exact_unfit_word(value));
        }
    }
    return RD_OK;
}

/* The step on copies of a block: nothing has changed where the model or what the server keeps would come out unfit. */
static rd_status try_block(rd_aggregate *a, const source *from, block *b, const rd_target *target, rd_error *err)
{
    float parameters[BLOCK], copies[RD_COMPANIONS_MAX][BLOCK], *companions[RD_COMPANIONS_MAX];
    for (size_t i = 0; i < b->count; i++)
        parameters[i] = target->parameters[target->index != NULL ? target->index[b->first + i] : b->first + i];
    rd_server_companions_from(&a->companions, b->first, companions);
    for (size_t c = 0; c < RD_COMPANIONS_MAX; c++) {
        b->companions[c] = companions[c] != NULL ? copies[c] : NULL;
        if (companions[c] != NULL)
            memcpy(copies[c], companions[c], b->count * sizeof *copies[c]);
    }
    b->parameters = parameters;
    (void)step_block(a, from, b, target->index != NULL);
    if (from->combined == NULL)
        take_block(a, b, target->clients);
    const rd_fitness fitness = {a->model, target->index, target->last};
    rd_status status = rd_fitness_check(&fitness, parameters, b->first, b->count, err);
    return status == RD_OK ? check_companions(a, b, err) : status;
}

static double do_block(rd_aggregate *a, const source *from, block *b, const rd_target *target)
{
    float gathered[BLOCK];
    rd_server_companions_from(&a->companions, b->first, b->companions);
    b->parameters = target->index != NULL ? gathered : target->parameters + b->first;
    for (size_t i = 0; i < b->count && target->index != NULL; i++)
        gathered[i] = target->parameters[target->index[b->first + i]];
    const double squares = step_block(a, from, b, target->index != NULL);
    for (size_t i = 0; i < b->count && target->index != NULL; i++)
        target->parameters[target->index[b->first + i]] = gathered[i];
    if (from->combined == NULL)
        take_block(a, b, target->clients);
    return squares;
}

/* Blocks end where tensors do: roles differ. */
static rd_status step_range(rd_aggregate *a, const source *from, const rd_tensor *range, const rd_target *target,
                            double *squares, rd_error *err)
{
    double sum = 0;
    for (size_t done = 0; done < range->count; done += BLOCK) {
        block b = {.first = range->offset + done,
                   .count = range->count - done < BLOCK ? range->count - done : BLOCK,
                   .role = range->role};
        if (squares != NULL) {
            sum += do_block(a, from, &b, target);
            continue;
        }
        rd_status status = try_block(a, from, &b, target, err);
        if (status != RD_OK)
            return status;
    }
    if (squares != NULL)
        *squares += sum;
    return RD_OK;
}

/* squares NULL: only tries. */
static rd_status step_all(rd_aggregate *a, const source *from, const rd_target *target, double *squares, rd_error *err)
{
    rd_status status = RD_OK;
    const rd_tensor_table table = rd_model_tensors(a->model, RD_TENSORS_TRAVELLING);
    const rd_tensor whole = {.count = target->count, .role = RD_TENSOR_TRAINED};
    if (target->index != NULL)
        return step_range(a, from, &whole, target, squares, err);
    for (size_t i = 0; i < table.count && status == RD_OK; i++)
        status = step_range(a, from, &table.tensors[i], target, squares, err);
    return status;
}

/* First tried, then done: a step that clients would refuse leaves everything as it was, without a copy of the model. */
static rd_status take_step(rd_aggregate *a, const source *from, const rd_target *target, double *norm, rd_error *err)
{
    double squares = 0;
    rd_status status = step_all(a, from, target, NULL, err);
    if (status == RD_OK)
        status = step_all(a, from, target, &squares, err);
    if (status == RD_OK)
        *norm = sqrt(squares);
    return status;
}

/* What the strategy makes of the collected updates, in rising order of key, which no order of arrival can change. */
static rd_status combine_collected(rd_aggregate *a, float *out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_collection *c = &a->collected;
    const float **values = malloc(c->count * sizeof *values);
    uint32_t *weights = malloc(c->count * sizeof *weights);
    if (values == NULL || weights == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for %zu updates", c->count);
    rd_collection_sort(c);
    for (size_t i = 0; i < c->count; i++) {
        values[i] = c->updates[i].values;
        weights[i] = c->updates[i].weight;
    }
    const rd_collected_updates updates = {values, weights, c->count, a->n};
    status = a->strategy->kind->combine(a->strategy, &updates, out, err);
cleanup:
    free(values);
    free(weights);
    return status;
}

/* What was counted, all clients' together, becomes the model. */
static rd_status conclude(rd_aggregate *a, const rd_target *target, rd_error *err)
{
    rd_status status = RD_OK;
    const rd_fitness fitness = {a->model, NULL, target->last};
    double *total = malloc((a->n + 1) * sizeof *total);
    float *made = malloc((a->n + 1) * sizeof *made);
    if (total == NULL || made == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for %zu sums", a->n);
    memcpy(made, target->parameters, a->n * sizeof *made);
    rd_exact_vector_mean(&a->sum.exact, 0, a->n, 1, total);
    RD_TRY(rd_model_conclude(a->model, total, made, err));
    RD_TRY(rd_fitness_check(&fitness, made, 0, a->n, err));
    memcpy(target->parameters, made, a->n * sizeof *made);
cleanup:
    free(total);
    free(made);
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
        float *combined = malloc((a->n + 1) * sizeof *combined);
        if (combined == NULL)
            return rd_fail(err, RD_ERR_MEMORY, "no memory for %zu parameters", a->n);
        rd_status status = combine_collected(a, combined, err);
        from.combined = combined;
        if (status == RD_OK)
            status = take_step(a, &from, target, norm, err);
        free(combined);
        return status;
    }
    if (c->weight == 0)
        return rd_fail(err, RD_ERR_RANGE, "none of %llu updates is trusted", (unsigned long long)c->updates);
    from.factor = rd_strategy_factor(s, isnan(extra) ? 0 : extra, learning_rate);
    return take_step(a, &from, target, norm, err);
}
