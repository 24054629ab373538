/* trainer.h: the inside of rd_trainer, for the files of this module. */
#ifndef RONDO_TRAIN_TRAINER_H
#define RONDO_TRAIN_TRAINER_H

#include "train/local_round.h"
#include "train/optimizer.h"

struct rd_trainer {
    const rd_model *model;
    const rd_optimizer *optimizer;
    rd_workspace *workspace; /* for the larger of: */
    size_t piece;            /* samples that go through at a time in training */
    size_t evaluation_batch; /* and in evaluation */
    float *vectors;          /* (optimizer->vectors, n); NULL where every step is made in place */
    uint32_t *rows;          /* (most_rows) row numbers of the client at work */
    size_t most_rows;
    uint32_t *pick; /* (evaluation_batch) */
};

/* Puts rows pick[0..B) of view into the workspace; at most as many as it has room for. */
void rd_trainer_load(rd_trainer *t, const rd_dataset *d, rd_rows view, const uint32_t *pick, size_t B);

#endif
