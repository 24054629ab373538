/* search.c: see search.h. Each trial runs in a process of its own (trial.c), several at a time. What
 * became of it is appended to trials.jsonl: a line when it starts, with its point, and one when it ends. A
 * search that is called again reads these lines: finished trials count, the others continue where their
 * simulation stopped. */
#include "search/search.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config/json_print.h"
#include "core/clock.h"
#include "core/crypto.h"
#include "core/file.h"
#include "core/signals.h"
#include "search/ask.h"
#include "search/record.h"
#include "search/trial.h"

typedef struct slot {
    pid_t child; /* 0: free */
    size_t trial;
    double started;
} slot;

typedef struct runner {
    search_job job;
    search_record record;
    slot *slots; /* (parallel) */
    unsigned parallel;
    int signals;
} runner;

/* best.json is the run.json of the best trial so far. */
static rd_status save_best(const runner *r, rd_error *err)
{
    char config_path[PATH_MAX], directory[PATH_MAX], best_path[PATH_MAX], *text = NULL;
    size_t best = search_record_best(&r->record), size;
    if (best == SIZE_MAX)
        return RD_OK;
    search_trial_paths(&r->job, best, config_path, directory);
    (void)snprintf(best_path, sizeof best_path, "%s/best.json", r->job.options->directory);
    rd_status status = rd_file_read(config_path, 1 << 20, &text, &size, err);
    if (status == RD_OK)
        status = rd_file_write(best_path, text, size, err);
    free(text);
    return status;
}

/* ---- the loop ---- */

static rd_status end_trial(runner *r, slot *s, int code, rd_error *err)
{
    int ended = WIFEXITED(code) ? WEXITSTATUS(code) : SEARCH_EXIT_IMPOSSIBLE; /* killed: by memory, say */
    s->child = 0;
    if (ended == SEARCH_EXIT_INTERRUPTED)
        return RD_OK; /* it has no result yet */
    if (ended == SEARCH_EXIT_UNABLE)
        return rd_fail(err, RD_ERR_IO, "trial %zu could not go on, for the reason above", s->trial + 1);
    search_outcome o = search_trial_outcome(&r->job, s->trial);
    double objective = ended == SEARCH_EXIT_DONE ? o.objective : INFINITY;
    rd_status status = RD_OK;
    RD_TRY(search_record_end(&r->record, s->trial, objective, o.rounds, rd_clock_seconds() - s->started, err));
    if (search_record_best(&r->record) == s->trial)
        RD_TRY(save_best(r, err));
    if (!r->job.options->quiet) {
        printf("trial %zu/%llu: ", s->trial + 1, (unsigned long long)r->job.space.trials);
        search_record_print_one(&r->record, &r->job.space, s->trial);
    }
cleanup:
    return status;
}

static void stop_all(const runner *r)
{
    for (unsigned i = 0; i < r->parallel; i++)
        if (r->slots[i].child != 0)
            (void)kill(r->slots[i].child, SIGTERM);
}

/* Waits for a trial to end. After a signal the trials are told, and stop after their round. */
static rd_status wait_for_one(runner *r, bool *interrupted, rd_error *err)
{
    for (;;) {
        int code;
        pid_t child = waitpid(-1, &code, WNOHANG);
        for (unsigned i = 0; i < r->parallel && child > 0; i++)
            if (r->slots[i].child == child)
                return end_trial(r, &r->slots[i], code, err);
        if (child < 0 && errno != EINTR)
            return rd_fail(err, RD_ERR_IO, "cannot wait for a trial: %s", strerror(errno));
        if (*interrupted) {
            (void)usleep(20000);
        } else if (rd_signals_arrived(r->signals, 20)) {
            *interrupted = true;
            stop_all(r);
        }
    }
}

static size_t running(const runner *r)
{
    size_t count = 0;
    for (unsigned i = 0; i < r->parallel; i++)
        count += r->slots[i].child != 0;
    return count;
}

static bool is_running(const runner *r, size_t trial)
{
    for (unsigned i = 0; i < r->parallel; i++)
        if (r->slots[i].child != 0 && r->slots[i].trial == trial)
            return true;
    return false;
}

/* The next trial to run: one that an earlier call began, or a new one. SIZE_MAX: there is none. */
static rd_status next_trial(runner *r, size_t *trial, rd_error *err)
{
    double point[SEARCH_KEYS];
    for (*trial = 0; *trial < r->record.count; ++*trial)
        if (isnan(r->record.trials[*trial].objective) && !is_running(r, *trial))
            return RD_OK;
    if (r->record.count >= r->job.space.trials) {
        *trial = SIZE_MAX;
        return RD_OK;
    }
    rd_status status = search_ask(&r->job.space, r->record.trials, r->record.count, point, err);
    return status == RD_OK ? search_record_begin(&r->record, &r->job.space, point, err) : status;
}

static rd_status fill(runner *r, rd_error *err)
{
    rd_status status = RD_OK;
    for (unsigned i = 0; i < r->parallel && status == RD_OK; i++) {
        slot *s = &r->slots[i];
        if (s->child != 0)
            continue;
        status = next_trial(r, &s->trial, err);
        if (status != RD_OK || s->trial == SIZE_MAX)
            break;
        s->started = rd_clock_seconds();
        status = search_trial_start(&r->job, s->trial, r->record.trials[s->trial].point, &s->child, err);
    }
    return status;
}

/* After a failure the trials under way are stopped and waited for, so that none outlives the search. */
static rd_status loop(runner *r, bool *interrupted, rd_error *err)
{
    rd_status status = RD_OK;
    do {
        if (!*interrupted && status == RD_OK)
            status = fill(r, err);
        if (status != RD_OK)
            stop_all(r);
        if (running(r) > 0) {
            rd_error later;
            rd_status ended = wait_for_one(r, interrupted, status == RD_OK ? err : &later);
            status = status == RD_OK ? ended : status;
        }
    } while (running(r) > 0 || (status == RD_OK && !*interrupted && r->record.count < r->job.space.trials));
    return status;
}

/* ---- the whole ---- */

static rd_status hash(const cJSON *json, char hex[RD_SHA256_HEX], rd_error *err)
{
    rd_sha256 digest;
    char *text = rd_json_print(json);
    if (text == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the search");
    rd_sha256_start(&digest);
    rd_sha256_add(&digest, text, strlen(text));
    rd_sha256_finish_hex(&digest, hex);
    free(text);
    return RD_OK;
}

static rd_status start(runner *r, rd_error *err)
{
    char space_hash[RD_SHA256_HEX], run_hash[RD_SHA256_HEX];
    const char *directory = r->job.options->directory;
    rd_status status = RD_OK;
    r->slots = calloc(r->parallel, sizeof *r->slots);
    if (r->slots == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for %u trials at a time", r->parallel);
    RD_TRY(rd_make_directory(directory, err));
    RD_TRY(search_job_check(&r->job, err));
    RD_TRY(hash(r->job.space.json, space_hash, err));
    RD_TRY(hash(r->job.run, run_hash, err));
    RD_TRY(search_record_open(directory, space_hash, run_hash, r->job.options->clients, &r->record, err));
cleanup:
    return status;
}

rd_status rd_search(const rd_search_options *options, bool *interrupted, rd_error *err)
{
    runner r = {.parallel = options->parallel};
    rd_status status = RD_OK;
    RD_TRY(rd_signals_open(&r.signals, err));
    RD_TRY(search_job_open(options, &r.job, err));
    RD_TRY(start(&r, err));
    RD_TRY(loop(&r, interrupted, err));
    RD_TRY(save_best(&r, err));
    if (!options->quiet)
        RD_TRY(search_record_print(&r.record, &r.job.space, err));
    if (!options->quiet && search_record_best(&r.record) != SIZE_MAX)
        printf("\nthe best: %s/best.json, trained in trial-%04zu\n", options->directory,
               search_record_best(&r.record) + 1);
cleanup:
    search_record_close(&r.record);
    search_job_close(&r.job);
    free(r.slots);
    rd_signals_close(r.signals);
    return status;
}
