/* weight_limit.c: see weight_limit.h. */
#include "round/weight_limit.h"

#include <math.h>
#include <stdlib.h>

#define DEFAULT_SHARE 0.5 /* nobody outweighs all the others together */
#define DEFAULT_FROM 4    /* updates; of two or three clients of different sizes one may well have more than half */
#define ONE (UINT64_C(1) << 32)

double rd_cohort_max_weight(const rd_cohort_config *c, size_t wanted)
{
    if (c->max_weight > 0)
        return c->max_weight;
    return wanted >= DEFAULT_FROM ? DEFAULT_SHARE : 1;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* With limit L, a client has its largest share where it has L or more, and the others who deliver are those with the
 * fewest: L / (L + sum of min(n_i, L) over them). It is at most P / ONE where L (ONE - P) <= P sum of min(n_i, L).
 * The right side grows ever more slowly, so this holds up to some L: between n_j-1 and n_j the sum is n_0 + ... + n_j-1
 * and L for each of the rest. */
uint64_t rd_weight_limit(uint64_t *samples, size_t count, size_t wanted, double share)
{
    const uint64_t part = (uint64_t)ceil(share * (double)ONE); /* 0.4 of 30 are 12, however binary rounds it */
    qsort(samples, count, sizeof *samples, by_number);
    while (count > 0 && samples[0] == 0) {
        samples++;
        count--;
    }
    wanted = wanted < count ? wanted : count;
    if (wanted < 2 || part >= ONE)
        return 0;
    const size_t others = wanted - 1;
    unsigned __int128 limit, below = 0; /* n_0 + ... + n_j-1 */
    for (size_t j = 0;; j++) {
        const unsigned __int128 left = ONE - part, right = (unsigned __int128)part * (others - j);
        limit = left > right ? part * below / (left - right) : UINT64_MAX;
        if (j == others || limit < samples[j])
            break;
        below += samples[j];
    }
    return limit < samples[0] ? samples[0] : limit > UINT64_MAX ? UINT64_MAX : (uint64_t)limit;
}
