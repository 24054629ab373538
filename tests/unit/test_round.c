/* The round core: what it decides, checked against sequences worked out by hand. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/exact_sum.h"
#include "core/random.h"
#include "round/round.h"
#include "round/selection.h"
#include "round/strategy.h"

static rd_cohort_config everybody(uint64_t min_clients)
{
    return (rd_cohort_config){.select = RD_SELECT_ALL,
                              .over_selection = 1.0,
                              .min_clients = min_clients,
                              .min_updates = 1,
                              .deadline_seconds = 60};
}

static rd_rounds *make(rd_cohort_config config, uint64_t rounds, const char *const *names, size_t count)
{
    rd_rounds *r;
    rd_error err;
    const rd_rounds_options options = {
        .cohort = &config, .steps = rd_round_steps, .seed = 42, .rounds = rounds, .first_round = 1};
    cr_assert_eq(rd_rounds_create(&options, &r, &err), RD_OK);
    for (size_t i = 0; i < count; i++) {
        size_t client;
        cr_assert_eq(rd_rounds_join(r, names[i], &client, &err), RD_OK);
        cr_assert_eq(client, i);
    }
    return r;
}

static void deliver(rd_rounds *r, size_t client, uint64_t round)
{
    cr_assert_eq(rd_rounds_deliver(r, client, round, 0), RD_VERDICT_ACCEPT);
    rd_rounds_delivered(r, client);
}

static const char *const three[] = {"alice", "bob", "carol"};

Test(round, waits_for_enough_clients)
{
    rd_rounds *r = make(everybody(3), 1, three, 2);
    rd_error err;
    size_t carol;
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_NONE);
    cr_assert_eq(rd_rounds_join(r, "carol", &carol, &err), RD_OK);
    rd_action open = rd_rounds_next(r);
    cr_assert_eq(open.kind, RD_ACTION_OPEN);
    cr_assert_eq(open.round, 1);
    cr_assert_eq(open.cohort_size, 3);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_NONE);
    rd_rounds_free(r);
}

Test(round, goes_through_all_rounds_and_finishes_once)
{
    rd_rounds *r = make(everybody(3), 2, three, 3);
    for (uint64_t round = 1; round <= 2; round++) {
        cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_OPEN);
        for (size_t i = 0; i < 3; i++) {
            cr_assert(rd_rounds_has_task(r, i));
            cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_NONE);
            deliver(r, i, round);
            cr_assert_not(rd_rounds_has_task(r, i));
        }
        rd_action close = rd_rounds_next(r);
        cr_assert_eq(close.kind, RD_ACTION_CLOSE);
        cr_assert(close.aggregate);
        cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_NONE);
        rd_rounds_committed(r, round, false);
    }
    cr_assert(rd_rounds_finished(r));
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_FINISH);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_NONE);
    rd_rounds_free(r);
}

Test(round, second_delivery_is_a_duplicate_even_in_the_next_round)
{
    rd_rounds *r = make(everybody(2), 3, three, 2);
    rd_rounds_next(r);
    deliver(r, 0, 1);
    cr_assert_eq(rd_rounds_may_deliver(r, 0, 1, 0), RD_VERDICT_DUPLICATE);
    deliver(r, 1, 1);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_CLOSE);
    cr_assert_eq(rd_rounds_may_deliver(r, 0, 1, 0), RD_VERDICT_DUPLICATE);
    rd_rounds_committed(r, 1, false);
    cr_assert_eq(rd_rounds_may_deliver(r, 0, 2, 0), RD_VERDICT_FUTURE);
    rd_rounds_next(r);
    cr_assert_eq(rd_rounds_may_deliver(r, 0, 1, 0), RD_VERDICT_DUPLICATE);
    cr_assert_eq(rd_rounds_may_deliver(r, 0, 2, 0), RD_VERDICT_ACCEPT);
    cr_assert_eq(rd_rounds_may_deliver(r, 0, 3, 0), RD_VERDICT_FUTURE);
    rd_rounds_free(r);
}

Test(round, does_not_close_while_an_update_is_being_taken_in)
{
    rd_rounds *r = make(everybody(2), 1, three, 2);
    rd_rounds_next(r);
    deliver(r, 0, 1);
    cr_assert_eq(rd_rounds_deliver(r, 1, 1, 0), RD_VERDICT_ACCEPT);
    cr_assert_eq(rd_rounds_deliver(r, 1, 1, 0), RD_VERDICT_BUSY);
    rd_rounds_deadline(r, 1);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_NONE);
    rd_rounds_delivered(r, 1);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_CLOSE);
    cr_assert_eq(rd_rounds_participation(r, 1), RD_PART_COUNTED);
    rd_rounds_free(r);
}

Test(round, deadline_leaves_the_missing_behind_until_they_are_seen)
{
    rd_rounds *r = make(everybody(1), 3, three, 3);
    rd_rounds_next(r);
    deliver(r, 0, 1);
    deliver(r, 1, 1);
    rd_rounds_deadline(r, 1);
    rd_action close = rd_rounds_next(r);
    cr_assert_eq(close.kind, RD_ACTION_CLOSE);
    cr_assert(close.aggregate);
    cr_assert_eq(rd_rounds_participation(r, 2), RD_PART_LATE);
    cr_assert_eq(rd_rounds_may_deliver(r, 2, 1, 0), RD_VERDICT_STALE);
    rd_rounds_committed(r, 1, false);
    cr_assert_eq(rd_rounds_next(r).cohort_size, 2);
    deliver(r, 0, 2);
    deliver(r, 1, 2);
    rd_rounds_next(r);
    rd_rounds_seen(r, 2);
    rd_rounds_committed(r, 2, false);
    cr_assert_eq(rd_rounds_next(r).cohort_size, 3);
    rd_rounds_deadline(r, 2); /* of a round that is over: no effect */
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_NONE);
    rd_rounds_free(r);
}

Test(round, too_few_updates_abandon_the_round)
{
    rd_cohort_config config = everybody(3);
    config.min_updates = 2;
    rd_rounds *r = make(config, 5, three, 3);
    rd_rounds_next(r);
    deliver(r, 0, 1);
    rd_rounds_fail(r, 1, 1);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_NONE);
    rd_rounds_leave(r, 2);
    rd_action close = rd_rounds_next(r);
    cr_assert_eq(close.kind, RD_ACTION_CLOSE);
    cr_assert_not(close.aggregate);
    rd_rounds_committed(r, 1, false);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_NONE, "carol has left, so three are no longer available");
    rd_rounds_seen(r, 2);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_OPEN);
    rd_rounds_free(r);
}

/* The smallest n for which what is wanted of n reaches min_updates, by trying all. */
static size_t needed_by_trying(const rd_cohort_config *c)
{
    for (size_t n = (size_t)c->min_clients; n < 5000; n++)
        if (n > 0 && rd_selection_wanted(c, n) >= c->min_updates)
            return n;
    return SIZE_MAX;
}

Test(round, begins_only_with_as_many_as_can_reach_min_updates)
{
    rd_cohort_config config = everybody(1);
    config.min_updates = 3;
    cr_assert_eq(rd_selection_needed(&config), 3);
    rd_rounds *r = make(config, 5, three, 2);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_NONE, "two clients cannot deliver three updates");
    cr_assert(rd_rounds_waiting(r));
    size_t third;
    rd_error err;
    cr_assert_eq(rd_rounds_join(r, three[2], &third, &err), RD_OK);
    cr_assert_not(rd_rounds_waiting(r));
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_OPEN);
    cr_assert_not(rd_rounds_waiting(r));
    rd_rounds_free(r);

    const double fractions[] = {1, 0.7, 0.5, 0.3, 0.1, 0.04, 0.01};
    config.select = RD_SELECT_FRACTION;
    for (size_t i = 0; i < sizeof fractions / sizeof *fractions; i++)
        for (config.min_updates = 1; config.min_updates < 40; config.min_updates++)
            for (config.min_clients = 1; config.min_clients < 60; config.min_clients += 29) {
                config.fraction = fractions[i];
                cr_assert_eq(rd_selection_needed(&config), needed_by_trying(&config), "%g %d", fractions[i],
                             (int)config.min_updates);
            }
    config = (rd_cohort_config){.select = RD_SELECT_COUNT, .count = 4, .min_updates = 4, .min_clients = 2};
    cr_assert_eq(rd_selection_needed(&config), 4);
    config.min_updates = 5;
    cr_assert_eq(rd_selection_needed(&config), SIZE_MAX, "four are asked, however many are there");
}

Test(round, failed_client_may_still_deliver)
{
    rd_rounds *r = make(everybody(2), 1, three, 2);
    rd_rounds_next(r);
    rd_rounds_fail(r, 0, 1);
    cr_assert_not(rd_rounds_has_task(r, 0));
    deliver(r, 0, 1);
    deliver(r, 1, 1);
    cr_assert(rd_rounds_next(r).aggregate);
    rd_rounds_free(r);
}

Test(round, target_ends_the_run_early)
{
    rd_rounds *r = make(everybody(1), 100, three, 1);
    rd_rounds_next(r);
    deliver(r, 0, 1);
    rd_rounds_next(r);
    rd_rounds_committed(r, 1, true);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_FINISH);
    rd_rounds_free(r);
}

Test(round, resuming_after_the_last_round_only_finishes)
{
    rd_cohort_config config = everybody(1);
    rd_rounds *r;
    rd_error err;
    cr_assert_eq(rd_rounds_create(
                     &(rd_rounds_options){.cohort = &config, .steps = rd_round_steps, .rounds = 10, .first_round = 11},
                     &r, &err),
                 RD_OK);
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_FINISH);
    rd_rounds_free(r);
}

Test(round, over_selection_closes_at_the_wanted_number)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"};
    rd_cohort_config config = everybody(1);
    config.select = RD_SELECT_COUNT;
    config.count = 10;
    config.over_selection = 1.3;
    rd_rounds *r = make(config, 1, names, 13);
    rd_action open = rd_rounds_next(r);
    cr_assert_eq(open.cohort_size, 13);
    for (size_t i = 0; i < 10; i++) {
        cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_NONE);
        deliver(r, i, 1);
    }
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_CLOSE);
    cr_assert_eq(rd_rounds_participation(r, 12), RD_PART_LATE);
    rd_rounds_free(r);
}

/* The cohort is the same whoever came first, and each client is as likely as any other. */
Test(round, selection_depends_on_names_not_on_arrival)
{
    rd_cohort_config config = everybody(1);
    config.select = RD_SELECT_FRACTION;
    config.fraction = 0.3;
    rd_error err;
    char cohorts[2][64] = {"", ""};
    for (int order = 0; order < 2; order++) {
        rd_rounds *r;
        size_t client;
        cr_assert_eq(rd_rounds_create(
                         &(rd_rounds_options){
                             .cohort = &config, .steps = rd_round_steps, .seed = 7, .rounds = 3, .first_round = 1},
                         &r, &err),
                     RD_OK);
        for (int i = 0; i < 10; i++) {
            char name[16];
            snprintf(name, sizeof name, "c%d", order == 0 ? i : 9 - i);
            cr_assert_eq(rd_rounds_join(r, name, &client, &err), RD_OK);
        }
        rd_action open = rd_rounds_next(r);
        cr_assert_eq(open.cohort_size, 3);
        for (size_t i = 0; i < 3; i++)
            strcat(cohorts[order], rd_rounds_client_name(r, open.cohort[i]));
        rd_rounds_free(r);
    }
    cr_assert_str_eq(cohorts[0], cohorts[1]);
}

/* What an earlier process knew of a client is its own, and no other's. */
Test(round, who_was_counted_before_this_process_is_told_to_it)
{
    rd_rounds *r = make(everybody(3), 9, three, 3);
    rd_rounds_set_last_counted(r, 1, 5);
    for (size_t i = 0; i < 3; i++)
        cr_expect_eq(rd_rounds_last_counted(r, i), i == 1 ? 5 : 0, "%s", three[i]);
    (void)rd_rounds_next(r);
    deliver(r, 1, 1);
    cr_expect_eq(rd_rounds_last_counted(r, 1), 1);
    rd_rounds_free(r);
}

/* Pick after pick from the streams (seed, SELECT, 1, 2, ..., 0): the simulator asks whom an aggregator asks. */
Test(round, asynchronous_picks_come_from_numbered_streams)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    enum { CLIENTS = sizeof names / sizeof *names, ASKED = 4 };
    const rd_cohort_config config = {
        .over_selection = 1, .min_clients = CLIENTS, .min_updates = 1, .buffer_size = 2, .concurrency = ASKED};
    rd_rounds *r = make(config, 3, names, CLIENTS);
    bool busy[CLIENTS] = {false};
    cr_assert_eq(rd_rounds_next(r).kind, RD_ACTION_OPEN);
    rd_action ask = rd_rounds_next(r);
    cr_assert(ask.kind == RD_ACTION_ASK && ask.cohort_size == ASKED);
    for (size_t pick = 0; pick < ASKED; pick++) {
        rd_random stream = rd_random_stream(42, RD_PURPOSE_SELECT, pick + 1, 0);
        size_t client = rd_random_below(&stream, CLIENTS);
        while (busy[client])
            client = rd_random_below(&stream, CLIENTS);
        busy[client] = true;
        cr_expect_eq(ask.cohort[pick], client, "pick %zu", pick + 1);
    }
    rd_rounds_free(r);
}

/* 2000 rounds of 10 out of 100: each is chosen 200 times on average, with a standard deviation of
 * sqrt(2000 * 0.1 * 0.9) = 13.4; five of them are 67. */
Test(round, selection_is_fair)
{
    enum { CLIENTS = 100, ROUNDS = 2000, ASKED = 10 };
    int chosen[CLIENTS] = {0};
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        rd_candidate kept[ASKED];
        rd_selection_heap heap = {kept, 0, ASKED};
        for (size_t i = 0; i < CLIENTS; i++) {
            char name[16];
            snprintf(name, sizeof name, "client-%zu", i);
            rd_selection_offer(&heap, 3, round, rd_client_key(name), i);
        }
        rd_selection_order(&heap);
        for (size_t i = 0; i < ASKED; i++)
            chosen[kept[i].client]++;
    }
    for (size_t i = 0; i < CLIENTS; i++)
        cr_assert(chosen[i] > 133 && chosen[i] < 267, "client %zu was chosen %d times", i, chosen[i]);
}

static int by_draw(const void *a, const void *b)
{
    const rd_candidate *p = a, *q = b;
    return p->draw < q->draw ? -1 : p->draw > q->draw;
}

/* Offers the clients in this order: kept are the most that come first in `sorted`, and in the order of their keys. */
static void expect_smallest(const rd_candidate *sorted, const size_t *order, size_t n, size_t most)
{
    rd_candidate kept[64];
    rd_selection_heap heap = {kept, 0, most};
    for (size_t i = 0; i < n; i++)
        rd_selection_offer(&heap, 9, 1, sorted[order[i]].key, sorted[order[i]].client);
    rd_selection_order(&heap);
    cr_assert_eq(heap.count, most < n ? most : n);
    for (size_t i = 0; i < heap.count; i++) {
        bool found = false;
        for (size_t j = 0; j < heap.count; j++)
            found = found || kept[j].client == sorted[i].client;
        cr_assert(found, "%zu of %zu", i, most);
        cr_assert(i == 0 || kept[i].key > kept[i - 1].key);
    }
}

/* The heap keeps what sorting all draws would put first, whoever is offered first: as they come, from the smallest on, from
 * the largest on, and the smallest last, which takes the place of the largest alone. */
Test(selection, keeps_the_smallest_draws)
{
    enum { N = 300, MOST = 64 };
    rd_candidate all[N];
    size_t order[4][N];
    for (size_t i = 0; i < N; i++) {
        rd_random stream = rd_random_stream(9, RD_PURPOSE_SELECT, 1, 1000 + i);
        all[i] = (rd_candidate){rd_random_u64(&stream), 1000 + i, i};
    }
    qsort(all, N, sizeof *all, by_draw);
    for (size_t most = 0; most <= MOST; most++) {
        for (size_t i = 0; i < N; i++) {
            order[0][all[i].client] = i;
            order[1][i] = i;
            order[2][i] = N - 1 - i;
            order[3][i] = i < most ? i + 1 : 0;
        }
        for (size_t k = 0; k < 3; k++)
            expect_smallest(all, order[k], N, most);
        expect_smallest(all, order[3], most + 1, most); /* the largest must have risen to the top */
        expect_smallest(all, order[0], 0, most);
    }
}

Test(selection, sizes)
{
    rd_cohort_config c = {.select = RD_SELECT_FRACTION, .fraction = 0.1, .over_selection = 1.3};
    cr_assert_eq(rd_selection_wanted(&c, 100), 10);
    cr_assert_eq(rd_selection_wanted(&c, 4), 1);
    cr_assert_eq(rd_selection_wanted(&c, 15), 2);
    cr_assert_eq(rd_selection_asked(&c, 10, 100), 13);
    cr_assert_eq(rd_selection_asked(&c, 10, 11), 11);
    c.select = RD_SELECT_COUNT;
    c.count = 7;
    cr_assert_eq(rd_selection_wanted(&c, 100), 7);
    cr_assert_eq(rd_selection_wanted(&c, 5), 5);
}

/* By hand: clients with n = 1, 2, 5 and deltas 1, -0.5, 0.25 move a parameter by (1 - 1 + 1.25) / 8 =
 * 0.15625. */
Test(fedavg, weighted_mean_by_hand)
{
    rd_error err;
    rd_exact_vector sum;
    float w[3] = {10.0f, 0.0f, -1.0f};
    cr_assert_eq(rd_exact_vector_create(3, &sum, &err), RD_OK);
    rd_exact_vector_add(&sum, 0, (const float[]){1.0f, 0.0f, 8.0f}, 3, 1);
    rd_exact_vector_add(&sum, 0, (const float[]){-0.5f, 0.0f, -8.0f}, 3, 2);
    rd_exact_vector_add(&sum, 0, (const float[]){0.25f, 1.0f, 0.0f}, 3, 5);
    double mean[3];
    rd_exact_vector_mean(&sum, 0, 3, 8, mean);
    double squares = rd_server_add(mean, 3, w);
    cr_assert_eq(w[0], 10.15625f);
    cr_assert_eq(w[1], 0.625f);
    cr_assert_eq(w[2], -2.0f);
    cr_assert_float_eq(squares, 0.15625 * 0.15625 + 0.625 * 0.625 + 1.0, 1e-15);
    rd_exact_vector_free(&sum);
}
