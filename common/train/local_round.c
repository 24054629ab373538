/* local_round.c: a client's part of a round (McMahan et al. 2017, algorithm 1, ClientUpdate).
 *
 *   deal      some rows are kept out, the same ones in every round; the others are for training
 *   evaluate  how good is the model that it got on both, if anyone asked
 *   train     epochs of mini-batches over the rows in a new order each time (train_rows.c)
 *   personal  how good is the client's own model; Ditto trains it apart
 *   delta     what training changed
 *
 * Training happens in the delta's own memory: the global parameters are copied there, trained, and taken off
 * again. So a client needs two vectors of the model's size, and a third where a step cannot be made in place
 * (momentum, or a batch too large to go through at once). Such a batch goes through in pieces whose
 * gradients are summed, so memory does not grow with it. */
#include <math.h>
#include <string.h>

#include "core/assert.h"
#include "core/random.h"
#include "train/trainer.h"

size_t rd_holdout_rows(double share, size_t rows)
{
    size_t held = (size_t)(share * (double)rows + 0.5);
    return held < rows ? held : rows - 1;
}

/* Fills t->rows with the client's row numbers: first those to train on, then those held out. */
static void deal_rows(rd_trainer *t, const rd_local_task *task, rd_rows rows, size_t held)
{
    for (size_t i = 0; i < rows.count; i++)
        t->rows[i] = rows.index != NULL ? rows.index[i] : (uint32_t)i;
    if (held > 0) {
        rd_random random = rd_random_stream(task->seed, RD_PURPOSE_HOLDOUT, 0, task->client_key);
        rd_random_shuffle(&random, t->rows, rows.count);
    }
}

/* ---- evaluate ---- */

static rd_status evaluate(rd_trainer *t, const float *parameters, rd_row_set set, const char *what, rd_metrics *out,
                          rd_error *err)
{
    rd_evaluation sums = {0};
    rd_status status = rd_evaluate(t, parameters, set, 0, set.rows.count, &sums, err);
    if (status != RD_OK)
        return rd_fail_context(err, status, "global model on the %s rows", what);
    *out = rd_evaluation_metrics(&sums, t->model);
    return RD_OK;
}

/* ---- delta ---- */

/* delta (n) -= global (n). Returns the Euclidean norm of what is left, summed in lanes that a compiler turns
 * into vectors and that are the same everywhere. */
static double subtract(float *restrict delta, const float *restrict global, size_t n)
{
    enum { LANES = 8 };
    double squares[LANES] = {0}, sum = 0;
    size_t whole = n - n % LANES;
    for (size_t i = 0; i < whole; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++) {
            delta[i + lane] -= global[i + lane];
            squares[lane] += (double)delta[i + lane] * (double)delta[i + lane];
        }
    for (size_t i = whole; i < n; i++) {
        delta[i] -= global[i];
        sum += (double)delta[i] * (double)delta[i];
    }
    for (size_t lane = 0; lane < LANES; lane++)
        sum += squares[lane];
    return sqrt(sum);
}

/* values (n that travel): the delta, or what else is to travel with it. */
static rd_status check_fit(const rd_model *m, const float *values, const char *whose, const rd_local_task *task,
                           double learning_rate, rd_error *err)
{
    size_t n = rd_model_tensors(m, RD_TENSORS_TRAVELLING).elements;
    size_t unfit = rd_exact_find_unfit(values, n);
    if (unfit == n)
        return RD_OK;
    const rd_tensor *tensor = rd_model_tensors(m, RD_TENSORS_TRAVELLING).tensors;
    while (unfit >= tensor->offset + tensor->count)
        tensor++;
    return rd_fail(err, RD_ERR_RANGE,
                   "round %llu, after epoch %u: training diverged at learning rate %g: element %zu of %s%s changed "
                   "by %g; a smaller training.learning_rate may help",
                   (unsigned long long)task->round, task->training->epochs, learning_rate, unfit - tensor->offset,
                   whose, tensor->name, (double)values[unfit]);
}

static rd_status check_task(const rd_trainer *t, const rd_training *training, size_t rows, rd_error *err)
{
    float scale, rate;
    size_t batch = training->batch_size == 0 || training->batch_size > rows ? rows : training->batch_size;
    if (rows == 0)
        return rd_fail(err, RD_ERR_DATA, "there is no sample to train on");
    if (rows > t->most_rows)
        return rd_fail(err, RD_ERR_INTERNAL, "a trainer for %zu samples was given %zu", t->most_rows, rows);
    bool in_place = batch <= t->piece && rd_optimizer_in_place(training, 0, &scale, &rate);
    if (!in_place && t->vector_count != rd_optimizer_vectors(training))
        return rd_fail(err, RD_ERR_INTERNAL, "a trainer was made for another optimizer or batch size");
    return RD_OK;
}

/* ---- what a client keeps ---- */

size_t rd_client_kept_size(const rd_model *m, const rd_strategy *strategy, const rd_personalisation *p)
{
    size_t travelling = rd_model_tensors(m, RD_TENSORS_TRAVELLING).elements,
           changing = rd_model_tensors(m, RD_TENSORS_CHANGING).elements;
    return rd_companions_count(strategy, RD_KEPT_CLIENT) * travelling + (changing - travelling) +
           (p != NULL && p->method == RD_PERSONAL_DITTO ? rd_model_parameter_count(m) : 0);
}

size_t rd_local_round_room(const rd_model *m, const rd_strategy *strategy)
{
    size_t all = rd_model_parameter_count(m), vectors = 1 + rd_companions_count(strategy, RD_GOES_UP),
           update = vectors * rd_model_tensors(m, RD_TENSORS_TRAVELLING).elements;
    return update > all ? update : all;
}

typedef struct kept_parts {
    float *companions[RD_COMPANIONS_MAX]; /* (travelling) the strategy's */
    float *local;                         /* (changing - travelling) */
    float *ditto;                         /* (all); NULL */
} kept_parts;

static kept_parts open_kept(const rd_model *m, const rd_local_task *task, const float *global)
{
    size_t travelling = rd_model_tensors(m, RD_TENSORS_TRAVELLING).elements,
           changing = rd_model_tensors(m, RD_TENSORS_CHANGING).elements,
           companions = rd_companions_count(task->strategy, RD_KEPT_CLIENT) * travelling;
    kept_parts k = {.local = task->kept};
    bool ditto = task->personalisation != NULL && task->personalisation->method == RD_PERSONAL_DITTO;
    rd_companions_place(task->strategy, RD_KEPT_CLIENT, task->kept, travelling, k.companions);
    if (companions > 0)
        k.local = task->kept + companions;
    if (ditto)
        k.ditto = k.local + (changing - travelling);
    if (!task->is_new)
        return k;
    if (companions > 0)
        memset(task->kept, 0, companions * sizeof *task->kept);
    if (changing > travelling)
        memcpy(k.local, global + travelling, (changing - travelling) * sizeof *k.local);
    if (ditto)
        memcpy(k.ditto, global, rd_model_parameter_count(m) * sizeof *k.ditto);
    return k;
}

/* ---- what the strategy does ---- */

/* Its vectors from element `first` on. update: the delta, and behind it what goes up; NULL: not yet trained. */
static rd_client_view view_of(const rd_local_task *task, const kept_parts *k, size_t n, float *update, size_t first,
                              size_t count)
{
    rd_client_view v = {.count = count, .delta = update != NULL ? update + first : NULL};
    rd_companions_place(task->strategy, RD_GOES_UP, update != NULL ? update + n : NULL, n, v.up);
    for (size_t i = 0; i < RD_COMPANIONS_MAX; i++) {
        v.down[i] = task->down[i] != NULL ? task->down[i] + first : NULL;
        v.kept[i] = k->companions[i] != NULL ? k->companions[i] + first : NULL;
        v.up[i] = v.up[i] != NULL ? v.up[i] + first : NULL;
    }
    return v;
}

/* What goes up beside the delta, and what the client keeps. Statistics are not the optimizer's: theirs is 0. */
static void finish_companions(const rd_local_training *s, const kept_parts *k, float *update)
{
    const rd_local_task *task = s->task;
    const rd_model *m = s->trainer->model;
    const rd_tensor_table table = rd_model_tensors(m, RD_TENSORS_TRAVELLING);
    const rd_tensor *tensors = table.tensors;
    const size_t n = table.elements;
    memset(update + n, 0, rd_companions_count(task->strategy, RD_GOES_UP) * n * sizeof *update);
    for (size_t j = 0; j < table.count; j++) {
        if (tensors[j].role != RD_TENSOR_TRAINED)
            continue;
        rd_client_view v = view_of(task, k, n, update, tensors[j].offset, tensors[j].count);
        v.steps = s->steps;
        v.learning_rate = s->learning_rate;
        task->strategy->kind->after(task->strategy, &v);
    }
}

static rd_status check_companions(const rd_local_training *s, const float *update, rd_error *err)
{
    size_t n = rd_model_tensors(s->trainer->model, RD_TENSORS_TRAVELLING).elements, at = n;
    rd_status status = RD_OK;
    for (size_t i = 0; i < RD_COMPANIONS_MAX && status == RD_OK; i++) {
        const rd_companion *c = &s->task->strategy->kind->companions[i];
        if ((c->where & RD_GOES_UP) == 0)
            continue;
        status = check_fit(s->trainer->model, update + at, c->prefix, s->task, s->learning_rate, err);
        at += n;
    }
    return status;
}

/* ---- the client's own model ---- */

static bool has_own_model(const rd_model *m, const rd_local_task *task)
{
    return rd_model_tensors(m, RD_TENSORS_CHANGING).elements > rd_model_tensors(m, RD_TENSORS_TRAVELLING).elements ||
           (task->personalisation != NULL && task->personalisation->method != RD_PERSONAL_NONE);
}

/* How gradients are corrected while s->parameters train: by the proximal term, which pulls to the anchor (all), and,
 * where `k` is given, by the strategy. Only what travels and is trained is corrected: a local tensor has no global
 * value to be near, and a statistic is not the optimizer's. */
static rd_status prepare_correction(rd_local_training *s, double proximal, const float *anchor, const kept_parts *k,
                                    rd_error *err)
{
    rd_trainer *t = s->trainer;
    const rd_strategy *strategy = s->task->strategy;
    rd_status status = RD_OK;
    const rd_tensor_table table = rd_model_tensors(t->model, RD_TENSORS_TRAVELLING);
    const rd_tensor *tensors = table.tensors;
    const size_t travelling = table.elements;
    bool corrects = k != NULL && strategy != NULL && strategy->kind->before != NULL;
    s->proximal = proximal;
    s->corrected = proximal > 0 || corrects;
    s->stepwise = proximal > 0 && rd_model_tensors(t->model, RD_TENSORS_CHANGING).elements > travelling;
    if (!s->corrected)
        return RD_OK;
    RD_TRY(rd_trainer_need_correction(t, err));
    if (s->stepwise)
        RD_TRY(rd_trainer_need_vectors(t, s->task->training, err));
    memset(t->correction, 0, travelling * sizeof *t->correction);
    for (size_t j = 0; j < table.count; j++) {
        size_t at = tensors[j].offset;
        if (tensors[j].role != RD_TENSOR_TRAINED)
            continue;
        if (corrects) {
            rd_client_view v = view_of(s->task, k, travelling, NULL, at, tensors[j].count);
            strategy->kind->before(strategy, &v, t->correction + at);
        }
        for (size_t i = at; i < at + tensors[j].count; i++)
            t->correction[i] = (float)proximal * anchor[i] + t->correction[i];
    }
cleanup:
    return status;
}

static void forget_optimizer(rd_trainer *t)
{
    size_t changing = rd_model_tensors(t->model, RD_TENSORS_CHANGING).elements;
    if (t->vectors != NULL)
        memset(t->vectors, 0, t->vector_count * changing * sizeof *t->vectors);
}

/* Ditto's v, pulled towards the global model. */
static rd_status train_ditto(const rd_local_training *global_training, const kept_parts *k, const float *global,
                             size_t trained, rd_error *err)
{
    rd_local_training s = *global_training;
    const rd_local_task *task = s.task;
    double loss;
    s.epochs = task->personalisation->epochs;
    s.parameters = k->ditto;
    s.start = NULL;
    s.steps = 0;
    s.shuffle = rd_random_stream(task->seed, RD_PURPOSE_PERSONAL, task->round, task->client_key);
    rd_status status = prepare_correction(&s, task->personalisation->lambda, global, NULL, err);
    if (status != RD_OK)
        return status;
    forget_optimizer(s.trainer);
    return rd_train_rows(&s, trained, &loss, err);
}

/* ---- the global model ---- */

static rd_status train_both(rd_local_training *s, const kept_parts *k, const float *global, size_t trained,
                            rd_rows held, rd_report *report, rd_error *err)
{
    rd_trainer *t = s->trainer;
    const rd_local_task *task = s->task;
    size_t travelling = rd_model_tensors(t->model, RD_TENSORS_TRAVELLING).elements,
           changing = rd_model_tensors(t->model, RD_TENSORS_CHANGING).elements;
    rd_status status = RD_OK;
    RD_TRY(prepare_correction(s, rd_strategy_proximal(task->strategy), global, k, err));
    forget_optimizer(t);
    RD_TRY(rd_train_rows(s, trained, &report->running_loss, err));
    report->steps = s->steps;
    if (k->ditto != NULL)
        RD_TRY(train_ditto(s, k, global, trained, err));
    if (held.count > 0 && has_own_model(t->model, task))
        RD_TRY(evaluate(t, k->ditto != NULL ? k->ditto : s->parameters, (rd_row_set){s->data, held}, "hold-out",
                        &report->personal, err));
    if (changing > travelling)
        memcpy(k->local, s->parameters + travelling, (changing - travelling) * sizeof *k->local);
cleanup:
    return status;
}

/* ---- the round ---- */

/* The rows of this round are the first of t->rows: how many of `all`. */
static size_t choose_rows(rd_trainer *t, const rd_local_task *task, const rd_dataset *d, size_t all)
{
    if (task->continual == NULL || task->continual->task_count == 0)
        return all;
    return rd_continual_choose(task->continual, task->seed, task->round, task->client_key, d->labels, t->rows, all);
}

rd_status rd_local_round_run(rd_trainer *t, const rd_local_task *task, rd_row_set mine, const float *global,
                             float *update, rd_report *report, rd_error *err)
{
    const rd_training *training = task->training;
    rd_local_training s = {.trainer = t,
                           .task = task,
                           .data = mine.data,
                           .learning_rate =
                               (double)training->learning_rate * rd_schedule_factor(&training->schedule, task->round),
                           .epochs = task->epochs > 0 ? task->epochs : training->epochs,
                           .parameters = update,
                           .start = global,
                           .shuffle = rd_random_stream(task->seed, RD_PURPOSE_SHUFFLE, task->round, task->client_key),
                           .dropout = rd_random_stream(task->seed, RD_PURPOSE_DROPOUT, task->round, task->client_key)};
    size_t travelling = rd_model_tensors(t->model, RD_TENSORS_TRAVELLING).elements,
           changing = rd_model_tensors(t->model, RD_TENSORS_CHANGING).elements;
    RD_ASSERT(update + rd_local_round_room(t->model, task->strategy) <= global ||
              global + rd_model_parameter_count(t->model) <= update);
    memset(report, 0, sizeof *report);
    rd_status status = check_task(t, training, mine.rows.count, err);
    if (status != RD_OK)
        return status;

    size_t held = rd_holdout_rows(task->evaluation->holdout, mine.rows.count), trained = mine.rows.count - held;
    deal_rows(t, task, mine.rows, held);
    kept_parts k = open_kept(t->model, task, global);
    memcpy(update, global, rd_model_parameter_count(t->model) * sizeof *update);
    if (changing > travelling)
        memcpy(update + travelling, k.local, (changing - travelling) * sizeof *update);
    rd_rows held_rows = {t->rows + trained, held};
    trained = choose_rows(t, task, mine.data, trained);
    if (trained == 0)
        return RD_OK;
    if (task->evaluation->train_loss)
        RD_TRY(evaluate(t, update, (rd_row_set){mine.data, {t->rows, trained}}, "training", &report->before, err));
    if (held > 0)
        RD_TRY(evaluate(t, update, (rd_row_set){mine.data, held_rows}, "hold-out", &report->holdout, err));

    report->samples = trained;
    if (rd_model_counts(t->model)) {
        report->running_loss = NAN;
        status = rd_count_rows(t, task, mine.data, trained, global, update, err);
        goto cleanup;
    }
    RD_TRY(train_both(&s, &k, global, trained, held_rows, report, err));
    report->delta_norm = subtract(update, global, travelling);
    RD_TRY(check_fit(t->model, update, "", task, s.learning_rate, err));
    if (task->strategy != NULL && task->strategy->kind->after != NULL) {
        finish_companions(&s, &k, update);
        RD_TRY(check_companions(&s, update, err));
    }
cleanup:
    return status;
}
