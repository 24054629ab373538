/* progress.h: a bar with the time left, on a terminal's last line. Elsewhere it stays silent. */
#ifndef RONDO_SIMULATIONS_PROGRESS_H
#define RONDO_SIMULATIONS_PROGRESS_H

#include <stdbool.h>

typedef struct rd_progress {
    bool shown;     /* standard error is a terminal */
    double started; /* seconds, monotonic */
    double last_drawn;
    double begun_at; /* share of the work that was done before this process began */
} rd_progress;

/* done: share of the whole, in [0, 1), that an earlier process has done. */
void rd_progress_start(rd_progress *p, bool wanted, double done);
/* Draws the bar again where at least a tenth of a second has passed. label: "round 3/10". */
void rd_progress_update(rd_progress *p, double done, const char *label);
/* Removes the bar, so that a line can be printed. */
void rd_progress_clear(rd_progress *p);

#endif
