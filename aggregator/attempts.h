/* attempts.h: how often somebody may try a token that is none. 2^128 are too many to guess at any rate; the limit is there for
 * what an attempt costs, and for the log. Pure: time is what the caller says. */
#ifndef RONDO_AGGREGATOR_ATTEMPTS_H
#define RONDO_AGGREGATOR_ATTEMPTS_H

#include <stdbool.h>

#define RD_ATTEMPTS_MOST 10       /* that failed, of one address ... */
#define RD_ATTEMPTS_SECONDS 60.0  /* ... in so long */
#define RD_ATTEMPTS_ADDRESSES 256 /* remembered; beyond it the one whose time began first is forgotten */

typedef struct rd_attempts {
    struct {
        char address[48]; /* without the port */
        double began;
        unsigned count;
    } of[RD_ATTEMPTS_ADDRESSES];
} rd_attempts;

/* May the address ("192.0.2.1:40000", "[2001:db8::1]:40000") try now? now: seconds of a clock that runs forwards. */
bool rd_attempts_may(const rd_attempts *a, const char *address, double now);
void rd_attempts_failed(rd_attempts *a, const char *address, double now);

#endif
