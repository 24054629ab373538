/* Robust rules against plain NumPy (tests/reference/make_robust.py), and the promises of robust.h. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "round/robust.h"

enum { MOST_ROWS = 64, MOST = 80 };

static rd_robust_config config_of(rd_robust_rule rule, size_t f)
{
    return (rd_robust_config){.rule = rule, .byzantine = f, .smoothing = 1e-6, .iterations = 30};
}

Test(robust, agrees_with_numpy)
{
    FILE *file = fopen(RONDO_SOURCE_DIR "/tests/reference/robust.txt", "r");
    static float values[MOST_ROWS][MOST];
    const float *rows[MOST_ROWS];
    uint32_t weights[MOST_ROWS];
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
            rows[i] = values[i];
            for (size_t j = 0; j < n; j++)
                cr_assert_eq(fscanf(file, "%f", &values[i][j]), 1);
        }
        rd_robust_config config = config_of((rd_robust_rule)rule, f);
        config.chosen = chosen;
        cr_assert_eq(rd_robust_aggregate(&config, rows, weights, k, n, out, &err), RD_OK, "%s", err.message);
        for (size_t j = 0; j < n; j++) {
            double expected, found = (double)out[j];
            cr_assert_eq(fscanf(file, "%lf", &expected), 1);
            cr_expect_float_eq(found, expected, 1e-6 * (1 + fabs(expected)), "case %d, rule %d, %zu: %g, not %g", c,
                               rule, j, found, expected);
        }
    }
    fclose(file);
}

/* From the papers' inequalities, written out. */
Test(robust, withstands_what_its_paper_says)
{
    struct {
        rd_robust_rule rule;
        size_t n, f;
    } table[] = {{RD_ROBUST_MEDIAN, 1, 0},        {RD_ROBUST_MEDIAN, 2, 0},
                 {RD_ROBUST_MEDIAN, 3, 1},        {RD_ROBUST_TRIMMED_MEAN, 10, 4},
                 {RD_ROBUST_TRIMMED_MEAN, 11, 5}, {RD_ROBUST_KRUM, 2, SIZE_MAX},
                 {RD_ROBUST_KRUM, 3, 0},          {RD_ROBUST_KRUM, 5, 1},
                 {RD_ROBUST_MULTI_KRUM, 10, 3},   {RD_ROBUST_BULYAN, 6, 0},
                 {RD_ROBUST_BULYAN, 7, 1},        {RD_ROBUST_BULYAN, 10, 1},
                 {RD_ROBUST_BULYAN, 11, 2},       {RD_ROBUST_GEOMETRIC_MEDIAN, 100, 49}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        cr_expect_eq(rd_robust_tolerance(table[i].rule, table[i].n), table[i].f, "line %zu", i);
    for (size_t f = 0; f < 20; f++) {
        cr_expect_eq(rd_robust_least_updates(&(rd_robust_config){.rule = RD_ROBUST_TRIMMED_MEAN, .byzantine = f}),
                     2 * f + 1);
        cr_expect_eq(rd_robust_least_updates(&(rd_robust_config){.rule = RD_ROBUST_KRUM, .byzantine = f}), 2 * f + 3);
        cr_expect_eq(rd_robust_least_updates(&(rd_robust_config){.rule = RD_ROBUST_BULYAN, .byzantine = f}), 4 * f + 3);
    }
}

Test(robust, refuses_what_it_does_not_withstand)
{
    const float row[2] = {1, 2}, *rows[6] = {row, row, row, row, row, row};
    const uint32_t weights[6] = {1, 1, 1, 1, 1, 1};
    float out[2];
    rd_error err;
    rd_robust_config krum = config_of(RD_ROBUST_KRUM, 2), some = config_of(RD_ROBUST_MULTI_KRUM, 1);
    cr_assert_eq(rd_robust_aggregate(&krum, rows, weights, 6, 2, out, &err), RD_ERR_RANGE);
    cr_assert_str_eq(err.message, "6 updates are too few to withstand strategy.byzantine 2: 7 are needed");
    some.chosen = 6;
    cr_assert_eq(rd_robust_aggregate(&some, rows, weights, 6, 2, out, &err), RD_ERR_RANGE);
    cr_assert_str_eq(err.message, "6 updates are too few to withstand strategy.byzantine 1 and choose 6: 7 are needed");
}

/* Whatever f rows say, the result stays among the honest ones, which all lie in [-1, 1]. */
Test(robust, a_few_liars_do_not_carry_it_away)
{
    enum { K = 23, N = 40, F = 5 };
    static float values[K][N];
    const float *rows[K];
    uint32_t weights[K];
    float out[N];
    rd_error err;
    rd_random random = rd_random_stream(3, RD_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < K; i++) {
        rows[i] = values[i];
        weights[i] = 1;
        for (size_t j = 0; j < N; j++)
            values[i][j] = i < F ? 1e6f : (float)(2 * rd_random_uniform(&random) - 1);
    }
    for (int rule = RD_ROBUST_MEDIAN; rule <= RD_ROBUST_GEOMETRIC_MEDIAN; rule++) {
        rd_robust_config c = config_of((rd_robust_rule)rule, F);
        cr_assert_eq(rd_robust_aggregate(&c, rows, weights, K, N, out, &err), RD_OK, "%s", err.message);
        for (size_t j = 0; j < N; j++)
            cr_expect_leq(fabsf(out[j]), rule == RD_ROBUST_GEOMETRIC_MEDIAN ? 3.0f : 1.0f, "rule %d", rule);
    }
}
