/* waiting.h: when to say again what a run waits for. A change is reported within a second or two, the same thing once a
 * minute: whoever looks at the log of a run that stands still sees why, and the log does not grow by it. */
#ifndef RONDO_AGGREGATOR_WAITING_H
#define RONDO_AGGREGATOR_WAITING_H

#include <stdbool.h>
#include <stdint.h>

#define RD_WAITING_AGAIN_MS 60000u

typedef struct rd_waiting {
    uint64_t what;        /* that was last reported; 0: nothing */
    uint64_t reported_at; /* milliseconds */
} rd_waiting;

/* what: a number for that which is waited for, 0 for nothing. Is now the time to tell it? */
static inline bool rd_waiting_is_due(rd_waiting *w, uint64_t what, uint64_t now_ms)
{
    bool due = what != 0 && (what != w->what || now_ms >= w->reported_at + RD_WAITING_AGAIN_MS);
    w->what = what;
    if (due)
        w->reported_at = now_ms;
    return due;
}

#endif
