/* Exact sums of doubles against Python's fsum and fractions (tests/reference/make_exact_double.py), in any order and
 * grouping, and through their text. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/exact_double.h"

enum { MOST = 64 };

static void expect_sum(const double *x, int count, double want)
{
    rd_exact_double forwards = {{0}}, backwards = {{0}}, halves[2] = {{{0}}, {{0}}}, read;
    char text[RD_EXACT_DOUBLE_TEXT_MAX];
    rd_error err = {0};
    for (int i = 0; i < count; i++) {
        rd_exact_double_add_times(&forwards, x[i], 1);
        rd_exact_double_add_times(&backwards, x[count - 1 - i], 1);
        rd_exact_double_add_times(&halves[i % 2], x[i], 1);
    }
    rd_exact_double_merge(&halves[0], &halves[1]);
    cr_assert_eq(memcmp(&forwards, &backwards, sizeof forwards), 0, "the order shows");
    cr_assert_eq(memcmp(&forwards, &halves[0], sizeof forwards), 0, "the grouping shows");
    cr_assert_eq(rd_exact_double_value(&forwards), want, "%a, not %a", rd_exact_double_value(&forwards), want);
    rd_exact_double_write(&forwards, text);
    cr_assert_eq(rd_exact_double_read(text, &read, &err), RD_OK, "%s: %s", text, err.message);
    cr_assert_eq(memcmp(&forwards, &read, sizeof forwards), 0, "%s", text);
}

Test(exact_double, sums_are_rounded_once)
{
    FILE *file = fopen(RONDO_SOURCE_DIR "/tests/reference/exact_double.txt", "r");
    cr_assert_not_null(file);
    double x[MOST], want;
    int count, cases = 0;
    for (; fscanf(file, "%d", &count) == 1; cases++) {
        cr_assert(count <= MOST);
        for (int i = 0; i < count; i++)
            cr_assert_eq(fscanf(file, "%la", &x[i]), 1);
        cr_assert_eq(fscanf(file, "%la", &want), 1);
        expect_sum(x, count, want);
    }
    fclose(file);
    cr_assert_eq(cases, 70);
}

Test(exact_double, times)
{
    for (int sign = -1; sign <= 1; sign += 2)
        for (int shift = -1074; shift < 990; shift += 7) {
            rd_exact_double once = {{0}}, often = {{0}};
            double value = sign * ldexp(0x1.fffffffffffffp0, shift);
            for (int i = 0; i < 1000; i++)
                rd_exact_double_add_times(&once, value, 1);
            rd_exact_double_add_times(&often, value, 1000);
            cr_assert_eq(memcmp(&once, &often, sizeof once), 0, "2^%d", shift);
            rd_exact_double_add_times(&often, -value, 1000);
            cr_assert_eq(rd_exact_double_value(&often), 0.0);
        }
}

/* The power of two is any, not only such as this program writes. */
Test(exact_double, sums_of_others_are_read)
{
    char text[32];
    rd_exact_double sum;
    rd_error err;
    for (int power = -1074; power <= 1000; power++) {
        (void)snprintf(text, sizeof text, "%sabcp%d", power % 2 == 0 ? "-" : "", power);
        cr_assert(rd_exact_double_read(text, &sum, &err) == RD_OK, "%s", err.message);
        cr_assert(rd_exact_double_value(&sum) == ldexp(power % 2 == 0 ? -0xabc : 0xabc, power), "%s", text);
    }
    cr_assert(rd_exact_double_read("0p0", &sum, &err) == RD_OK && rd_exact_double_value(&sum) == 0);
}

Test(exact_double, what_is_no_sum_is_refused)
{
    static const char *const bad[] = {"",        "1",      "p0",   "-p0",  "1p",   "1.0p0", "gp0",
                                      "1p-1078", "1p2000", "1p0x", "1 p0", "+1p2", "1p-",   "--1p2"};
    rd_exact_double sum;
    rd_error err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(rd_exact_double_read(bad[i], &sum, &err), RD_ERR_FORMAT, "'%s'", bad[i]);
    char wide[700];
    memset(wide, 'f', sizeof wide);
    strcpy(wide + 640, "p-1074");
    cr_assert_eq(rd_exact_double_read(wide, &sum, &err), RD_ERR_FORMAT);
}
