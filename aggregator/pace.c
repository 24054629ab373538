/* pace.c: see pace.h. */
#include "pace.h"

#include "core/random.h"

/* Seconds in which each of them has its turn at this rate of each worker. */
static unsigned spread(const rd_pace *p, size_t clients, unsigned rate)
{
    const uint64_t seconds = clients / ((uint64_t)rate * p->workers);
    return seconds < RD_PACE_MOST ? (unsigned)seconds : RD_PACE_MOST;
}

unsigned rd_pace_retry(rd_pace *p, rd_pace_reason why, size_t clients)
{
    static const unsigned least[RD_PACE_REASONS] = {[RD_PACE_TASK] = 0, [RD_PACE_BUSY] = 2, [RD_PACE_SHORTAGE] = 5};
    rd_random r = rd_random_stream(p->seed, RD_PURPOSE_JITTER, atomic_fetch_add(&p->drawn, 1), 0);
    const unsigned seconds = least[why] + rd_random_below(&r, spread(p, clients, RD_PACE_REQUESTS) + 1);
    return seconds < RD_PACE_MOST ? seconds : RD_PACE_MOST;
}

unsigned rd_pace_return(const rd_pace *p, size_t clients)
{
    return spread(p, clients, RD_PACE_RETURNS);
}
