/* local_round.c: a client's part of a round (McMahan et al. 2017, algorithm 1, ClientUpdate).
 *
 *   deal    some rows are kept out, the same ones in every round; the others are for training
 *   look    how good is the global model on both, if anyone asked
 *   train   epochs of mini-batches over the rows in a new order each time
 *   delta   what training changed
 *
 * Training happens in the delta's own memory: the global parameters are copied there, trained, and taken off
 * again. So a client needs two vectors of the model's size, and a third where a step cannot be made in place
 * (momentum, or a batch too large to go through at once). Such a batch goes through in pieces whose
 * gradients are summed, so memory does not grow with it.
 *
 * Every choice here follows from the task and the client's rows alone, never from the trainer's size or past:
 * the same client computes the same bits in a simulation and on its own machine. */
#include <fnmatch.h>
#include <math.h>
#include <string.h>

#include "core/random.h"
#include "train/trainer.h"

/* Rows to keep out of training: the share, rounded to whole rows, but never the last one. */
static size_t holdout_rows(double share, size_t rows)
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

/* ---- look ---- */

static rd_status look(rd_trainer *t, const float *global, const rd_dataset *d, rd_rows rows, const char *what,
                      rd_metrics *out, rd_error *err)
{
    rd_evaluation sums = {0};
    rd_status status = rd_evaluate(t, global, d, rows, 0, rows.count, &sums, err);
    if (status != RD_OK) {
        (void)rd_fail_context(err, "global model on the %s rows", what);
        return status;
    }
    *out = rd_evaluation_metrics(&sums, t->model);
    return RD_OK;
}

/* ---- train ---- */

typedef struct session {
    rd_trainer *trainer;
    const rd_training *training;
    const rd_dataset *data;
    double learning_rate; /* of this round */
    uint64_t steps;       /* so far in this round */
    const rd_packing *packing;
    float *parameters; /* trained in place */
    rd_random dropout;
    size_t predictions; /* so far in this epoch */
} session;

/* Is weight decay for this tensor? */
static float decay_of(const rd_training *t, const rd_tensor *tensor)
{
    for (size_t i = 0; i < t->decay_skip_count; i++)
        if (fnmatch(t->decay_skips[i], tensor->name, 0) == 0)
            return 0.0f;
    return t->weight_decay;
}

/* The gradient's length over all that is trained, and what to multiply it with. */
static float clip_factor(const rd_trainer *t, float most)
{
    size_t count;
    double squares = 0;
    const rd_tensor *tensors = rd_model_tensors(t->model, RD_TENSORS_SHARED, &count);
    for (size_t k = 0; k < count; k++) {
        const float *g = t->vectors + tensors[k].offset;
        for (size_t i = 0; i < tensors[k].count && tensors[k].role == RD_TENSOR_TRAINED; i++)
            squares += (double)g[i] * (double)g[i];
    }
    double factor = (double)most / (sqrt(squares) + 1e-6);
    return factor < 1 ? (float)factor : 1.0f;
}

/* A step with the gradient that was collected: tensor by tensor, because statistics are not the optimizer's.
 */
static void make_step(session *s)
{
    rd_trainer *t = s->trainer;
    const rd_optimizer *o = &rd_optimizers[s->training->optimizer];
    size_t count, n = rd_model_set_size(t->model, RD_TENSORS_SHARED);
    const rd_tensor *tensors = rd_model_tensors(t->model, RD_TENSORS_SHARED, &count);
    float factor = s->training->clip_norm > 0.0f ? clip_factor(t, s->training->clip_norm) : 1.0f;
    s->steps++;
    for (size_t k = 0; k < count; k++) {
        size_t at = tensors[k].offset;
        if (tensors[k].role != RD_TENSOR_TRAINED)
            continue;
        for (size_t i = at; i < at + tensors[k].count && factor < 1.0f; i++)
            t->vectors[i] *= factor;
        rd_step step = {s->training,
                        s->learning_rate,
                        s->steps,
                        decay_of(s->training, &tensors[k]),
                        tensors[k].count,
                        s->parameters + at,
                        t->vectors + at,
                        {t->vector_count > 1 ? t->vectors + n + at : NULL,
                         t->vector_count > 2 ? t->vectors + 2 * n + at : NULL}};
        o->step(&step);
    }
}

/* What was pruned stays so. */
static void keep_pruned(const session *s)
{
    const uint8_t *mask = s->packing != NULL ? s->packing->mask : NULL;
    for (size_t i = 0; mask != NULL && i < s->packing->all; i++)
        s->parameters[i] = mask[i] != 0 ? s->parameters[i] : 0.0f;
}

/* One step on the B rows at `rows`. Returns the sum of their losses, before the step. */
static double train_batch(session *s, const uint32_t *rows, size_t B)
{
    rd_trainer *t = s->trainer;
    rd_rows all = rd_dataset_all_rows(s->data);
    rd_batch_result result;
    rd_gradient_call call = {.parameters = s->parameters,
                             .predictions = rd_dataset_count_labels(s->data, all, rows, B),
                             .random = &s->dropout};
    s->predictions += call.predictions;
    if (call.predictions == 0)
        return 0; /* nothing in this batch is to be predicted */
    if (B <= t->piece && rd_optimizer_in_place(s->training, s->learning_rate, &call.scale, &call.rate)) {
        rd_trainer_load(t, s->data, all, rows, B);
        call.into = s->parameters;
        call.B = B;
        call.share = 1;
        rd_model_backward(t->model, &call, t->workspace, &result);
        keep_pruned(s);
        return result.loss_sum;
    }
    double loss = 0;
    call.into = t->vectors;
    call.rate = 1;
    for (size_t done = 0; done < B;) {
        size_t piece = B - done < t->piece ? B - done : t->piece;
        rd_trainer_load(t, s->data, all, rows + done, piece);
        call.scale = done == 0 ? 0.0f : 1.0f;
        call.B = piece;
        call.share = (float)piece / (float)B;
        rd_model_backward(t->model, &call, t->workspace, &result);
        loss += result.loss_sum;
        done += piece;
    }
    make_step(s);
    keep_pruned(s);
    return loss;
}

static rd_status train(session *s, const rd_local_task *task, size_t rows, double *running_loss,
                       rd_error *err)
{
    rd_trainer *t = s->trainer;
    size_t batch = s->training->batch_size == 0 ? rows : s->training->batch_size;
    rd_random random = rd_random_stream(task->seed, RD_PURPOSE_SHUFFLE, task->round, task->client_key);
    for (uint32_t epoch = 1; epoch <= s->training->epochs; epoch++) {
        double loss = 0;
        s->predictions = 0;
        rd_random_shuffle(&random, t->rows, rows);
        for (size_t done = 0; done < rows; done += batch) {
            loss += train_batch(s, t->rows + done, rows - done < batch ? rows - done : batch);
            if (!isfinite(loss))
                return rd_fail(err, RD_ERR_RANGE,
                               "round %llu, epoch %u: training diverged at learning rate %g: the loss is not "
                               "finite; a smaller training.learning_rate may help",
                               (unsigned long long)task->round, epoch, s->learning_rate);
        }
        *running_loss = s->predictions > 0 ? loss / (double)s->predictions : NAN;
    }
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

static rd_status check_delta(const rd_model *m, const float *delta, const rd_local_task *task,
                             double learning_rate, rd_error *err)
{
    size_t n = rd_model_set_size(m, RD_TENSORS_SHARED), count;
    size_t unfit = rd_exact_find_unfit(delta, n);
    if (unfit == n)
        return RD_OK;
    const rd_tensor *tensor = rd_model_tensors(m, RD_TENSORS_SHARED, &count);
    while (unfit >= tensor->offset + tensor->count)
        tensor++;
    return rd_fail(
        err, RD_ERR_RANGE,
        "round %llu, after epoch %u: training diverged at learning rate %g: element %zu of %s changed "
        "by %g; a smaller training.learning_rate may help",
        (unsigned long long)task->round, task->training->epochs, learning_rate, unfit - tensor->offset,
        tensor->name, (double)delta[unfit]);
}

/* ---- the round ---- */

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

rd_status rd_local_round_run(rd_trainer *t, const rd_local_task *task, const rd_dataset *d, rd_rows rows,
                             const float *global, float *delta, rd_report *report, rd_error *err)
{
    const rd_training *training = task->training;
    session s = {.trainer = t,
                 .training = training,
                 .data = d,
                 .learning_rate =
                     (double)training->learning_rate * rd_schedule_factor(&training->schedule, task->round),
                 .parameters = delta,
                 .packing = task->packing,
                 .dropout = rd_random_stream(task->seed, RD_PURPOSE_DROPOUT, task->round, task->client_key)};
    size_t shared = rd_model_set_size(t->model, RD_TENSORS_SHARED), all = rd_model_parameter_count(t->model);
    memset(report, 0, sizeof *report);
    rd_status status = check_task(t, training, rows.count, err);
    if (status != RD_OK)
        return status;

    size_t held = holdout_rows(task->evaluation->holdout, rows.count), kept = rows.count - held;
    deal_rows(t, task, rows, held);
    if (task->continual != NULL && task->continual->task_count > 0) {
        size_t all_kept = kept;
        kept = rd_continual_choose(task->continual, task->seed, task->round, task->client_key, d->labels,
                                   t->rows, kept);
        if (kept == 0)
            return rd_fail(err, RD_ERR_DATA, "none of the %zu samples belongs to task %zu of this round",
                           all_kept, rd_continual_task(task->continual, task->round) + 1);
    }
    if (task->evaluation->train_loss)
        RD_TRY(look(t, global, d, (rd_rows){t->rows, kept}, "training", &report->before, err));
    if (held > 0)
        RD_TRY(look(t, global, d, (rd_rows){t->rows + (rows.count - held), held}, "hold-out",
                    &report->holdout, err));

    report->samples = kept;
    if (rd_model_counts(t->model)) {
        report->running_loss = NAN;
        status = rd_count_rows(t, task, d, kept, global, delta, err);
        goto cleanup;
    }
    memcpy(delta, global, all * sizeof *delta);
    if (t->vectors != NULL)
        memset(t->vectors, 0, t->vector_count * shared * sizeof *t->vectors);
    RD_TRY(train(&s, task, kept, &report->running_loss, err));
    report->delta_norm = subtract(delta, global, shared);
    status = check_delta(t->model, delta, task, s.learning_rate, err);
cleanup:
    return status;
}
