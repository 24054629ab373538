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
    /* (vector_count, changing) First the gradient of the mini-batch's mean loss, dL/dp: steps go against it. Behind it what
     * the optimizer remembers. NULL where every step is made in place. */
    float *vectors;
    size_t vector_count; /* rd_optimizer_vectors */
    float *correction; /* (travelling) subtracted from that gradient, see rd_local_training; NULL until it is needed */
    uint32_t *rows;    /* (most_rows) row numbers of the client at work */
    size_t most_rows;
    uint32_t *pick; /* (evaluation_batch) */
    rd_sum *sums;   /* (rd_model_sum_count) for models that learn by counting; else NULL */
};

/* Some rows on their way through the epochs of a round. */
typedef struct rd_local_training {
    rd_trainer *trainer;
    const rd_local_task *task;
    const rd_dataset *data;
    double learning_rate; /* of this round, above 0: a step is -learning_rate times the gradient */
    uint32_t epochs;
    float *parameters;  /* (all) trained in place */
    const float *start; /* (all) what they were before; NULL: not known any more */
    /* What is added to the gradient of what travels: proximal * parameters - t->correction. A proximal term mu/2 |w -
     * anchor|^2 puts mu * anchor into the correction; a strategy's own (round/strategy.h, `before`) is in it as it
     * is. */
    bool corrected;
    bool stepwise; /* local tensors are not corrected: the gradient is collected, and each tensor makes its own step */
    double proximal;
    rd_random shuffle, dropout;
    uint64_t steps;     /* so far */
    size_t predictions; /* so far in this epoch */
} rd_local_training;

/* Trains on t->rows[0..rows). running_loss: over the last epoch. RD_ERR_RANGE: the loss is not finite. RD_ERR_STATE:
 * stopped. */
rd_status rd_train_rows(rd_local_training *s, size_t rows, double *running_loss, rd_error *err) RD_MUST_CHECK;

/* For models that learn by counting: the sums over rows t->rows[0..trained), to delta. */
rd_status rd_count_rows(rd_trainer *t, const rd_local_task *task, const rd_dataset *d, size_t trained,
                        const float *global, float *delta, rd_error *err) RD_MUST_CHECK;

/* Makes t->correction, or t->vectors, once. */
rd_status rd_trainer_need_correction(rd_trainer *t, rd_error *err) RD_MUST_CHECK;
rd_status rd_trainer_need_vectors(rd_trainer *t, const rd_training *training, rd_error *err) RD_MUST_CHECK;

/* RD_ERR_RANGE: the loss of the B samples in the workspace is no number, or too large for a mean. The sentence says how
 * large parameters (all), features and targets are. */
rd_status rd_fail_unfit_loss(const rd_trainer *t, const float *parameters, size_t B, double loss, rd_error *err);

/* Puts rows pick[0..B) of view into the workspace; at most as many as it has room for. */
void rd_trainer_load(rd_trainer *t, const rd_dataset *d, rd_rows view, const uint32_t *pick, size_t B);

#endif
