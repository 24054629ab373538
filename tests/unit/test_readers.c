/* How much one may read of the rounds' records: a burst, and so much a second; each name by itself. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "readers.h"

Test(readers, a_burst_and_then_so_much_a_second)
{
    static rd_readers r;
    rd_readers_init(&r);
    unsigned answers = 0;
    for (; rd_readers_may(&r, "eve", 100.0) && answers < 1000; answers++)
        rd_readers_took(&r, "eve", 1000000, 100.0);
    cr_assert_eq(answers, 16, "16 MB at once: %u", answers);
    cr_assert(rd_readers_may(&r, "alice", 100.0), "another name has all of its own");
    cr_assert_not(rd_readers_may(&r, "eve", 100.0));
    cr_assert(rd_readers_may(&r, "eve", 100.001), "what has been given back");
    /* One answer may be larger than what is left, and is paid for. */
    rd_readers_took(&r, "eve", 5000000, 100.001);
    cr_assert_not(rd_readers_may(&r, "eve", 104.999));
    cr_assert(rd_readers_may(&r, "eve", 105.001));
    answers = 0;
    for (double now = 200.0; now < 300.0; now += 0.01)
        if (rd_readers_may(&r, "eve", now)) {
            rd_readers_took(&r, "eve", 500000, now);
            answers++;
        }
    cr_assert(answers >= 231 && answers <= 233, "16 MB and 100 seconds of 1 MB, in halves: %u", answers);
    rd_readers_destroy(&r);
}

Test(readers, who_has_read_last_is_remembered)
{
    static rd_readers r;
    char name[16];
    rd_readers_init(&r);
    rd_readers_took(&r, "first", 20000000, 1.0);
    for (unsigned i = 0; i < RD_READERS_NAMES - 1; i++) {
        (void)snprintf(name, sizeof name, "reader %u", i);
        rd_readers_took(&r, name, 20000000, 2.0);
    }
    cr_assert_not(rd_readers_may(&r, "first", 2.0), "256 names are remembered");
    rd_readers_took(&r, "one more", 20000000, 2.0);
    cr_assert(rd_readers_may(&r, "first", 2.0), "and not 257");
    cr_assert_not(rd_readers_may(&r, "reader 0", 2.0));
    cr_assert_not(rd_readers_may(&r, "one more", 2.0));
    rd_readers_destroy(&r);
}
