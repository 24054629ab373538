/* Random streams: published vectors, a second implementation (tests/reference/make_random.py), and moments.
 *
 * The statistics are of fixed streams, so they pass or fail for good; limits are 4 standard errors. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"

enum { DRAWS = 200000 };

/* ---- published vectors ---- */

Test(philox, known_answers_of_random123)
{
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t out[4];
        rd_philox(cases[i].key, cases[i].counter, out);
        cr_assert_arr_eq(out, cases[i].expected, sizeof out, "vector %zu", i);
    }
}

Test(client_key, published_values_of_fnv_1a)
{
    cr_assert_eq(rd_client_key(""), UINT64_C(0xcbf29ce484222325));
    cr_assert_eq(rd_client_key("a"), UINT64_C(0xaf63dc4c8601ec8c));
    cr_assert_eq(rd_client_key("b"), UINT64_C(0xaf63df4c8601f1a5));
    cr_assert_eq(rd_client_key("foobar"), UINT64_C(0x85944171f73967e8));
}

/* ---- the second implementation ---- */

static void check_words(FILE *f, rd_random r)
{
    for (int i = 0; i < 9; i++) {
        uint32_t expected;
        cr_assert_eq(fscanf(f, "%" SCNx32, &expected), 1);
        cr_assert_eq(rd_random_u32(&r), expected, "word %d", i);
    }
}

static void check_long(FILE *f, rd_random r)
{
    for (int i = 0; i < 5; i++) {
        uint64_t expected;
        cr_assert_eq(fscanf(f, "%" SCNx64, &expected), 1);
        cr_assert_eq(rd_random_u64(&r), expected, "long word %d", i);
    }
}

static void check_below(FILE *f, rd_random r)
{
    uint32_t bound, expected;
    cr_assert_eq(fscanf(f, "%" SCNu32, &bound), 1);
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(fscanf(f, "%" SCNu32, &expected), 1);
        cr_assert_eq(rd_random_below(&r, bound), expected, "number %d below %" PRIu32, i, bound);
    }
}

/* Normal and gamma numbers come through log and cos, whose last digit is the C library's own business. */
static void check_doubles(FILE *f, const char *what, rd_random r)
{
    double expected, shape = 0.0;
    int count = strcmp(what, "uniform") == 0 ? 4 : strcmp(what, "normal") == 0 ? 6 : 3;
    if (count == 3)
        cr_assert_eq(fscanf(f, "%lf", &shape), 1);
    for (int i = 0; i < count; i++) {
        cr_assert_eq(fscanf(f, "%lf", &expected), 1);
        double drawn = count == 4   ? rd_random_uniform(&r)
                       : count == 6 ? rd_random_normal(&r)
                                    : rd_random_gamma(&r, shape);
        if (count == 4)
            cr_assert_eq(drawn, expected);
        cr_assert_leq(fabs(drawn - expected), 1e-12 * (1.0 + fabs(expected)), "%s %d: %.17g, expected %.17g", what, i,
                      drawn, expected);
    }
}

static void check_shuffle(FILE *f, rd_random r)
{
    uint32_t items[12], expected;
    for (uint32_t i = 0; i < 12; i++)
        items[i] = i;
    rd_random_shuffle(&r, items, 12);
    for (int i = 0; i < 12; i++) {
        cr_assert_eq(fscanf(f, "%" SCNu32, &expected), 1);
        cr_assert_eq(items[i], expected);
    }
}

static void check_key(FILE *f)
{
    char name[64];
    uint64_t expected;
    cr_assert_eq(fscanf(f, "%63s %" SCNx64, name, &expected), 2);
    cr_assert_eq(rd_client_key(name), expected, "%s", name);
}

Test(random, streams_are_those_of_the_second_implementation)
{
    FILE *f = fopen(RONDO_SOURCE_DIR "/tests/reference/random.txt", "r");
    cr_assert_not_null(f);
    rd_random r = {0};
    char what[16];
    int lines = 0;
    for (; fscanf(f, "%15s", what) == 1; lines++) {
        uint64_t seed, round, client;
        int purpose;
        if (strcmp(what, "stream") == 0) {
            cr_assert_eq(fscanf(f, "%" SCNu64 " %d %" SCNu64 " %" SCNu64, &seed, &purpose, &round, &client), 4);
            r = rd_random_stream(seed, (rd_purpose)purpose, round, client);
        } else if (strcmp(what, "words") == 0) {
            check_words(f, r);
        } else if (strcmp(what, "long") == 0) {
            check_long(f, r);
        } else if (strcmp(what, "below") == 0) {
            check_below(f, r);
        } else if (strcmp(what, "shuffle") == 0) {
            check_shuffle(f, r);
        } else if (strcmp(what, "key") == 0) {
            check_key(f);
        } else {
            check_doubles(f, what, r);
        }
    }
    fclose(f);
    cr_assert_eq(lines, 5 * 11 + 4);
}

/* ---- streams ---- */

static rd_random stream(uint64_t number)
{
    return rd_random_stream(20260101, RD_PURPOSE_TEST, number, 0);
}

Test(random, every_part_of_the_name_makes_another_stream)
{
    static const uint64_t names[][4] = {
        {1, 1, 1, 1},
        {2, 1, 1, 1},
        {1, 2, 1, 1},
        {1, 1, 2, 1},
        {1, 1, 1, 2},
        {1 + (UINT64_C(1) << 32), 1, 1, 1},
        {1, 1, 1 + (UINT64_C(1) << 32), 1},
        {1, 1, 1, 1 + (UINT64_C(1) << 32)},
    };
    enum { NAMES = sizeof names / sizeof *names };
    uint64_t first[NAMES];
    for (int i = 0; i < NAMES; i++) {
        rd_random r = rd_random_stream(names[i][0], (rd_purpose)names[i][1], names[i][2], names[i][3]);
        first[i] = rd_random_u64(&r);
        for (int j = 0; j < i; j++)
            cr_assert_neq(first[i], first[j], "streams %d and %d", i, j);
    }
}

Test(random, blocks_are_counted_in_64_bits)
{
    rd_random r = stream(0);
    r.counter[0] = UINT32_MAX;
    uint32_t last[4] = {UINT32_MAX, 0, r.counter[2], r.counter[3]}, next[4] = {0, 1, last[2], last[3]};
    uint32_t expected[8];
    rd_philox(r.key, last, expected);
    rd_philox(r.key, next, expected + 4);
    for (int i = 0; i < 8; i++)
        cr_assert_eq(rd_random_u32(&r), expected[i]);
}

/* Draws of streams with neighbouring names must not be correlated. */
Test(random, neighbouring_streams_are_uncorrelated)
{
    enum { N = 20000 };
    for (uint64_t number = 0; number < 8; number++) {
        rd_random a = stream(number), b = stream(number + 1);
        double sum = 0.0;
        for (int i = 0; i < N; i++)
            sum += rd_random_normal(&a) * rd_random_normal(&b);
        cr_assert_lt(fabs(sum / sqrt(N)), 4.0, "streams %d and %d", (int)number, (int)number + 1);
    }
}

/* ---- distributions ---- */

typedef struct moments {
    double mean, variance, third; /* central */
} moments;

static moments measure(double *x, int n)
{
    moments m = {0};
    for (int i = 0; i < n; i++)
        m.mean += x[i] / n;
    for (int i = 0; i < n; i++) {
        double d = x[i] - m.mean;
        m.variance += d * d / n;
        m.third += d * d * d / n;
    }
    return m;
}

static void near(const char *what, double found, double expected, double standard_error)
{
    cr_assert_lt(fabs(found - expected), 4.0 * standard_error, "%s: %g, expected %g +- %g", what, found, expected,
                 standard_error);
}

/* The share of the draws below limit is that of the distribution. */
static void share_below(const double *x, int n, double limit, double probability)
{
    int below = 0;
    for (int i = 0; i < n; i++)
        below += x[i] < limit;
    near("share", (double)below / n, probability, sqrt(probability * (1.0 - probability) / n));
}

static double x[DRAWS];

Test(random, uniform_numbers)
{
    rd_random r = stream(100);
    for (int i = 0; i < DRAWS; i++) {
        x[i] = rd_random_uniform(&r);
        cr_assert(x[i] >= 0.0 && x[i] < 1.0);
    }
    moments m = measure(x, DRAWS);
    near("mean", m.mean, 0.5, sqrt(1.0 / 12 / DRAWS));
    near("variance", m.variance, 1.0 / 12, sqrt((1.0 / 80 - 1.0 / 144) / DRAWS));
    for (int k = 1; k < 16; k++)
        share_below(x, DRAWS, k / 16.0, k / 16.0);
    double together = 0.0; /* serial correlation; its standard error is 1 / sqrt(n) */
    for (int i = 1; i < DRAWS; i++)
        together += 12.0 * (x[i] - 0.5) * (x[i - 1] - 0.5) / DRAWS;
    near("serial correlation", together, 0.0, 1.0 / sqrt(DRAWS));
}

Test(random, normal_numbers)
{
    rd_random r = stream(101);
    for (int i = 0; i < DRAWS; i++)
        x[i] = rd_random_normal(&r);
    moments m = measure(x, DRAWS);
    near("mean", m.mean, 0.0, sqrt(1.0 / DRAWS));
    near("variance", m.variance, 1.0, sqrt(2.0 / DRAWS));
    near("third moment", m.third, 0.0, sqrt(6.0 / DRAWS));
    for (double z = -3.0; z <= 3.0; z += 0.5)
        share_below(x, DRAWS, z, 0.5 * erfc(-z / sqrt(2.0)));
}

Test(random, gamma_numbers)
{
    static const double shapes[] = {0.05, 0.5, 1.0, 2.5, 40.0};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        double k = shapes[s];
        rd_random r = stream(102 + s);
        for (int i = 0; i < DRAWS; i++) {
            x[i] = rd_random_gamma(&r, k);
            cr_assert(x[i] >= 0.0 && isfinite(x[i]));
        }
        moments m = measure(x, DRAWS);
        near("mean", m.mean, k, sqrt(k / DRAWS));
        near("variance", m.variance, k, sqrt((2.0 * k * k + 6.0 * k) / DRAWS));
        if (k == 1.0) /* the exponential distribution */
            for (double t = 0.1; t < 4.0; t += 0.3)
                share_below(x, DRAWS, t, 1.0 - exp(-t));
        if (k == 0.5) /* half a squared normal number */
            for (double t = 0.01; t < 4.0; t *= 2.0)
                share_below(x, DRAWS, t, erf(sqrt(t)));
    }
}

Test(random, below_is_even)
{
    rd_random r = stream(110);
    int count[10] = {0};
    for (int i = 0; i < DRAWS; i++) {
        uint32_t n = rd_random_below(&r, 10);
        cr_assert_lt(n, 10);
        count[n]++;
    }
    double chi = 0.0;
    for (int i = 0; i < 10; i++)
        chi += pow(count[i] - DRAWS / 10.0, 2) / (DRAWS / 10.0);
    cr_assert_lt(chi, 33.7); /* 9 degrees of freedom, 1 in 10,000 */
    for (int i = 0; i < 10; i++)
        cr_assert_eq(rd_random_below(&r, 1), 0);
}

/* Of the numbers below 3 * 2^30, plain multiplication would make every third twice as likely as the others.
 */
Test(random, below_has_no_bias_where_the_bound_is_large)
{
    rd_random r = stream(111);
    int count[3] = {0};
    for (int i = 0; i < DRAWS; i++) {
        uint32_t n = rd_random_below(&r, UINT32_C(3) << 30);
        cr_assert_lt(n, UINT32_C(3) << 30);
        count[n % 3]++;
    }
    for (int i = 0; i < 3; i++)
        near("share", (double)count[i] / DRAWS, 1.0 / 3, sqrt(2.0 / 9 / DRAWS));
}

Test(random, all_permutations_are_equally_likely)
{
    enum { TRIALS = 48000 };
    rd_random r = stream(112);
    int count[256] = {0}, seen = 0;
    for (int t = 0; t < TRIALS; t++) {
        uint32_t p[4] = {0, 1, 2, 3};
        rd_random_shuffle(&r, p, 4);
        cr_assert_eq(1u << p[0] | 1u << p[1] | 1u << p[2] | 1u << p[3], 15u);
        count[p[0] << 6 | p[1] << 4 | p[2] << 2 | p[3]]++;
    }
    double chi = 0.0;
    for (int i = 0; i < 256; i++)
        if (count[i] > 0) {
            seen++;
            chi += pow(count[i] - TRIALS / 24.0, 2) / (TRIALS / 24.0);
        }
    cr_assert_eq(seen, 24);
    cr_assert_lt(chi, 56.0); /* 23 degrees of freedom, about 1 in 10,000 */
    rd_random_shuffle(&r, NULL, 0);
}
