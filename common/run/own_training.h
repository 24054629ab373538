/* own_training.h: the server's own training, on a few samples that it trusts (data.root), for strategies that compare
 * clients' deltas with the server's. It is a client's round like any other, under the name "server". */
#ifndef RONDO_RUN_OWN_TRAINING_H
#define RONDO_RUN_OWN_TRAINING_H

#include "config/config.h"

typedef struct rd_own_training {
    rd_dataset data;
    rd_trainer *trainer;
    float *delta;     /* (all) its first elements, those that travel, after a run */
    rd_error trouble; /* that makes it useless for the round that is open; status RD_OK: none */
} rd_own_training;

rd_status rd_own_training_open(const rd_config *c, const rd_model *m, const rd_schema *schema, rd_own_training *out,
                               rd_error *err) RD_MUST_CHECK;
rd_status rd_own_training_run(rd_own_training *r, const rd_config *c, uint64_t round, const float *parameters,
                              rd_error *err) RD_MUST_CHECK;
void rd_own_training_free(rd_own_training *r);

#endif
