/* open.c: opening a run, which may have been begun by an earlier process, and closing it. */
#include <math.h>
#include <stdlib.h>

#include "run/run_state.h"
#include "train/companions.h"

static bool remember(const rd_round_record *record, void *user)
{
    run_history *h = user;
    h->last = *record;
    rd_stopping_tell(&h->stopping, h->config, record);
    if (record->aggregated || record->round == 0)
        h->version = record->round;
    h->any = true;
    return true;
}

static rd_status allocate(rd_run *run, rd_error *err)
{
    rd_status status = RD_OK;
    const rd_strategy *strategy = &run->config->strategy;
    const rd_tensor_table travelling = rd_model_tensors(run->model, RD_TENSORS_TRAVELLING);
    size_t n = rd_model_parameter_count(run->model);
    run->parameters = malloc(n * sizeof *run->parameters);
    if (run->parameters == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for a model of %zu parameters", n);
    RD_TRY(rd_aggregate_create(strategy, &run->config->training, run->model, &run->updates, err));
    RD_TRY(rd_companions_wire_table(travelling, strategy, RD_GOES_DOWN, &run->down, err));
    RD_TRY(rd_companions_wire_table(travelling, strategy, RD_GOES_UP, &run->up, err));
cleanup:
    return status;
}

rd_status rd_run_open(const rd_config *config, const rd_run_options *options, rd_run **out, rd_error *err)
{
    rd_status status = RD_OK;
    const char *directory = options->directory;
    bool resumed = false;
    rd_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the run");
    run->config = config;
    run->stopping = RD_STOPPING_START;
    run->past = (run_history){.config = config, .stopping = RD_STOPPING_START};
    run->threads = options->threads > 0 ? options->threads : 1;
    RD_TRY(rd_model_create(config->model, &run->model, err));
    RD_TRY(allocate(run, err));
    if (directory != NULL) {
        RD_TRY(rd_store_open(directory, config, options->simulated_clients, &run->store, &resumed, err));
        RD_TRY(rd_store_rounds(run->store, 0, remember, &run->past, err));
    }
    if (!run->past.any) { /* now, so that what is wrong is reported before anybody is waited for */
        rd_model_init(run->model, config->seed, run->parameters);
        RD_TRY(rd_initial_load(&config->initial, run->model, run->parameters, run->initial, err));
    }
    if (directory != NULL)
        RD_TRY(rd_run_read_schema(run, directory, err));
    if (options->schema != NULL && run->settled)
        RD_TRY(rd_run_check_schema(run, options->schema, directory, err));
    if (options->schema != NULL && !run->settled) {
        RD_TRY(rd_run_settle(run, options->schema, err));
        RD_TRY(rd_run_keep_schema(run, err));
    }
    bool table = config->data.test.format == RD_SOURCE_CSV ||
                 (config->strategy.kind->server_trains && config->data.root.format == RD_SOURCE_CSV);
    if (!run->begun && (run->settled || !table)) {
        RD_TRY(rd_run_read_own_data(run, err));
        RD_TRY(rd_run_begin(run, err));
    }
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
    rd_aggregate_free(run->updates);
    rd_tensor_table_free(&run->down);
    rd_tensor_table_free(&run->up);
    rd_own_training_free(&run->own);
    rd_test_set_free(&run->test);
    rd_schema_free(&run->schema);
    rd_packings_free(&run->packings);
    free(run->parameters);
    rd_store_close(run->store);
    rd_model_free(run->model);
    free(run);
}
