/* The sum that a round's updates share: what is scaled, what is not, and where stripes end. Small whole numbers and halves
 * are exact, so every expected value is one of arithmetic by hand. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "run/striped_sum.h"

/* More than two stripes of 16384, and no whole number of the 512 that are scaled at a time. */
enum { SIZE = 2 * 16384 + 700 };

static float at(size_t i)
{
    return (float)(i % 251) - 100;
}

static void expect_sum(const rd_striped_sum *s, size_t first, size_t count, double factor)
{
    static double mean[SIZE];
    rd_exact_vector_mean(&s->exact, 0, SIZE, 1, mean);
    for (size_t i = 0; i < SIZE; i++) {
        const double expected = i >= first && i < first + count ? factor * (double)at(i - first) : 0;
        cr_assert_eq(mean[i], expected, "element %zu: %g, not %g", i, mean[i], expected);
    }
}

Test(striped_sum, each_element_is_weight_times_scale_times_value_where_it_belongs)
{
    static const struct {
        size_t first, count;
        uint32_t weight;
        double scale;
    } cases[] = {{0, SIZE, 1, 1},       {0, SIZE, 3, 1},           {0, SIZE, 1, 2},      {0, SIZE, 5, 0.5},
                 {0, SIZE, 2, 0},       {16383, 2, 1, 1},          {16383, 2, 4, 0.25},  {16384, 16384, 1, 1},
                 {16000, 1000, 7, 1.5}, {16384 - 512, 1024, 1, 2}, {SIZE - 1, 1, 9, 2},  {0, 512, 1, 3},
                 {0, 513, 1, 3},        {300, 20000, 0, 1},        {300, 20000, 0, 0.5}, {300, 0, 4, 2}};
    float *values = malloc(SIZE * sizeof *values);
    rd_striped_sum s = {0};
    rd_error err;
    cr_assert_eq(rd_striped_sum_create(&s, SIZE, &err), RD_OK);
    for (size_t i = 0; i < SIZE; i++)
        values[i] = at(i);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        rd_exact_vector_clear(&s.exact);
        rd_striped_sum_add(&s, cases[c].first, values, cases[c].count, cases[c].weight, cases[c].scale);
        expect_sum(&s, cases[c].first, cases[c].count, cases[c].weight * cases[c].scale);
    }
    free(values);
    rd_striped_sum_free(&s);
}

/* A third is no float: what enters the sum is the float that is nearest to the product, three times. */
Test(striped_sum, products_with_the_scale_are_rounded_once)
{
    const float one = 1;
    double mean;
    rd_striped_sum s = {0};
    rd_error err;
    cr_assert_eq(rd_striped_sum_create(&s, 1, &err), RD_OK);
    rd_striped_sum_add(&s, 0, &one, 1, 3, 1.0 / 3);
    rd_exact_vector_mean(&s.exact, 0, 1, 1, &mean);
    cr_expect_eq(mean, 3 * 11184811 * 0x1p-25); /* 11184811 / 2^25 is a third, rounded up */
    rd_striped_sum_free(&s);
}
