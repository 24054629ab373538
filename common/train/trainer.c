#include "train/trainer.h"

#include <stdlib.h>

/* Rondo runs a client per thread, so a matrix product must not start threads of its own. OpenBLAS is told so;
 * other CBLAS libraries do not have the function. */
extern void openblas_set_num_threads(int threads) __attribute__((weak));

rd_status rd_trainer_create(const rd_model *m, const rd_training *training, size_t most_rows,
                            rd_trainer **out, rd_error *err)
{
    rd_status status = RD_OK;
    float scale, rate;
    rd_trainer *t = calloc(1, sizeof *t);
    if (t == NULL)
        RD_TRY(rd_fail(err, RD_ERR_MEMORY, "no memory for a trainer"));
    if (openblas_set_num_threads != NULL)
        openblas_set_num_threads(1);
    t->model = m;
    t->optimizer = &rd_sgd;
    t->most_rows = most_rows;
    t->rows = malloc((most_rows > 0 ? most_rows : 1) * sizeof *t->rows);
    if (t->rows == NULL)
        RD_TRY(rd_fail(err, RD_ERR_MEMORY, "no memory to shuffle %zu rows", most_rows));

    size_t largest_batch =
        training->batch_size == 0 || training->batch_size > most_rows ? most_rows : training->batch_size;
    if (largest_batch > RD_EVALUATION_BATCH || !t->optimizer->in_place(training, 0.0f, &scale, &rate)) {
        t->vectors = calloc(rd_model_parameter_count(m), t->optimizer->vectors * sizeof *t->vectors);
        if (t->vectors == NULL)
            RD_TRY(rd_fail(err, RD_ERR_MEMORY, "no memory for the gradient of %zu parameters",
                           rd_model_parameter_count(m)));
    }
    RD_TRY(rd_workspace_create(m, RD_EVALUATION_BATCH, &t->workspace, err));
    *out = t;
    t = NULL;
cleanup:
    rd_trainer_free(t);
    return status;
}

void rd_trainer_free(rd_trainer *t)
{
    if (t == NULL)
        return;
    rd_workspace_free(t->workspace);
    free(t->vectors);
    free(t->rows);
    free(t);
}

void rd_trainer_load(rd_trainer *t, const rd_dataset *d, rd_rows view, const uint32_t *pick, size_t B)
{
    rd_dataset_gather(d, view, pick, B, rd_workspace_x(t->workspace), rd_workspace_labels(t->workspace),
                      rd_workspace_targets(t->workspace));
}
