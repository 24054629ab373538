/* Who misses rounds: how many others it is left out of, and what is no miss. */
#include "round/backoff.h"

#include <criterion/criterion.h>

#include "round/round.h"

enum { MANY_ROUNDS = 40, CAROL = 2 };

static rd_cohort_config everybody(uint64_t min_clients)
{
    return (rd_cohort_config){
        .select = RD_SELECT_ALL, .over_selection = 1.0, .min_clients = min_clients, .min_updates = 1};
}

/* Alice, bob and carol are there. */
static rd_rounds *make(rd_cohort_config config, uint64_t first_round)
{
    static const char *const three[] = {"alice", "bob", "carol"};
    rd_rounds *r;
    rd_error err;
    const rd_rounds_options options = {
        .cohort = &config, .steps = rd_round_steps, .seed = 42, .rounds = MANY_ROUNDS, .first_round = first_round};
    cr_assert_eq(rd_rounds_create(&options, &r, &err), RD_OK);
    for (size_t i = 0, client; i < 3; i++)
        cr_assert_eq(rd_rounds_join(r, three[i], &client, &err), RD_OK);
    return r;
}

static void deliver(rd_rounds *r, size_t client, uint64_t round)
{
    cr_assert_eq(rd_rounds_deliver(r, client, round, 0), RD_VERDICT_ACCEPT);
    rd_rounds_delivered(r, client);
}

Test(backoff, who_misses_rounds_is_left_out_of_more_and_more)
{
    const uint64_t expected[] = {0, 1, 2, 4, 8, 16, 20, 20};
    for (unsigned missed = 0; missed < 8; missed++)
        cr_assert_eq(rd_backoff_rounds(missed, 20), expected[missed], "%u", missed);
    cr_assert_eq(rd_backoff_rounds(64, UINT64_MAX), UINT64_C(1) << 63);
    cr_assert_eq(rd_backoff_rounds(255, UINT64_MAX), UINT64_MAX);
    cr_assert_eq(rd_backoff_rounds(3, 0), 0);
}

/* alice and bob deliver; carol does what `misses` says, and is there again at once. asked: the rounds that she was asked
 * in, from the current one on. */
static void go_on(rd_rounds *r, uint64_t rounds, void (*misses)(rd_rounds *r, uint64_t round), bool asked[MANY_ROUNDS])
{
    for (uint64_t round = rd_rounds_current(r), i = 0; i < rounds; i++, round++) {
        rd_action open = rd_rounds_next(r);
        cr_assert_eq(open.kind, RD_ACTION_OPEN);
        asked[round] = open.cohort_size == 3;
        cr_assert_eq(rd_rounds_left_out(r), asked[round] ? 0 : 1);
        deliver(r, 0, round);
        deliver(r, 1, round);
        if (asked[round])
            misses(r, round);
        rd_action close = rd_rounds_next(r);
        cr_assert_eq(close.kind, RD_ACTION_CLOSE);
        cr_assert(close.aggregate);
        rd_rounds_seen(r, CAROL);
        rd_rounds_committed(r, round, false);
    }
}

static void refuses(rd_rounds *r, uint64_t round)
{
    rd_rounds_fail(r, CAROL, round);
}

static void is_late(rd_rounds *r, uint64_t round)
{
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_NONE);
    rd_rounds_deadline(r, round);
}

static void is_late_but_once(rd_rounds *r, uint64_t round)
{
    if (round == 6)
        deliver(r, CAROL, round);
    else
        is_late(r, round);
}

static void passes(rd_rounds *r, uint64_t round)
{
    rd_rounds_pass(r, CAROL, round);
    cr_assert_eq(rd_rounds_participation(r, CAROL), RD_PART_FAILED);
}

static void refuses_first(rd_rounds *r, uint64_t round)
{
    if (round == 1)
        refuses(r, round);
    else
        passes(r, round);
}

/* Something to do, after all: but what it sends cannot be used. */
static void passes_and_sends_what_is_unfit(rd_rounds *r, uint64_t round)
{
    passes(r, round);
    cr_assert_eq(rd_rounds_deliver(r, CAROL, round, 0), RD_VERDICT_ACCEPT);
    rd_rounds_unfit(r, CAROL);
}

static void check_asked(uint64_t most, uint64_t min_clients, void (*misses)(rd_rounds *r, uint64_t round),
                        const uint64_t *expected)
{
    bool asked[MANY_ROUNDS] = {false};
    rd_cohort_config config = everybody(min_clients);
    config.max_backoff = most;
    rd_rounds *r = make(config, 1);
    go_on(r, MANY_ROUNDS - 1, misses, asked);
    for (uint64_t round = 1; round < MANY_ROUNDS; round++) {
        cr_expect_eq(asked[round], round == *expected, "round %d, after all of %d", (int)round, (int)most);
        expected += round == *expected;
    }
    rd_rounds_free(r);
}

Test(backoff, rounds_that_a_client_misses_are_few)
{
    check_asked(64, 2, refuses, (const uint64_t[]){1, 3, 6, 11, 20, 37, 0});
    check_asked(64, 2, is_late, (const uint64_t[]){1, 3, 6, 11, 20, 37, 0});
    check_asked(3, 2, refuses, (const uint64_t[]){1, 3, 6, 10, 14, 18, 22, 26, 30, 34, 38, 0});
    /* It begins anew with the first update that comes: 6 is all right, 7 is not. */
    check_asked(64, 2, is_late_but_once, (const uint64_t[]){1, 3, 6, 7, 9, 12, 17, 26, 0});
}

Test(backoff, who_has_nothing_to_do_has_missed_nothing)
{
    check_asked(64, 2, passes,
                (const uint64_t[]){1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
                                   21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 0});
    /* What was missed before stands until an update comes. */
    check_asked(64, 2, refuses_first,
                (const uint64_t[]){1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37, 39, 0});
    check_asked(64, 2, passes_and_sends_what_is_unfit, (const uint64_t[]){1, 3, 6, 11, 20, 37, 0});
}

Test(backoff, a_round_that_needs_everybody_leaves_nobody_out)
{
    rd_cohort_config config = everybody(3);
    config.max_backoff = 64;
    rd_rounds *r = make(config, 1);
    for (uint64_t round = 1; round < 5; round++) {
        rd_action open = rd_rounds_next(r);
        cr_assert_eq(open.cohort_size, 3);
        cr_assert_eq(rd_rounds_left_out(r), 0);
        cr_assert_eq(rd_rounds_asked_early(r), round > 1);
        deliver(r, 0, round);
        deliver(r, 1, round);
        rd_rounds_fail(r, CAROL, round);
        cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_CLOSE);
        cr_assert_eq(rd_rounds_missed(r, CAROL), round);
        rd_rounds_committed(r, round, false);
    }
    rd_rounds_free(r);
}

Test(backoff, a_round_that_nobody_answers_is_nobodys_fault)
{
    rd_cohort_config config = everybody(1);
    config.max_backoff = 64;
    rd_rounds *r = make(config, 1);
    for (uint64_t round = 1; round < 4; round++) {
        cr_assert_eq(rd_rounds_next(r).cohort_size, 3);
        rd_rounds_fail(r, 0, round);
        rd_rounds_deadline(r, round);
        rd_action close = rd_rounds_next(r);
        cr_assert_eq(close.kind, RD_ACTION_CLOSE);
        for (size_t i = 0; i < 3; i++) {
            cr_assert_eq(rd_rounds_missed(r, i), 0);
            rd_rounds_seen(r, i);
        }
        rd_rounds_committed(r, round, false);
    }
    rd_rounds_free(r);
}

Test(backoff, what_was_missed_before_a_restart_is_not_forgotten)
{
    bool asked[MANY_ROUNDS] = {false};
    rd_cohort_config config = everybody(2);
    config.max_backoff = 64;
    rd_rounds *r = make(config, 8);
    rd_rounds_set_missed(r, CAROL, 3, 6); /* in rounds 1, 3 and 6 */
    go_on(r, 20, refuses, asked);
    for (uint64_t round = 8; round < 28; round++)
        cr_expect_eq(asked[round], round == 11 || round == 20, "round %d", (int)round);
    rd_rounds_free(r);
}

Test(backoff, who_was_not_needed_any_more_has_missed_nothing)
{
    rd_cohort_config config = everybody(1);
    config.select = RD_SELECT_COUNT;
    config.count = 1;
    config.over_selection = 3;
    config.max_backoff = 64;
    rd_rounds *r = make(config, 1);
    cr_assert_eq(rd_rounds_next(r).cohort_size, 3);
    deliver(r, 0, 1);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_CLOSE);
    cr_assert_eq(rd_rounds_participation(r, 1), RD_PART_LATE);
    cr_assert_eq(rd_rounds_missed(r, 1), 0);
    rd_rounds_committed(r, 1, false);
    cr_assert_eq(rd_rounds_next(r).cohort_size, 3);
    rd_rounds_free(r);
}
