/* count.c: a client's part of a round where the model learns by counting. */
#include <string.h>

#include "core/random.h"
#include "train/trainer.h"

/* The rows that a k-means client begins with, moved to the front of t->rows. */
static rd_status pick_start(rd_trainer *t, const rd_local_task *task, size_t trained, size_t wanted, rd_error *err)
{
    rd_random random = rd_random_stream(task->seed, RD_PURPOSE_SHUFFLE, task->round, task->client_key);
    if (trained < wanted)
        return rd_fail(err, RD_ERR_DATA, "%zu samples are too few to begin %zu clusters with", trained, wanted);
    rd_random_shuffle(&random, t->rows, trained);
    return RD_OK;
}

rd_status rd_count_rows(rd_trainer *t, const rd_local_task *task, const rd_dataset *d, size_t trained,
                        const float *global, float *delta, rd_error *err)
{
    rd_rows all = rd_dataset_all_rows(d);
    size_t start = rd_model_start_rows(t->model), batch = t->evaluation_batch;
    bool begins = start > 0 && !rd_model_has_counted(t->model, global);
    rd_status status = begins ? pick_start(t, task, trained, start, err) : RD_OK;
    if (status == RD_OK && begins && start > batch)
        status = rd_fail(err, RD_ERR_CONFIG, "%zu clusters are more than fit into a batch of %zu", start, batch);
    if (status != RD_OK)
        return status;
    memset(t->sums, 0, rd_model_sum_count(t->model) * sizeof *t->sums);
    if (begins) {
        rd_trainer_load(t, d, all, t->rows, start);
        rd_model_count_start(t->model, rd_workspace_x(t->workspace), start, t->sums);
    }
    for (size_t done = 0; done < trained && !begins; done += batch) {
        size_t B = trained - done < batch ? trained - done : batch;
        rd_trainer_load(t, d, all, t->rows + done, B);
        rd_model_count(t->model, global, rd_workspace_x(t->workspace), rd_workspace_labels(t->workspace), B, t->sums);
    }
    return rd_model_write_sums(t->model, t->sums, delta, err);
}
