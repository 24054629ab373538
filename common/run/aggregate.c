/* aggregate.c: see aggregate.h. */
#include "run/aggregate.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "model/counting.h"
#include "model/twin.h"
#include "train/schedule.h"

#define STRIPE 16384 /* parameters under one lock: 256 KB of the sum, a tenth of a millisecond of folding */
#define BLOCK 512    /* elements that are averaged at a time: they stay in the first-level cache */

/* What the clients of a round have reported, weighted by samples, and what they count. */
typedef struct client_sums {
    uint64_t samples, updates, weight;
    rd_exact_scalar running_loss;
    rd_exact_scalar train_loss, train_accuracy;
    rd_exact_scalar holdout_loss, holdout_accuracy;
    rd_exact_scalar personal_loss, personal_accuracy;
    rd_exact_scalar effort;
} client_sums;

/* An update that was collected. */
typedef struct row {
    float *values; /* (n) */
    uint64_t key;
    uint32_t weight;
} row;

struct rd_aggregate {
    const rd_config *config;
    const rd_model *model;
    size_t n, update_size;
    rd_exact_vector sum;      /* (update_size); none with RD_INTAKE_ROWS */
    pthread_mutex_t *stripes; /* (stripe_count) */
    size_t stripe_count;

    pthread_mutex_t lock; /* guards what follows */
    client_sums clients;
    row *rows;                                /* (row_count) RD_INTAKE_ROWS: those of this round */
    size_t row_count, row_capacity, rows_due; /* that are there, that there is room for, that were admitted */
    float **spare;                            /* (spare_count) vectors of n for updates to come */
    size_t spare_count, spare_capacity;

    float *root; /* (n) the server's own delta; fltrust */
    double root_norm;
    rd_model *memory_plan; /* NULL: the server remembers nothing */
    float *memory;         /* m, v, c as far as the strategy has them */
    rd_server_memory server;
    float *control; /* (n) c, in memory */
};

/* ---- making ---- */

static rd_status make_memory(rd_aggregate *a, rd_error *err)
{
    const rd_strategy *s = &a->config->strategy;
    static const char *const names[] = {"m", "v"};
    size_t vectors = rd_server_vectors(s);
    bool controls = s->kind == RD_SCAFFOLD;
    if (vectors == 0 && !controls)
        return RD_OK;
    rd_status status = rd_vectors_plan(controls ? (const char *const[]){"c"} : names, controls ? 1 : vectors,
                                       a->n, &a->memory_plan, err);
    if (status != RD_OK)
        return status;
    a->memory = calloc((controls ? 1 : vectors) * a->n + 1, sizeof *a->memory);
    if (a->memory == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for what strategy %s remembers of %zu parameters",
                       rd_strategy_names[s->kind], a->n);
    if (controls)
        a->control = a->memory;
    else
        a->server = (rd_server_memory){a->memory, vectors > 1 ? a->memory + a->n : NULL};
    rd_server_memory_start(s, a->n, &a->server);
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
    a->n = rd_model_set_size(m, RD_TENSORS_SHARED);
    a->update_size = config->strategy.kind == RD_SCAFFOLD ? 2 * a->n : a->n;
    pthread_mutex_init(&a->lock, NULL);
    if (rd_strategy_intake(&config->strategy) != RD_INTAKE_ROWS) {
        size_t stripes = a->update_size / STRIPE + 1;
        a->stripes = calloc(stripes, sizeof *a->stripes);
        if (a->stripes == NULL)
            RD_TRY(rd_fail(err, RD_ERR_MEMORY, "no memory for a sum of %zu parameters", a->update_size));
        for (a->stripe_count = 0; a->stripe_count < stripes; a->stripe_count++)
            pthread_mutex_init(&a->stripes[a->stripe_count], NULL);
        RD_TRY(rd_exact_vector_create(a->update_size, &a->sum, err));
    }
    if (config->strategy.kind == RD_FLTRUST) {
        a->root = calloc(a->n + 1, sizeof *a->root);
        if (a->root == NULL)
            RD_TRY(
                rd_fail(err, RD_ERR_MEMORY, "no memory for the server's own delta of %zu parameters", a->n));
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
    free(a->root);
    free(a->memory);
    rd_model_free(a->memory_plan);
    free(a);
}

size_t rd_aggregate_update_size(const rd_aggregate *a)
{
    return a->update_size;
}

const rd_model *rd_aggregate_memory_plan(const rd_aggregate *a)
{
    return a->memory_plan;
}

float *rd_aggregate_memory(rd_aggregate *a)
{
    return a->memory;
}

const float *rd_aggregate_control(const rd_aggregate *a)
{
    return a->control;
}

rd_exact_vector *rd_aggregate_sum(rd_aggregate *a)
{
    return &a->sum;
}

/* ---- vectors for updates that are collected ---- */

static float *take_vector(rd_aggregate *a)
{
    return a->spare_count > 0 ? a->spare[--a->spare_count] : malloc((a->n + 1) * sizeof(float));
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

/* Room for one more row, so that rd_aggregate_folded cannot fail. */
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
static rd_status add_metrics(rd_exact_scalar *loss, rd_exact_scalar *accuracy, const rd_metrics *m,
                             rd_error *err)
{
    if (m->samples == 0)
        return RD_OK;
    rd_status status = rd_exact_scalar_add(loss, m->loss, m->samples, err);
    if (status == RD_OK && !isnan(m->accuracy))
        status = rd_exact_scalar_add(accuracy, m->accuracy, m->samples, err);
    return status;
}

static double learning_rate_of(const rd_training *t, uint64_t round)
{
    return (double)t->learning_rate * rd_schedule_factor(&t->schedule, round);
}

static rd_update_facts facts_of(const rd_aggregate *a, const rd_intake *in, uint64_t staleness)
{
    const rd_training *t = &a->config->training;
    return (rd_update_facts){.samples = in->report.samples,
                             .steps = in->report.steps,
                             .loss = in->report.before.loss,
                             .learning_rate = learning_rate_of(t, in->round),
                             .momentum = (double)t->momentum,
                             .staleness = staleness,
                             .root_norm = a->root_norm};
}

rd_status rd_aggregate_admit(rd_aggregate *a, uint64_t client_key, uint64_t round, uint64_t staleness,
                             const rd_report *report, rd_intake *out, rd_error *err)
{
    const rd_strategy *s = &a->config->strategy;
    rd_intake_kind kind = rd_strategy_intake(s);
    rd_status status = RD_OK;
    *out = (rd_intake){.report = *report, .round = round, .key = client_key};
    rd_update_facts facts = facts_of(a, out, staleness);
    pthread_mutex_lock(&a->lock);
    client_sums sums = a->clients;
    sums.samples += report->samples;
    sums.updates++;
    if (sums.samples > RD_EXACT_MAX_WEIGHT)
        RD_TRY(rd_fail(err, RD_ERR_RANGE, "%llu samples would bring the round beyond 2^40 samples in all",
                       (unsigned long long)report->samples));
    RD_TRY(rd_strategy_weigh(s, &facts, &out->contribution, err));
    if (rd_model_counts(a->model))
        out->contribution.weight = 1;
    if (kind == RD_INTAKE_STREAM) {
        sums.weight += out->contribution.weight;
        if (s->kind == RD_FEDNOVA)
            RD_TRY(
                rd_exact_scalar_add(&sums.effort, out->contribution.effort, out->contribution.weight, err));
    }
    if (!isnan(report->running_loss))
        RD_TRY(rd_exact_scalar_add(&sums.running_loss, report->running_loss, report->samples, err));
    RD_TRY(add_metrics(&sums.train_loss, &sums.train_accuracy, &report->before, err));
    RD_TRY(add_metrics(&sums.holdout_loss, &sums.holdout_accuracy, &report->holdout, err));
    RD_TRY(add_metrics(&sums.personal_loss, &sums.personal_accuracy, &report->personal, err));
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

/* What is scaled up beyond the range of the sum stays at its end. */
static float within_range(float x)
{
    const float most = 8388607.0f;
    return x > most ? most : x < -most ? -most : x;
}

static void add_scaled(rd_aggregate *a, size_t first, const float *values, size_t count,
                       const rd_contribution *c)
{
    float block[BLOCK];
    if (c->weight == 0)
        return;
    if (c->scale == 1.0f) {
        add_to_sum(a, first, values, count, c->weight);
        return;
    }
    for (size_t done = 0; done < count; done += BLOCK) {
        size_t n = count - done < BLOCK ? count - done : BLOCK;
        for (size_t i = 0; i < n; i++)
            block[i] = within_range(values[done + i] * c->scale);
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
    for (size_t i = 0; i < a->n && a->root != NULL; i++)
        product += (double)values[i] * (double)a->root[i];
    facts->norm = sqrt(squares);
    facts->cosine = squares > 0 && a->root_norm > 0 ? product / (facts->norm * a->root_norm) : 0;
}

/* A whole update: now that all of it is known, its weight is, too. */
static void weigh_whole(rd_aggregate *a, rd_intake *in)
{
    rd_error ignored; /* it was admitted: what makes weighing fail is the same as then */
    rd_update_facts facts = facts_of(a, in, 0);
    look_at(a, in->row, &facts);
    if (rd_strategy_weigh(&a->config->strategy, &facts, &in->contribution, &ignored) != RD_OK)
        in->contribution = (rd_contribution){.weight = 0};
    add_scaled(a, 0, in->row, a->n, &in->contribution);
    pthread_mutex_lock(&a->lock);
    a->clients.weight += in->contribution.weight;
    if (in->contribution.effort > 0 &&
        rd_exact_scalar_add(&a->clients.effort, in->contribution.effort, 1, &ignored) != RD_OK)
        a->clients.effort = (rd_exact_scalar){0}; /* so large a sum stops the model: see rd_strategy_factor */
    give_vector(a, in->row);
    pthread_mutex_unlock(&a->lock);
    in->row = NULL;
}

void rd_aggregate_folded(rd_aggregate *a, rd_intake *in)
{
    if (in->row == NULL)
        return;
    if (rd_strategy_intake(&a->config->strategy) == RD_INTAKE_WHOLE) {
        weigh_whole(a, in);
        return;
    }
    pthread_mutex_lock(&a->lock);
    a->rows[a->row_count++] = (row){in->row, in->key, in->contribution.weight};
    pthread_mutex_unlock(&a->lock);
    in->row = NULL;
}

void rd_aggregate_set_root(rd_aggregate *a, const float *delta)
{
    double squares = 0;
    memcpy(a->root, delta, a->n * sizeof *delta);
    for (size_t i = 0; i < a->n; i++)
        squares += (double)delta[i] * (double)delta[i];
    a->root_norm = sqrt(squares);
}

/* ---- the server's step ---- */

static double step(rd_aggregate *a, const double *mean, size_t first, size_t count, rd_tensor_role role,
                   const rd_target *target)
{
    if (target->index == NULL && role == RD_TENSOR_TRAINED)
        return rd_server_step(&a->config->strategy, &a->server, mean, first, count, target->parameters);
    if (target->index == NULL)
        return rd_server_add(mean, count, target->parameters + first);
    double squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += rd_server_add(mean + i, 1, target->parameters + target->index[first + i]);
    return squares;
}

typedef struct source {
    const float *row; /* (n) a robust rule's result; NULL: the exact sum */
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
            rd_exact_vector_mean(&a->sum, first + done, n, from->weight, mean);
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
    size_t count;
    double squares = 0;
    const rd_tensor *t = rd_model_tensors(a->model, RD_TENSORS_SHARED, &count);
    if (target->index != NULL)
        return step_range(a, from, 0, target->count, RD_TENSOR_TRAINED, target);
    for (size_t i = 0; i < count; i++)
        squares += step_range(a, from, t[i].offset, t[i].count, t[i].role, target);
    return squares;
}

/* c += (sum of the changes) / N, with N all clients: of those that took part the mean is in the sum. */
static void move_control(rd_aggregate *a, size_t clients)
{
    double mean[BLOCK];
    double share = (double)a->clients.updates / (double)(clients > 0 ? clients : a->clients.updates);
    for (size_t done = 0; done < a->n; done += BLOCK) {
        size_t n = a->n - done < BLOCK ? a->n - done : BLOCK;
        rd_exact_vector_mean(&a->sum, a->n + done, n, a->clients.weight, mean);
        for (size_t i = 0; i < n; i++)
            a->control[done + i] = (float)((double)a->control[done + i] + share * mean[i]);
    }
}

static int by_key(const void *a, const void *b)
{
    const row *x = a, *y = b;
    return x->key < y->key ? -1 : x->key > y->key;
}

/* What the robust rule makes of the rows, in rising order of key, which no order of arrival can change. */
static rd_status agree(rd_aggregate *a, float *out, rd_error *err)
{
    rd_status status = RD_OK;
    const float **values = malloc(a->row_count * sizeof *values);
    uint32_t *weights = malloc(a->row_count * sizeof *weights);
    if (values == NULL || weights == NULL)
        RD_TRY(rd_fail(err, RD_ERR_MEMORY, "no memory for %zu updates", a->row_count));
    qsort(a->rows, a->row_count, sizeof *a->rows, by_key);
    for (size_t i = 0; i < a->row_count; i++) {
        values[i] = a->rows[i].values;
        weights[i] = a->rows[i].weight;
    }
    status = rd_robust_aggregate(&a->config->strategy.robust, values, weights, a->row_count, a->n, out, err);
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
    rd_exact_vector_mean(&a->sum, 0, a->n, 1, total);
    rd_status status = rd_model_conclude(a->model, total, target->parameters, err);
    free(total);
    return status;
}

static rd_status apply(rd_aggregate *a, uint64_t round, const rd_target *target, double *norm, rd_error *err)
{
    const rd_strategy *s = &a->config->strategy;
    const client_sums *c = &a->clients;
    double effort = rd_exact_scalar_mean(&c->effort);
    source from = {NULL, c->weight, 1};
    if (rd_model_counts(a->model))
        return conclude(a, target, err);
    if (rd_strategy_intake(s) == RD_INTAKE_ROWS) {
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
        return RD_OK; /* nobody is trusted: the model stays */
    from.factor =
        rd_strategy_factor(s, isnan(effort) ? 0 : effort, learning_rate_of(&a->config->training, round));
    *norm = sqrt(step_all(a, &from, target));
    if (a->control != NULL)
        move_control(a, target->known_clients);
    return RD_OK;
}

static rd_metrics mean_metrics(const rd_exact_scalar *loss, const rd_exact_scalar *accuracy)
{
    return (rd_metrics){.samples = loss->weight,
                        .loss = rd_exact_scalar_mean(loss),
                        .accuracy = rd_exact_scalar_mean(accuracy)};
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
        status = apply(a, round, target, &record->update_norm, err);
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

static void add_scalar(rd_exact_scalar *into, const rd_exact_scalar *from)
{
    into->sum += from->sum;
    into->weight += from->weight;
}

void rd_aggregate_add_totals(rd_aggregate *a, const void *bytes)
{
    client_sums other;
    memcpy(&other, bytes, sizeof other);
    a->clients.samples += other.samples;
    a->clients.updates += other.updates;
    a->clients.weight += other.weight;
    add_scalar(&a->clients.running_loss, &other.running_loss);
    add_scalar(&a->clients.train_loss, &other.train_loss);
    add_scalar(&a->clients.train_accuracy, &other.train_accuracy);
    add_scalar(&a->clients.holdout_loss, &other.holdout_loss);
    add_scalar(&a->clients.holdout_accuracy, &other.holdout_accuracy);
    add_scalar(&a->clients.personal_loss, &other.personal_loss);
    add_scalar(&a->clients.personal_accuracy, &other.personal_accuracy);
    add_scalar(&a->clients.effort, &other.effort);
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

rd_status rd_aggregate_add_row(rd_aggregate *a, uint64_t key, uint64_t weight, const float *values,
                               rd_error *err)
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
