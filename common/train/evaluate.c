/* evaluate.c: loss and accuracy of given parameters on some rows.
 *
 * Rows go through in batches that start at multiples of rd_evaluation_batch, each batch's mean loss enters an
 * exact sum with the number of its predictions as its weight, and exact sums do not depend on order. So
 * threads may share an evaluation in any way that keeps to those multiples and find the same bits. */
#include <math.h>

#include "core/assert.h"
#include "train/trainer.h"

rd_status rd_evaluate(rd_trainer *t, const float *parameters, rd_row_set set, size_t first, size_t count,
                      rd_evaluation *sums, rd_error *err)
{
    RD_ASSERT(first % t->evaluation_batch == 0);
    for (size_t done = 0; done < count;) {
        size_t B = count - done < t->evaluation_batch ? count - done : t->evaluation_batch;
        rd_batch_result result;
        for (size_t i = 0; i < B; i++)
            t->pick[i] = (uint32_t)(first + done + i);
        rd_trainer_load(t, set.data, set.rows, t->pick, B);
        const float *y = rd_model_forward(t->model, parameters, t->workspace, B, &result);
        double loss = result.predictions > 0 ? result.loss_sum / (double)result.predictions : 0;
        rd_status status = rd_exact_scalar_add(&sums->loss, loss, result.predictions, err);
        if (status != RD_OK) {
            status = rd_fail_unfit_loss(t, parameters, B, loss, err);
            return rd_fail_context(err, status, "samples %zu to %zu", first + done, first + done + B - 1);
        }
        sums->correct += result.correct;
        const rd_predictions p = {.rows = B * rd_model_predictions(t->model),
                                  .O = rd_model_output_size(t->model),
                                  .y = y,
                                  .labels = rd_workspace_labels(t->workspace),
                                  .targets = rd_workspace_targets(t->workspace)};
        if (sums->scores.wanted != 0)
            status = rd_score_add(&sums->scores, t->model, &p, first + done, err);
        if (status != RD_OK)
            return status;
        done += B;
    }
    return RD_OK;
}

void rd_evaluation_merge(rd_evaluation *into, const rd_evaluation *from)
{
    into->loss.sum += from->loss.sum;
    into->loss.weight += from->loss.weight;
    into->correct += from->correct;
    rd_score_merge(&into->scores, &from->scores);
}

rd_metrics rd_evaluation_metrics(const rd_evaluation *e, const rd_model *m)
{
    rd_metrics metrics = {.samples = e->loss.weight};
    if (metrics.samples == 0)
        return metrics;
    metrics.loss = rd_exact_scalar_mean(&e->loss);
    metrics.accuracy = rd_model_classifies(m) ? (double)e->correct / (double)metrics.samples : NAN;
    return metrics;
}
