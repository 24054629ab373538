/* round.c: from the updates of a round to a committed record, in the order in which it is called: average, prune,
 * (publish.c), commit; and prepare, for the next round. */
#include <math.h>
#include <stdio.h>

#include "core/clock.h"
#include "core/exact_sum.h"
#include "model/counting.h"
#include "run/run_state.h"
#include "run/spread.h"

/* ---- the new model ---- */

/* Clients take no model with other numbers than those that they may send; one that no round follows need only be finite.
 * Every update was fit, so where the model is not, nobody else is to blame. */
rd_status rd_run_check_model(const rd_run *run, uint64_t round, rd_error *err)
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
    return record->aggregated ? rd_run_check_model(run, round, err) : RD_OK;
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
