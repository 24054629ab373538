/* trial.h: one trial of a search: its run.json, its simulation in a process of its own, and what came
 * of it. */
#ifndef RONDO_SIMULATIONS_SEARCH_TRIAL_H
#define RONDO_SIMULATIONS_SEARCH_TRIAL_H

#include <limits.h>
#include <sys/types.h>

#include "search/search.h"
#include "search/space.h"

/* What all trials of a search share. */
typedef struct search_job {
    const rd_search_options *options;
    search_space space;
    cJSON *run;            /* run.json */
    char folder[PATH_MAX]; /* in which run.json lies */
} search_job;

rd_status search_job_open(const rd_search_options *options, search_job *out, rd_error *err) RD_MUST_CHECK;
void search_job_close(search_job *j);
/* Before anything is trained: is every choice and both ends of every range possible in run.json, and is the
 * objective measured? RD_ERR_CONFIG names the key. */
rd_status search_job_check(const search_job *j, rd_error *err) RD_MUST_CHECK;

/* DIR/trial-0001.json and DIR/trial-0001, for trial 0. */
void search_trial_paths(const search_job *j, size_t trial, char config[PATH_MAX], char directory[PATH_MAX]);

/* How the process of a trial ends. */
typedef enum search_exit {
    SEARCH_EXIT_DONE = 0,
    SEARCH_EXIT_UNABLE = 1, /* for a reason that is not in the point: a file, the disk */
    SEARCH_EXIT_INTERRUPTED = 3,
    SEARCH_EXIT_IMPOSSIBLE = 4, /* such a run cannot be: the keys contradict one another, it needs too much
                                   memory, its numbers leave their range, it aggregates nothing */
} search_exit;

/* Starts the simulation at this point, or lets it continue where it stopped. Its process dies with this
 * one, and tells on standard error why it cannot go on. */
rd_status search_trial_start(const search_job *j, size_t trial, const double point[SEARCH_KEYS], pid_t *child,
                             rd_error *err) RD_MUST_CHECK;

typedef struct search_outcome {
    double objective; /* smaller is better; infinite: the trial failed */
    uint64_t rounds;
} search_outcome;

/* Of a trial whose process has ended, from its state directory. It failed where the objective was not
 * measured, is not finite, or everybody failed in the last round. */
search_outcome search_trial_outcome(const search_job *j, size_t trial);

#endif
