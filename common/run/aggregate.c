/* aggregate.c: see aggregate.h. What updates become in the end is in aggregate_step.c. */
#include "core/assert.h"
#include "run/aggregate_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/counting.h"
#include "train/companions.h"
#include "train/schedule.h"

/* ---- making ---- */

rd_status rd_aggregate_create(const rd_strategy *s, const rd_training *training, const rd_model *m, rd_aggregate **out,
                              rd_error *err)
{
    rd_status status = RD_OK;
    rd_aggregate *a = calloc(1, sizeof *a);
    if (a == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the updates of a round");
    a->strategy = s;
    a->training = training;
    a->model = m;
    a->n = rd_model_tensors(m, RD_TENSORS_TRAVELLING).elements;
    a->update_size = (1 + rd_companions_count(s, RD_GOES_UP)) * a->n;
    a->collected.size = a->update_size;
    a->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    if (s->kind->collects == RD_COLLECTS_ALL) {
        if (a->update_size != a->n)
            RD_THROW(RD_ERR_INTERNAL, "strategy %s combines deltas: nothing can go up beside them", s->kind->name);
    } else {
        RD_TRY(rd_striped_sum_create(&a->sum, a->update_size, err));
    }
    if (s->kind->server_trains) {
        a->own = calloc(a->n + 1, sizeof *a->own);
        if (a->own == NULL)
            RD_THROW(RD_ERR_MEMORY, "no memory for the server's own delta of %zu parameters", a->n);
    }
    RD_TRY(rd_server_companions_create(&a->companions, s, a->n, err));
    *out = a;
    a = NULL;
cleanup:
    rd_aggregate_free(a);
    return status;
}

void rd_aggregate_free(rd_aggregate *a)
{
    if (a == NULL)
        return;
    pthread_mutex_destroy(&a->lock);
    rd_striped_sum_free(&a->sum);
    rd_server_companions_free(&a->companions);
    rd_collection_free(&a->collected);
    free(a->own);
    free(a);
}

rd_tensor_table rd_aggregate_companion_table(const rd_aggregate *a)
{
    return a->companions.table;
}

float *rd_aggregate_companions(rd_aggregate *a)
{
    return a->companions.values;
}

void rd_aggregate_down(const rd_aggregate *a, const float *out[RD_COMPANIONS_MAX])
{
    for (size_t i = 0; i < RD_COMPANIONS_MAX; i++)
        out[i] = (a->strategy->kind->companions[i].where & RD_GOES_DOWN) != 0 ? a->companions.vector[i] : NULL;
}

rd_exact_vector *rd_aggregate_sum(rd_aggregate *a)
{
    return &a->sum.exact;
}

/* ---- taking in ---- */

/* That clients train with in a round. */
static double learning_rate(const rd_training *t, uint64_t round)
{
    return (double)t->learning_rate * rd_schedule_factor(&t->schedule, round);
}

static rd_update_facts facts_of(const rd_aggregate *a, const rd_admission *in, uint64_t staleness)
{
    const rd_training *t = a->training;
    return (rd_update_facts){.samples = in->report.samples,
                             .steps = in->report.steps,
                             .loss = in->report.before.loss,
                             .learning_rate = learning_rate(t, in->round),
                             .momentum = (double)t->momentum,
                             .staleness = staleness,
                             .own_norm = a->own_norm,
                             .most_weight = a->most_weight};
}

/* The gate before the sum: nothing enters it that has not been through here, whoever made it. largest: magnitude of
 * the update. Scaling keeps the order of magnitudes, rounding does, too: if the largest is fit, all are. */
static rd_status check_fit(const rd_strategy *s, const rd_contribution *c, float largest, rd_error *err)
{
    if (!rd_exact_is_fit((double)largest))
        return rd_fail(err, RD_ERR_RANGE, "the update holds %s",
                       isnan(largest)   ? "NaN"
                       : isinf(largest) ? "an infinite value"
                                        : "a value of 2^23 or more");
    if (c->weight > RD_EXACT_MAX_TERM_WEIGHT)
        return rd_fail(err, RD_ERR_RANGE, "an update's weight of %u: expected at most 2^31", c->weight);
    if (c->weight > 0 && (!(c->scale >= 0) || !rd_exact_is_fit((double)(float)((double)largest * c->scale))))
        return rd_fail(err, RD_ERR_RANGE,
                       "strategy %s multiplies the update by %g, which makes of its largest value, %g, one of 2^23 or "
                       "more",
                       s->kind->name, c->scale, (double)largest);
    return RD_OK;
}

rd_status rd_aggregate_admit(rd_aggregate *a, const rd_arrival *arrival, rd_admission *out, rd_error *err)
{
    const rd_strategy *s = a->strategy;
    rd_collect_kind collects = s->kind->collects;
    rd_status status = RD_OK;
    *out = (rd_admission){
        .report = *arrival->report, .round = arrival->round, .key = arrival->key, .largest = arrival->largest};
    rd_update_facts facts = facts_of(a, out, arrival->staleness);
    pthread_mutex_lock(&a->lock);
    rd_client_sums sums = a->clients;
    RD_TRY(rd_client_sums_add_report(&sums, arrival->report, err));
    RD_TRY(rd_strategy_weigh(s, &facts, &out->contribution, err));
    if (rd_model_counts(a->model))
        out->contribution.weight = 1;
    RD_TRY(check_fit(s, &out->contribution, arrival->largest, err));
    if (collects == RD_COLLECTS_NOTHING)
        RD_TRY(rd_client_sums_add_weight(&sums, s, &out->contribution, err));
    if (collects == RD_COLLECTS_ALL)
        RD_TRY(rd_collection_reserve(&a->collected, err));
    if (collects != RD_COLLECTS_NOTHING) {
        out->collected = rd_collection_take_vector(&a->collected);
        if (out->collected == NULL)
            RD_THROW(RD_ERR_MEMORY, "no memory for an update of %zu parameters", a->n);
    }
    a->clients = sums;
    a->collected.due += collects == RD_COLLECTS_ALL;
cleanup:
    pthread_mutex_unlock(&a->lock);
    return status;
}

void rd_aggregate_add(rd_aggregate *a, rd_admission *in, size_t first, const float *values, size_t count)
{
    RD_ASSERT(first <= a->update_size && count <= a->update_size - first);
    if (in->collected != NULL)
        memcpy(in->collected + first, values, count * sizeof *values);
    else
        rd_striped_sum_add(&a->sum, first, values, count, in->contribution.weight, in->contribution.scale);
}

/* Norm of the update and its cosine with the server's own. */
static void measure(const rd_aggregate *a, const float *values, rd_update_facts *facts)
{
    double squares = 0, product = 0;
    for (size_t i = 0; i < a->n; i++)
        squares += (double)values[i] * (double)values[i];
    for (size_t i = 0; i < a->n && a->own != NULL; i++)
        product += (double)values[i] * (double)a->own[i];
    facts->norm = sqrt(squares);
    facts->cosine = squares > 0 && a->own_norm > 0 ? product / (facts->norm * a->own_norm) : 0;
}

/* A whole update: now that all of it is known, its weight is, too. What then cannot be used is as if it had never been
 * admitted. */
static rd_status weigh_whole(rd_aggregate *a, rd_admission *in, rd_error *err)
{
    const rd_strategy *s = a->strategy;
    rd_update_facts facts = facts_of(a, in, 0);
    measure(a, in->collected, &facts);
    rd_status status = rd_strategy_weigh(s, &facts, &in->contribution, err);
    if (status == RD_OK)
        status = check_fit(s, &in->contribution, in->largest, err);
    pthread_mutex_lock(&a->lock);
    rd_client_sums sums = a->clients;
    if (status == RD_OK)
        status = rd_client_sums_add_weight(&sums, s, &in->contribution, err);
    if (status == RD_OK)
        a->clients = sums;
    else
        rd_client_sums_remove_report(&a->clients, &in->report);
    pthread_mutex_unlock(&a->lock);
    if (status == RD_OK)
        rd_striped_sum_add(&a->sum, 0, in->collected, a->update_size, in->contribution.weight, in->contribution.scale);
    return status;
}

rd_status rd_aggregate_complete(rd_aggregate *a, rd_admission *in, rd_error *err)
{
    rd_status status = RD_OK;
    if (in->collected == NULL)
        return RD_OK;
    bool whole = a->strategy->kind->collects == RD_COLLECTS_EACH;
    if (whole)
        status = weigh_whole(a, in, err);
    pthread_mutex_lock(&a->lock);
    if (whole)
        rd_collection_give_vector(&a->collected, in->collected);
    else
        rd_collection_add(&a->collected, in->collected, in->key, in->contribution.weight);
    pthread_mutex_unlock(&a->lock);
    in->collected = NULL;
    return status;
}

void rd_aggregate_limit_weights(rd_aggregate *a, uint64_t most)
{
    a->most_weight = most;
}

rd_status rd_aggregate_set_own(rd_aggregate *a, const float *delta, rd_error *err)
{
    double squares = 0;
    RD_ASSERT(a->own != NULL); /* the strategy's server trains */
    a->own_norm = 0;
    if (!rd_exact_is_fit((double)rd_exact_largest(delta, a->n)))
        return rd_fail(err, RD_ERR_RANGE, "the server's own delta holds NaN, an infinite value or one of 2^23 or more");
    memcpy(a->own, delta, a->n * sizeof *delta);
    for (size_t i = 0; i < a->n; i++)
        squares += (double)delta[i] * (double)delta[i];
    if (!rd_exact_is_fit(sqrt(squares))) /* it is what others are scaled to */
        return rd_fail(err, RD_ERR_RANGE, "the server's own delta has the norm %g; below 2^23 expected", sqrt(squares));
    a->own_norm = sqrt(squares);
    return RD_OK;
}

/* ---- the end of a round ---- */

static void clear(rd_aggregate *a)
{
    if (a->sum.exact.count > 0)
        rd_exact_vector_clear(&a->sum.exact);
    rd_collection_clear(&a->collected);
    a->clients = (rd_client_sums){0};
    a->most_weight = 0;
}

rd_status rd_aggregate_finish(rd_aggregate *a, uint64_t round, bool changes, const rd_target *target,
                              rd_round_record *record, rd_error *err)
{
    rd_status status = RD_OK;
    rd_client_sums_tell(&a->clients, record);
    record->weight_limit = a->most_weight;
    record->update_norm = 0.0;
    if (changes)
        status = rd_aggregate_apply(a, learning_rate(a->training, round), target, &record->update_norm, err);
    clear(a);
    return status;
}

/* ---- between processes ---- */

size_t rd_aggregate_totals_size(void)
{
    return sizeof(rd_client_sums);
}

void rd_aggregate_get_totals(const rd_aggregate *a, void *bytes)
{
    memcpy(bytes, &a->clients, sizeof a->clients);
}

void rd_aggregate_add_totals(rd_aggregate *a, const void *bytes)
{
    rd_client_sums other;
    memcpy(&other, bytes, sizeof other);
    rd_client_sums_add(&a->clients, &other);
}

size_t rd_aggregate_collected_count(const rd_aggregate *a)
{
    return a->collected.count;
}

void rd_aggregate_get_collected(const rd_aggregate *a, size_t i, uint64_t *key, uint64_t *weight, float *values)
{
    RD_ASSERT(i < a->collected.count);
    *key = a->collected.updates[i].key;
    *weight = a->collected.updates[i].weight;
    memcpy(values, a->collected.updates[i].values, a->n * sizeof *values);
}

rd_status rd_aggregate_add_collected(rd_aggregate *a, uint64_t key, uint64_t weight, const float *values, rd_error *err)
{
    rd_status status = RD_OK;
    RD_TRY(rd_collection_reserve(&a->collected, err));
    float *copy = rd_collection_take_vector(&a->collected);
    if (copy == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for an update of %zu parameters", a->n);
    memcpy(copy, values, a->n * sizeof *values);
    rd_collection_add(&a->collected, copy, key, (uint32_t)weight);
    a->collected.due++;
cleanup:
    return status;
}
