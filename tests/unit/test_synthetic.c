/* Synthetic data: sizes and moments against their closed forms, and parts that make up the whole. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/synthetic.h"

static rd_dataset make(rd_synthetic s)
{
    rd_dataset d;
    rd_error err;
    cr_assert_eq(rd_synthetic_make(&s, &d, &err), RD_OK, "%s", err.message);
    return d;
}

Test(synthetic, the_parts_make_up_the_whole)
{
    rd_synthetic s = {.alpha = 1, .beta = 1, .clients = 30, .seed = 4};
    rd_dataset all = make(s), again = make(s);
    s.part = RD_SYNTHETIC_TRAIN;
    rd_dataset train = make(s);
    s.part = RD_SYNTHETIC_TEST;
    rd_dataset test = make(s);
    cr_assert_eq(all.rows, train.rows + test.rows);
    cr_assert_eq(all.group_count, 30);
    cr_assert_eq(all.rows, again.rows);
    cr_assert_arr_eq(all.x_f32, again.x_f32, all.rows * all.features * sizeof(float));
    size_t t = 0, e = 0, in_group = 0;
    for (size_t i = 0; i < all.rows; i++) {
        in_group = i > 0 && all.group[i] == all.group[i - 1] ? in_group + 1 : 0;
        bool tenth = in_group % 10 == 9;
        const float *x = tenth ? test.x_f32 + 60 * e : train.x_f32 + 60 * t;
        cr_assert_eq(memcmp(all.x_f32 + 60 * i, x, 60 * sizeof(float)), 0, "row %zu", i);
        cr_assert_eq(all.labels[i], tenth ? test.labels[e] : train.labels[t]);
        *(tenth ? &e : &t) += 1;
    }
    rd_dataset_free(&all);
    rd_dataset_free(&again);
    rd_dataset_free(&train);
    rd_dataset_free(&test);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of exp(N(4, 4)) is e^4 = 54.6: half of the clients have fewer than 104.6 samples. Feature j
 * varies within a client by j^-1.2. Over clients the mean of a feature varies by beta^2 + 1. */
Test(synthetic, sizes_and_moments_are_those_of_the_paper)
{
    enum { CLIENTS = 800 };
    rd_dataset d = make((rd_synthetic){.alpha = 0, .beta = 2, .clients = CLIENTS, .seed = 9});
    static double sizes[CLIENTS], mean[CLIENTS];
    double within[2] = {0}, overall = 0, squares = 0;
    const size_t features[2] = {0, 31}; /* j = 1 and 32 */
    for (size_t i = 0; i < d.rows; i++) {
        sizes[d.group[i]]++;
        mean[d.group[i]] += (double)d.x_f32[60 * i];
    }
    for (size_t k = 0; k < CLIENTS; k++) {
        mean[k] /= sizes[k];
        overall += mean[k] / CLIENTS;
        cr_assert_geq(sizes[k], 50);
    }
    for (size_t k = 0; k < CLIENTS; k++)
        squares += (mean[k] - overall) * (mean[k] - overall) / CLIENTS;
    cr_expect_float_eq(squares, 5 + 1.0 / 100, 0.9, "%g",
                       squares); /* deviation of a variance: 5 sqrt(2 / 800) */
    for (size_t f = 0; f < 2; f++) {
        double count = 0;
        for (size_t i = 1; i < d.rows; i++)
            if (d.group[i] ==
                d.group[i - 1]) { /* half the squared difference of neighbours estimates the variance */
                double x = (double)(d.x_f32[60 * i + features[f]] - d.x_f32[60 * (i - 1) + features[f]]);
                within[f] += x * x / 2;
                count++;
            }
        within[f] /= count;
    }
    cr_expect_float_eq(within[0], 1, 0.03, "%g", within[0]);
    cr_expect_float_eq(within[1], pow(32, -1.2), 0.03 * pow(32, -1.2), "%g", within[1]);
    qsort(sizes, CLIENTS, sizeof *sizes, compare);
    cr_expect_gt(sizes[CLIENTS / 2], 92);
    cr_expect_lt(sizes[CLIENTS / 2], 120);
    rd_dataset_free(&d);
}
