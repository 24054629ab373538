/* trial.c: see trial.h. A trial is run by a process of its own: one that runs out of memory, or
 * is killed, takes nothing with it, and several use several cores without knowing of each other. */
#include "search/trial.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "config/json_print.h"
#include "config/paths.h"
#include "core/file.h"
#include "format/foreign.h"
#include "search/ask.h"
#include "simulator.h"
#include "store/store.h"

/* ---- run.json ---- */

rd_status search_job_open(const rd_search_options *options, search_job *out, rd_error *err)
{
    char *text = NULL, folder[PATH_MAX];
    const char *path = options->config, *slash = strrchr(path, '/');
    rd_foreign_fault fault;
    size_t size;
    rd_config check = {0};
    rd_status status = RD_OK;
    memset(out, 0, sizeof *out);
    out->options = options;
    RD_TRY(search_space_load(options->space, options->method, options->trials, &out->space, err));
    RD_TRY(rd_config_load(path, &check, err));
    if (check.data.train.format == RD_SOURCE_NONE)
        RD_THROW(RD_ERR_CONFIG, "%s: data.train is missing: it says what the simulated clients train on", path);
    RD_TRY(rd_file_read(path, 1 << 20, &text, &size, err));
    (void)snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - path) + 1 : 1,
                   slash != NULL ? path : ".");
    if (realpath(folder, out->folder) == NULL)
        RD_THROW(RD_ERR_IO, "%s: %s", folder, strerror(errno));
    out->run = rd_foreign_json(text, size, &fault);
    if (out->run == NULL)
        RD_THROW(RD_ERR_CONFIG, "%s: line %zu: %s", path, fault.line, fault.what);
    cJSON_DeleteItemFromObjectCaseSensitive(out->run, "$schema");
cleanup:
    free(text);
    rd_config_free(&check);
    if (status != RD_OK)
        search_job_close(out);
    return status;
}

void search_job_close(search_job *j)
{
    search_space_free(&j->space);
    cJSON_Delete(j->run);
    j->run = NULL;
}

/* Writes the run.json of a trial and reads it as any other. It lies in another folder than the original, on
 * which its paths must not depend. */
static rd_status write_config(const search_job *j, cJSON *run, const char *path, rd_config *out, rd_error *err)
{
    char *text = NULL;
    rd_status status = RD_OK;
    RD_TRY(rd_config_resolve_paths(run, j->folder, err));
    text = rd_json_print(run);
    if (text == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for a trial");
    RD_TRY(rd_file_write(path, text, strlen(text), err));
    status = rd_config_load(path, out, err);
cleanup:
    free(text);
    return status;
}

/* run.json with the values of keys [first, first + count) at the point. */
static rd_status config_at(const search_job *j, const double *point, size_t first, size_t count, const char *path,
                           rd_config *out, rd_error *err)
{
    cJSON *run = cJSON_Duplicate(j->run, true);
    rd_status status = run != NULL ? RD_OK : rd_fail(err, RD_ERR_MEMORY, "no memory for a trial");
    for (size_t k = first; k < first + count && status == RD_OK; k++) {
        status = search_space_put(&j->space, k, point[k], run, err);
        if (status == RD_ERR_CONFIG)
            (void)rd_fail_context(err, status, "%s: keys.%s", j->options->space, j->space.keys[k].path);
    }
    if (status == RD_OK)
        status = write_config(j, run, path, out, err);
    cJSON_Delete(run);
    return status;
}

/* Each choice of a key, or both ends of its range, with everything else as in run.json. */
static rd_status check_key(const search_job *j, size_t k, const char *path, rd_error *err)
{
    const search_key *key = &j->space.keys[k];
    size_t n = key->values != NULL ? (size_t)cJSON_GetArraySize(key->values) : 2;
    rd_status status = RD_OK;
    for (size_t i = 0; i < n && status == RD_OK; i++) {
        double point[SEARCH_KEYS] = {0};
        rd_config config = {0};
        point[k] = key->values != NULL ? ((double)i + 0.5) / (double)n : (double)i;
        status = config_at(j, point, k, 1, path, &config, err);
        rd_config_free(&config);
        if (status == RD_ERR_CONFIG && strncmp(err->message, path, strlen(path)) == 0)
            (void)rd_fail_context(err, status, "%s: keys.%s", j->options->space, key->path);
    }
    return status;
}

/* With the keys of the first trial, does anything measure the objective? */
static rd_status check_objective(const search_job *j, const char *path, rd_error *err)
{
    static const char *const needs[] = {[SEARCH_TEST_LOSS] = "data.test",
                                        [SEARCH_TEST_ACCURACY] = "data.test",
                                        [SEARCH_HOLDOUT_LOSS] = "evaluation.holdout above 0",
                                        [SEARCH_TRAIN_LOSS] = "evaluation.train_loss true"};
    double point[SEARCH_KEYS];
    rd_config config = {0};
    rd_model *model = NULL;
    rd_status status = RD_OK;
    search_objective o = j->space.objective;
    RD_TRY(search_ask(&j->space, NULL, 0, point, err));
    RD_TRY(config_at(j, point, 0, j->space.key_count, path, &config, err));
    RD_TRY(rd_model_create(config.model, &model, err));
    bool measured = o == SEARCH_HOLDOUT_LOSS ? config.evaluation.clients.holdout > 0
                    : o == SEARCH_TRAIN_LOSS ? config.evaluation.clients.train_loss
                                             : config.data.test.format != RD_SOURCE_NONE;
    if (!measured)
        status = rd_fail(err, RD_ERR_CONFIG, "%s: objective: %s needs %s in run.json", j->options->space,
                         search_objective_names[o], needs[o]);
    else if (o == SEARCH_TEST_ACCURACY && !rd_model_classifies(model))
        status =
            rd_fail(err, RD_ERR_CONFIG, "%s: objective: test_accuracy needs a loss over classes, but the model's is %s",
                    j->options->space, rd_model_loss_name(model));
cleanup:
    rd_model_free(model);
    rd_config_free(&config);
    return status;
}

rd_status search_job_check(const search_job *j, rd_error *err)
{
    char path[PATH_MAX];
    rd_status status = RD_OK;
    if (snprintf(path, sizeof path, "%s/check.json", j->options->directory) >= PATH_MAX - 64)
        return rd_fail(err, RD_ERR_USAGE, "--out: the path is too long");
    for (size_t k = 0; k < j->space.key_count; k++)
        RD_TRY(check_key(j, k, path, err));
    RD_TRY(check_objective(j, path, err));
    (void)unlink(path); /* after a failure it stays, for whoever reads the message */
cleanup:
    return status;
}

/* ---- the simulation ---- */

void search_trial_paths(const search_job *j, size_t trial, char config[PATH_MAX], char directory[PATH_MAX])
{
    (void)snprintf(directory, PATH_MAX, "%s/trial-%04zu", j->options->directory, trial + 1);
    (void)snprintf(config, PATH_MAX, "%s/trial-%04zu.json", j->options->directory, trial + 1);
}

/* In the child. */
static search_exit simulate(const search_job *j, size_t trial, const double point[SEARCH_KEYS])
{
    char path[PATH_MAX], directory[PATH_MAX];
    rd_config config = {0};
    rd_error err;
    bool interrupted = false;
    search_trial_paths(j, trial, path, directory);
    rd_status status = config_at(j, point, 0, j->space.key_count, path, &config, &err);
    if (status == RD_OK)
        status = rd_simulate(
            &config,
            &(rd_sim_options){
                .clients = j->options->clients, .threads = j->options->threads, .directory = directory, .quiet = true},
            &interrupted, &err);
    rd_config_free(&config);
    if (status != RD_OK)
        fprintf(stderr, "rondo-sim: trial %zu: %s\n", trial + 1, err.message);
    return interrupted       ? SEARCH_EXIT_INTERRUPTED
           : status == RD_OK ? SEARCH_EXIT_DONE
           : status == RD_ERR_CONFIG || status == RD_ERR_MEMORY || status == RD_ERR_RANGE || status == RD_ERR_IDLE
               ? SEARCH_EXIT_IMPOSSIBLE
               : SEARCH_EXIT_UNABLE;
}

rd_status search_trial_start(const search_job *j, size_t trial, const double point[SEARCH_KEYS], pid_t *child,
                             rd_error *err)
{
    pid_t parent = getpid();
    fflush(NULL);
    *child = fork();
    if (*child < 0)
        return rd_fail(err, RD_ERR_IO, "cannot start trial %zu: %s", trial + 1, strerror(errno));
    if (*child > 0)
        return RD_OK;
    (void)setpgid(0, 0); /* Ctrl-C is for the search, which tells its trials once */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(SEARCH_EXIT_UNABLE);
    _exit(simulate(j, trial, point));
}

/* ---- what came of it ---- */

typedef struct reading {
    search_objective wanted;
    search_outcome outcome;
} reading;

/* The last round that measured the objective. */
static bool read_round(const rd_round_record *r, void *user)
{
    reading *l = user;
    const rd_metrics *m = l->wanted == SEARCH_HOLDOUT_LOSS ? &r->holdout
                          : l->wanted == SEARCH_TRAIN_LOSS ? &r->train
                                                           : &r->test;
    if (m->samples > 0)
        l->outcome.objective = l->wanted == SEARCH_TEST_ACCURACY ? -m->accuracy : m->loss;
    if (r->counted == 0 && r->failed > 0) /* everybody's training diverges */
        l->outcome.objective = NAN;
    l->outcome.rounds = r->round;
    return true;
}

search_outcome search_trial_outcome(const search_job *j, size_t trial)
{
    char config[PATH_MAX], directory[PATH_MAX];
    reading l = {j->space.objective, {NAN, 0}};
    rd_store *store = NULL;
    rd_error ignored; /* a trial that could not even make its state directory has failed, too */
    search_trial_paths(j, trial, config, directory);
    rd_status status = rd_store_open_reader(directory, &store, &ignored);
    if (status == RD_OK)
        status = rd_store_rounds(store, 0, read_round, &l, &ignored);
    rd_store_close(store);
    if (status != RD_OK || !isfinite(l.outcome.objective))
        l.outcome.objective = INFINITY;
    return l.outcome;
}
