/* bench.h: what every benchmark in C needs: a clock, and an end where something fails. */
#ifndef RONDO_TESTS_BENCH_H
#define RONDO_TESTS_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/error.h"

static inline double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline double now(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

static inline void *checked(void *p)
{
    if (p == NULL) {
        fprintf(stderr, "no memory\n");
        exit(1);
    }
    return p;
}

static inline void succeed(rd_status status, const rd_error *err)
{
    if (status != RD_OK) {
        fprintf(stderr, "%s\n", err->message);
        exit(1);
    }
}

#endif
