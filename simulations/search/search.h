/* search.h: `rondo-sim search`: many simulations with other hyperparameters, and which of them is best. */
#ifndef RONDO_SIMULATIONS_SEARCH_H
#define RONDO_SIMULATIONS_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

typedef struct rd_search_options {
    const char *config, *space, *directory;
    const char *method; /* in place of the one in space.json; NULL: that one */
    uint64_t trials;    /* likewise; 0 */
    size_t clients;
    unsigned threads, parallel; /* threads of each trial, trials at a time */
    bool quiet;
} rd_search_options;

/* Runs the trials that are not done yet. DIR/trials.jsonl lists them, DIR/trial-0001 is the state directory
 * of the first, DIR/trial-0001.json its run.json, DIR/best.json that of the best so far. *interrupted:
 * SIGINT or SIGTERM; the same call goes on. */
rd_status rd_search(const rd_search_options *options, bool *interrupted, rd_error *err) RD_MUST_CHECK;

#endif
