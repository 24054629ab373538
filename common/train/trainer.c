#include "train/trainer.h"

#include <stdlib.h>
#include <unistd.h>

/* Rondo runs a client per thread, so a matrix product must not start threads of its own. OpenBLAS is told so;
 * other CBLAS libraries do not have the function. */
extern void openblas_set_num_threads(int threads) __attribute__((weak));

#define EVALUATION_BYTES ((size_t)32 << 20)
#define TRAINING_BYTES ((size_t)256 << 20)
#define MOST_AT_A_TIME 256u

size_t rd_evaluation_batch(const rd_model *m)
{
    size_t batch = MOST_AT_A_TIME;
    while (batch > 1 && rd_workspace_bytes(m, batch) > EVALUATION_BYTES)
        batch /= 2;
    return batch;
}

/* Samples that go through at a time in training: all of a mini-batch if that can be. Follows from the model
 * and the batch size alone, never from the machine, because it decides the order of sums. */
static size_t training_piece(const rd_model *m, const rd_training *t)
{
    bool fits =
        t->batch_size > 0 && t->batch_size <= MOST_AT_A_TIME && rd_workspace_bytes(m, t->batch_size) <= TRAINING_BYTES;
    return fits ? t->batch_size : rd_evaluation_batch(m);
}

typedef struct needs {
    size_t piece, evaluation_batch, most; /* samples: in training, in evaluation, the larger of them */
    size_t vectors;                       /* 0: every step can be made in place */
} needs;

static needs needs_of(const rd_model *m, const rd_training *t, size_t most_rows)
{
    float scale, rate;
    needs n = {.piece = training_piece(m, t), .evaluation_batch = rd_evaluation_batch(m)};
    size_t largest_batch = t->batch_size == 0 || t->batch_size > most_rows ? most_rows : t->batch_size;
    n.most = n.piece > n.evaluation_batch ? n.piece : n.evaluation_batch;
    if (largest_batch > n.piece || !rd_optimizer_in_place(t, 0, &scale, &rate))
        n.vectors = rd_optimizer_vectors(t);
    return n;
}

rd_status rd_trainer_check_memory(const rd_model *m, const rd_training *training, size_t most_rows, unsigned trainers,
                                  rd_error *err)
{
    needs n = needs_of(m, training, most_rows);
    double have = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    double vectors = (double)rd_model_parameter_count(m) * sizeof(float) +
                     (double)n.vectors * (double)rd_model_tensors(m, RD_TENSORS_CHANGING).elements * sizeof(float);
    double need = (double)trainers * ((double)rd_workspace_bytes(m, n.most) + vectors);
    if (need <= have)
        return RD_OK;
    size_t largest = 0;
    for (size_t i = 1; i < rd_model_layer_count(m); i++)
        if (rd_model_layer_info(m, i).activation_bytes > rd_model_layer_info(m, largest).activation_bytes)
            largest = i;
    rd_layer_info info = rd_model_layer_info(m, largest);
    char in[RD_SHAPE_TEXT_MAX], out[RD_SHAPE_TEXT_MAX];
    rd_shape_text(&info.in, in);
    rd_shape_text(&info.out, out);
    return rd_fail(err, RD_ERR_MEMORY,
                   "training this model needs %.1f GB for %u thread%s, but this machine has %.1f GB; the "
                   "largest layer is '%s' "
                   "from %s to %s, %.1f MB a sample",
                   need / 1e9, trainers, trainers == 1 ? "" : "s", have / 1e9, info.name, in, out,
                   (double)info.activation_bytes / 1e6);
}

rd_status rd_trainer_create(const rd_model *m, const rd_training *training, size_t most_rows, rd_trainer **out,
                            rd_error *err)
{
    rd_status status = RD_OK;
    rd_trainer *t = calloc(1, sizeof *t);
    if (t == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for a trainer");
    if (openblas_set_num_threads != NULL)
        openblas_set_num_threads(1);
    t->model = m;
    t->most_rows = most_rows;
    needs n = needs_of(m, training, most_rows);
    t->evaluation_batch = n.evaluation_batch;
    t->piece = n.piece;
    RD_TRY(rd_trainer_check_memory(m, training, most_rows, 1, err));
    t->rows = malloc((most_rows > 0 ? most_rows : 1) * sizeof *t->rows);
    t->pick = malloc(t->evaluation_batch * sizeof *t->pick);
    if (t->rows == NULL || t->pick == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory to shuffle %zu rows", most_rows);
    if (n.vectors > 0) {
        t->vector_count = n.vectors;
        t->vectors = calloc(rd_model_tensors(m, RD_TENSORS_CHANGING).elements, n.vectors * sizeof *t->vectors);
        if (t->vectors == NULL)
            RD_THROW(RD_ERR_MEMORY, "no memory for the gradient of %zu parameters", rd_model_parameter_count(m));
    }
    if (rd_model_counts(m)) {
        t->sums = calloc(rd_model_sum_count(m), sizeof *t->sums);
        if (t->sums == NULL)
            RD_THROW(RD_ERR_MEMORY, "no memory for %zu sums", rd_model_sum_count(m));
    }
    RD_TRY(rd_workspace_create(m, n.most, &t->workspace, err));
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
    free(t->correction);
    free(t->rows);
    free(t->pick);
    free(t->sums);
    free(t);
}

rd_status rd_trainer_need_correction(rd_trainer *t, rd_error *err)
{
    size_t n = rd_model_tensors(t->model, RD_TENSORS_TRAVELLING).elements;
    if (t->correction == NULL)
        t->correction = malloc((n + 1) * sizeof *t->correction);
    return t->correction != NULL ? RD_OK : rd_fail(err, RD_ERR_MEMORY, "no memory for %zu parameters", n);
}

rd_status rd_trainer_need_vectors(rd_trainer *t, const rd_training *training, rd_error *err)
{
    size_t n = rd_model_tensors(t->model, RD_TENSORS_CHANGING).elements, vectors = rd_optimizer_vectors(training);
    if (t->vectors != NULL)
        return RD_OK;
    t->vectors = malloc((vectors * n + 1) * sizeof *t->vectors);
    t->vector_count = vectors;
    return t->vectors != NULL ? RD_OK
                              : rd_fail(err, RD_ERR_MEMORY, "no memory for %zu times %zu parameters", vectors, n);
}

void rd_trainer_load(rd_trainer *t, const rd_dataset *d, rd_rows view, const uint32_t *pick, size_t B)
{
    rd_dataset_gather(d, view, pick, B, rd_workspace_x(t->workspace), rd_workspace_labels(t->workspace),
                      rd_workspace_targets(t->workspace));
}
