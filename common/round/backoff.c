/* backoff.c: see backoff.h. */
#include "round/backoff.h"

uint64_t rd_backoff_rounds(unsigned missed, uint64_t most)
{
    if (missed == 0)
        return 0;
    const uint64_t rounds = missed <= 64 ? UINT64_C(1) << (missed - 1) : most;
    return rounds < most ? rounds : most;
}
