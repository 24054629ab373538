/* selection.c: see selection.h. */
#include "round/selection.h"

#include <math.h>
#include <stdlib.h>

#include "core/random.h"

size_t rd_selection_wanted(const rd_cohort_config *config, size_t available)
{
    size_t wanted = available;
    if (config->select == RD_SELECT_FRACTION) {
        wanted = (size_t)floor(config->fraction * (double)available + 0.5);
        if (wanted == 0)
            wanted = 1;
    } else if (config->select == RD_SELECT_COUNT) {
        wanted = (size_t)config->count;
    }
    return wanted < available ? wanted : available;
}

size_t rd_selection_asked(const rd_cohort_config *config, size_t wanted, size_t available)
{
    /* The small allowance keeps 10 * 1.3 at 13 although the product is 13.000000000000002 in binary. */
    double asked = ceil((double)wanted * config->over_selection - 1e-9);
    return asked < (double)available ? (size_t)asked : available;
}

static int compare_draws(const void *a, const void *b)
{
    const rd_candidate *p = a, *q = b;
    if (p->draw != q->draw)
        return p->draw < q->draw ? -1 : 1;
    return p->key < q->key ? -1 : p->key > q->key;
}

static int compare_keys(const void *a, const void *b)
{
    const rd_candidate *p = a, *q = b;
    return p->key < q->key ? -1 : p->key > q->key;
}

void rd_selection_pick(rd_candidate *candidates, size_t count, size_t asked, uint64_t seed, uint64_t round)
{
    if (asked < count) {
        for (size_t i = 0; i < count; i++) {
            rd_random stream = rd_random_stream(seed, RD_PURPOSE_SELECT, round, candidates[i].key);
            candidates[i].draw = rd_random_u64(&stream);
        }
        qsort(candidates, count, sizeof *candidates, compare_draws);
    }
    qsort(candidates, asked, sizeof *candidates, compare_keys);
}
