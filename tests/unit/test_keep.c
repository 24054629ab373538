/* What clients keep: a round that is repeated finds what it found the first time. Spread, and Student's t. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "run/spread.h"
#include "train/keep.h"

static void write_all(rd_keep *k, size_t client, uint64_t round, float value)
{
    rd_error err;
    float v[3] = {value, value + 1, value + 2};
    cr_assert_eq(rd_keep_write(k, client, round, v, &err), RD_OK, "%s", err.message);
}

static float read_first(rd_keep *k, size_t client, uint64_t round)
{
    rd_error err;
    float v[3] = {-1, -1, -1};
    bool is_new;
    cr_assert_eq(rd_keep_read(k, client, round, v, &is_new, &err), RD_OK, "%s", err.message);
    cr_assert(is_new || v[2] == v[0] + 2);
    return is_new ? -1 : v[0];
}

Test(keep, a_repeated_round_finds_what_was_there_before)
{
    char path[64];
    rd_error err;
    rd_keep *k;
    (void)snprintf(path, sizeof path, "/tmp/rondo-keep-%d", (int)getpid());
    for (int named = 0; named < 2; named++) {
        cr_assert_eq(rd_keep_open(named ? path : NULL, 1000000, 3, 1 << 20, &k, &err), RD_OK, "%s",
                     err.message);
        cr_assert_eq(read_first(k, 999999, 1), -1);
        write_all(k, 999999, 1, 10);
        write_all(k, 999999, 4, 40);
        cr_assert_eq(read_first(k, 999999, 5), 40);
        cr_assert_eq(read_first(k, 999999, 4), 10, "round 4 again");
        write_all(k, 999999, 4, 41);
        cr_assert_eq(read_first(k, 999999, 4), 10, "and again");
        cr_assert_eq(read_first(k, 999999, 5), 41);
        cr_assert_eq(read_first(k, 3, 5), -1, "another client");
        if (named) {
            rd_keep_close(k);
            cr_assert_eq(rd_keep_open(path, 10, 4, 0, &k, &err), RD_ERR_STATE, "of another size");
            cr_assert_eq(rd_keep_open(path, 10, 3, 0, &k, &err), RD_OK);
            cr_assert_eq(read_first(k, 999999, 9), 41);
        }
        rd_keep_close(k);
    }
    unlink(path);
}

/* Losses 1 to 12: mean 6.5, deviation sqrt(143 / 12), the worst two of twelve 11.5. */
Test(spread, by_hand)
{
    rd_participation_record parts[14];
    memset(parts, 0, sizeof parts);
    for (int i = 0; i < 14; i++) {
        parts[i].status = i < 12 ? RD_PART_COUNTED : RD_PART_LATE;
        parts[i].report.running_loss = 100;
        parts[i].report.before = (rd_metrics){5, 12 - i, NAN};
    }
    rd_spread s = rd_spread_of(parts, 14);
    cr_expect_float_eq(s.mean, 6.5, 1e-12);
    cr_expect_float_eq(s.deviation, sqrt(143.0 / 12), 1e-12);
    cr_expect_float_eq(s.worst, 11.5, 1e-12);
    parts[3].report.holdout = (rd_metrics){1, 50, NAN};
    cr_expect_float_eq(rd_spread_of(parts, 14).worst, (50 + 12) / 2.0, 1e-12, "hold-out rows come first");
    cr_expect(isnan(rd_spread_of(parts + 12, 2).mean), "nobody was counted");
}
