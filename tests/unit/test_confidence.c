/* Student's t and confidence intervals against published values. */
#include <criterion/criterion.h>
#include <math.h>

#include "core/confidence.h"

/* Two-sided 95 %, from any table of the distribution (NIST/SEMATECH e-Handbook, 1.3.6.7.2). */
Test(confidence, has_the_t_of_the_tables)
{
    const struct {
        uint64_t degrees;
        double t;
    } table[] = {{1, 12.706}, {2, 4.303}, {3, 3.182}, {4, 2.776}, {9, 2.262}, {29, 2.045}, {99, 1.984}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        cr_expect_float_eq(rd_student_t(table[i].degrees), table[i].t, 5e-4, "%llu: %g",
                           (unsigned long long)table[i].degrees, rd_student_t(table[i].degrees));
}

/* 1, 2, 3, 4: mean 2.5, deviation sqrt(5/3). */
Test(confidence, is_t_times_the_error_of_the_mean)
{
    const double x[] = {1, 2, 3, 4};
    double mean;
    double half = rd_confidence_half_width(x, 4, 3, &mean);
    cr_expect_float_eq(mean, 2.5, 1e-12);
    cr_expect_float_eq(half, 3 * sqrt(5.0 / 3) / 2, 1e-12);
    cr_expect(isnan(rd_confidence_half_width(x, 1, 3, &mean)));
}
