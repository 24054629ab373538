/* test_set.h: data.test, which the server measures its models on, a few rows at a time on each of its threads. */
#ifndef RONDO_RUN_TEST_SET_H
#define RONDO_RUN_TEST_SET_H

#include "config/config.h"
#include "train/local_round.h"

/* Zeroed: there is none. */
typedef struct rd_test_set {
    rd_dataset data; /* rows = 0: none */
    const rd_model *model;
    unsigned scores; /* evaluation.metrics */
    unsigned threads;
    rd_trainer **trainers; /* (threads) */
    double *by_row;        /* (rows) where rd_scores_need_rows; else NULL */
} rd_test_set;

/* RD_ERR_CONFIG: there is none, but the configuration asks for something that is measured on it. */
rd_status rd_test_set_open(const rd_config *c, const rd_model *m, const rd_schema *schema, unsigned threads,
                           rd_test_set *out, rd_error *err) RD_MUST_CHECK;
rd_status rd_test_set_evaluate(rd_test_set *t, const float *parameters, rd_metrics *out, rd_scores *scores,
                               rd_error *err) RD_MUST_CHECK;
void rd_test_set_free(rd_test_set *t);

#endif
