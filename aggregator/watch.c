/* watch.c: see driver_state.h. */
#include <math.h>
#include <stdio.h>

#include "core/clock.h"
#include "driver_state.h"

/* With the lock held: names the clients of the open round that have not delivered. */
static void name_awaited(rd_driver *d, char *text, size_t size)
{
    enum { MOST_NAMED = 8 };
    size_t named = 0, all = 0, at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < d->attendance.part_count; i++) {
        size_t client = rd_rounds_find(d->rounds, d->attendance.parts[i].client);
        if (client == SIZE_MAX || rd_rounds_participation(d->rounds, client) != RD_PART_ASKED)
            continue;
        if (all++ < MOST_NAMED && at < size) {
            int n = snprintf(text + at, size - at, "%s%s", named++ == 0 ? "; waiting for " : ", ",
                             d->attendance.parts[i].client);
            at += n > 0 ? (size_t)n : 0;
        }
    }
    if (all > named && at < size)
        (void)snprintf(text + at, size - at, " and %zu more", all - named);
}

void rd_driver_describe_waiting(rd_driver *d, uint64_t *what, char *line, size_t size)
{
    size_t missing;
    const rd_cohort_config *cohort = &rd_run_config(d->run)->cohort;
    double open = rd_clock_seconds() - d->opened_at;
    *what = 0;
    pthread_mutex_lock(&d->lock);
    if (rd_rounds_waiting(d->rounds)) {
        size_t there = rd_rounds_available(d->rounds), needed = rd_cohort_needed(cohort);
        *what = 1 + there;
        (void)snprintf(line, size, "waiting: %zu of %zu clients are there (cohort.%s)", there, needed,
                       needed > cohort->min_clients ? "min_updates" : "min_clients");
    } else if ((missing = rd_rounds_missing(d->rounds)) > 0 && open > 1e-3 * RD_WAITING_AGAIN_MS) {
        char names[400];
        name_awaited(d, names, sizeof names);
        *what = UINT64_MAX - rd_rounds_current(d->rounds);
        (void)snprintf(line, size, "round %llu: %zu update%s missing after %.0f s%s (the deadline is in %.0f s)",
                       (unsigned long long)rd_rounds_current(d->rounds), missing, missing == 1 ? " is" : "s are", open,
                       names, fmax(cohort->deadline_seconds - open, 0.0));
    }
    pthread_mutex_unlock(&d->lock);
}
