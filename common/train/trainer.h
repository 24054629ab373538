/* trainer.h: the inside of rd_trainer, for the files of this module. */
#ifndef RONDO_TRAIN_TRAINER_H
#define RONDO_TRAIN_TRAINER_H

#include "model/counting.h"
#include "train/local_round.h"
#include "train/optimizer.h"

struct rd_trainer {
    const rd_model *model;
    rd_workspace *workspace; /* for the larger of: */
    size_t piece;            /* samples that go through at a time in training */
    size_t evaluation_batch; /* and in evaluation */
    float *vectors;      /* (vector_count, n) the gradient first; NULL where every step is made in place */
    size_t vector_count; /* rd_optimizer_vectors */
    uint32_t *rows;      /* (most_rows) row numbers of the client at work */
    size_t most_rows;
    uint32_t *pick; /* (evaluation_batch) */
    rd_sum *sums;   /* (rd_model_sum_count) for models that learn by counting; else NULL */
};

/* For models that learn by counting: the sums over rows t->rows[0..kept), to delta. */
rd_status rd_count_rows(rd_trainer *t, const rd_local_task *task, const rd_dataset *d, size_t kept,
                        const float *global, float *delta, rd_error *err) RD_MUST_CHECK;

/* Puts rows pick[0..B) of view into the workspace; at most as many as it has room for. */
void rd_trainer_load(rd_trainer *t, const rd_dataset *d, rd_rows view, const uint32_t *pick, size_t B);

#endif
