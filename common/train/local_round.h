/* local_round.h: all that a client computes in a round, from the global parameters to its delta.
 *
 * rondo-client and rondo-sim call the same function with the same names for the random streams, which is
 * why a simulation and a deployment give the same bits. */
#ifndef RONDO_TRAIN_LOCAL_ROUND_H
#define RONDO_TRAIN_LOCAL_ROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/exact_sum.h"
#include "data/dataset.h"
#include "model/model.h"
#include "model/packing.h"
#include "round/strategy.h"
#include "train/continual.h"
#include "train/schedule.h"
#include "train/scores.h"

typedef enum rd_optimizer_kind {
    RD_OPTIMIZER_SGD,
    RD_OPTIMIZER_ADAM,
    RD_OPTIMIZER_ADAMW,
    RD_OPTIMIZER_ADAGRAD,
    RD_OPTIMIZER_RMSPROP,
} rd_optimizer_kind;

#define RD_DECAY_SKIPS 8

/* run.json "training" */
typedef struct rd_training {
    uint32_t epochs;     /* E, local epochs */
    uint32_t batch_size; /* B; 0 = the client's whole data as one batch */
    float learning_rate; /* before the schedule */
    rd_schedule schedule;
    rd_optimizer_kind optimizer;                          /* its state starts from zero in every round */
    float momentum;                                       /* sgd, rmsprop */
    bool nesterov;                                        /* sgd */
    float beta1, beta2;                                   /* adam, adamw */
    float alpha;                                          /* rmsprop */
    float epsilon;                                        /* all but sgd */
    float weight_decay;                                   /* L2: g += decay * w; adamw: w -= lr * decay * w */
    char decay_skips[RD_DECAY_SKIPS][RD_TENSOR_NAME_MAX]; /* weight_decay is not for tensors of these names (*, ?) */
    size_t decay_skip_count;
    float clip_norm; /* a mini-batch's gradient is scaled down to this Euclidean norm where it is longer; 0:
                        never */
} rd_training;

/* run.json "evaluation", the part that clients carry out */
typedef struct rd_client_evaluation {
    bool train_loss; /* loss of the global model on the client's training rows, before it trains */
    double holdout;  /* share of the client's rows kept out of training and used to evaluate the global model;
                        0 = none */
} rd_client_evaluation;

/* Loss and accuracy over some predictions: a sample has one, or one for each position of a sequence. */
typedef struct rd_metrics {
    uint64_t samples; /* predictions; 0: not measured */
    double loss;      /* mean per prediction */
    double accuracy;  /* share of correct classes; NaN for regression */
} rd_metrics;

/* What travels beside the delta. */
typedef struct rd_report {
    uint64_t samples;    /* rows trained on: the weight in FedAvg */
    double running_loss; /* mean loss over the mini-batches of the last local epoch, while the model changes */
    rd_metrics before;   /* global model on the training rows */
    rd_metrics holdout;  /* global model on the hold-out rows */
    rd_metrics personal; /* the client's own model after training, on the hold-out rows */
    uint64_t steps;      /* of local training */
    double delta_norm;   /* Euclidean norm of the delta */
    double seconds;      /* of computing; informative only, filled in by the caller */
} rd_report;

/* run.json "personalisation": a model of the client's own, beside the global one. Local tensors
 * (model.fine_tuning.local, as in FedPer and FedBN) are another way to one. */
typedef enum rd_personal_method {
    RD_PERSONAL_NONE,
    RD_PERSONAL_FINE_TUNE, /* the global model after the client's local epochs */
    RD_PERSONAL_DITTO, /* v <- v - lr (grad F(v) + lambda (v - w)), kept between rounds (Li et al. 2021, algorithm 1) */
} rd_personal_method;
typedef struct rd_personalisation {
    rd_personal_method method;
    double lambda;   /* ditto */
    uint32_t epochs; /* ditto: of v in a round */
} rd_personalisation;

/* Samples that are evaluated at a time: 256, or fewer where their activations would take more than 32 MB. */
size_t rd_evaluation_batch(const rd_model *m);

/* Buffers for training and evaluation with one model; one per thread, made once, for any clients of up to
 * most_rows rows. Holds activations for the batch size, but at most for 256 samples or 256 MB (a larger batch
 * goes through in pieces whose gradients are summed), and vectors of the model's size where a step cannot be
 * made in place. RD_ERR_MEMORY, with the bytes that are needed, where this machine does not have them. */
typedef struct rd_trainer rd_trainer;
rd_status rd_trainer_create(const rd_model *m, const rd_training *t, size_t most_rows, rd_trainer **out,
                            rd_error *err) RD_MUST_CHECK;
void rd_trainer_free(rd_trainer *t);
/* RD_ERR_MEMORY, with the bytes and the largest layer, where this machine does not have what so many trainers
 * need: asked before they are made, because Linux grants memory that it does not have, and ends the program
 * later. */
rd_status rd_trainer_check_memory(const rd_model *m, const rd_training *t, size_t most_rows, unsigned trainers,
                                  rd_error *err) RD_MUST_CHECK;

/* RD_ERR_DATA where the data do not fit the model: feature count, label out of range, classes against
 * targets. `whose` ("data.test", "--data mine.csv") starts the message. */
rd_status rd_data_check(const rd_model *m, const rd_dataset *d, const char *whose, rd_error *err) RD_MUST_CHECK;
/* The same for samples to predict on, which need no label. */
rd_status rd_data_check_features(const rd_model *m, const rd_dataset *d, const char *whose,
                                 rd_error *err) RD_MUST_CHECK;

typedef struct rd_local_task {
    const rd_training *training;
    const rd_client_evaluation *evaluation;
    uint64_t seed;                 /* of the run */
    uint64_t round;                /* 1, 2, ... */
    uint64_t client_key;           /* rd_client_key(name) */
    const rd_continual *continual; /* NULL: all rows in all rounds */
    const rd_packing *packing;     /* of a pruned model: what was pruned stays zero; NULL: all is trained */

    uint32_t epochs;                      /* of this client in this round; 0: those of training */
    const rd_strategy *strategy;          /* what it does at a client; NULL: nothing, as fedavg */
    const float *down[RD_COMPANIONS_MAX]; /* (n that travel) its companions that came with the parameters */
    const rd_personalisation *personalisation;
    float *kept; /* (rd_client_kept_size) what the client keeps between rounds; NULL where that is nothing */
    bool is_new; /* it has never taken part: kept holds nothing yet */
    /* What an attacker does to a mini-batch before it trains on it; NULL: nothing. */
    void (*poison)(void *user, float *x, int32_t *labels, size_t B);
    void *poison_user;
    /* Asked before each batch: is training to end now? NULL: it goes on. */
    bool (*stop)(void *user);
    void *stop_user;
} rd_local_task;

/* Floats that a client keeps between rounds: the strategy's companions (round/companion.h), its local tensors, Ditto's
 * personal model; in this order. */
size_t rd_client_kept_size(const rd_model *m, const rd_strategy *s, const rd_personalisation *p);
/* Floats of the vector that rd_local_round_run trains in. */
size_t rd_local_round_room(const rd_model *m, const rd_strategy *s);

/* Rows to keep out of a client's so many: the share, rounded to whole rows, but never the last one. */
size_t rd_holdout_rows(double share, size_t rows);

/* Trains from global (all parameters) on the client's own rows and writes the update to the first elements of update
 * (rd_local_round_room): delta = local - global of what travels, behind it the companions that go up, and the report.
 * Brings task->kept up to date. report->samples 0: none of the rows are of this round's task (continual.h), so nothing
 * was trained, there is no update, and what is kept stays. Fails with RD_ERR_RANGE where training diverges (a loss or
 * parameter that is not finite), RD_ERR_DATA where there are no rows at all, RD_ERR_STATE where it was stopped; what is
 * kept is then unusable. update must not overlap global. */
rd_status rd_local_round_run(rd_trainer *t, const rd_local_task *task, rd_row_set mine, const float *global,
                             float *update, rd_report *report, rd_error *err) RD_MUST_CHECK;

/* Sums for an evaluation that several threads share: any split into ranges gives the same bits as long as
 * each range starts at a multiple of rd_evaluation_batch. */
typedef struct rd_evaluation {
    rd_exact_scalar loss;
    uint64_t correct;
    rd_score_sums scores; /* wanted and by_row are the caller's to set */
} rd_evaluation;

/* Adds rows [first, first + count) of the set. RD_ERR_RANGE where a loss is not finite. */
rd_status rd_evaluate(rd_trainer *t, const float *parameters, rd_row_set set, size_t first, size_t count,
                      rd_evaluation *sums, rd_error *err) RD_MUST_CHECK;
void rd_evaluation_merge(rd_evaluation *into, const rd_evaluation *from);
rd_metrics rd_evaluation_metrics(const rd_evaluation *e, const rd_model *m);

#endif
