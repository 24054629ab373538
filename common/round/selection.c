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

size_t rd_selection_needed(const rd_cohort_config *config)
{
    size_t needed = config->min_clients > 0 ? (size_t)config->min_clients : 1;
    size_t updates = (size_t)config->min_updates;
    if (config->select == RD_SELECT_COUNT && updates > config->count)
        return SIZE_MAX;
    if (config->select == RD_SELECT_FRACTION && updates > 1) {
        double least = floor(((double)updates - 0.5) / config->fraction); /* or a few more, by rounding */
        if (least > 1e9)
            return SIZE_MAX;
        needed = least > (double)needed ? (size_t)least : needed;
    }
    if (updates > needed)
        needed = updates;
    while (rd_selection_wanted(config, needed) < updates)
        needed++;
    return needed;
}

size_t rd_selection_asked(const rd_cohort_config *config, size_t wanted, size_t available)
{
    /* The small allowance keeps 10 * 1.3 at 13 although the product is 13.000000000000002 in binary. */
    double asked = ceil((double)wanted * config->over_selection - 1e-9);
    return asked < (double)available ? (size_t)asked : available;
}

/* Is a larger than b? */
static bool is_larger(const rd_candidate *a, const rd_candidate *b)
{
    return a->draw != b->draw ? a->draw > b->draw : a->key > b->key;
}

static void swap(rd_candidate *a, rd_candidate *b)
{
    rd_candidate c = *a;
    *a = *b;
    *b = c;
}

static void rise(rd_candidate *chosen, size_t i)
{
    for (; i > 0 && is_larger(&chosen[i], &chosen[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&chosen[i], &chosen[(i - 1) / 2]);
}

static void sink(rd_candidate *chosen, size_t count)
{
    for (size_t i = 0, child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && is_larger(&chosen[child + 1], &chosen[child]))
            child++;
        if (!is_larger(&chosen[child], &chosen[i]))
            return;
        swap(&chosen[child], &chosen[i]);
    }
}

void rd_selection_offer(rd_selection_heap *h, uint64_t seed, uint64_t round, uint64_t key, size_t client)
{
    rd_random stream = rd_random_stream(seed, RD_PURPOSE_SELECT, round, key);
    rd_candidate c = {.draw = rd_random_u64(&stream), .key = key, .client = client};
    if (h->count < h->most) {
        h->chosen[h->count] = c;
        rise(h->chosen, h->count++);
    } else if (h->most > 0 && is_larger(&h->chosen[0], &c)) {
        h->chosen[0] = c;
        sink(h->chosen, h->count);
    }
}

static int compare_keys(const void *a, const void *b)
{
    const rd_candidate *p = a, *q = b;
    return p->key < q->key ? -1 : p->key > q->key;
}

void rd_selection_order(rd_selection_heap *h)
{
    qsort(h->chosen, h->count, sizeof *h->chosen, compare_keys);
}
