/* round.c: from the updates of a round to a committed record, in the order in which it is called: average, prune,
 * (publish.c), commit; and prepare, for the next round. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/clock.h"
#include "model/counting.h"
#include "round/weight_limit.h"
#include "run/fitness.h"
#include "run/run_state.h"
#include "run/spread.h"

/* ---- what counts ---- */

void rd_run_limit_weights(rd_run *run, uint64_t *samples, size_t count, size_t wanted)
{
    const rd_config *c = run->config;
    uint64_t most = 0;
    if (rd_strategy_counts_samples(&c->strategy) && !rd_model_counts(run->model)) {
        for (size_t i = 0; i < count; i++) /* what it trains on */
            samples[i] -= rd_holdout_rows(c->evaluation.clients.holdout, (size_t)samples[i]);
        most = rd_weight_limit(samples, count, wanted, rd_cohort_max_weight(&c->cohort, wanted));
    }
    rd_aggregate_limit_weights(run->updates, most);
}

/* ---- the new model ---- */

rd_status rd_run_check_model(const rd_run *run, uint64_t round, rd_error *err)
{
    const rd_fitness fitness = {run->model, NULL, round >= run->config->rounds};
    rd_status status = rd_fitness_check(&fitness, run->parameters, 0,
                                        rd_model_tensors(run->model, RD_TENSORS_TRAVELLING).elements, err);
    return status == RD_OK ? RD_OK : rd_fail_context(err, status, "round %llu", (unsigned long long)round);
}

/* Is it a round's trouble, which ends with it, and not the run's? */
static bool is_of_a_round(rd_status status)
{
    return status == RD_ERR_RANGE || status == RD_ERR_DATA;
}

rd_status rd_run_average(rd_run *run, uint64_t round, bool aggregate, size_t clients, rd_round_record *record,
                         rd_error *err)
{
    const rd_packing *packing = run->packings.current;
    rd_target target = {.parameters = run->parameters,
                        .index = packing != NULL ? packing->index : NULL,
                        .count = packing != NULL ? packing->remaining : 0,
                        .clients = clients,
                        .last = round >= run->config->rounds};
    record->round = round;
    record->clients = clients;
    record->aggregated = aggregate && run->own.trouble.status == RD_OK;
    record->abandoned[0] = '\0';
    rd_error trouble = {0};
    rd_status status = rd_aggregate_finish(run->updates, round, record->aggregated, &target, record, &trouble);
    if (aggregate && (!record->aggregated || is_of_a_round(status))) {
        const rd_error *why = record->aggregated ? &trouble : &run->own.trouble;
        (void)snprintf(record->abandoned, sizeof record->abandoned, "%.399s", why->message);
        record->aggregated = false;
        status = RD_OK;
    }
    if (status != RD_OK)
        return rd_fail(err, status, "%s", trouble.message);
    return RD_OK;
}

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* No honest client's largest value is a thousand times that of half of the others. */
void rd_run_name_outliers(rd_round_record *record, const rd_participation_record *parts, size_t count)
{
    enum { MOST_NAMED = 3 };
    const float far_beyond = 1000.0f;
    size_t counted = 0, found = 0, at = strlen(record->abandoned);
    float *sizes = malloc((count + 1) * sizeof *sizes); /* where there is no memory nobody is named */
    for (size_t i = 0; sizes != NULL && i < count; i++)
        if (parts[i].status == RD_PART_COUNTED)
            sizes[counted++] = parts[i].largest;
    if (counted > 0 && at > 0) {
        qsort(sizes, counted, sizeof *sizes, by_size);
        const float median = sizes[(counted - 1) / 2];
        for (size_t i = 0; i < count && found < MOST_NAMED && at < sizeof record->abandoned; i++) {
            if (parts[i].status != RD_PART_COUNTED || !(parts[i].largest > far_beyond * median))
                continue;
            int written = snprintf(record->abandoned + at, sizeof record->abandoned - at,
                                   "%s%.60s (values up to %g; half of the clients: %g)",
                                   found++ == 0 ? "; far beyond the others: " : ", ", parts[i].client,
                                   (double)parts[i].largest, (double)median);
            at += written > 0 ? (size_t)written : 0;
        }
    }
    free(sizes);
}

rd_status rd_run_prune(rd_run *run, uint64_t round, rd_error *err)
{
    const rd_pruning *p = &run->config->pruning;
    /* It is overdue where every due round was abandoned. */
    bool overdue = run->packings.current == NULL && rd_pruning_has_begun(p, round);
    if (!rd_pruning_is_due(p, round) && !overdue)
        return RD_OK;
    rd_status status = rd_pruning_apply(p, run->model, round, run->parameters, err);
    return status == RD_OK ? rd_packings_renew(&run->packings, p, run->model, run->parameters, err) : status;
}

/* ---- committing ---- */

/* Loss of the model before this round on rows that nobody trains on, minus its loss on the training rows. The
 * test set has measured that model in the round before. */
static double gap_of(const rd_run *run, const rd_round_record *record)
{
    const rd_metrics *unseen = record->holdout.samples > 0 ? &record->holdout : &run->last.test;
    if (record->round == 0 || record->train.samples == 0 || unseen->samples == 0)
        return NAN;
    return unseen->loss - record->train.loss;
}

/* Of the parameters that travel, as they are now. */
void rd_run_digest(const rd_run *run, char hex[RD_SHA256_HEX])
{
    rd_sha256 digest;
    rd_sha256_start(&digest);
    rd_sha256_add(&digest, run->parameters,
                  rd_model_tensors(run->model, RD_TENSORS_TRAVELLING).elements * sizeof *run->parameters);
    rd_sha256_finish_hex(&digest, hex);
}

static void note_trouble(rd_run *run, const rd_participation_record *parts, size_t count)
{
    run->trouble[0] = '\0';
    for (size_t i = 0; i < count && run->trouble[0] == '\0'; i++)
        (void)snprintf(run->trouble, sizeof run->trouble, "%s", parts[i].reason);
}

/* The new model on data.test, where that is due. */
static rd_status measure(rd_run *run, rd_round_record *record, rd_error *err)
{
    record->test = (rd_metrics){.loss = NAN, .accuracy = NAN};
    record->scores = rd_scores_none();
    if (!rd_run_evaluates(run, record->round))
        return RD_OK;
    rd_status status = rd_test_set_evaluate(&run->test, run->parameters, &record->test, &record->scores, err);
    return status == RD_OK ? RD_OK
                           : rd_fail_context(err, status, "round %llu: the global model on data.test",
                                             (unsigned long long)record->round);
}

rd_status rd_run_commit(rd_run *run, rd_round_record *record, const rd_participation_record *parts, size_t part_count,
                        rd_error *err)
{
    rd_status status = RD_OK;
    RD_ASSERT(record->round == 0 || record->round == rd_run_next_round(run));
    RD_ASSERT(!record->aggregated || run->version == record->round); /* published first */
    rd_run_digest(run, record->model_sha256);
    RD_TRY(measure(run, record, err));
    record->gap = gap_of(run, record);
    record->spread = rd_spread_of(parts, part_count);
    record->finished_at = rd_clock_unix();
    rd_stopping next = run->stopping;
    rd_stopping_tell(&next, run->config, record);
    if (run->store != NULL) {
        if (run->config->early_stopping.patience > 0)
            rd_store_pin(run->store, next.best_version);
        RD_TRY(rd_store_commit_round(run->store, record, parts, part_count, run->config->keep_every, err));
    }
    run->last = *record;
    run->stopping = next;
    note_trouble(run, parts, part_count);
cleanup:
    return status;
}

/* ---- the next round ---- */

rd_status rd_run_prepare(rd_run *run, uint64_t round, rd_error *err)
{
    rd_own_training *own = &run->own;
    own->trouble = (rd_error){0};
    if (!run->config->strategy.kind->server_trains || round > run->config->rounds)
        return RD_OK;
    rd_status status = rd_own_training_run(own, run->config, round, run->parameters, &own->trouble);
    if (status == RD_OK)
        status = rd_aggregate_set_own(run->updates, own->delta, &own->trouble);
    if (status == RD_OK || (round > 1 && is_of_a_round(status)))
        return RD_OK;
    return rd_fail(err, status, "%s", own->trouble.message);
}
