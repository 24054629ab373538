/* pace.h: when a client is to come again. Clients that are turned away at one moment, or lose the aggregator at one, would
 * all be back at one: so the more there are, the longer the time over which they are spread, each at a moment of its own
 * that is drawn at random. Few are not spread at all, and no round waits for this.
 *
 * Pure but for a counter, which any thread may advance: with the same seed the same seconds are drawn. */
#ifndef RONDO_AGGREGATOR_PACE_H
#define RONDO_AGGREGATOR_PACE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* What each worker of the server is taken to do in a second beside the rounds. */
#define RD_PACE_REQUESTS 1000u /* small ones, on connections that are open */
#define RD_PACE_RETURNS 50u    /* full handshakes, in the half of its time that they may have */
#define RD_PACE_MOST 300u      /* seconds; nobody is sent away for longer */

typedef struct rd_pace {
    uint64_t seed;
    unsigned workers;
    atomic_uint_fast64_t drawn; /* how often; 0 at first */
} rd_pace;

typedef enum rd_pace_reason {
    RD_PACE_TASK,     /* there is nothing to do: it may ask at once, and be parked */
    RD_PACE_BUSY,     /* something is under way that takes a moment */
    RD_PACE_SHORTAGE, /* memory, files or the disk are short */
    RD_PACE_REASONS
} rd_pace_reason;

/* For Retry-After: whole seconds, drawn anew for each answer. clients: that are there, and may be told the same now. */
unsigned rd_pace_retry(rd_pace *p, rd_pace_reason why, size_t clients);
/* For Rondo-Return: over so many seconds these clients should spread their coming back when they have lost the
 * aggregator. 0: they need not. */
unsigned rd_pace_return(const rd_pace *p, size_t clients);

#endif
