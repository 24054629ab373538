/* aggregate.c: see aggregate.h. What updates become in the end is in aggregate_step.c. */
#include "run/aggregate_state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "model/counting.h"
#include "model/tensors.h"
#include "train/companions.h"
#include "train/schedule.h"

#define STRIPE 16384 /* parameters under one lock: 256 KB of the sum, a tenth of a millisecond of folding */

/* ---- making ---- */

static rd_status make_memory(rd_aggregate *a, rd_error *err)
{
    const rd_strategy *s = &a->config->strategy;
    size_t vectors = rd_companions_count(s, RD_KEPT_SERVER);
    rd_status status = rd_companions_kept_table(s, a->n, &a->memory_table, err);
    if (status != RD_OK || vectors == 0)
        return status;
    a->memory = calloc(vectors * a->n + 1, sizeof *a->memory);
    if (a->memory == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for what strategy %s keeps of %zu parameters", s->kind->name,
                       a->n);
    rd_companions_place(s, RD_KEPT_SERVER, a->memory, a->n, a->kept);
    for (size_t c = 0; c < RD_COMPANIONS_MAX; c++) {
        float start = s->kind->companions[c].start != NULL ? (float)s->kind->companions[c].start(s) : 0.0f;
        for (size_t i = 0; a->kept[c] != NULL && i < a->n; i++)
            a->kept[c][i] = start;
    }
    return RD_OK;
}

rd_status rd_aggregate_create(const rd_config *config, const rd_model *m, rd_aggregate **out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_aggregate *a = calloc(1, sizeof *a);
    if (a == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the updates of a round");
    a->config = config;
    a->model = m;
    a->n = rd_model_tensors(m, RD_TENSORS_TRAVELLING).elements;
    a->update_size = (1 + rd_companions_count(&config->strategy, RD_GOES_UP)) * a->n;
    a->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    if (config->strategy.kind->intake == RD_INTAKE_ROWS) {
        if (a->update_size != a->n)
            RD_TRY(rd_fail(err, RD_ERR_INTERNAL, "strategy %s combines deltas: nothing can go up beside them",
                           config->strategy.kind->name));
    } else {
        size_t stripes = a->update_size / STRIPE + 1;
        a->stripes = calloc(stripes, sizeof *a->stripes);
        if (a->stripes == NULL)
            RD_TRY(rd_fail(err, RD_ERR_MEMORY, "no memory for a sum of %zu parameters", a->update_size));
        for (a->stripe_count = 0; a->stripe_count < stripes; a->stripe_count++)
            a->stripes[a->stripe_count] = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
        RD_TRY(rd_exact_vector_create(a->update_size, &a->sum, err));
    }
    if (config->strategy.kind->server_trains) {
        a->own = calloc(a->n + 1, sizeof *a->own);
        if (a->own == NULL)
            RD_TRY(rd_fail(err, RD_ERR_MEMORY, "no memory for the server's own delta of %zu parameters", a->n));
    }
    RD_TRY(make_memory(a, err));
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
    for (size_t i = 0; i < a->stripe_count; i++)
        pthread_mutex_destroy(&a->stripes[i]);
    free(a->stripes);
    pthread_mutex_destroy(&a->lock);
    rd_exact_vector_free(&a->sum);
    for (size_t i = 0; i < a->row_count; i++)
        free(a->rows[i].values);
    for (size_t i = 0; i < a->spare_count; i++)
        free(a->spare[i]);
    free(a->rows);
    free(a->spare);
    free(a->own);
    free(a->memory);
    rd_tensor_table_free(&a->memory_table);
    free(a);
}

size_t rd_aggregate_update_size(const rd_aggregate *a)
{
    return a->update_size;
}

rd_tensor_table rd_aggregate_memory_table(const rd_aggregate *a)
{
    return a->memory_table;
}

float *rd_aggregate_memory(rd_aggregate *a)
{
    return a->memory;
}

void rd_aggregate_down(const rd_aggregate *a, const float *out[RD_COMPANIONS_MAX])
{
    for (size_t i = 0; i < RD_COMPANIONS_MAX; i++)
        out[i] = (a->config->strategy.kind->companions[i].where & RD_GOES_DOWN) != 0 ? a->kept[i] : NULL;
}

rd_exact_vector *rd_aggregate_sum(rd_aggregate *a)
{
    return &a->sum;
}

/* ---- vectors for updates that are collected ---- */

static float *take_vector(rd_aggregate *a)
{
    return a->spare_count > 0 ? a->spare[--a->spare_count] : malloc((a->update_size + 1) * sizeof(float));
}

static void give_vector(rd_aggregate *a, float *values)
{
    if (a->spare_count == a->spare_capacity) {
        size_t capacity = a->spare_capacity == 0 ? 16 : 2 * a->spare_capacity;
        float **spare = realloc(a->spare, capacity * sizeof *spare);
        if (spare == NULL) {
            free(values);
            return;
        }
        a->spare = spare;
        a->spare_capacity = capacity;
    }
    a->spare[a->spare_count++] = values;
}

/* Room for one more row, so that rd_aggregate_complete cannot fail. */
static rd_status reserve_row(rd_aggregate *a, rd_error *err)
{
    if (a->rows_due < a->row_capacity)
        return RD_OK;
    size_t capacity = a->row_capacity == 0 ? 16 : 2 * a->row_capacity;
    row *rows = realloc(a->rows, capacity * sizeof *rows);
    if (rows == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %zu updates", capacity);
    a->rows = rows;
    a->row_capacity = capacity;
    return RD_OK;
}

/* ---- taking in ---- */

/* Adds one set of metrics; accuracy is NaN where the model has none. */
static rd_status add_metrics(rd_exact_scalar *loss, rd_exact_scalar *accuracy, const rd_metrics *m, rd_error *err)
{
    if (m->samples == 0)
        return RD_OK;
    rd_status status = rd_exact_scalar_add(loss, m->loss, m->samples, err);
    if (status == RD_OK && !isnan(m->accuracy))
        status = rd_exact_scalar_add(accuracy, m->accuracy, m->samples, err);
    return status;
}

/* That clients train with in a round. */
static double learning_rate(const rd_training *t, uint64_t round)
{
    return (double)t->learning_rate * rd_schedule_factor(&t->schedule, round);
}

static rd_update_facts facts_of(const rd_aggregate *a, const rd_intake *in, uint64_t staleness)
{
    const rd_training *t = &a->config->training;
    return (rd_update_facts){.samples = in->report.samples,
                             .steps = in->report.steps,
                             .loss = in->report.before.loss,
                             .learning_rate = learning_rate(t, in->round),
                             .momentum = (double)t->momentum,
                             .staleness = staleness,
                             .own_norm = a->own_norm};
}

/* What the update has to do with its weight: with RD_INTAKE_WHOLE once all of it is known. */
static rd_status add_weight(client_sums *sums, const rd_strategy *s, const rd_contribution *c, rd_error *err)
{
    sums->weight += c->weight;
    if (sums->weight > RD_EXACT_MAX_WEIGHT)
        return rd_fail(err, RD_ERR_RANGE, "a weight of %u would bring the round beyond 2^40 in all", c->weight);
    return s->kind->factor != NULL ? rd_exact_scalar_add(&sums->extra, c->extra, c->weight, err) : RD_OK;
}

/* What the client tells, into sums: all of it, or an error. */
static rd_status add_report(client_sums *sums, const rd_report *report, rd_error *err)
{
    rd_status status = RD_OK;
    sums->samples += report->samples;
    sums->updates++;
    if (report->samples < 1 || report->samples >= RD_EXACT_MAX_TERM_WEIGHT)
        RD_TRY(rd_fail(err, RD_ERR_RANGE, "an update of %llu samples: expected 1 to %u",
                       (unsigned long long)report->samples, RD_EXACT_MAX_TERM_WEIGHT - 1));
    if (sums->samples > RD_EXACT_MAX_WEIGHT)
        RD_TRY(rd_fail(err, RD_ERR_RANGE, "%llu samples would bring the round beyond 2^40 samples in all",
                       (unsigned long long)report->samples));
    if (!isnan(report->running_loss))
        RD_TRY(rd_exact_scalar_add(&sums->running_loss, report->running_loss, report->samples, err));
    RD_TRY(add_metrics(&sums->train_loss, &sums->train_accuracy, &report->before, err));
    RD_TRY(add_metrics(&sums->holdout_loss, &sums->holdout_accuracy, &report->holdout, err));
    RD_TRY(add_metrics(&sums->personal_loss, &sums->personal_accuracy, &report->personal, err));
cleanup:
    return status;
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

rd_status rd_aggregate_admit(rd_aggregate *a, const rd_arrival *arrival, rd_intake *out, rd_error *err)
{
    const rd_strategy *s = &a->config->strategy;
    rd_intake_kind kind = s->kind->intake;
    rd_status status = RD_OK;
    *out = (rd_intake){
        .report = *arrival->report, .round = arrival->round, .key = arrival->key, .largest = arrival->largest};
    rd_update_facts facts = facts_of(a, out, arrival->staleness);
    pthread_mutex_lock(&a->lock);
    client_sums sums = a->clients;
    RD_TRY(add_report(&sums, arrival->report, err));
    RD_TRY(rd_strategy_weigh(s, &facts, &out->contribution, err));
    if (rd_model_counts(a->model))
        out->contribution.weight = 1;
    RD_TRY(check_fit(s, &out->contribution, arrival->largest, err));
    if (kind == RD_INTAKE_STREAM)
        RD_TRY(add_weight(&sums, s, &out->contribution, err));
    if (kind == RD_INTAKE_ROWS)
        RD_TRY(reserve_row(a, err));
    if (kind != RD_INTAKE_STREAM) {
        out->row = take_vector(a);
        if (out->row == NULL)
            RD_TRY(rd_fail(err, RD_ERR_MEMORY, "no memory for an update of %zu parameters", a->n));
    }
    a->clients = sums;
    a->rows_due += kind == RD_INTAKE_ROWS;
cleanup:
    pthread_mutex_unlock(&a->lock);
    return status;
}

static void add_to_sum(rd_aggregate *a, size_t first, const float *values, size_t count, uint32_t weight)
{
    while (count > 0) {
        size_t stripe = first / STRIPE;
        size_t room = (stripe + 1) * STRIPE - first;
        size_t n = count < room ? count : room;
        pthread_mutex_lock(&a->stripes[stripe]);
        rd_exact_vector_add(&a->sum, first, values, n, weight);
        pthread_mutex_unlock(&a->stripes[stripe]);
        first += n;
        values += n;
        count -= n;
    }
}

static void add_scaled(rd_aggregate *a, size_t first, const float *values, size_t count, const rd_contribution *c)
{
    float block[BLOCK];
    if (c->weight == 0)
        return;
    if (c->scale == 1) {
        add_to_sum(a, first, values, count, c->weight);
        return;
    }
    for (size_t done = 0; done < count; done += BLOCK) {
        size_t n = count - done < BLOCK ? count - done : BLOCK;
        for (size_t i = 0; i < n; i++)
            block[i] = (float)((double)values[done + i] * c->scale);
        add_to_sum(a, first + done, block, n, c->weight);
    }
}

void rd_aggregate_fold(rd_aggregate *a, rd_intake *in, size_t first, const float *values, size_t count)
{
    if (in->row != NULL)
        memcpy(in->row + first, values, count * sizeof *values);
    else
        add_scaled(a, first, values, count, &in->contribution);
}

/* Norm of the update and its cosine with the server's own. */
static void look_at(const rd_aggregate *a, const float *values, rd_update_facts *facts)
{
    double squares = 0, product = 0;
    for (size_t i = 0; i < a->n; i++)
        squares += (double)values[i] * (double)values[i];
    for (size_t i = 0; i < a->n && a->own != NULL; i++)
        product += (double)values[i] * (double)a->own[i];
    facts->norm = sqrt(squares);
    facts->cosine = squares > 0 && a->own_norm > 0 ? product / (facts->norm * a->own_norm) : 0;
}

static void add_scalar(rd_exact_scalar *into, const rd_exact_scalar *from, int sign)
{
    into->sum += sign * from->sum;
    into->weight = sign > 0 ? into->weight + from->weight : into->weight - from->weight;
}

/* into += from, or -= with sign -1: these are integers, so what was added is taken off again exactly. */
static void add_sums(client_sums *into, const client_sums *from, int sign)
{
    into->samples = sign > 0 ? into->samples + from->samples : into->samples - from->samples;
    into->updates = sign > 0 ? into->updates + from->updates : into->updates - from->updates;
    into->weight = sign > 0 ? into->weight + from->weight : into->weight - from->weight;
    add_scalar(&into->running_loss, &from->running_loss, sign);
    add_scalar(&into->train_loss, &from->train_loss, sign);
    add_scalar(&into->train_accuracy, &from->train_accuracy, sign);
    add_scalar(&into->holdout_loss, &from->holdout_loss, sign);
    add_scalar(&into->holdout_accuracy, &from->holdout_accuracy, sign);
    add_scalar(&into->personal_loss, &from->personal_loss, sign);
    add_scalar(&into->personal_accuracy, &from->personal_accuracy, sign);
    add_scalar(&into->extra, &from->extra, sign);
}

/* A whole update: now that all of it is known, its weight is, too. What then cannot be used is as if it had never been
 * admitted. */
static rd_status weigh_whole(rd_aggregate *a, rd_intake *in, rd_error *err)
{
    const rd_strategy *s = &a->config->strategy;
    rd_update_facts facts = facts_of(a, in, 0);
    look_at(a, in->row, &facts);
    rd_status status = rd_strategy_weigh(s, &facts, &in->contribution, err);
    if (status == RD_OK)
        status = check_fit(s, &in->contribution, in->largest, err);
    pthread_mutex_lock(&a->lock);
    client_sums sums = a->clients;
    if (status == RD_OK)
        status = add_weight(&sums, s, &in->contribution, err);
    if (status == RD_OK) {
        a->clients = sums;
    } else {
        client_sums one = {0};
        rd_error ignored; /* it could be added the first time */
        (void)add_report(&one, &in->report, &ignored);
        add_sums(&a->clients, &one, -1);
    }
    pthread_mutex_unlock(&a->lock);
    if (status == RD_OK)
        add_scaled(a, 0, in->row, a->update_size, &in->contribution);
    return status;
}

rd_status rd_aggregate_complete(rd_aggregate *a, rd_intake *in, rd_error *err)
{
    rd_status status = RD_OK;
    if (in->row == NULL)
        return RD_OK;
    bool whole = a->config->strategy.kind->intake == RD_INTAKE_WHOLE;
    if (whole)
        status = weigh_whole(a, in, err);
    pthread_mutex_lock(&a->lock);
    if (whole)
        give_vector(a, in->row);
    else
        a->rows[a->row_count++] = (row){in->row, in->key, in->contribution.weight};
    pthread_mutex_unlock(&a->lock);
    in->row = NULL;
    return status;
}

rd_status rd_aggregate_set_own(rd_aggregate *a, const float *delta, rd_error *err)
{
    double squares = 0;
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

static rd_metrics mean_metrics(const rd_exact_scalar *loss, const rd_exact_scalar *accuracy)
{
    return (rd_metrics){
        .samples = loss->weight, .loss = rd_exact_scalar_mean(loss), .accuracy = rd_exact_scalar_mean(accuracy)};
}

static void clear(rd_aggregate *a)
{
    if (a->sum.count > 0)
        rd_exact_vector_clear(&a->sum);
    for (size_t i = 0; i < a->row_count; i++)
        give_vector(a, a->rows[i].values);
    a->row_count = a->rows_due = 0;
    memset(&a->clients, 0, sizeof a->clients);
}

rd_status rd_aggregate_finish(rd_aggregate *a, uint64_t round, bool changes, const rd_target *target,
                              rd_round_record *record, rd_error *err)
{
    const client_sums *c = &a->clients;
    rd_status status = RD_OK;
    record->samples = c->samples;
    record->running_loss = rd_exact_scalar_mean(&c->running_loss);
    record->train = mean_metrics(&c->train_loss, &c->train_accuracy);
    record->holdout = mean_metrics(&c->holdout_loss, &c->holdout_accuracy);
    record->personal = mean_metrics(&c->personal_loss, &c->personal_accuracy);
    record->update_norm = 0.0;
    if (changes)
        status = rd_aggregate_apply(a, learning_rate(&a->config->training, round), target, &record->update_norm, err);
    clear(a);
    return status;
}

/* ---- between processes ---- */

size_t rd_aggregate_totals_size(void)
{
    return sizeof(client_sums);
}

void rd_aggregate_get_totals(const rd_aggregate *a, void *bytes)
{
    memcpy(bytes, &a->clients, sizeof a->clients);
}

void rd_aggregate_add_totals(rd_aggregate *a, const void *bytes)
{
    client_sums other;
    memcpy(&other, bytes, sizeof other);
    add_sums(&a->clients, &other, 1);
}

size_t rd_aggregate_row_count(const rd_aggregate *a)
{
    return a->row_count;
}

void rd_aggregate_get_row(const rd_aggregate *a, size_t i, uint64_t *key, uint64_t *weight, float *values)
{
    *key = a->rows[i].key;
    *weight = a->rows[i].weight;
    memcpy(values, a->rows[i].values, a->n * sizeof *values);
}

rd_status rd_aggregate_add_row(rd_aggregate *a, uint64_t key, uint64_t weight, const float *values, rd_error *err)
{
    rd_status status = reserve_row(a, err);
    float *copy = status == RD_OK ? take_vector(a) : NULL;
    if (status == RD_OK && copy == NULL)
        status = rd_fail(err, RD_ERR_MEMORY, "no memory for an update of %zu parameters", a->n);
    if (status != RD_OK)
        return status;
    memcpy(copy, values, a->n * sizeof *values);
    a->rows[a->row_count++] = (row){copy, key, (uint32_t)weight};
    a->rows_due++;
    return RD_OK;
}
