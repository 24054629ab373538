/* run.c: see run.h. What becomes of updates is in aggregate.c, files are written by the store's neighbours:
 * here it is put together. */
#include "run/run.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codec/tensor_file.h"
#include "config/schema_section.h"
#include "core/clock.h"
#include "core/exact_sum.h"
#include "core/fingerprint.h"
#include "data/source.h"
#include "model/counting.h"
#include "run/aggregate.h"
#include "run/initial.h"
#include "run/inputs.h"
#include "run/outcome.h"
#include "run/own_training.h"
#include "run/parallel.h"
#include "run/spread.h"
#include "run/stopping.h"
#include "train/companions.h"

/* What an earlier process has committed. */
typedef struct history {
    const rd_config *config;
    rd_stopping stopping;
    rd_round_record last;
    uint64_t version; /* last round that changed the model */
    bool any;
} history;

struct rd_run {
    const rd_config *config;
    rd_model *model;
    rd_store *store;
    rd_schema schema; /* of tables */
    bool settled;     /* it is known */
    bool begun;       /* round 0 is committed */
    rd_dataset test;  /* rows = 0: none */
    unsigned threads;
    rd_trainer **trainers; /* (threads) for evaluation; NULL without a test set */

    float *parameters;
    rd_aggregate *updates;    /* of the round in progress */
    rd_tensor_table down, up; /* what is fetched, and what an update holds, with companions; none: the model alone */
    rd_own_training own;
    rd_error own_trouble; /* of the round that is open; status RD_OK: none */

    _Atomic(rd_packing *) packing; /* NULL: not pruned; looked at by threads that receive */
    rd_packing **outdated; /* (outdated_count) before it: uploads that come too late still look at their plans */
    size_t outdated_count;
    uint64_t version, fingerprint;
    rd_round_record last;
    rd_stopping stopping;
    char trouble[160]; /* why a client failed in the last round; empty: none has, or it is not known any more */
    double *by_row;    /* (rows of the test set) where rd_scores_keep_rows; else NULL */
    history past;
    char initial[RD_INITIAL_REPORT_MAX];
};

const rd_config *rd_run_config(const rd_run *run)
{
    return run->config;
}

const rd_model *rd_run_model(const rd_run *run)
{
    return run->model;
}

rd_store *rd_run_store(rd_run *run)
{
    return run->store;
}

const float *rd_run_parameters(const rd_run *run)
{
    return run->parameters;
}

const char *rd_run_initial(const rd_run *run)
{
    return run->initial;
}

const rd_packing *rd_run_packing(const rd_run *run)
{
    return run->packing;
}

rd_tensor_table rd_run_update_tensors(const rd_run *run)
{
    return run->packing != NULL ? run->packing->update
           : run->up.count > 0  ? run->up
                                : rd_model_tensors(run->model, RD_TENSORS_TRAVELLING);
}

const rd_dataset *rd_run_test_set(const rd_run *run)
{
    return &run->test;
}

rd_aggregate *rd_run_updates(rd_run *run)
{
    return run->updates;
}

float *rd_run_own_parameters(rd_run *run)
{
    return run->parameters;
}

void rd_run_follow(rd_run *run, const rd_round_record *record)
{
    run->last = *record;
    run->version = record->aggregated ? record->round : run->version;
}

rd_status rd_run_read_version(rd_run *run, uint64_t version, float *parameters, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX];
    if (run->store == NULL)
        return RD_OK; /* another process reads it */
    rd_store_model_path(run->store, version, path, sizeof path);
    return rd_tensor_file_read(rd_model_tensors(run->model, RD_TENSORS_TRAVELLING), path, parameters, err);
}

uint64_t rd_run_model_version(const rd_run *run)
{
    return run->version;
}

uint64_t rd_run_model_fingerprint(const rd_run *run)
{
    return run->fingerprint;
}

/* The parameters as they are now are this version. */
static void be_version(rd_run *run, uint64_t version)
{
    run->version = version;
    run->fingerprint = rd_fingerprint(run->parameters, rd_model_tensors(run->model, RD_TENSORS_TRAVELLING).elements *
                                                           sizeof *run->parameters);
}

uint64_t rd_run_next_round(const rd_run *run)
{
    return run->last.round + 1;
}

const rd_round_record *rd_run_last_record(const rd_run *run)
{
    return &run->last;
}

typedef struct teller {
    void (*line)(void *user, const char *text);
    void *user;
} teller;

static bool tell_change(const rd_change_record *c, void *user)
{
    const teller *t = user;
    char text[RD_CHANGE_KEY_MAX + 2 * RD_CHANGE_VALUE_MAX + 96];
    (void)snprintf(text, sizeof text, "changed after round %llu: %s %s -> %s%s", (unsigned long long)c->round, c->key,
                   c->before, c->after,
                   strcmp(c->key, "initial") == 0 ? " (a run that has begun does not read it)" : "");
    t->line(t->user, text);
    return true;
}

rd_status rd_run_tell_changes(rd_run *run, void (*line)(void *user, const char *text), void *user, rd_error *err)
{
    return run->store == NULL ? RD_OK : rd_store_changes(run->store, tell_change, &(teller){line, user}, err);
}

/* ---- updates ---- */

rd_status rd_run_admit(rd_run *run, const rd_arrival *arrival, rd_intake *out, rd_error *err)
{
    return rd_aggregate_admit(run->updates, arrival, out, err);
}

void rd_run_fold(rd_run *run, rd_intake *in, size_t first, const float *values, size_t count)
{
    rd_aggregate_fold(run->updates, in, first, values, count);
}

rd_status rd_run_complete(rd_run *run, rd_intake *in, rd_error *err)
{
    return rd_aggregate_complete(run->updates, in, err);
}

void rd_run_down(const rd_run *run, const float *out[RD_COMPANIONS_MAX])
{
    rd_aggregate_down(run->updates, out);
}

size_t rd_run_update_size(const rd_run *run)
{
    return rd_run_update_tensors(run).elements;
}

/* Packs the model as it is now. */
static rd_status pack(rd_run *run, rd_error *err)
{
    rd_packing *next;
    rd_packing **outdated = realloc(run->outdated, (run->outdated_count + 1) * sizeof *outdated);
    if (outdated == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a pruned model");
    run->outdated = outdated;
    rd_status status = rd_packing_create(&run->config->pruning, run->model, run->parameters, &next, err);
    if (status == RD_OK && run->packing != NULL) {
        free(run->packing->index);
        free(run->packing->mask);
        run->packing->index = NULL;
        run->packing->mask = NULL;
        run->outdated[run->outdated_count++] = run->packing;
    }
    if (status == RD_OK)
        run->packing = next;
    return status;
}

static rd_status prune(rd_run *run, uint64_t round, rd_error *err)
{
    const rd_pruning *p = &run->config->pruning;
    /* It is late where every due round was abandoned. */
    bool late = run->packing == NULL && rd_pruning_has_begun(p, round);
    if (!rd_pruning_is_due(p, round) && !late)
        return RD_OK;
    rd_status status = rd_pruning_apply(p, run->model, round, run->parameters, err);
    return status == RD_OK ? pack(run, err) : status;
}

/* Is it a round's trouble, which ends with it, and not the run's? */
static bool is_of_a_round(rd_status status)
{
    return status == RD_ERR_RANGE || status == RD_ERR_DATA;
}

/* What the server does itself before the first update of a round comes: for some strategies it trains on data.root.
 * Where that diverges nobody is trusted, and the round will be abandoned; in the first one it is the configuration's fault. */
static rd_status prepare_round(rd_run *run, uint64_t round, rd_error *err)
{
    rd_error trouble = {0};
    run->own_trouble = trouble;
    if (!run->config->strategy.kind->server_trains || round > run->config->rounds)
        return RD_OK;
    rd_status status = rd_own_training_run(&run->own, run->config, round, run->parameters, &trouble);
    if (status == RD_OK)
        status = rd_aggregate_set_own(run->updates, run->own.delta, &trouble);
    run->own_trouble = trouble;
    if (status == RD_OK || (round > 1 && is_of_a_round(status)))
        return RD_OK;
    return rd_fail(err, status, "%s", trouble.message);
}

/* Clients take no model with other numbers than those that they may send; one that no round follows need only be finite.
 * Every update was fit, so where the model is not, nobody else is to blame. */
static rd_status check_model(const rd_run *run, uint64_t round, rd_error *err)
{
    const rd_tensor_table table = rd_model_tensors(run->model, RD_TENSORS_TRAVELLING);
    for (size_t k = 0; k < table.count; k++) {
        const float *values = run->parameters + table.tensors[k].offset;
        size_t unfit = rd_exact_find_unfit(values, table.tensors[k].count);
        while (unfit < table.tensors[k].count && round >= run->config->rounds && isfinite(values[unfit]))
            unfit += 1 + rd_exact_find_unfit(values + unfit + 1, table.tensors[k].count - unfit - 1);
        if (unfit == table.tensors[k].count)
            continue;
        return rd_fail(err, RD_ERR_RANGE, "round %llu: the global model %s: element %zu of %s is %s; %s may help",
                       (unsigned long long)round,
                       rd_model_counts(run->model) ? "is beyond what can be sent" : "diverged", unfit,
                       table.tensors[k].name, rd_exact_unfit_word((double)values[unfit]),
                       rd_model_counts(run->model) ? "smaller features" : "smaller learning rates");
    }
    return RD_OK;
}

rd_status rd_run_finish_round(rd_run *run, uint64_t round, bool aggregate, size_t clients, rd_round_record *record,
                              rd_error *err)
{
    const rd_packing *packing = run->packing;
    rd_target target = {.parameters = run->parameters,
                        .index = packing != NULL ? packing->index : NULL,
                        .count = packing != NULL ? packing->kept : 0,
                        .clients = clients};
    record->round = round;
    record->aggregated = aggregate && run->own_trouble.status == RD_OK;
    record->abandoned[0] = '\0';
    rd_error trouble = {0};
    rd_status status = rd_aggregate_finish(run->updates, round, record->aggregated, &target, record, &trouble);
    if (aggregate && (!record->aggregated || is_of_a_round(status))) {
        const rd_error *why = record->aggregated ? &trouble : &run->own_trouble;
        (void)snprintf(record->abandoned, sizeof record->abandoned, "%.150s", why->message);
        record->aggregated = false;
        status = RD_OK;
    }
    if (status != RD_OK)
        return rd_fail(err, status, "%s", trouble.message);
    if (record->aggregated)
        status = check_model(run, round, err);
    if (status == RD_OK && record->aggregated)
        status = prune(run, round, err);
    return status == RD_OK ? prepare_round(run, round + 1, err) : status;
}

/* What clients fetch of a pruned model. */
static rd_status save_packed(rd_run *run, uint64_t round, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX];
    float *body = malloc(run->packing->download.elements * sizeof *body);
    if (body == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a pruned model");
    rd_packing_write(run->packing, run->parameters, body);
    rd_store_packed_path(run->store, round, path, sizeof path);
    rd_status status = rd_tensor_file_write(run->packing->download, body, round, path, err);
    free(body);
    return status;
}

/* What clients fetch where companions go down. */
static rd_status save_down(rd_run *run, uint64_t round, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX];
    const float *down[RD_COMPANIONS_MAX];
    size_t n = rd_model_tensors(run->model, RD_TENSORS_TRAVELLING).elements, at = n;
    float *body = malloc(run->down.elements * sizeof *body);
    if (body == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %zu parameters", run->down.elements);
    memcpy(body, run->parameters, n * sizeof *body);
    rd_run_down(run, down);
    for (size_t i = 0; i < RD_COMPANIONS_MAX; i++)
        if (down[i] != NULL) {
            memcpy(body + at, down[i], n * sizeof *body);
            at += n;
        }
    rd_store_packed_path(run->store, round, path, sizeof path);
    rd_status status = rd_tensor_file_write(run->down, body, round, path, err);
    free(body);
    return status;
}

/* Everything that the next round, or a run that continues, needs beside the model itself. */
static rd_status save_beside(rd_run *run, uint64_t round, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX];
    const rd_tensor_table memory = rd_aggregate_memory_table(run->updates);
    rd_status status = RD_OK;
    if (run->packing != NULL)
        status = save_packed(run, round, err);
    if (status == RD_OK && run->down.count > 0)
        status = save_down(run, round, err);
    if (status == RD_OK && memory.count > 0) {
        rd_store_server_path(run->store, round, path, sizeof path);
        status = rd_tensor_file_write(memory, rd_aggregate_memory(run->updates), round, path, err);
    }
    return status;
}

rd_status rd_run_publish(rd_run *run, uint64_t round, rd_error *err)
{
    if (run->store != NULL) {
        char path[RD_SOURCE_PATH_MAX];
        rd_store_model_path(run->store, round, path, sizeof path);
        rd_status status = rd_tensor_file_write(rd_model_tensors(run->model, RD_TENSORS_TRAVELLING), run->parameters,
                                                round, path, err);
        if (status == RD_OK)
            status = save_beside(run, round, err);
        if (status != RD_OK)
            return status;
    }
    be_version(run, round);
    return RD_OK;
}

/* ---- evaluation ---- */

typedef struct evaluation_job {
    rd_run *run;
    atomic_size_t next; /* first row nobody has taken */
    pthread_mutex_t lock;
    rd_evaluation sums;
    rd_status status;
    rd_error *err;
} evaluation_job;

static void evaluate_some(void *user, unsigned thread)
{
    evaluation_job *job = user;
    const size_t rows_at_a_time = 2 * rd_evaluation_batch(job->run->model);
    rd_rows rows = rd_dataset_all_rows(&job->run->test);
    rd_evaluation sums = {.scores = {.wanted = job->run->config->scores, .by_row = job->run->by_row}};
    rd_error error;
    rd_status status = RD_OK;
    for (;;) {
        size_t first = atomic_fetch_add(&job->next, rows_at_a_time);
        if (first >= rows.count || status != RD_OK)
            break;
        size_t count = rows.count - first < rows_at_a_time ? rows.count - first : rows_at_a_time;
        status = rd_evaluate(job->run->trainers[thread], job->run->parameters, (rd_row_set){&job->run->test, rows},
                             first, count, &sums, &error);
    }
    pthread_mutex_lock(&job->lock);
    rd_evaluation_merge(&job->sums, &sums);
    if (status != RD_OK && job->status == RD_OK) {
        job->status = status;
        *job->err = error;
    }
    pthread_mutex_unlock(&job->lock);
}

static rd_status evaluate_test_set(rd_run *run, rd_metrics *out, rd_scores *scores, rd_error *err)
{
    evaluation_job job = {.run = run, .lock = PTHREAD_MUTEX_INITIALIZER, .err = err};
    job.sums.scores.wanted = run->config->scores;
    job.sums.scores.by_row = run->by_row;
    rd_parallel(run->threads, evaluate_some, &job);
    pthread_mutex_destroy(&job.lock);
    if (job.status != RD_OK)
        return job.status;
    *out = rd_evaluation_metrics(&job.sums, run->model);
    return rd_score_finish(&job.sums.scores, &run->test, out->samples, scores, err);
}

bool rd_run_evaluates(const rd_run *run, uint64_t round)
{
    uint64_t every = run->config->evaluation_every;
    return run->test.rows > 0 && (round % every == 0 || round == run->config->rounds);
}

/* Loss of the model before this round on rows that nobody trains on, minus its loss on the training rows. The
 * test set has measured that model in the round before. */
static double gap_of(const rd_run *run, const rd_round_record *record)
{
    const rd_metrics *unseen = record->holdout.samples > 0 ? &record->holdout : &run->last.test;
    if (record->round == 0 || record->train.samples == 0 || unseen->samples == 0)
        return NAN;
    return unseen->loss - record->train.loss;
}

bool rd_run_is_over(const rd_run *run)
{
    return run->stopping.over;
}

void rd_run_reason(const rd_run *run, char *text, size_t size)
{
    rd_stopping_reason(&run->stopping, run->config, &run->last, run->store != NULL, text, size);
}

rd_status rd_run_check_outcome(const rd_run *run, rd_error *err)
{
    return run->stopping.reached ? RD_OK
                                 : rd_outcome_check(run->config, &run->last, run->stopping.changed, run->trouble, err);
}

/* ---- committing ---- */

static void note_trouble(rd_run *run, const rd_participation_record *parts, size_t count)
{
    run->trouble[0] = '\0';
    for (size_t i = 0; i < count && run->trouble[0] == '\0'; i++)
        (void)snprintf(run->trouble, sizeof run->trouble, "%s", parts[i].reason);
}

rd_status rd_run_commit(rd_run *run, rd_round_record *record, const rd_participation_record *parts, size_t part_count,
                        rd_error *err)
{
    rd_sha256 digest;
    rd_sha256_start(&digest);
    rd_sha256_add(&digest, run->parameters,
                  rd_model_tensors(run->model, RD_TENSORS_TRAVELLING).elements * sizeof *run->parameters);
    rd_sha256_finish_hex(&digest, record->model_sha256);

    record->test = (rd_metrics){.loss = NAN, .accuracy = NAN};
    record->scores = rd_scores_none();
    if (rd_run_evaluates(run, record->round)) {
        rd_status status = evaluate_test_set(run, &record->test, &record->scores, err);
        if (status != RD_OK)
            return rd_fail_context(err, status, "round %llu: the global model on data.test",
                                   (unsigned long long)record->round);
    }
    record->gap = gap_of(run, record);
    record->spread = rd_spread_of(parts, part_count);
    record->finished_at = rd_clock_unix();
    rd_stopping next = run->stopping;
    rd_stopping_tell(&next, run->config, record);
    if (run->store != NULL) {
        if (run->config->early_stopping.patience > 0)
            rd_store_pin(run->store, next.best_version);
        rd_status status = rd_store_commit_round(run->store, record, parts, part_count, run->config->keep_every, err);
        if (status != RD_OK)
            return status;
    }
    run->last = *record;
    run->stopping = next;
    note_trouble(run, parts, part_count);
    return RD_OK;
}

static size_t print(char *text, size_t size, size_t at, const char *format, double value)
{
    if (at >= size)
        return at;
    int written = snprintf(text + at, size - at, format, value);
    return written < 0 ? at : at + (size_t)written;
}

void rd_round_record_line(const rd_round_record *record, uint64_t rounds, char *text, size_t size)
{
    int written =
        snprintf(text, size, "round %llu/%llu", (unsigned long long)record->round, (unsigned long long)rounds);
    size_t at = written < 0 ? 0 : (size_t)written;
    if (record->test.samples > 0) {
        at = print(text, size, at, "  test loss %.4f", record->test.loss);
        if (!isnan(record->test.accuracy))
            at = print(text, size, at, "  accuracy %.2f %%", 100.0 * record->test.accuracy);
    }
    for (size_t i = 0; i < RD_SCORES && record->test.samples > 0; i++)
        if (!isnan(record->scores.value[i]) && at < size) {
            int length = snprintf(text + at, size - at, "  %s %.4f", rd_score_names[i], record->scores.value[i]);
            at += length > 0 ? (size_t)length : 0;
        }
    if (record->train.samples > 0)
        at = print(text, size, at, "  train loss %.4f", record->train.loss);
    if (record->holdout.samples > 0)
        at = print(text, size, at, "  hold-out loss %.4f", record->holdout.loss);
    if (!isnan(record->gap))
        at = print(text, size, at, "  gap %+.4f", record->gap);
    if (!isnan(record->running_loss) && record->round > 0)
        at = print(text, size, at, "  clients' loss %.4f", record->running_loss);
    if (record->round > 0 && at < size)
        (void)snprintf(text + at, size - at, "  %llu/%llu clients%s%s%s  %.3g s", (unsigned long long)record->counted,
                       (unsigned long long)record->selected, record->aggregated ? "" : " (",
                       record->aggregated             ? ""
                       : record->abandoned[0] != '\0' ? record->abandoned
                                                      : "too few",
                       record->aggregated ? "" : ": model kept)", record->seconds);
}

/* ---- opening ---- */

static bool remember(const rd_round_record *record, void *user)
{
    history *h = user;
    h->last = *record;
    rd_stopping_tell(&h->stopping, h->config, record);
    if (record->aggregated || record->round == 0)
        h->version = record->round;
    h->any = true;
    return true;
}

/* Loads the model of the last committed round and compares it with the digest in the record. */
static rd_status resume(rd_run *run, const history *h, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX], hex[RD_SHA256_HEX];
    uint64_t version;
    rd_store_model_path(run->store, h->version, path, sizeof path);
    rd_status status = rd_store_newest_model(run->store, &version, err);
    if (status == RD_OK)
        status = rd_tensor_file_read(rd_model_tensors(run->model, RD_TENSORS_TRAVELLING), path, run->parameters, err);
    if (status != RD_OK)
        return status;
    rd_sha256 digest;
    rd_sha256_start(&digest);
    rd_sha256_add(&digest, run->parameters,
                  rd_model_tensors(run->model, RD_TENSORS_TRAVELLING).elements * sizeof *run->parameters);
    rd_sha256_finish_hex(&digest, hex);
    if (strcmp(hex, h->last.model_sha256) != 0)
        return rd_fail(err, RD_ERR_FORMAT,
                       "%s: the parameters are not those that round %llu committed (SHA-256 %.12s..., "
                       "expected %.12s...)",
                       path, (unsigned long long)h->last.round, hex, h->last.model_sha256);
    be_version(run, h->version);
    run->last = h->last;
    run->stopping = h->stopping;
    if (run->config->early_stopping.patience > 0)
        rd_store_pin(run->store, run->stopping.best_version);
    if (rd_pruning_has_begun(&run->config->pruning, run->version))
        status = pack(run, err);
    if (status != RD_OK)
        return status;
    const rd_tensor_table memory = rd_aggregate_memory_table(run->updates);
    if (memory.count > 0) {
        rd_store_server_path(run->store, h->version, path, sizeof path);
        status = rd_tensor_file_read(memory, path, rd_aggregate_memory(run->updates), err);
        if (status != RD_OK)
            return status;
    }
    if (rd_model_tensors(run->model, RD_TENSORS_STAYING).elements == 0)
        return RD_OK;
    rd_store_frozen_path(run->store, path, sizeof path);
    return rd_tensor_file_read(rd_model_tensors(run->model, RD_TENSORS_STAYING), path, run->parameters, err);
}

static rd_status begin(rd_run *run, rd_error *err)
{
    rd_round_record record = {
        .aggregated = true, .running_loss = NAN, .scores = rd_scores_none(), .clock = NAN, .attack_success = NAN};
    record.train = record.holdout = record.personal = (rd_metrics){.loss = NAN, .accuracy = NAN};
    char path[RD_SOURCE_PATH_MAX];
    rd_status status = RD_OK;
    if (run->store != NULL && rd_model_tensors(run->model, RD_TENSORS_STAYING).elements > 0) {
        rd_store_frozen_path(run->store, path, sizeof path);
        status = rd_tensor_file_write(rd_model_tensors(run->model, RD_TENSORS_STAYING), run->parameters, 0, path, err);
    }
    if (status == RD_OK)
        status = rd_run_publish(run, 0, err);
    return status == RD_OK ? rd_run_commit(run, &record, NULL, 0, err) : status;
}

static rd_status load_test_set(rd_run *run, rd_error *err)
{
    rd_training evaluation_only = {.batch_size = 1};
    if (run->config->test.format == RD_SOURCE_NONE)
        return RD_OK;
    rd_status status = rd_source_load(&run->config->test, run->model, &run->schema, false, &run->test, err);
    if (status == RD_OK)
        status = rd_data_check(run->model, &run->test, "data.test", err);
    if (status == RD_OK)
        status = rd_score_check_rows(run->config->scores, &run->test, "data.test", err);
    if (status != RD_OK)
        return status;
    run->trainers = calloc(run->threads, sizeof(rd_trainer *));
    if (rd_scores_keep_rows(run->config->scores))
        run->by_row = malloc(run->test.rows * sizeof *run->by_row);
    if (rd_scores_keep_rows(run->config->scores) && run->by_row == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the scores of %zu samples", run->test.rows);
    if (run->trainers == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %u evaluation threads", run->threads);
    for (unsigned i = 0; i < run->threads && status == RD_OK; i++)
        status = rd_trainer_create(run->model, &evaluation_only, 1, &run->trainers[i], err);
    return status;
}

static rd_status allocate(rd_run *run, rd_error *err)
{
    size_t n = rd_model_parameter_count(run->model);
    run->parameters = malloc(n * sizeof *run->parameters);
    if (run->parameters == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a model of %zu parameters", n);
    rd_status status = rd_aggregate_create(run->config, run->model, &run->updates, err);
    const rd_tensor_table travelling = rd_model_tensors(run->model, RD_TENSORS_TRAVELLING);
    if (status == RD_OK)
        status = rd_companions_wire_table(travelling, &run->config->strategy, RD_GOES_DOWN, &run->down, err);
    if (status == RD_OK)
        status = rd_companions_wire_table(travelling, &run->config->strategy, RD_GOES_UP, &run->up, err);
    return status;
}

const rd_schema *rd_run_schema(const rd_run *run)
{
    return run->settled ? &run->schema : NULL;
}

/* Reads what the server itself has, and is ready for the next round. */
static rd_status begin_or_resume(rd_run *run, rd_error *err)
{
    rd_status status = RD_OK;
    const rd_config *config = run->config;
    RD_TRY(load_test_set(run, err));
    if (config->strategy.kind->server_trains)
        RD_TRY(rd_own_training_open(config, run->model, &run->schema, &run->own, err));
    bool tests = config->early_stopping.patience > 0 && config->early_stopping.metric != RD_STOP_HOLDOUT_LOSS;
    if (run->test.rows == 0 && (config->target_accuracy > 0.0 || tests || config->scores != 0)) {
        status = rd_fail(err, RD_ERR_CONFIG, "%s needs data.test to be measured on",
                         tests                           ? "early_stopping.metric"
                         : config->target_accuracy > 0.0 ? "evaluation.target_accuracy"
                                                         : "evaluation.metrics");
        goto cleanup;
    }
    if (run->store != NULL)
        RD_TRY(rd_inputs_keep(run->store, config, &run->test, &run->own.data, err));
    if (run->past.any) {
        RD_TRY(resume(run, &run->past, err));
        RD_TRY(check_model(run, run->last.round, err)); /* there may be more rounds than there were */
    } else {
        RD_TRY(begin(run, err));
    }
    RD_TRY(prepare_round(run, run->last.round + 1, err));
    run->begun = true;
cleanup:
    return status;
}

/* The schema that the state directory has, and whether it is the one that was given. */
static rd_status read_schema(rd_run *run, const rd_schema *given, const char *directory, rd_error *err)
{
    rd_status status = RD_OK;
    char *text = NULL, *now = NULL;
    if (run->store != NULL)
        RD_TRY(rd_store_data_schema(run->store, &text, err));
    if (text != NULL) {
        RD_TRY(rd_schema_parse_text(text, directory, &run->schema, err));
        run->settled = true;
    }
    if (given == NULL)
        goto cleanup;
    if (text == NULL) {
        RD_TRY(rd_run_settle(run, given, err));
        goto cleanup;
    }
    now = rd_schema_print(given);
    if (now == NULL || strcmp(text, now) != 0)
        status = rd_fail(err, RD_ERR_STATE,
                         "%s: its run was made with tables whose columns, classes or means are others than those of "
                         "the tables now; to continue the run restore the old tables, to start another one give "
                         "another directory",
                         directory);
cleanup:
    free(text);
    free(now);
    return status;
}

rd_status rd_run_settle(rd_run *run, const rd_schema *schema, rd_error *err)
{
    rd_status status = RD_OK;
    char *text = rd_schema_print(schema);
    if (text == NULL)
        RD_TRY(rd_fail(err, RD_ERR_MEMORY, "no memory for the schema"));
    rd_schema_free(&run->schema);
    RD_TRY(rd_schema_copy(schema, &run->schema, err));
    run->settled = true;
    if (!run->begun)
        RD_TRY(begin_or_resume(run, err));
    /* Behind round 0: a run that has a schema has begun. */
    if (run->store != NULL)
        RD_TRY(rd_store_set_data_schema(run->store, text, err));
cleanup:
    free(text);
    return status;
}

rd_status rd_run_open(const rd_config *config, const rd_schema *schema, const char *directory, unsigned threads,
                      rd_run **out, rd_error *err)
{
    rd_status status = RD_OK;
    bool resumed = false;
    rd_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the run");
    run->config = config;
    run->stopping = RD_STOPPING_START;
    run->past = (history){.config = config, .stopping = RD_STOPPING_START};
    run->threads = threads > 0 ? threads : 1;
    RD_TRY(rd_model_create(config->model, &run->model, err));
    RD_TRY(allocate(run, err));
    if (directory != NULL) {
        RD_TRY(rd_store_open(directory, config, &run->store, &resumed, err));
        RD_TRY(rd_store_rounds(run->store, 0, remember, &run->past, err));
    }
    if (!run->past.any) { /* now, so that what is wrong is told before anybody is waited for */
        rd_model_init(run->model, config->seed, run->parameters);
        RD_TRY(rd_initial_load(&config->initial, run->model, run->parameters, run->initial, err));
    }
    RD_TRY(read_schema(run, schema, directory, err));
    bool table = config->test.format == RD_SOURCE_CSV ||
                 (config->strategy.kind->server_trains && config->root.format == RD_SOURCE_CSV);
    if (!run->begun && (run->settled || !table))
        RD_TRY(begin_or_resume(run, err));
    *out = run;
    run = NULL;
cleanup:
    rd_run_free(run);
    return status;
}

void rd_run_free(rd_run *run)
{
    if (run == NULL)
        return;
    for (unsigned i = 0; run->trainers != NULL && i < run->threads; i++)
        rd_trainer_free(run->trainers[i]);
    free(run->trainers);
    rd_aggregate_free(run->updates);
    rd_tensor_table_free(&run->down);
    rd_tensor_table_free(&run->up);
    rd_own_training_free(&run->own);
    rd_dataset_free(&run->test);
    rd_schema_free(&run->schema);
    rd_packing_free(run->packing);
    for (size_t i = 0; i < run->outdated_count; i++)
        rd_packing_free(run->outdated[i]);
    free(run->outdated);
    free(run->parameters);
    free(run->by_row);
    rd_store_close(run->store);
    rd_model_free(run->model);
    free(run);
}
