/* grace.h: a deadline is put off while an update is arriving, to a limit (cohort.grace_seconds) for all steps of a round
 * together: who has trained in time is not late for a slow line. */
#ifndef RONDO_AGGREGATOR_GRACE_H
#define RONDO_AGGREGATOR_GRACE_H

#include <stdbool.h>
#include <stdint.h>

#define RD_GRACE_LOOK 5.0 /* seconds between two looks: what is encrypted comes in pieces of 16 kB */
#define RD_GRACE_RATE \
    512.0 /* bytes a second that move; a body that is slower is not waited for by the server, either */

typedef struct rd_grace {
    double left;    /* seconds that the deadline may still be put off */
    double given;   /* by the last look; 0: the deadline of the step has not passed */
    uint64_t moved; /* bytes of updates, at the last look */
} rd_grace;

/* A round begins. */
rd_grace rd_grace_start(double seconds);
/* A step of it begins, with a deadline of its own. */
void rd_grace_next_step(rd_grace *g);
/* The deadline, or what was given last, has passed. arriving: an update that the round waits for is under way; moved:
 * bytes of updates that have come since the process began. Returns for how many seconds more; 0: it is over. */
double rd_grace_more(rd_grace *g, bool arriving, uint64_t moved);

#endif
