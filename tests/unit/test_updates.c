/* What the updates of a round are gathered in: clients' sums, the striped sum, collected updates. */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "expect_abort.h"
#include "run/client_sums.h"
#include "run/collection.h"
#include "run/striped_sum.h"

/* ---- what clients report ---- */

static rd_report report_of(uint64_t samples, double loss, double accuracy)
{
    rd_report r = {.samples = samples, .running_loss = loss / 2};
    r.before = (rd_metrics){.samples = samples, .loss = loss, .accuracy = accuracy};
    r.holdout = r.personal = (rd_metrics){.loss = NAN, .accuracy = NAN};
    return r;
}

Test(updates, reports_are_weighted_by_samples)
{
    rd_error ignored;
    const rd_report reports[] = {report_of(2, 1.5, 0.25), report_of(6, 3.0, 0.75)};
    rd_client_sums sums = {0};
    rd_round_record record = {0};
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(rd_client_sums_add_report(&sums, &reports[i], &ignored), RD_OK);
    rd_client_sums_tell(&sums, &record);
    cr_assert_eq(record.samples, 8);
    cr_assert_eq(record.train.samples, 8);
    cr_assert_eq(record.train.loss, (2 * 1.5 + 6 * 3.0) / 8);
    cr_assert_eq(record.train.accuracy, (2 * 0.25 + 6 * 0.75) / 8);
    cr_assert_eq(record.running_loss, record.train.loss / 2);
    cr_assert_eq(record.holdout.samples, 0);
    cr_assert(isnan(record.holdout.loss) && isnan(record.personal.loss));
}

static void check_same(const rd_exact_scalar *a, const rd_exact_scalar *b)
{
    cr_assert(a->sum == b->sum && a->weight == b->weight && a->weight == 10);
}

/* Values of which no sum in doubles would be the same in another order. */
Test(updates, neither_order_nor_who_was_taken_off_again_is_seen)
{
    rd_error ignored;
    const rd_report a = report_of(3, 0.1, 0.3), b = report_of(7, 1e-9, 1.0 / 3), c = report_of(1000003, 12345.678, 0.9);
    rd_client_sums forwards = {0}, backwards = {0}, half = {0};
    cr_assert(rd_client_sums_add_report(&forwards, &a, &ignored) == RD_OK &&
              rd_client_sums_add_report(&forwards, &c, &ignored) == RD_OK &&
              rd_client_sums_add_report(&forwards, &b, &ignored) == RD_OK);
    rd_client_sums_remove_report(&forwards, &c);
    cr_assert(rd_client_sums_add_report(&half, &a, &ignored) == RD_OK);
    cr_assert(rd_client_sums_add_report(&backwards, &b, &ignored) == RD_OK);
    rd_client_sums_add(&backwards, &half);
    cr_assert(forwards.samples == 10 && forwards.updates == 2);
    cr_assert(backwards.samples == 10 && backwards.updates == 2);
    check_same(&forwards.running_loss, &backwards.running_loss);
    check_same(&forwards.train_loss, &backwards.train_loss);
    check_same(&forwards.train_accuracy, &backwards.train_accuracy);
}

/* Every sum has a part in it, each with values of its own: two halves put together, and one taken off again. */
Test(updates, every_sum_is_put_together_and_taken_off)
{
    const rd_report first = {.samples = 3,
                             .running_loss = 1,
                             .before = {4, 2, 0.25},
                             .holdout = {5, 3, 0.5},
                             .personal = {6, 4, 0.75}},
                    second = {.samples = 1,
                              .running_loss = 5,
                              .before = {4, 4, 0.75},
                              .holdout = {5, 9, 1},
                              .personal = {2, 8, 0.25}};
    rd_client_sums all = {0}, half = {0};
    rd_round_record r = {0};
    rd_error ignored;
    cr_assert_eq(rd_client_sums_add_report(&all, &first, &ignored), RD_OK);
    cr_assert_eq(rd_client_sums_add_report(&half, &second, &ignored), RD_OK);
    rd_client_sums_add(&all, &half);
    for (int whole = 1; whole >= 0; whole--) {
        rd_client_sums_tell(&all, &r);
        cr_expect(r.samples == (whole ? 4 : 3) && all.updates == (whole ? 2 : 1));
        cr_expect_eq(r.running_loss, whole ? (3 * 1 + 1 * 5) / 4.0 : 1);
        cr_expect(r.train.samples == (whole ? 8 : 4) && r.train.loss == (whole ? 3 : 2) &&
                  r.train.accuracy == (whole ? 0.5 : 0.25));
        cr_expect(r.holdout.samples == (whole ? 10 : 5) && r.holdout.loss == (whole ? 6 : 3) &&
                  r.holdout.accuracy == (whole ? 0.75 : 0.5));
        cr_expect(r.personal.samples == (whole ? 8 : 6) && r.personal.loss == (whole ? 5 : 4) &&
                  r.personal.accuracy == (whole ? 0.625 : 0.75));
        rd_client_sums_remove_report(&all, &second);
    }
}

/* ---- the sum ---- */

enum { ELEMENTS = 40000, ROUNDS = 20 }; /* more than two stripes */

typedef struct adder {
    rd_striped_sum *sum;
    const float *values;
    uint32_t weight;
    double scale;
} adder;

/* In pieces that do not fit the stripes. */
static void *add_often(void *user)
{
    const adder *a = user;
    for (size_t i = 0; i < ROUNDS; i++)
        for (size_t first = 0; first < ELEMENTS; first += 7001) {
            size_t count = ELEMENTS - first < 7001 ? ELEMENTS - first : 7001;
            rd_striped_sum_add(a->sum, first, a->values + first, count, a->weight, a->scale);
        }
    return NULL;
}

Test(updates, threads_add_side_by_side)
{
    rd_error ignored;
    static float values[ELEMENTS];
    static double mean[ELEMENTS];
    rd_striped_sum sum = {0};
    for (size_t i = 0; i < ELEMENTS; i++)
        values[i] = (float)(i % 1024) / 8 - 50;
    cr_assert_eq(rd_striped_sum_create(&sum, ELEMENTS, &ignored), RD_OK);
    adder plain = {&sum, values, 3, 1}, halved = {&sum, values, 10, 0.5}, nothing = {&sum, values, 0, 1};
    pthread_t others[2];
    cr_assert_eq(pthread_create(&others[0], NULL, add_often, &plain), 0);
    cr_assert_eq(pthread_create(&others[1], NULL, add_often, &nothing), 0);
    (void)add_often(&halved);
    for (size_t i = 0; i < 2; i++)
        pthread_join(others[i], NULL);
    rd_exact_vector_mean(&sum.exact, 0, ELEMENTS, 1, mean);
    for (size_t i = 0; i < ELEMENTS; i++)
        cr_assert_eq(mean[i], ROUNDS * (3 + 10 * 0.5) * (double)values[i], "element %zu", i);
    rd_striped_sum_free(&sum);
}

/* ---- collected updates ---- */

Test(updates, collected_ones_are_sorted_and_their_vectors_used_again)
{
    rd_error ignored;
    const uint64_t keys[] = {UINT64_MAX, 7, 0, 1000, 8};
    float *vectors[5];
    rd_collection c = {.size = 3};
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(rd_collection_reserve(&c, &ignored), RD_OK);
        c.due++;
        vectors[i] = rd_collection_take_vector(&c);
        cr_assert(vectors[i] != NULL);
        vectors[i][2] = (float)i;
        rd_collection_add(&c, vectors[i], keys[i], (uint32_t)(10 + i));
    }
    rd_collection_sort(&c);
    static const size_t order[] = {2, 1, 4, 3, 0};
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(c.updates[i].key, keys[order[i]]);
        cr_assert_eq(c.updates[i].weight, 10 + order[i]);
        cr_assert_eq(c.updates[i].values, vectors[order[i]]);
        cr_assert_eq(c.updates[i].values[2], (float)order[i]);
    }
    rd_collection_clear(&c);
    cr_assert(c.count == 0 && c.due == 0);
    for (size_t i = 0; i < 5; i++) {
        float *again = rd_collection_take_vector(&c);
        size_t k = 0;
        while (k < 5 && vectors[k] != again)
            k++;
        cr_assert(k < 5, "a new vector while an old one is free");
        free(again);
        vectors[k] = NULL;
    }
    rd_collection_free(&c);
}

Test(updates, room_is_made_before_an_update_is_collected)
{
    rd_collection c = {.size = 3};
    float *values = rd_collection_take_vector(&c);
    cr_assert(values != NULL);
    expect_abort(rd_collection_add(&c, values, 1, 1));
    free(values);
    rd_collection_free(&c);
}
