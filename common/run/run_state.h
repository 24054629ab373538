/* run_state.h: the inside of an rd_run, for the files that make it up:
 *
 *     open.c      opens a run and closes it
 *     schema.c    settles what the columns of tables mean, and then begins or resumes
 *     begin.c     takes the initial model, or that of the last committed round
 *     replay.c    a round once more
 *     round.c     ends a round: average, prune, commit; prepares the next one
 *     publish.c   what a version consists of, as files
 *     run.c       answers questions, hands updates on
 *
 * Each calls only those below it. */
#ifndef RONDO_RUN_RUN_STATE_H
#define RONDO_RUN_RUN_STATE_H

#include "core/crypto.h"
#include "run/initial.h"
#include "run/own_training.h"
#include "run/packings.h"
#include "run/run.h"
#include "run/stopping.h"
#include "run/test_set.h"

/* What an earlier process has committed. */
typedef struct run_history {
    const rd_config *config;
    rd_stopping stopping;
    rd_round_record last;
    uint64_t version; /* last round that changed the model */
    bool any;
} run_history;

struct rd_run {
    const rd_config *config;
    rd_model *model;
    rd_store *store;
    unsigned threads;
    char initial[RD_INITIAL_REPORT_MAX];
    run_history past;

    rd_schema schema; /* of tables */
    bool settled;     /* it is known */
    bool has_own;     /* data.test and data.root are read, where there are any */
    bool begun;       /* round 0 is committed */
    rd_test_set test;

    float *parameters;
    uint64_t version, fingerprint;
    rd_packings packings;     /* of pruned models */
    rd_aggregate *updates;    /* of the round in progress */
    rd_tensor_table down, up; /* what is fetched, and what an update holds, with companions; none: the model alone */
    rd_own_training own;

    rd_round_record last;
    rd_stopping stopping;
    char trouble[160]; /* why a client failed in the last round; empty: none has, or it is not known any more */
};

/* ---- begin.c ---- */

/* Reads what the server itself has, once. */
rd_status rd_run_read_own_data(rd_run *run, rd_error *err) RD_MUST_CHECK;
/* With that: takes or commits the model to go on from, and is ready for the next round. May be repeated when it failed. */
rd_status rd_run_begin(rd_run *run, rd_error *err) RD_MUST_CHECK;

/* ---- schema.c ---- */

/* Of a run with a state directory: takes the schema that is in it, if any. */
rd_status rd_run_read_schema(rd_run *run, const char *directory, rd_error *err) RD_MUST_CHECK;
/* RD_ERR_STATE: the one that is given is another. */
rd_status rd_run_check_schema(const rd_run *run, const rd_schema *given, const char *directory,
                              rd_error *err) RD_MUST_CHECK;

/* ---- round.c ---- */

/* RD_ERR_RANGE: the model after this round is one that clients do not take. */
rd_status rd_run_check_model(const rd_run *run, uint64_t round, rd_error *err) RD_MUST_CHECK;

/* Of the parameters that travel, as they are now: what model_sha256 of a record is. */
void rd_run_digest(const rd_run *run, char hex[RD_SHA256_HEX]);

/* ---- publish.c ---- */

/* The parameters as they are now are this version. */
void rd_run_be_version(rd_run *run, uint64_t version);
/* What is beside the model files of single versions, or beside the model in them: what is frozen, what the server
 * keeps. */
rd_status rd_run_write_frozen(rd_run *run, rd_error *err) RD_MUST_CHECK;
rd_status rd_run_read_frozen(rd_run *run, rd_error *err) RD_MUST_CHECK;
rd_status rd_run_read_companions(rd_run *run, uint64_t version, rd_error *err) RD_MUST_CHECK;

#endif
