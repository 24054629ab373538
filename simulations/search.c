/* search.c: see search.h. Each trial is a process of its own that runs a simulation with its own state
 * directory. What became of it is read from there, and appended to trials.jsonl: a line when it starts, with
 * its point, and one when it ends. A search that is called again reads these lines: finished trials count,
 * the others continue where their simulation stopped. */
#include "search.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config/json_print.h"
#include "core/digest.h"
#include "core/file.h"
#include "core/signals.h"
#include "format/foreign.h"
#include "search_ask.h"
#include "search_record.h"
#include "simulator.h"
#include "store/store.h"

enum { EXIT_TRIAL_INTERRUPTED = 3 };

typedef struct runner {
    const rd_search_options *options;
    search_space space;
    search_record record;
    cJSON *run;       /* run.json with absolute paths */
    pid_t *children;  /* (parallel) 0: free */
    size_t *trial_of; /* (parallel) */
    double *started;  /* (parallel) */
    int signals;
} runner;

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- run.json ---- */

/* Trials have their own files in another folder, so paths must not depend on it. */
static rd_status make_absolute(cJSON *object, const char *key, const char *folder, rd_error *err)
{
    char path[PATH_MAX], whole[PATH_MAX];
    cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsString(item) || item->valuestring[0] == '/')
        return RD_OK;
    if (realpath(folder, whole) == NULL ||
        snprintf(path, sizeof path, "%s/%s", whole, item->valuestring) >= (int)sizeof path)
        return rd_fail(err, RD_ERR_CONFIG, "%s: cannot be made an absolute path", item->valuestring);
    if (cJSON_SetValuestring(item, path) == NULL &&
        !cJSON_ReplaceItemInObjectCaseSensitive(object, key, cJSON_CreateString(path)))
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a path");
    return RD_OK;
}

static rd_status load_run(runner *r, rd_error *err)
{
    char *text = NULL, folder[PATH_MAX];
    const char *what, *path = r->options->config, *slash = strrchr(path, '/');
    size_t size, at;
    rd_config check = {0};
    rd_status status = rd_config_load(path, &check, err);
    rd_config_free(&check);
    if (status == RD_OK)
        status = rd_file_read(path, 1 << 20, &text, &size, err);
    if (status != RD_OK)
        return status;
    (void)snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - path) + 1 : 1,
                   slash != NULL ? path : ".");
    r->run = rd_foreign_json(text, size, &at, &what);
    free(text);
    cJSON_DeleteItemFromObjectCaseSensitive(r->run, "$schema");
    cJSON *data = cJSON_GetObjectItemCaseSensitive(r->run, "data");
    cJSON *parts[] = {cJSON_GetObjectItemCaseSensitive(data, "train"),
                      cJSON_GetObjectItemCaseSensitive(data, "test"),
                      cJSON_GetObjectItemCaseSensitive(r->run, "initial")};
    for (size_t i = 0; i < 3 && status == RD_OK; i++) {
        status = make_absolute(parts[i], "path", folder, err);
        if (status == RD_OK)
            status = make_absolute(parts[i], "labels", folder, err);
    }
    return status;
}

/* Writes the point's run.json and reads it as any other. */
static rd_status write_config(const runner *r, const double point[SEARCH_KEYS], const char *path,
                              rd_config *out, rd_error *err)
{
    cJSON *json = NULL;
    rd_status status = search_space_apply(&r->space, point, r->run, &json, err);
    if (status != RD_OK)
        return rd_fail_context(err, "%s", r->options->space);
    char *text = rd_json_print(json);
    cJSON_Delete(json);
    if (text == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a trial");
    status = rd_file_write(path, text, strlen(text), err);
    free(text);
    return status == RD_OK ? rd_config_load(path, out, err) : status;
}

/* Every choice and both ends of every range, one at a time, before anything is trained. */
static rd_status check_space(const runner *r, rd_error *err)
{
    char path[PATH_MAX];
    rd_status status = RD_OK;
    (void)snprintf(path, sizeof path, "%s/check.json", r->options->directory);
    for (size_t k = 0; k < r->space.key_count && status == RD_OK; k++) {
        size_t n = r->space.keys[k].values != NULL ? (size_t)cJSON_GetArraySize(r->space.keys[k].values) : 2;
        for (size_t i = 0; i < n && status == RD_OK; i++) {
            search_space one = r->space;
            double point[SEARCH_KEYS] = {n > 1 ? ((double)i + (r->space.keys[k].values != NULL ? 0.5 : 0)) /
                                                     (r->space.keys[k].values != NULL ? (double)n : 1)
                                               : 0};
            rd_config config = {0};
            one.keys[0] = r->space.keys[k];
            one.key_count = 1;
            runner alone = *r;
            alone.space = one;
            status = write_config(&alone, point, path, &config, err);
            rd_config_free(&config);
            if (status != RD_OK)
                (void)rd_fail_context(err, "%s: keys.%s", r->options->space, r->space.keys[k].path);
        }
    }
    (void)unlink(path);
    return status;
}

/* ---- a trial ---- */

typedef struct outcome {
    const search_space *space;
    double objective;
    uint64_t rounds;
} outcome;

/* The last round that measured the objective. */
static bool look(const rd_round_record *r, void *user)
{
    outcome *o = user;
    const rd_metrics *m = o->space->objective == SEARCH_HOLDOUT_LOSS ? &r->holdout
                          : o->space->objective == SEARCH_TRAIN_LOSS ? &r->train
                                                                     : &r->test;
    if (m->samples > 0)
        o->objective = o->space->objective == SEARCH_TEST_ACCURACY ? -m->accuracy : m->loss;
    o->rounds = r->round;
    return true;
}

static outcome read_outcome(const runner *r, const char *directory, bool failed)
{
    outcome o = {&r->space, NAN, 0};
    rd_store *store = NULL;
    rd_error ignored;
    if (rd_store_open_reader(directory, &store, &ignored) == RD_OK)
        (void)!rd_store_rounds(store, 0, look, &o, &ignored);
    rd_store_close(store);
    if (failed || !isfinite(o.objective))
        o.objective = INFINITY;
    return o;
}

/* In the child: the simulation, and how it went as an exit code. */
static int simulate(const runner *r, const char *config_path, const char *directory)
{
    rd_config config = {0};
    rd_error err;
    bool interrupted = false;
    rd_status status = rd_config_load(config_path, &config, &err);
    if (status == RD_OK)
        status = rd_simulate(&config,
                             &(rd_sim_options){.clients = r->options->clients,
                                               .threads = r->options->threads,
                                               .directory = directory,
                                               .quiet = true},
                             &interrupted, &err);
    rd_config_free(&config);
    if (status != RD_OK)
        fprintf(stderr, "rondo-sim: %s: %s\n", directory, err.message);
    return interrupted ? EXIT_TRIAL_INTERRUPTED : status == RD_OK ? 0 : 1;
}

static void paths_of(const runner *r, size_t trial, char config[PATH_MAX], char directory[PATH_MAX])
{
    (void)snprintf(directory, PATH_MAX, "%s/trial-%04zu", r->options->directory, trial + 1);
    (void)snprintf(config, PATH_MAX, "%s/trial-%04zu.json", r->options->directory, trial + 1);
}

static rd_status start_trial(runner *r, size_t slot, size_t trial, rd_error *err)
{
    char config_path[PATH_MAX], directory[PATH_MAX];
    rd_config config = {0};
    paths_of(r, trial, config_path, directory);
    rd_status status = write_config(r, r->record.trials[trial].point, config_path, &config, err);
    rd_config_free(&config);
    if (status != RD_OK)
        return status;
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        return rd_fail(err, RD_ERR_IO, "cannot start a trial: %s", strerror(errno));
    if (child == 0) {
        rd_signals_close(r->signals);
        _exit(simulate(r, config_path, directory));
    }
    r->children[slot] = child;
    r->trial_of[slot] = trial;
    r->started[slot] = seconds_now();
    return RD_OK;
}

static rd_status end_trial(runner *r, size_t slot, int code, rd_error *err)
{
    char config_path[PATH_MAX], directory[PATH_MAX];
    size_t trial = r->trial_of[slot];
    r->children[slot] = 0;
    if (WIFEXITED(code) && WEXITSTATUS(code) == EXIT_TRIAL_INTERRUPTED)
        return RD_OK; /* it has no result yet */
    paths_of(r, trial, config_path, directory);
    bool failed = !WIFEXITED(code) || WEXITSTATUS(code) != 0;
    outcome o = read_outcome(r, directory, failed);
    rd_status status =
        search_record_end(&r->record, trial, o.objective, o.rounds, seconds_now() - r->started[slot], err);
    if (status == RD_OK && !r->options->quiet) {
        printf("trial %zu/%llu: ", trial + 1, (unsigned long long)r->space.trials);
        search_record_print_one(&r->record, &r->space, trial);
    }
    return status;
}

/* ---- the loop ---- */

static size_t running(const runner *r)
{
    size_t count = 0;
    for (unsigned i = 0; i < r->options->parallel; i++)
        count += r->children[i] != 0;
    return count;
}

/* Waits for a trial to end. After a signal the trials are told, and stop after their round. */
static rd_status wait_for_one(runner *r, bool *interrupted, rd_error *err)
{
    for (;;) {
        int code;
        pid_t child = waitpid(-1, &code, WNOHANG);
        for (unsigned i = 0; i < r->options->parallel && child > 0; i++)
            if (r->children[i] == child)
                return end_trial(r, i, code, err);
        if (child < 0 && errno != EINTR)
            return rd_fail(err, RD_ERR_IO, "cannot wait for a trial: %s", strerror(errno));
        if (*interrupted)
            (void)usleep(20000);
        else if (rd_signals_arrived(r->signals, 20)) {
            *interrupted = true;
            for (unsigned i = 0; i < r->options->parallel; i++)
                if (r->children[i] != 0)
                    (void)kill(r->children[i], SIGTERM);
        }
    }
}

/* The next trial to run: one that an earlier call began, or a new one. SIZE_MAX: there is none. */
static rd_status next_trial(runner *r, size_t *trial, rd_error *err)
{
    double point[SEARCH_KEYS];
    for (*trial = 0; *trial < r->record.count; ++*trial) {
        bool here = false;
        for (unsigned i = 0; i < r->options->parallel; i++)
            here = here || (r->children[i] != 0 && r->trial_of[i] == *trial);
        if (!here && isnan(r->record.trials[*trial].objective))
            return RD_OK;
    }
    if (r->record.count >= r->space.trials) {
        *trial = SIZE_MAX;
        return RD_OK;
    }
    rd_status status = search_ask(&r->space, r->record.trials, r->record.count, point, err);
    return status == RD_OK ? search_record_begin(&r->record, &r->space, point, err) : status;
}

static rd_status loop(runner *r, bool *interrupted, rd_error *err)
{
    rd_status status = RD_OK;
    for (;;) {
        for (unsigned slot = 0; slot < r->options->parallel && !*interrupted && status == RD_OK; slot++) {
            size_t trial = SIZE_MAX;
            if (r->children[slot] != 0)
                continue;
            status = next_trial(r, &trial, err);
            if (status != RD_OK || trial == SIZE_MAX)
                break;
            status = start_trial(r, slot, trial, err);
        }
        if (running(r) == 0)
            return status;
        rd_status ended = wait_for_one(r, interrupted, err);
        if (ended != RD_OK)
            return ended;
    }
}

/* ---- the whole ---- */

static void hash(const cJSON *json, char hex[RD_SHA256_HEX])
{
    rd_sha256 digest;
    char *text = rd_json_print(json);
    rd_sha256_start(&digest);
    rd_sha256_add(&digest, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
    rd_sha256_finish_hex(&digest, hex);
    free(text);
}

static rd_status save_best(const runner *r, rd_error *err)
{
    char config_path[PATH_MAX], directory[PATH_MAX], best_path[PATH_MAX], *text = NULL;
    size_t best = search_record_best(&r->record), size;
    if (best == SIZE_MAX)
        return RD_OK;
    paths_of(r, best, config_path, directory);
    (void)snprintf(best_path, sizeof best_path, "%s/best.json", r->options->directory);
    rd_status status = rd_file_read(config_path, 1 << 20, &text, &size, err);
    if (status == RD_OK)
        status = rd_file_write(best_path, text, size, err);
    free(text);
    if (status == RD_OK && !r->options->quiet)
        printf("\nthe best: %s, trained in %s\n", best_path, directory);
    return status;
}

rd_status rd_search(const rd_search_options *options, bool *interrupted, rd_error *err)
{
    char space_hash[RD_SHA256_HEX], run_hash[RD_SHA256_HEX];
    runner r = {.options = options};
    rd_status status = RD_OK;
    r.signals = rd_signals_open();
    r.children = calloc(options->parallel, sizeof *r.children);
    r.trial_of = calloc(options->parallel, sizeof *r.trial_of);
    r.started = calloc(options->parallel, sizeof *r.started);
    if (r.children == NULL || r.trial_of == NULL || r.started == NULL)
        RD_TRY(rd_fail(err, RD_ERR_MEMORY, "no memory for %u trials at a time", options->parallel));
    RD_TRY(search_space_load(options->space, &r.space, err));
    RD_TRY(load_run(&r, err));
    RD_TRY(rd_make_directory(options->directory, err));
    RD_TRY(check_space(&r, err));
    hash(r.space.json, space_hash);
    hash(r.run, run_hash);
    RD_TRY(search_record_open(options->directory, space_hash, run_hash, options->clients, &r.record, err));
    RD_TRY(loop(&r, interrupted, err));
    if (!options->quiet)
        search_record_print(&r.record, &r.space);
    RD_TRY(save_best(&r, err));
cleanup:
    search_record_close(&r.record);
    search_space_free(&r.space);
    cJSON_Delete(r.run);
    free(r.children);
    free(r.trial_of);
    free(r.started);
    rd_signals_close(r.signals);
    return status;
}
