/* seed_runs.h: the runs in a folder that `rondo-sim --seeds` has filled: seed-1, seed-2, ... */
#ifndef RONDO_INSPECT_SEED_RUNS_H
#define RONDO_INSPECT_SEED_RUNS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"

typedef struct seed_runs {
    char **paths; /* (count) state directories, by rising seed */
    size_t count; /* 0: the directory is no such folder */
} seed_runs;

rd_status seed_runs_find(const char *directory, seed_runs *out, rd_error *err) RD_MUST_CHECK;
void seed_runs_free(seed_runs *runs);

#endif
