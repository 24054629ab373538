/* One language for numbers in texts: what is one, to which double, and what is told apart. */
#include <criterion/criterion.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/number.h"
#include "core/random.h"

static rd_number_kind read(const char *text, double *out)
{
    /* On a block of the very size: no byte behind the text is looked at. */
    size_t length = strlen(text);
    char *block = malloc(length > 0 ? length : 1);
    memcpy(block, text, length);
    rd_number_kind kind = rd_number_read(block, length, out);
    free(block);
    return kind;
}

static void is(const char *text, double wanted)
{
    double x = 12345;
    cr_assert_eq(read(text, &x), RD_NUMBER_OK, "'%s'", text);
    cr_assert(memcmp(&x, &wanted, sizeof x) == 0, "'%s': %a instead of %a", text, x, wanted);
}

static void check_numbers(void)
{
    is("0", 0.0);
    is("-0", -0.0);
    is("-0.000e5", -0.0);
    is("1", 1.0);
    is("+1", 1.0);
    is("12e1", 120.0);
    is("12E+1", 120.0);
    is("1.5", 1.5);
    is(".5", 0.5);
    is("5.", 5.0);
    is("-.25e-1", -0.025);
    is("007", 7.0);
    is("0.1", 0x1.999999999999ap-4);
    is("9007199254740993", 0x1p53); /* halfway: to even */
    is("9007199254740993.0000000000000000000001", 0x1.0000000000001p53);
    is("1.7976931348623157e308", DBL_MAX);
    is("2.2250738585072014e-308", DBL_MIN);
    is("0e999999999999999999999999", 0.0);
    is("0.00000000000000000000000000000000000000000000000001e50", 1.0);
}

static void check_others(void)
{
    const char *const no_numbers[] = {"",    " ",     "1 ",  " 1",  "0x10", "inf", "-inf", "nan", "NaN", "infinity",
                                      "1,5", "1e",    "1e+", "e5",  ".",    "-",   "+",    "--1", "+-1", "1e5.0",
                                      "1_0", "1.2.3", "1f",  "0b1", "1e5 ", "\t1", "-.e1", "1\n", "١"};
    for (size_t i = 0; i < sizeof no_numbers / sizeof *no_numbers; i++) {
        double x = 77;
        cr_assert_eq(read(no_numbers[i], &x), RD_NUMBER_NONE, "'%s' became %g", no_numbers[i], x);
        cr_assert_eq(x, 77);
    }
}

Test(number, numbers_and_what_is_none)
{
    check_numbers();
    check_others();
}

Test(number, no_locale_changes_them)
{
    const char *const with_comma[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8"};
    for (size_t i = 0; i < sizeof with_comma / sizeof *with_comma; i++) {
        if (setlocale(LC_ALL, with_comma[i]) == NULL)
            continue;
        cr_assert_str_eq(localeconv()->decimal_point, ",");
        check_numbers();
        check_others();
    }
    setlocale(LC_ALL, "C");
}

Test(number, out_of_range_is_told_apart)
{
    double x;
    cr_assert_eq(read("1e309", &x), RD_NUMBER_OVERFLOW);
    cr_assert(isinf(x) && x > 0);
    cr_assert_eq(read("-1e99999999999999999999", &x), RD_NUMBER_OVERFLOW);
    cr_assert(isinf(x) && x < 0);
    cr_assert_eq(read("1.7976931348623159e308", &x), RD_NUMBER_OVERFLOW);
    cr_assert_eq(read("1e-400", &x), RD_NUMBER_UNDERFLOW);
    cr_assert_eq(x, 0.0);
    cr_assert_eq(read("-1e-99999999999999999999", &x), RD_NUMBER_UNDERFLOW);
    cr_assert(x == 0.0 && signbit(x));
    cr_assert_eq(read("1.234567890123e-310", &x), RD_NUMBER_UNDERFLOW, "a denormal with fewer bits");
    cr_assert_eq(x, 1.234567890123e-310);
}

Test(number, many_digits_are_rounded_once)
{
    /* 1 + 2^-53, written out, is halfway between two doubles; a 1 a thousand digits later is not. */
    const char *half = "1.00000000000000011102230246251565404236316680908203125";
    char text[2000];
    double x;
    is(half, 1.0);
    strcpy(text, half);
    memset(text + strlen(half), '0', 1000);
    strcpy(text + strlen(half) + 1000, "1");
    cr_assert_eq(rd_number_read(text, strlen(text), &x), RD_NUMBER_OK);
    cr_assert_eq(x, 0x1.0000000000001p0);
    /* As many digits before the point, taken back by the exponent. */
    text[0] = '1';
    memset(text + 1, '0', 1500);
    strcpy(text + 1501, "e-1500");
    is(text, 1.0);
    /* Zeros without end before the first digit. */
    strcpy(text, "0.");
    memset(text + 2, '0', 1500);
    strcpy(text + 1502, "25e1501");
    is(text, 2.5);
}

Test(number, agrees_with_printf)
{
    rd_random random = rd_random_stream(1, RD_PURPOSE_TEST, 0, 0);
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = rd_random_u64(&random);
        double wanted, x;
        char text[64];
        memcpy(&wanted, &bits, sizeof wanted);
        if (!isnormal(wanted))
            continue;
        int length = snprintf(text, sizeof text, "%.17g", wanted);
        cr_assert_eq(rd_number_read(text, (size_t)length, &x), RD_NUMBER_OK, "%s", text);
        cr_assert_eq(x, wanted, "%s", text);
    }
}

Test(number, to_single_precision)
{
    float x;
    cr_assert_eq(rd_number_narrow(0.1, &x), RD_NUMBER_OK);
    cr_assert_eq(x, 0.1f);
    cr_assert_eq(rd_number_narrow(0, &x), RD_NUMBER_OK);
    cr_assert_eq(rd_number_narrow(1e39, &x), RD_NUMBER_OVERFLOW);
    cr_assert_eq(rd_number_narrow(-INFINITY, &x), RD_NUMBER_OVERFLOW);
    cr_assert_eq(rd_number_narrow(1e-50, &x), RD_NUMBER_UNDERFLOW);
    cr_assert_eq(rd_number_narrow(1e-40, &x), RD_NUMBER_OK);
    cr_assert_eq(rd_number_narrow(NAN, &x), RD_NUMBER_NONE);
    cr_assert_str_eq(rd_number_fault(RD_NUMBER_UNDERFLOW), "is too near to 0");
    cr_assert_null(rd_number_fault(RD_NUMBER_OK));
}

Test(number, whole_numbers)
{
    int64_t n = 0;
    uint64_t u = 0;
    const char *const none[] = {"",
                                "+",
                                "-",
                                "1.0",
                                "12e1",
                                "0x10",
                                " 1",
                                "1 ",
                                "1,000",
                                "--1",
                                "9223372036854775808",
                                "-9223372036854775809",
                                "99999999999999999999"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        cr_assert_not(rd_number_whole(none[i], strlen(none[i]), &n), "'%s'", none[i]);
    cr_assert(rd_number_whole("9007199254740993", 16, &n) && n == INT64_C(9007199254740993));
    cr_assert(rd_number_whole("-9223372036854775808", 20, &n) && n == INT64_MIN);
    cr_assert(rd_number_whole("+9223372036854775807", 20, &n) && n == INT64_MAX);
    cr_assert(rd_number_whole("-0", 2, &n) && n == 0);
    cr_assert(rd_number_whole("0017", 4, &n) && n == 17);
    cr_assert(rd_number_count("18446744073709551615", 20, &u) && u == UINT64_MAX);
    cr_assert_not(rd_number_count("18446744073709551616", 20, &u));
    cr_assert_not(rd_number_count("-1", 2, &u));
    cr_assert_not(rd_number_count("+1", 2, &u));
}
