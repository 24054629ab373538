/* Robust rules against plain NumPy (tests/reference/make_robust.py), and the promises of their papers. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "round/robust.h"
#include "strategy_named.h"

enum { MOST_UPDATES = 64, MOST = 80 };

/* As make_robust.py numbers them. */
static const char *const rules[] = {"median", "trimmed_mean", "krum", "multi_krum", "bulyan", "geometric_median"};

static rd_strategy strategy_of(const char *rule, size_t f)
{
    rd_strategy s = strategy_named(rule);
    set_key(&s, "byzantine", (double)f);
    set_key(&s, "smoothing", 1e-6);
    set_key(&s, "iterations", 30);
    return s;
}

/* Nothing is written behind the n elements. */
static rd_status combine(const rd_strategy *s, const float *const *values, const uint32_t *weights, size_t k, size_t n,
                         float *out, rd_error *err)
{
    float *exact = malloc((n + 1) * sizeof *exact);
    exact[n] = 12345;
    rd_status status = s->kind->combine(s, &(rd_collected_updates){values, weights, k, n}, exact, err);
    cr_expect_eq(exact[n], 12345, "%s", s->kind->name);
    if (status == RD_OK)
        memcpy(out, exact, n * sizeof *out);
    free(exact);
    return status;
}

Test(robust, agrees_with_numpy)
{
    FILE *file = fopen(RONDO_SOURCE_DIR "/tests/reference/robust.txt", "r");
    static float values[MOST_UPDATES][MOST];
    const float *updates[MOST_UPDATES];
    uint32_t weights[MOST_UPDATES];
    float out[MOST];
    int cases;
    rd_error err;
    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%d", &cases), 1);
    cr_assert_eq(cases, 18);
    for (int c = 0; c < cases; c++) {
        int rule;
        size_t k, n, f, chosen;
        cr_assert_eq(fscanf(file, "%d %zu %zu %zu %zu", &rule, &k, &n, &f, &chosen), 5);
        for (size_t i = 0; i < k; i++) {
            cr_assert_eq(fscanf(file, "%u", &weights[i]), 1);
            updates[i] = values[i];
            for (size_t j = 0; j < n; j++)
                cr_assert_eq(fscanf(file, "%f", &values[i][j]), 1);
        }
        rd_strategy s = strategy_of(rules[rule], f);
        set_key(&s, "chosen", (double)chosen);
        cr_assert_eq(combine(&s, updates, weights, k, n, out, &err), RD_OK, "%s", err.message);
        for (size_t j = 0; j < n; j++) {
            double expected, found = (double)out[j];
            cr_assert_eq(fscanf(file, "%lf", &expected), 1);
            cr_expect_float_eq(found, expected, 1e-6 * (1 + fabs(expected)), "case %d, rule %d, %zu: %g, not %g", c,
                               rule, j, found, expected);
        }
    }
    fclose(file);
}

static bool withstands(const char *rule, size_t updates, size_t arbitrary)
{
    const rd_strategy_kind *kind = kind_named(rule);
    return updates >= kind->withstands.among + kind->withstands.each * arbitrary;
}

/* From the papers' inequalities, written out: among n updates f may be arbitrary, and no more. */
Test(robust, withstands_what_its_paper_says)
{
    const size_t NONE = SIZE_MAX;
    struct {
        const char *rule;
        size_t n, f;
    } table[] = {
        {"median", 1, 0},  {"median", 2, 0},  {"median", 3, 1},  {"trimmed_mean", 10, 4},      {"trimmed_mean", 11, 5},
        {"krum", 2, NONE}, {"krum", 3, 0},    {"krum", 5, 1},    {"multi_krum", 10, 3},        {"bulyan", 6, 0},
        {"bulyan", 7, 1},  {"bulyan", 10, 1}, {"bulyan", 11, 2}, {"geometric_median", 100, 49}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t f = 0; f < 60; f++)
            cr_expect_eq(withstands(table[i].rule, table[i].n, f), table[i].f != NONE && f <= table[i].f,
                         "line %zu, %zu", i, f);
    for (size_t f = 0; f < 20; f++) {
        const rd_strategy trimmed = strategy_of("trimmed_mean", f), krum = strategy_of("krum", f),
                          bulyan = strategy_of("bulyan", f);
        cr_expect_eq(rd_strategy_least_updates(&trimmed), 2 * f + 1);
        cr_expect_eq(rd_strategy_least_updates(&krum), 2 * f + 3);
        cr_expect_eq(rd_strategy_least_updates(&bulyan), 4 * f + 3);
    }
}

Test(robust, refuses_what_it_does_not_withstand)
{
    const float update[2] = {1, 2}, *updates[6] = {update, update, update, update, update, update};
    const uint32_t weights[6] = {1, 1, 1, 1, 1, 1};
    float out[2];
    rd_error err;
    rd_strategy krum = strategy_of("krum", 2), some = strategy_of("multi_krum", 1);
    cr_assert_eq(combine(&krum, updates, weights, 6, 2, out, &err), RD_ERR_RANGE);
    cr_assert_str_eq(err.message, "6 updates are too few to withstand strategy.byzantine 2: 7 are needed");
    set_key(&some, "chosen", 6);
    cr_assert_eq(combine(&some, updates, weights, 6, 2, out, &err), RD_ERR_RANGE);
    cr_assert_str_eq(err.message, "6 updates are too few to withstand strategy.byzantine 1 and choose 6: 7 are needed");
}

/* Whatever f updates say, the result stays among the honest ones, which all lie in [-1, 1]. */
Test(robust, a_few_liars_do_not_carry_it_away)
{
    enum { K = 23, N = 40, F = 5 };
    static float values[K][N];
    const float *updates[K];
    uint32_t weights[K];
    float out[N];
    rd_error err;
    rd_random random = rd_random_stream(3, RD_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < K; i++) {
        updates[i] = values[i];
        weights[i] = 1;
        for (size_t j = 0; j < N; j++)
            values[i][j] = i < F ? 1e6f : (float)(2 * rd_random_uniform(&random) - 1);
    }
    for (size_t rule = 0; rule < sizeof rules / sizeof *rules; rule++) {
        rd_strategy s = strategy_of(rules[rule], F);
        bool geometric = strcmp(rules[rule], "geometric_median") == 0;
        cr_assert_eq(combine(&s, updates, weights, K, N, out, &err), RD_OK, "%s", err.message);
        for (size_t j = 0; j < N; j++)
            cr_expect_leq(fabsf(out[j]), geometric ? 3.0f : 1.0f, "%s", rules[rule]);
    }
}

static void expect_order(const float *points, size_t k, size_t f, const size_t *order)
{
    static const uint32_t weights[] = {1, 1, 1, 1, 1};
    const float *pointers[5];
    rd_ranking *r;
    rd_error err;
    for (size_t i = 0; i < k; i++)
        pointers[i] = &points[i];
    cr_assert_eq(rd_ranking_create(&(rd_collected_updates){pointers, weights, k, 1}, &r, &err), RD_OK);
    rd_ranking_score(r, k, f);
    for (size_t i = 0; i < k; i++) {
        const size_t best = rd_ranking_take_best(r);
        cr_expect_eq(best, order[i], "%zu of %zu, f %zu: %zu", i, k, f, best);
    }
    rd_ranking_free(r);
}

/* Blanchard et al. 2017: a score is the sum of the squared distances to the k - f - 2 nearest; to one at least. Of
 * equal scores the first is the best. */
Test(robust, scores_count_so_many_neighbours_and_one_at_least)
{
    static const float three[] = {0, 10, 11}, five[] = {0, 1, 10, 12, 14};
    expect_order(three, 3, 0, (const size_t[]){1, 2, 0}); /* one: 100, 1, 1 */
    expect_order(three, 3, 1, (const size_t[]){1, 2, 0}); /* none are left, one is taken */
    expect_order(three, 3, 3, (const size_t[]){1, 2, 0});
    expect_order(five, 5, 3, (const size_t[]){0, 1, 2, 3, 4});
    expect_order(five, 5, 2, (const size_t[]){0, 1, 2, 3, 4}); /* one: 1, 1, 4, 4, 4 */
    expect_order(five, 5, 1, (const size_t[]){3, 2, 4, 1, 0}); /* two: 101, 82, 20, 8, 20 */
}
