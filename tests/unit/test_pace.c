/* When clients are told to come again: by how many there are, spread at random, within bounds. */
#include <criterion/criterion.h>
#include <string.h>

#include "pace.h"

/* How many of `clients` clients are told each second. */
static void draw(rd_pace *p, rd_pace_reason why, size_t clients, unsigned counts[RD_PACE_MOST + 1])
{
    memset(counts, 0, (RD_PACE_MOST + 1) * sizeof *counts);
    for (size_t i = 0; i < clients; i++) {
        const unsigned seconds = rd_pace_retry(p, why, clients);
        cr_assert_leq(seconds, RD_PACE_MOST);
        counts[seconds]++;
    }
}

Test(pace, few_clients_are_not_held_up)
{
    rd_pace p = {.seed = 1, .workers = 1};
    for (size_t clients = 0; clients < 1000; clients += 111) {
        cr_assert_eq(rd_pace_retry(&p, RD_PACE_TASK, clients), 0);
        cr_assert_eq(rd_pace_retry(&p, RD_PACE_BUSY, clients), 2);
        cr_assert_eq(rd_pace_retry(&p, RD_PACE_SHORTAGE, clients), 5);
    }
    cr_assert_eq(rd_pace_return(&p, 49), 0);
}

/* 10,000 on two workers that serve 1,000 a second each: six different seconds, and about as many in each. */
Test(pace, many_are_spread_at_random)
{
    static const unsigned least[] = {[RD_PACE_TASK] = 0, [RD_PACE_BUSY] = 2, [RD_PACE_SHORTAGE] = 5};
    unsigned counts[RD_PACE_MOST + 1];
    for (rd_pace_reason why = RD_PACE_TASK; why <= RD_PACE_SHORTAGE; why++) {
        rd_pace p = {.seed = 7, .workers = 2};
        draw(&p, why, 10000, counts);
        for (unsigned s = 0; s <= RD_PACE_MOST; s++)
            if (s < least[why] || s > least[why] + 5)
                cr_assert_eq(counts[s], 0, "%u clients in %u s", counts[s], s);
            else
                cr_assert(counts[s] > 1500 && counts[s] < 1850, "%u clients in %u s", counts[s], s);
    }
}

Test(pace, return_takes_as_long_as_handshakes_do)
{
    const rd_pace one = {.workers = 1}, two = {.workers = 2};
    cr_assert_eq(rd_pace_return(&one, 50), 1);
    cr_assert_eq(rd_pace_return(&one, 10000), 200);
    cr_assert_eq(rd_pace_return(&two, 10000), 100);
}

Test(pace, nobody_is_sent_away_for_long)
{
    rd_pace p = {.seed = 3, .workers = 1};
    unsigned longest = 0;
    for (int i = 0; i < 2000; i++) {
        const unsigned seconds = rd_pace_retry(&p, RD_PACE_SHORTAGE, SIZE_MAX);
        longest = seconds > longest ? seconds : longest;
    }
    cr_assert_eq(longest, RD_PACE_MOST);
    cr_assert_eq(rd_pace_return(&p, SIZE_MAX), RD_PACE_MOST);
}

Test(pace, one_seed_gives_one_order)
{
    rd_pace a = {.seed = 5, .workers = 1}, same = {.seed = 5, .workers = 1}, other = {.seed = 6, .workers = 1};
    unsigned different = 0;
    for (int i = 0; i < 100; i++) {
        const unsigned seconds = rd_pace_retry(&a, RD_PACE_TASK, 100000);
        cr_assert_eq(seconds, rd_pace_retry(&same, RD_PACE_TASK, 100000));
        different += seconds != rd_pace_retry(&other, RD_PACE_TASK, 100000);
    }
    cr_assert_gt(different, 80);
}
