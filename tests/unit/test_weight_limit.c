/* What one client of a round may count at most: worked out by hand, and against the definition. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "round/weight_limit.h"

static uint64_t limit_of(size_t count, const uint64_t *told, size_t wanted, double share)
{
    uint64_t samples[16];
    memcpy(samples, told, count * sizeof *told);
    return rd_weight_limit(samples, count, wanted, share);
}

Test(weight_limit, by_hand)
{
    const uint64_t five[] = {10, 1000000, 10, 10, 10}, equal[] = {7, 7, 7}, mixed[] = {300, 1, 5, 100},
                   none[] = {0, 3, 8, 0};
    cr_assert_eq(limit_of(5, five, 5, 0.5), 40);  /* as much as the others together */
    cr_assert_eq(limit_of(5, five, 5, 0.25), 13); /* 13 of 53; 14 of 54 would be more */
    cr_assert_eq(limit_of(5, five, 5, 0.2), 10);  /* all the same */
    cr_assert_eq(limit_of(5, five, 5, 0.1), 10);  /* a tenth of five there is not */
    cr_assert_eq(limit_of(5, five, 3, 0.5), 20);  /* with the two smallest beside it */
    cr_assert_eq(limit_of(5, five, 1, 0.5), 0);   /* who is alone has it all */
    cr_assert_eq(limit_of(5, five, 5, 1.0), 0);
    cr_assert_eq(limit_of(3, equal, 3, 0.34), 7);  /* 7 of 21 are 0.333; 8 of 22 would be 0.364 */
    cr_assert_eq(limit_of(4, mixed, 4, 0.5), 106); /* of 1 + 5 + 100 + 106 */
    cr_assert_eq(limit_of(4, mixed, 4, 0.4), 12);  /* both large ones: 12 of 1 + 5 + 12 + 12 are four tenths */
    cr_assert_eq(limit_of(4, mixed, 9, 0.8), 424); /* whoever has it: of 1 + 5 + 100 + 424 */
    cr_assert_eq(limit_of(4, none, 4, 0.5), 3);    /* who has told nothing cannot deliver */
    cr_assert_eq(limit_of(2, none, 2, 0.5), 0);
}

Test(weight_limit, a_share_that_is_not_given)
{
    const rd_cohort_config silent = {0}, said = {.max_weight = 0.3};
    cr_assert_eq(rd_cohort_max_weight(&silent, 3), 1.0);
    cr_assert_eq(rd_cohort_max_weight(&silent, 4), 0.5);
    cr_assert_eq(rd_cohort_max_weight(&said, 2), 0.3);
}

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* A client at the limit beside the wanted - 1 smallest: is it within the share? share[0] / share[1] is the share. */
static bool holds(const uint64_t *sorted, size_t wanted, const uint64_t share[2], uint64_t limit)
{
    uint64_t sum = 0;
    for (size_t i = 0; i + 1 < wanted; i++)
        sum += sorted[i] < limit ? sorted[i] : limit;
    return limit * share[1] <= (sum + limit) * share[0];
}

/* Small numbers, shares that are exact in binary, every limit tried. */
Test(weight_limit, is_the_largest_that_holds)
{
    for (uint64_t seed = 0; seed < 3000; seed++) {
        rd_random random = rd_random_stream(seed, RD_PURPOSE_SELECT, 1, 1);
        uint64_t samples[6], largest = 0;
        const size_t count = 2 + (size_t)(rd_random_u64(&random) % 5),
                     wanted = 2 + (size_t)(rd_random_u64(&random) % (count - 1));
        const uint64_t share[2] = {1 + rd_random_u64(&random) % 15, 16};
        for (size_t i = 0; i < count; i++)
            samples[i] = 1 + rd_random_u64(&random) % (rd_random_u64(&random) % 2 == 0 ? 8 : 60);
        const uint64_t limit = limit_of(count, samples, wanted, (double)share[0] / 16);
        qsort(samples, count, sizeof *samples, by_number);
        for (uint64_t l = 1; l <= 16 * 6 * 60; l++)
            largest = holds(samples, wanted, share, l) ? l : largest;
        largest = largest < samples[0] ? samples[0] : largest;
        cr_assert_eq(limit, largest, "seed %llu: %llu, and %llu would do", (unsigned long long)seed,
                     (unsigned long long)limit, (unsigned long long)largest);
    }
}
