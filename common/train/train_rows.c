/* train_rows.c: epochs of mini-batches over a client's rows, in place. Every choice follows from the task and the rows
 * alone, never from the trainer's size or past: the same client computes the same bits in a simulation and on its own
 * machine. */
#include <fnmatch.h>
#include <math.h>

#include "core/random.h"
#include "train/trainer.h"

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
    double squares = 0;
    const rd_tensor_table table = rd_model_tensors(t->model, RD_TENSORS_CHANGING);
    for (size_t k = 0; k < table.count; k++) {
        const float *g = t->vectors + table.tensors[k].offset;
        for (size_t i = 0; i < table.tensors[k].count && table.tensors[k].role == RD_TENSOR_TRAINED; i++)
            squares += (double)g[i] * (double)g[i];
    }
    double factor = (double)most / (sqrt(squares) + 1e-6);
    return factor < 1 ? (float)factor : 1.0f;
}

/* A step with the gradient that was collected: tensor by tensor, because statistics are not the optimizer's.
 */
static void make_step(rd_local_training *s)
{
    rd_trainer *t = s->trainer;
    const rd_optimizer *o = &rd_optimizers[s->task->training->optimizer];
    size_t n = rd_model_tensors(t->model, RD_TENSORS_CHANGING).elements,
           travelling = rd_model_tensors(t->model, RD_TENSORS_TRAVELLING).elements;
    const rd_tensor_table table = rd_model_tensors(t->model, RD_TENSORS_CHANGING);
    float factor = s->task->training->clip_norm > 0.0f ? clip_factor(t, s->task->training->clip_norm) : 1.0f;
    for (size_t k = 0; k < table.count; k++) {
        size_t at = table.tensors[k].offset;
        if (table.tensors[k].role != RD_TENSOR_TRAINED)
            continue;
        for (size_t i = at; i < at + table.tensors[k].count && factor < 1.0f; i++)
            t->vectors[i] *= factor;
        for (size_t i = at; i < at + table.tensors[k].count && i < travelling && s->corrected; i++)
            t->vectors[i] += (float)s->proximal * s->parameters[i] - t->correction[i];
        rd_step step = {
            s->task->training,
            s->learning_rate,
            s->steps,
            decay_of(s->task->training, &table.tensors[k]),
            table.tensors[k].count,
            s->parameters + at,
            t->vectors + at,
            {t->vector_count > 1 ? t->vectors + n + at : NULL, t->vector_count > 2 ? t->vectors + 2 * n + at : NULL}};
        o->step(&step);
    }
}

/* The part of a step made in place that is not the gradient's: its scale has shrunk the parameters by rate * mu, here
 * comes the correction. */
static void apply_correction(const rd_local_training *s)
{
    const float *correction = s->trainer->correction, rate = (float)s->learning_rate;
    size_t n = rd_model_tensors(s->trainer->model, RD_TENSORS_TRAVELLING).elements;
    for (size_t i = 0; i < n && s->corrected; i++)
        s->parameters[i] += rate * correction[i];
}

/* What was pruned stays so. */
static void restore_zeros(const rd_local_training *s)
{
    const uint8_t *mask = s->task->packing != NULL ? s->task->packing->mask : NULL;
    for (size_t i = 0; mask != NULL && i < s->task->packing->all; i++)
        s->parameters[i] = mask[i] != 0 ? s->parameters[i] : 0.0f;
}

static void load(rd_local_training *s, rd_rows all, const uint32_t *rows, size_t B)
{
    rd_workspace *w = s->trainer->workspace;
    rd_trainer_load(s->trainer, s->data, all, rows, B);
    if (s->task->poison != NULL)
        s->task->poison(s->task->poison_user, rd_workspace_x(w), rd_workspace_labels(w), B);
}

/* One step on the B rows at `rows`. Returns the sum of their losses, before the step. */
static double train_batch(rd_local_training *s, const uint32_t *rows, size_t B)
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
    s->steps++;
    if (B <= t->piece && !s->stepwise &&
        rd_optimizer_in_place(s->task->training, s->learning_rate, &call.scale, &call.rate)) {
        if (s->corrected)
            call.scale -= (float)(s->learning_rate * s->proximal);
        load(s, all, rows, B);
        call.into = s->parameters;
        call.B = B;
        call.share = 1;
        rd_model_backward(t->model, &call, t->workspace, &result);
        apply_correction(s);
        restore_zeros(s);
        return result.loss_sum;
    }
    double loss = 0;
    call.into = t->vectors;
    call.rate = 1;
    for (size_t done = 0; done < B;) {
        size_t piece = B - done < t->piece ? B - done : t->piece;
        load(s, all, rows + done, piece);
        call.scale = done == 0 ? 0.0f : 1.0f;
        call.B = piece;
        call.share = (float)piece / (float)B;
        rd_model_backward(t->model, &call, t->workspace, &result);
        loss += result.loss_sum;
        done += piece;
    }
    make_step(s);
    restore_zeros(s);
    return loss;
}

/* The loss was beyond numbers before the first step: no learning rate has a part in it. */
static rd_status was_lost(const rd_local_training *s, size_t B, double loss, rd_error *err)
{
    const rd_trainer *t = s->trainer;
    rd_status status = rd_fail_unfit_loss(t, s->start, B < t->piece ? B : t->piece, loss, err);
    return rd_fail_context(err, status, "round %llu: the model as it came, on this client's rows",
                           (unsigned long long)s->task->round);
}

rd_status rd_train_rows(rd_local_training *s, size_t rows, double *running_loss, rd_error *err)
{
    rd_trainer *t = s->trainer;
    const rd_training *training = s->task->training;
    size_t batch = training->batch_size == 0 ? rows : training->batch_size;
    for (uint32_t epoch = 1; epoch <= s->epochs; epoch++) {
        double loss = 0;
        s->predictions = 0;
        rd_random_shuffle(&s->shuffle, t->rows, rows);
        for (size_t done = 0; done < rows; done += batch) {
            if (s->task->stop != NULL && s->task->stop(s->task->stop_user))
                return rd_fail(err, RD_ERR_STATE, "round %llu: training was stopped in epoch %u",
                               (unsigned long long)s->task->round, epoch);
            loss += train_batch(s, t->rows + done, rows - done < batch ? rows - done : batch);
            if (!isfinite(loss) && s->steps <= 1 && s->start != NULL)
                return was_lost(s, batch < rows ? batch : rows, loss, err);
            if (!isfinite(loss))
                return rd_fail(err, RD_ERR_RANGE,
                               "round %llu, epoch %u: training diverged at learning rate %g: the loss is not "
                               "finite; a smaller training.learning_rate may help",
                               (unsigned long long)s->task->round, epoch, s->learning_rate);
        }
        *running_loss = s->predictions > 0 ? loss / (double)s->predictions : NAN;
    }
    return RD_OK;
}
