/* Synthetic data: sizes and moments against their closed forms, and parts that make up the whole. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/data/synthetic.c" /* for draw_owner: alpha shows in nothing else, see below */

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
    cr_expect_float_eq(squares, 5 + 1.0 / 100, 0.9, "%g", squares); /* deviation of a variance: 5 sqrt(2 / 800) */
    for (size_t f = 0; f < 2; f++) {
        double count = 0;
        for (size_t i = 1; i < d.rows; i++)
            if (d.group[i] == d.group[i - 1]) { /* half the squared difference of neighbours estimates the variance */
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

/* W_k and b_k of client k are normal around u_k with deviation 1, and u_k around 0 with deviation alpha. So the mean over
 * the 600 numbers of W_k varies by alpha^2 + 1 / 600, the mean over the 10 of b_k by alpha^2 + 1 / 10, and their
 * difference, in which u_k falls out, by 1 / 600 + 1 / 10 alone. */
Test(synthetic, alpha_is_the_deviation_between_the_models_of_clients)
{
    enum { CLIENTS = 4000 };
    for (int a = 0; a < 3; a++) {
        double alpha = a, w = 0, b = 0, apart = 0, within = 0, between = 5 * sqrt(2.0 / CLIENTS);
        rd_synthetic s = {.alpha = alpha, .beta = 1, .clients = CLIENTS, .seed = 11};
        for (uint64_t k = 0; k < CLIENTS; k++) {
            static owner o;
            double mean_w = 0, mean_b = 0;
            draw_owner(&s, k, &o);
            for (size_t c = 0; c < C; c++) {
                mean_b += o.b[c] / C;
                for (size_t j = 0; j < D; j++)
                    mean_w += o.W[c][j] / (C * D);
            }
            for (size_t c = 0; c < C; c++)
                within += (o.W[c][7] - mean_w) * (o.W[c][7] - mean_w) / (C * CLIENTS);
            w += mean_w * mean_w / CLIENTS;
            b += mean_b * mean_b / CLIENTS;
            apart += (mean_w - mean_b) * (mean_w - mean_b) / CLIENTS;
        }
        double expected = alpha * alpha + 1.0 / 600, spread = 1.0 / 600 + 1.0 / 10;
        cr_expect_float_eq(w, expected, between * expected, "alpha %g: %g, expected %g", alpha, w, expected);
        cr_expect_float_eq(b, alpha * alpha + 0.1, between * (alpha * alpha + 0.1), "alpha %g: %g", alpha, b);
        cr_expect_float_eq(apart, spread, between * spread, "alpha %g: %g, expected %g", alpha, apart, spread);
        cr_expect_float_eq(within, 1, 0.05, "alpha %g: %g", alpha, within);
    }
}

/* u_k adds the same to the score of every class, u_k (sum x + 1): by its definition, alpha changes no label. */
Test(synthetic, alpha_changes_no_label)
{
    rd_dataset none = make((rd_synthetic){.alpha = 0, .beta = 1, .clients = 50, .seed = 3}),
               much = make((rd_synthetic){.alpha = 2, .beta = 1, .clients = 50, .seed = 3});
    cr_assert_eq(none.rows, much.rows);
    cr_assert_arr_eq(none.x_f32, much.x_f32, none.rows * 60 * sizeof(float));
    size_t other = 0;
    for (size_t i = 0; i < none.rows; i++)
        other += none.labels[i] != much.labels[i];
    cr_expect_eq(other, 0, "%zu of %zu", other, none.rows);
    rd_dataset_free(&none);
    rd_dataset_free(&much);
}
