/* Rounds of several steps, worked out by hand, and rounds of both kinds driven by random events against the second
 * account of world/account.h. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "expect_abort.h"
#include "round/round.h"
#include "world/account.h"

/* As a round with secure aggregation might go: keys of all, updates that count, and a part of those who are left. */
static size_t two_thirds(const rd_cohort_config *cohort, size_t asked)
{
    (void)cohort;
    return (2 * asked + 2) / 3;
}
static const rd_step keys = {.name = "keys", .quorum = two_thirds};
static const rd_step update = {.name = "update", .counts = true};
static const rd_step unmask = {.name = "unmask", .quorum = two_thirds};
static const rd_step *const three_steps[] = {&keys, &update, &unmask, NULL};

static rd_rounds *make(const rd_cohort_config *cohort, const rd_step *const *steps, size_t clients, uint64_t rounds)
{
    rd_rounds *r;
    rd_error err;
    const rd_rounds_options options = {.cohort = cohort, .steps = steps, .seed = 5, .rounds = rounds, .first_round = 1};
    cr_assert_eq(rd_rounds_create(&options, &r, &err), RD_OK);
    for (size_t i = 0; i < clients; i++) {
        size_t client;
        char name[16];
        snprintf(name, sizeof name, "c%zu", i);
        cr_assert_eq(rd_rounds_join(r, name, &client, &err), RD_OK);
    }
    return r;
}

static void answer(rd_rounds *r, size_t client, size_t step)
{
    cr_assert(rd_rounds_has_task(r, client), "client %zu, step %zu", client, step);
    cr_assert_str_eq(rd_rounds_assign(r, client).step->name, three_steps[step]->name);
    cr_assert_eq(rd_rounds_deliver(r, client, 1, step), RD_VERDICT_ACCEPT);
    rd_rounds_delivered(r, client);
    cr_assert_not(rd_rounds_has_task(r, client));
    cr_assert_eq(rd_rounds_may_deliver(r, client, 1, step), RD_VERDICT_DUPLICATE);
}

static const rd_cohort_config four = {
    .select = RD_SELECT_ALL, .over_selection = 1, .min_clients = 4, .min_updates = 2, .deadline_seconds = 60};

Test(steps, each_asks_those_who_answered_before)
{
    rd_rounds *r = make(&four, three_steps, 4, 1);
    cr_assert_eq(rd_rounds_find_step(r, "unmask"), 2);
    cr_assert_eq(rd_rounds_find_step(r, "train"), SIZE_MAX);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_OPEN);
    cr_assert_eq(rd_rounds_may_deliver(r, 0, 1, 1), RD_VERDICT_FUTURE);
    for (size_t i = 0; i < 3; i++)
        answer(r, i, 0);
    cr_assert_eq(rd_rounds_participation(r, 0), RD_PART_ANSWERED);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_NONE, "one is missing");
    rd_rounds_deadline(r, 1);
    rd_action step = rd_rounds_next(r); /* 3 of 4 are two thirds */
    cr_assert_eq(step.kind, RD_ACTION_STEP);
    cr_assert_eq(rd_rounds_participation(r, 3), RD_PART_LATE);
    cr_assert_eq(rd_rounds_may_deliver(r, 3, 1, 1), RD_VERDICT_NOT_SELECTED, "it has not answered the step before");
    cr_assert_eq(rd_rounds_may_deliver(r, 3, 1, 0), RD_VERDICT_STALE);
    cr_assert_eq(rd_rounds_missing(r), 3);
    for (size_t i = 0; i < 2; i++)
        answer(r, i, 1);
    rd_rounds_fail(r, 2, 1);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_STEP, "nobody is left to wait for, and min_updates is 2");
    cr_assert_eq(rd_rounds_may_deliver(r, 2, 1, 2), RD_VERDICT_NOT_SELECTED);
    cr_assert_eq(rd_rounds_last_counted(r, 0), 1);
    cr_assert_eq(rd_rounds_last_counted(r, 2), 0);
    answer(r, 0, 2);
    rd_rounds_leave(r, 1);
    rd_action close = rd_rounds_next(r); /* 1 of 2 are less than two thirds */
    cr_assert_eq(close.kind, RD_ACTION_CLOSE);
    cr_assert_not(close.aggregate);
    cr_assert_eq(close.cohort_size, 4);
    cr_assert_eq(rd_rounds_participation(r, 1), RD_PART_COUNTED, "its update had come");
    cr_assert_eq(rd_rounds_participation(r, 2), RD_PART_FAILED);
    rd_rounds_free(r);
}

static void expect_verdicts(const rd_rounds *r, size_t client, uint64_t round, const rd_verdict of_steps[3])
{
    for (size_t step = 0; step < 3; step++) {
        rd_verdict found = rd_rounds_may_deliver(r, client, round, step);
        cr_expect_eq(found, of_steps[step], "client %zu, round %d, step %zu: %d", client, (int)round, step, found);
    }
}

/* Everybody at every time: before a round, in each of its steps, while it closes, and behind it. */
Test(steps, who_may_deliver_and_when)
{
    static const rd_verdict future[] = {RD_VERDICT_FUTURE, RD_VERDICT_FUTURE, RD_VERDICT_FUTURE};
    static const rd_verdict stale[] = {RD_VERDICT_STALE, RD_VERDICT_STALE, RD_VERDICT_STALE};
    static const rd_verdict first[] = {RD_VERDICT_ACCEPT, RD_VERDICT_FUTURE, RD_VERDICT_FUTURE};
    static const rd_verdict second[] = {RD_VERDICT_DUPLICATE, RD_VERDICT_ACCEPT, RD_VERDICT_FUTURE};
    static const rd_verdict out[] = {RD_VERDICT_STALE, RD_VERDICT_NOT_SELECTED, RD_VERDICT_FUTURE};
    static const rd_verdict all[] = {RD_VERDICT_DUPLICATE, RD_VERDICT_DUPLICATE, RD_VERDICT_DUPLICATE};
    rd_rounds *r = make(&four, three_steps, 4, 2);
    expect_verdicts(r, 0, 1, future);
    expect_verdicts(r, 0, 2, future);
    expect_verdicts(r, 0, 0, stale);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_OPEN);
    for (size_t i = 0; i < 4; i++)
        expect_verdicts(r, i, 1, first);
    expect_verdicts(r, 0, 2, future);
    expect_verdicts(r, 0, 0, stale);
    cr_assert_eq(rd_rounds_deliver(r, 0, 1, 0), RD_VERDICT_ACCEPT);
    expect_verdicts(r, 0, 1, (const rd_verdict[]){RD_VERDICT_BUSY, RD_VERDICT_FUTURE, RD_VERDICT_FUTURE});
    rd_rounds_delivered(r, 0);
    expect_verdicts(r, 0, 1, (const rd_verdict[]){RD_VERDICT_DUPLICATE, RD_VERDICT_FUTURE, RD_VERDICT_FUTURE});
    rd_rounds_fail(r, 1, 1);
    expect_verdicts(r, 1, 1, first); /* something better may still come */
    answer(r, 2, 0);
    answer(r, 3, 0);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_STEP);
    expect_verdicts(r, 0, 1, second);
    expect_verdicts(r, 1, 1, out);
    rd_rounds_fail(r, 2, 1);
    expect_verdicts(r, 2, 1, second);
    answer(r, 0, 1);
    answer(r, 3, 1);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_STEP);
    expect_verdicts(r, 2, 1, (const rd_verdict[]){RD_VERDICT_DUPLICATE, RD_VERDICT_STALE, RD_VERDICT_NOT_SELECTED});
    answer(r, 0, 2);
    answer(r, 3, 2);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_CLOSE);
    expect_verdicts(r, 1, 1, stale);
    expect_verdicts(r, 0, 1, all);
    expect_verdicts(r, 0, 2, future);
    rd_rounds_committed(r, 1, false);
    expect_verdicts(r, 1, 1, stale);
    expect_verdicts(r, 1, 2, future);
    rd_rounds_free(r);
}

Test(steps, below_its_quorum_a_round_ends_at_once)
{
    rd_rounds *r = make(&four, three_steps, 4, 1);
    (void)rd_rounds_next(r);
    answer(r, 0, 0);
    answer(r, 1, 0);
    rd_rounds_deadline(r, 1);
    rd_action close = rd_rounds_next(r); /* 2 of 4 */
    cr_assert_eq(close.kind, RD_ACTION_CLOSE);
    cr_assert_not(close.aggregate);
    rd_rounds_free(r);
}

Test(steps, all_that_answer_make_a_model)
{
    rd_rounds *r = make(&four, three_steps, 4, 2);
    (void)rd_rounds_next(r);
    for (size_t step = 0; step < 3; step++) {
        for (size_t i = 0; i < 4; i++)
            answer(r, i, step);
        rd_action next = rd_rounds_next(r);
        cr_assert_eq(next.kind, step < 2 ? RD_ACTION_STEP : RD_ACTION_CLOSE);
        cr_assert_eq(next.aggregate, step == 2);
    }
    rd_rounds_committed(r, 1, false);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_OPEN);
    cr_assert_eq(rd_rounds_may_deliver(r, 0, 1, 2), RD_VERDICT_STALE);
    cr_assert_eq(rd_rounds_may_deliver(r, 0, 1, 1), RD_VERDICT_DUPLICATE, "of an update that counted");
    rd_rounds_free(r);
}

/* ---- random events ---- */

enum { CLIENTS = 7, EVENTS = 400 };

static void take_actions(account *a)
{
    for (rd_action action; (action = account_next(a)).kind != RD_ACTION_NONE && a->wrong[0] == '\0';)
        if (action.kind == RD_ACTION_CLOSE)
            account_committed(a, action.round, false);
}

static void happen(account *a, rd_random *random)
{
    const size_t client = rd_random_below(random, CLIENTS);
    size_t step = rd_random_below(random, (uint32_t)a->step + 2);
    uint64_t round = a->round + 1 - rd_random_below(random, a->round < 4 ? 2 : 5);
    const bool delivering = a->clients[client].delivering;
    switch (rd_random_below(random, 10)) {
    case 0:
        account_seen(a, client);
        break;
    case 1:
        account_leave(a, client);
        break;
    case 2:
        account_fail(a, client, round);
        break;
    case 3:
        if (rd_random_below(random, 4) == 0)
            account_deadline(a, round);
        break;
    case 4:
        if (delivering)
            account_unfit(a, client);
        break;
    default:
        if (delivering && rd_random_below(random, 4) > 0) {
            account_delivered(a, client);
            break;
        }
        if (account_has_task(a, client) && rd_random_below(random, 2) == 0)
            round = account_assign(a, client).round;
        if (step > a->step && a->steps[a->step + 1] == NULL)
            step = 0;
        (void)account_may_deliver(a, client, round, step);
        (void)account_deliver(a, client, round, step);
    }
}

static void go_through(const rd_cohort_config *cohort, const rd_step *const *steps, uint64_t seed, uint64_t *rounds,
                       uint64_t *updates)
{
    static account a;
    const rd_rounds_options options = {.cohort = cohort, .steps = steps, .seed = 5, .rounds = EVENTS, .first_round = 1};
    account_open(&a, &options);
    for (size_t i = 0; i < CLIENTS; i++) {
        char name[ACCOUNT_NAME];
        snprintf(name, sizeof name, "c%zu", i);
        account_join(&a, name);
    }
    rd_random random = rd_random_stream(seed, RD_PURPOSE_TEST, 77, 0);
    for (int i = 0; i < EVENTS && a.wrong[0] == '\0'; i++) {
        const size_t before = account_taken(&a);
        happen(&a, &random);
        *updates += account_taken(&a) > before && steps[a.step]->counts;
        take_actions(&a);
        cr_assert_eq(a.wrong[0], '\0', "seed %d, event %d: %s", (int)seed, i, a.wrong);
    }
    /* Whatever has happened: with everybody there, one deadline after the other ends the round. */
    for (size_t i = 0; i < CLIENTS; i++) {
        if (a.clients[i].delivering)
            account_unfit(&a, i);
        account_seen(&a, i);
    }
    take_actions(&a);
    const uint64_t before = a.round;
    for (int i = 0; i < 4 && a.round == before; i++) {
        account_deadline(&a, a.round);
        take_actions(&a);
        for (size_t j = 0; j < CLIENTS; j++)
            account_seen(&a, j);
        take_actions(&a);
    }
    cr_assert_eq(a.wrong[0], '\0', "seed %d: %s", (int)seed, a.wrong);
    cr_assert_gt(a.round, before, "seed %d: the round has no end", (int)seed);
    *rounds += a.round;
    account_close(&a);
}

Test(steps, random_events_keep_the_account)
{
    const rd_cohort_config cohorts[] = {
        {.select = RD_SELECT_ALL, .over_selection = 1, .min_clients = 2, .min_updates = 1, .max_backoff = 16},
        {.select = RD_SELECT_FRACTION,
         .fraction = 0.5,
         .over_selection = 1.5,
         .min_clients = 3,
         .min_updates = 2,
         .max_backoff = 3},
        {.select = RD_SELECT_COUNT, .count = 3, .over_selection = 1.4, .min_clients = 1, .min_updates = 3},
        {.over_selection = 1,
         .min_clients = 2,
         .min_updates = 1,
         .buffer_size = 3,
         .concurrency = 5,
         .most_staleness = 2},
        {.over_selection = 1,
         .min_clients = 1,
         .min_updates = 2,
         .buffer_size = 2,
         .concurrency = 2,
         .most_staleness = 9},
    };
    for (size_t i = 0; i < sizeof cohorts / sizeof *cohorts; i++)
        for (int several = 0; several <= (rd_cohort_is_asynchronous(&cohorts[i]) ? 0 : 1); several++) {
            uint64_t rounds = 0, updates = 0;
            for (uint64_t seed = 0; seed < 300; seed++)
                go_through(&cohorts[i], several ? three_steps : rd_round_steps, seed, &rounds, &updates);
            /* So that the account is one of something. */
            cr_assert_gt(rounds, 300 * 5, "cohort %zu, %s: %d rounds", i, several ? "three steps" : "one step",
                         (int)rounds);
            cr_assert_gt(updates, 300, "cohort %zu: %d updates", i, (int)updates);
        }
}

/* Somebody comes in again while the core is at work: here from a quorum that asks back. */
static rd_rounds *entered;
static size_t enters_again(const rd_cohort_config *cohort, size_t asked)
{
    (void)cohort, (void)asked;
    rd_rounds_seen(entered, 0);
    return 1;
}

Test(steps, the_core_is_not_entered_twice)
{
    static const rd_step reckless = {.name = "reckless", .counts = true, .quorum = enters_again};
    static const rd_step *const steps[] = {&reckless, NULL};
    const rd_cohort_config one = {.select = RD_SELECT_ALL, .over_selection = 1, .min_clients = 1, .min_updates = 1};
    entered = make(&one, steps, 1, 1);
    (void)rd_rounds_next(entered);
    rd_rounds_fail(entered, 0, 1);
    expect_abort(rd_rounds_next(entered));
    rd_rounds_free(entered);
}

/* More may end their part in an asynchronous round than train at a time: those who fail are replaced within it. */
Test(steps, an_asynchronous_round_knows_all_who_had_a_part)
{
    const rd_cohort_config two = {.over_selection = 1, .min_clients = 1, .buffer_size = 2, .concurrency = 2};
    rd_rounds *r = make(&two, rd_round_steps, 9, 1);
    size_t failures = 0, counted = 0;
    for (rd_action action = rd_rounds_next(r); action.kind != RD_ACTION_CLOSE; action = rd_rounds_next(r)) {
        cr_assert(action.kind == RD_ACTION_OPEN || action.kind == RD_ACTION_ASK);
        for (size_t i = 0; i < action.cohort_size; i++)
            if (failures < 7) {
                rd_rounds_fail(r, action.cohort[i], 1);
                failures++;
            } else {
                cr_assert_eq(rd_rounds_deliver(r, action.cohort[i], 1, 0), RD_VERDICT_ACCEPT);
                rd_rounds_delivered(r, action.cohort[i]);
            }
        if (rd_rounds_missing(r) == 0) {
            action = rd_rounds_next(r);
            cr_assert_eq(action.kind, RD_ACTION_CLOSE);
            cr_assert_eq(action.cohort_size, 9);
            for (size_t i = 0; i < action.cohort_size; i++)
                counted += rd_rounds_participation(r, action.cohort[i]) == RD_PART_COUNTED;
            break;
        }
    }
    cr_assert_eq(counted, 2);
    rd_rounds_free(r);
}
