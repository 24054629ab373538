/* progress.c: see progress.h. */
#include "progress.h"
#include "core/clock.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define BAR 30

void rd_progress_start(rd_progress *p, bool wanted, double done)
{
    p->shown = wanted && isatty(STDERR_FILENO);
    p->started = rd_clock_seconds();
    p->last_drawn = 0.0;
    p->begun_at = done;
}

void rd_progress_update(rd_progress *p, double done, const char *label)
{
    double now = rd_clock_seconds();
    if (!p->shown || now - p->last_drawn < 0.1)
        return;
    p->last_drawn = now;
    char bar[BAR + 1];
    for (int i = 0; i < BAR; i++)
        bar[i] = i < (int)(BAR * done) ? '#' : '.';
    bar[BAR] = '\0';
    double here = done - p->begun_at;
    if (here > 0.0) {
        long left = (long)((now - p->started) * (1.0 - done) / here + 0.5);
        fprintf(stderr, "\r[%s] %s  %3.0f %%  %ld:%02ld:%02ld left ", bar, label, 100.0 * done, left / 3600,
                left / 60 % 60, left % 60);
    } else {
        fprintf(stderr, "\r[%s] %s ", bar, label);
    }
    fflush(stderr);
}

void rd_progress_clear(rd_progress *p)
{
    if (p->shown)
        fprintf(stderr, "\r\033[K");
}
