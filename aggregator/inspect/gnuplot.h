/* gnuplot.h: gnuplot as a child process that reads its script from a pipe; no shell is involved. */
#ifndef RONDO_INSPECT_GNUPLOT_H
#define RONDO_INSPECT_GNUPLOT_H

#include <stdio.h>
#include <sys/types.h>

#include "core/error.h"

typedef struct gnuplot {
    FILE *script; /* what gnuplot is to do is written here */
    pid_t pid;
    char out[4096], temporary[4100];
} gnuplot;

/* Starts it with standard output going to out.tmp. */
rd_status gnuplot_start(const char *out, gnuplot *g, rd_error *err) RD_MUST_CHECK;
/* Ends the script, waits, and where all went well moves the picture to its place. */
rd_status gnuplot_finish(gnuplot *g, rd_error *err) RD_MUST_CHECK;

#endif
