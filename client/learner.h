/* learner.h: what trains. A learner is told of a round and the global model, and gives back a delta and a report; how it
 * comes to them is its own affair. The built-in training (built_in.c) is the first; another is one file, and a line
 * where main() chooses. */
#ifndef RONDO_CLIENT_LEARNER_H
#define RONDO_CLIENT_LEARNER_H

#include "codec/messages.h"
#include "core/error.h"
#include "global_model.h"
#include "samples.h"
#include "train/local_round.h"

typedef struct rd_learner_options {
    const char *keep; /* file for what the client keeps between rounds; NULL: it is kept in memory */
    bool quiet;
    int signals; /* rd_signals_open: training ends soon after one has arrived */
    double most_seconds; /* of training in one round */
} rd_learner_options;

typedef struct rd_learner_type {
    /* Plans what the run's configuration asks for. welcome and options outlive the learner. *out is closed by the
     * caller. */
    rd_status (*open)(const rd_welcome *welcome, const rd_learner_options *options, void **out, rd_error *err);
    /* What columns mean is settled: takes the samples, which outlive the learner, and says what it joined with. */
    rd_status (*prepare)(void *learner, rd_samples *samples, rd_error *err);
    /* The plan of the model that the samples are for; NULL: it has none of Rondo's layers. */
    const rd_model *(*model)(const void *learner);
    /* The tensors of a set: what the global model consists of. */
    rd_tensor_table (*tensors)(const void *learner, rd_tensor_set set);
    /* Trains in this round. *delta is the learner's and may be changed until the next call: for each tensor that
     * travels, local minus global; behind it the strategy's companions that go up (round/companion.h).
     * report->samples 0: none of its samples are for this round, and *delta is not set.
     * RD_ERR_RANGE, RD_ERR_DATA, RD_ERR_MEMORY: the round has to do without this client (training diverged, its samples
     * cannot be trained on, no memory); err says why. RD_ERR_STATE: a signal has arrived, or
     * most_seconds have passed. */
    rd_status (*train)(void *learner, const rd_task *task, const rd_global_model *global, float **delta,
                       rd_report *report, rd_error *err);
    /* The aggregator has taken the update of that round. */
    rd_status (*delivered)(void *learner, const rd_task *task, rd_error *err);
    void (*close)(void *learner); /* NULL: nothing */
} rd_learner_type;

extern const rd_learner_type rd_built_in_learner;

#endif
