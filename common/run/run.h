/* run.h: one run of federated learning: its model, its parameters, the sum of the round in progress, and its
 * state directory. The aggregator and the simulator both hold an rd_run and an rd_rounds (the round core):
 * the core decides, the run computes and keeps.
 *
 * In a round:  its updates are taken in (aggregate.h) -> average -> (prune) -> publish -> commit -> prepare the next
 *
 * Memory: what the updates need (run/aggregate.h), 4 bytes a parameter, the test set, and per thread the
 * activations of one batch. */
#ifndef RONDO_RUN_RUN_H
#define RONDO_RUN_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "core/error.h"
#include "model/model.h"
#include "run/aggregate.h"
#include "store/store.h"

typedef struct rd_run rd_run;

/* What a run is opened with, beside run.json. */
typedef struct rd_run_options {
    const rd_schema *schema;  /* settled; NULL: it is the one in the state directory, or is settled by rd_run_settle */
    const char *directory;    /* of its state; NULL: nothing is stored */
    size_t simulated_clients; /* 0: real ones come and go */
    unsigned threads;         /* for evaluation */
} rd_run_options;

/* Plans the model, opens the state directory and the model of its last round, loads data.test where the configuration
 * has it, or makes the initial model and commits it as round 0. A table is only read, and round 0 only committed, when
 * the schema is known. RD_ERR_STATE: the state directory has another one. config stays the caller's and must outlive
 * the run. */
rd_status rd_run_open(const rd_config *config, const rd_run_options *options, rd_run **out,
                      rd_error *err) RD_MUST_CHECK;
/* What columns mean is known now, and what the server itself has (data.test, data.root) is read by it, once. Before the
 * first round; rd_run_keep_schema is to follow. */
rd_status rd_run_settle(rd_run *run, const rd_schema *schema, rd_error *err) RD_MUST_CHECK;
/* Commits round 0, where that has not been done, and stores the schema. May be repeated when it failed (disk full). */
rd_status rd_run_keep_schema(rd_run *run, rd_error *err) RD_MUST_CHECK;
/* NULL: not settled yet. */
const rd_schema *rd_run_schema(const rd_run *run);
void rd_run_free(rd_run *run);

const rd_config *rd_run_config(const rd_run *run);
const rd_model *rd_run_model(const rd_run *run);
rd_store *rd_run_store(rd_run *run); /* NULL: nothing is stored */
const float *rd_run_parameters(const rd_run *run);
/* What the parameters to start from were taken from (run/initial.h); empty: a random start, or a run that goes on. */
const char *rd_run_initial(const rd_run *run);
/* How the current model is packed; NULL: it has not been pruned. Valid until the round after the next has
 * been averaged. */
const rd_packing *rd_run_packing(const rd_run *run);
/* What an update has to hold now, for the codecs: the model, or what remains of it when it is pruned. Valid as long as
 * the run.
 */
rd_tensor_table rd_run_update_tensors(const rd_run *run);
/* Version of the current global model: the round that made it, 0 for the initial one. */
uint64_t rd_run_model_version(const rd_run *run);
/* rd_fingerprint of the parameters of that version that travel: a repeated round may make other ones under the same
 * version. */
uint64_t rd_run_model_fingerprint(const rd_run *run);
/* The round after the last committed one. */
uint64_t rd_run_next_round(const rd_run *run);
/* What is different since the run was opened before, a line each: "changed after round 12:
 * cohort.min_clients 3 -> 2". */
rd_status rd_run_tell_changes(rd_run *run, void (*line)(void *user, const char *text), void *user,
                              rd_error *err) RD_MUST_CHECK;
/* What is known of the last committed round. */
const rd_round_record *rd_run_last_record(const rd_run *run);

/* rows 0: there is none. */
const rd_dataset *rd_run_test_set(const rd_run *run);

/* The updates of the round in progress (run/aggregate.h), taken in from any thread. */
rd_aggregate *rd_run_updates(rd_run *run);
/* Elements of an update. */
size_t rd_run_update_size(const rd_run *run);

/* ---- from one thread, while nothing is added ---- */

/* A round begins whose clients have told so many samples (count, which are changed), and that ends with `wanted` updates
 * or fewer: from them follows what one client may count (cohort.max_weight). */
void rd_run_limit_weights(rd_run *run, uint64_t *samples, size_t count, size_t wanted);
/* Ends the sum: with aggregate, applies the strategy to the parameters; without, leaves them, and so where the
 * strategy can make nothing of these updates, or of them a model that clients would not take (record->abandoned says
 * why). Fills in what this decides of the record (round, aggregated, samples, clients' metrics, norm) and empties
 * the sum. clients: of the whole run, those that were not selected included. */
rd_status rd_run_average(rd_run *run, uint64_t round, bool aggregate, size_t clients, rd_round_record *record,
                         rd_error *err) RD_MUST_CHECK;
/* Of a round that averaging has abandoned: adds to record->abandoned whose updates are far beyond the others'. */
void rd_run_name_outliers(rd_round_record *record, const rd_participation_record *parts, size_t count);
/* Of a round that aggregated, before it is published: sets weights to zero where that is due. */
rd_status rd_run_prune(rd_run *run, uint64_t round, rd_error *err) RD_MUST_CHECK;
/* Writes the model file of this round and makes it the current version. May be repeated when it failed (disk
 * full). */
rd_status rd_run_publish(rd_run *run, uint64_t round, rd_error *err) RD_MUST_CHECK;
/* Digests and evaluates the new model where it is due (record->test), and commits the round. May be repeated
 * when it failed. Needs nothing of the sum: the next round's updates may be added meanwhile. */
rd_status rd_run_commit(rd_run *run, rd_round_record *record, const rd_participation_record *parts, size_t part_count,
                        rd_error *err) RD_MUST_CHECK;
/* What the server does itself before the first update of this round comes: for some strategies it trains on data.root.
 * Where that diverges nobody is trusted, and the round will be abandoned; in the first one it is the configuration's
 * fault. Part of opening for the first round to come. */
rd_status rd_run_prepare(rd_run *run, uint64_t round, rd_error *err) RD_MUST_CHECK;
/* After the last commit: is the run to end, whatever rounds are left? (stopping.h) */
bool rd_run_is_over(const rd_run *run);
/* Will the commit of this round evaluate its model on data.test? */
bool rd_run_evaluates(const rd_run *run, uint64_t round);
/* Has the run, which is over, come to anything? RD_ERR_IDLE says why it has not (run/outcome.h). */
rd_status rd_run_check_outcome(const rd_run *run, rd_error *err) RD_MUST_CHECK;
/* At the end: why it ended, or that it has missed its target, as a sentence; else empty. */
void rd_run_reason(const rd_run *run, char *text, size_t size);

/* ---- for simulations that several processes share, or that look back ---- */

float *rd_run_own_parameters(rd_run *run);
/* In place of rd_run_commit, where another process commits. */
void rd_run_follow(rd_run *run, const rd_round_record *record);
/* Reads the parameters of an earlier version, as long as it is retained; parameters (all), those that do not
 * travel stay as they are. */
rd_status rd_run_read_version(rd_run *run, uint64_t version, float *parameters, rd_error *err) RD_MUST_CHECK;

#endif
