/* begin.c: the model that a run goes on from: the initial one, or that of the last committed round. */
#include <math.h>

#include "run/inputs.h"
#include "run/run_state.h"

/* Loads the model of the last committed round; the store has seen to it that all is what that round committed. */
static rd_status resume(rd_run *run, const run_history *past, rd_error *err)
{
    rd_status status = RD_OK;
    RD_TRY(rd_run_read_version(run, past->version, run->parameters, err));
    rd_run_be_version(run, past->version);
    run->last = past->last;
    run->stopping = past->stopping;
    if (run->config->early_stopping.patience > 0)
        rd_store_pin(run->store, run->stopping.best_version);
    if (rd_pruning_has_begun(&run->config->pruning, run->version))
        RD_TRY(rd_packings_renew(&run->packings, &run->config->pruning, run->model, run->parameters, err));
    RD_TRY(rd_run_read_companions(run, past->version, err));
    RD_TRY(rd_run_read_frozen(run, err));
cleanup:
    return status;
}

/* The parameters to start from become version 0. */
static rd_status take_initial(rd_run *run, rd_error *err)
{
    rd_round_record record = {
        .aggregated = true, .running_loss = NAN, .scores = rd_scores_none(), .clock = NAN, .attack_success = NAN};
    record.train = record.holdout = record.personal = (rd_metrics){.loss = NAN, .accuracy = NAN};
    rd_status status = RD_OK;
    RD_TRY(rd_run_write_frozen(run, err));
    RD_TRY(rd_run_publish(run, 0, err));
    RD_TRY(rd_run_commit(run, &record, NULL, 0, err));
cleanup:
    return status;
}

rd_status rd_run_read_own_data(rd_run *run, rd_error *err)
{
    rd_status status = RD_OK;
    const rd_config *config = run->config;
    if (run->has_own)
        return RD_OK;
    RD_TRY(rd_test_set_open(config, run->model, &run->schema, run->threads, &run->test, err));
    if (config->strategy.kind->server_trains)
        RD_TRY(rd_own_training_open(config, run->model, &run->schema, &run->own, err));
    run->has_own = true;
cleanup:
    return status;
}

rd_status rd_run_begin(rd_run *run, rd_error *err)
{
    rd_status status = RD_OK;
    const rd_config *config = run->config;
    if (run->store != NULL)
        RD_TRY(rd_inputs_record(run->store, config, &run->test.data, &run->own.data, err));
    if (run->past.any) {
        RD_TRY(resume(run, &run->past, err));
        RD_TRY(rd_run_check_model(run, run->last.round, err)); /* there may be more rounds than there were */
    } else {
        RD_TRY(take_initial(run, err));
    }
    RD_TRY(rd_run_prepare(run, run->last.round + 1, err));
    run->begun = true;
cleanup:
    return status;
}
