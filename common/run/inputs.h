/* inputs.h: what the server reads beside run.json, as the state directory remembers it. A run that goes on with
 * another test set is no longer measured by the same measure, so it is recorded and reported. */
#ifndef RONDO_RUN_INPUTS_H
#define RONDO_RUN_INPUTS_H

#include "config/config.h"
#include "data/dataset.h"
#include "store/store.h"

/* Records digests of the test set, the root set (rows 0: none) and the file of "initial", in a run that has
 * begun or not. RD_ERR_STATE: the root set, which decides what a round computes, is another one. */
rd_status rd_inputs_record(rd_store *s, const rd_config *c, const rd_dataset *test, const rd_dataset *root,
                           rd_error *err) RD_MUST_CHECK;

/* The same of what a simulation deals to its clients, which decides everything. RD_ERR_STATE: it is another set. */
rd_status rd_inputs_record_train(rd_store *s, const rd_source *source, const rd_dataset *train,
                                 rd_error *err) RD_MUST_CHECK;

#endif
