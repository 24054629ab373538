/* run.c: see run.h: what a run is asked. */
#include <stdio.h>
#include <string.h>

#include "run/outcome.h"
#include "run/run_state.h"

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
    return run->packings.current;
}

rd_tensor_table rd_run_update_tensors(const rd_run *run)
{
    return run->packings.current != NULL ? run->packings.current->update
           : run->up.count > 0           ? run->up
                                         : rd_model_tensors(run->model, RD_TENSORS_TRAVELLING);
}

size_t rd_run_update_size(const rd_run *run)
{
    return rd_run_update_tensors(run).elements;
}

const rd_dataset *rd_run_test_set(const rd_run *run)
{
    return &run->test.data;
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

uint64_t rd_run_model_version(const rd_run *run)
{
    return run->version;
}

uint64_t rd_run_model_fingerprint(const rd_run *run)
{
    return run->fingerprint;
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

bool rd_run_evaluates(const rd_run *run, uint64_t round)
{
    uint64_t every = run->config->evaluation.every;
    return run->test.data.rows > 0 && (round % every == 0 || round == run->config->rounds);
}

/* ---- when it ends ---- */

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
    return run->stopping.reached ? RD_OK : rd_outcome_check(run->config, &run->last, &run->stopping, run->trouble, err);
}
