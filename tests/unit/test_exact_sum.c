/* Exact sums against Python's fractions (tests/reference/make_exact_sum.py), in any order and any split. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/exact_sum.h"
#include "core/random.h"
#include "expect_abort.h"

enum { CLIENTS = 20, ELEMENTS = 203 };

typedef struct reference {
    uint32_t weight[CLIENTS];
    uint64_t total_weight;
    float x[CLIENTS][ELEMENTS];
    int64_t high[ELEMENTS];
    uint64_t low[ELEMENTS];
    double mean[ELEMENTS];
} reference;

static double double_of(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void read_sum(FILE *f, int64_t *high, uint64_t *low)
{
    cr_assert_eq(fscanf(f, " %16" SCNx64 "%16" SCNx64, (uint64_t *)high, low), 2);
}

static double read_double(FILE *f)
{
    uint64_t bits;
    cr_assert_eq(fscanf(f, "%" SCNx64, &bits), 1);
    return double_of(bits);
}

static FILE *open_reference(void)
{
    FILE *f = fopen(RONDO_SOURCE_DIR "/tests/reference/exact_sum.txt", "r");
    cr_assert_not_null(f);
    return f;
}

/* Reads the "sums" part; f, where given, is left behind it. */
static void read_reference(reference *r, FILE **left)
{
    FILE *f = open_reference();
    int clients, elements;
    cr_assert_eq(fscanf(f, "sums %d %d", &clients, &elements), 2);
    cr_assert_eq(clients, CLIENTS);
    cr_assert_eq(elements, ELEMENTS);
    r->total_weight = 0;
    for (int c = 0; c < CLIENTS; c++) {
        cr_assert_eq(fscanf(f, "%" SCNx32, &r->weight[c]), 1);
        r->total_weight += r->weight[c];
        for (int i = 0; i < ELEMENTS; i++) {
            uint32_t bits;
            cr_assert_eq(fscanf(f, "%" SCNx32, &bits), 1);
            r->x[c][i] = float_of(bits);
        }
    }
    for (int i = 0; i < ELEMENTS; i++) {
        read_sum(f, &r->high[i], &r->low[i]);
        r->mean[i] = read_double(f);
    }
    if (left != NULL)
        *left = f;
    else
        fclose(f);
}

static rd_exact_vector make(size_t count)
{
    rd_exact_vector v;
    rd_error err;
    cr_assert_eq(rd_exact_vector_create(count, &v, &err), RD_OK);
    cr_assert_eq(v.count, count);
    return v;
}

static void check_sums(const rd_exact_vector *v, const reference *r)
{
    for (int i = 0; i < ELEMENTS; i++) {
        cr_assert_eq(v->high[i], r->high[i], "element %d: high %016" PRIx64 ", Python has %016" PRIx64, i,
                     (uint64_t)v->high[i], (uint64_t)r->high[i]);
        cr_assert_eq(v->low[i], r->low[i], "element %d: low %016" PRIx64 ", Python has %016" PRIx64, i, v->low[i],
                     r->low[i]);
    }
}

/* The sum of one element as an integer in units of 2^-63. */
static __int128 units(const rd_exact_vector *v, size_t i)
{
    return (__int128)((unsigned __int128)(uint64_t)v->high[i] << 64 | v->low[i]);
}

/* ---- against fractions ---- */

Test(exact_sum, sums_and_means_are_those_of_fractions)
{
    static reference r;
    read_reference(&r, NULL);
    rd_exact_vector v = make(ELEMENTS);
    for (int c = 0; c < CLIENTS; c++) {
        cr_assert_eq(rd_exact_find_unfit(r.x[c], ELEMENTS), ELEMENTS);
        rd_exact_vector_add(&v, 0, r.x[c], ELEMENTS, r.weight[c]);
    }
    check_sums(&v, &r);
    double mean[ELEMENTS];
    rd_exact_vector_mean(&v, 0, ELEMENTS, r.total_weight, mean);
    for (int i = 0; i < ELEMENTS; i++)
        cr_assert_eq(mean[i], r.mean[i], "element %d: mean %a, Python has %a", i, mean[i], r.mean[i]);
    rd_exact_vector_mean(&v, 100, 3, r.total_weight, mean);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(mean[i], r.mean[100 + i]);
    rd_exact_vector_free(&v);
}

Test(exact_sum, every_loop_of_this_processor_gives_these_sums)
{
    static reference r;
    rd_exact_loop loops[RD_EXACT_LOOPS_MAX];
    read_reference(&r, NULL);
    size_t count = rd_exact_loops(loops);
    cr_assert_geq(count, 1);
    cr_assert_str_eq(loops[count - 1].name, "portable");
    for (size_t l = 0; l < count; l++) {
        rd_exact_vector v = make(ELEMENTS);
        for (int c = 0; c < CLIENTS; c++)
            loops[l].add(v.high, v.low, r.x[c], ELEMENTS, r.weight[c]);
        check_sums(&v, &r);
        rd_exact_vector_free(&v);
    }
}

Test(exact_sum, mean_is_rounded_correctly)
{
    static reference r;
    FILE *f;
    int count;
    read_reference(&r, &f);
    cr_assert_eq(fscanf(f, " means %d", &count), 1);
    cr_assert_gt(count, 1000);
    rd_exact_vector v = make(1);
    for (int i = 0; i < count; i++) {
        uint64_t weight;
        double mean;
        read_sum(f, v.high, v.low);
        cr_assert_eq(fscanf(f, "%" SCNx64, &weight), 1);
        double expected = read_double(f);
        rd_exact_vector_mean(&v, 0, 1, weight, &mean);
        cr_assert_eq(mean, expected, "case %d: %a, Python has %a", i, mean, expected);
    }
    fclose(f);
    rd_exact_vector_free(&v);
}

/* ---- any order, any split, any tree ---- */

Test(exact_sum, order_does_not_matter)
{
    static reference r;
    read_reference(&r, NULL);
    rd_random random = rd_random_stream(1, RD_PURPOSE_TEST, 0, 0);
    uint32_t order[CLIENTS];
    for (uint32_t c = 0; c < CLIENTS; c++)
        order[c] = c;
    rd_exact_vector v = make(ELEMENTS);
    for (int trial = 0; trial < 50; trial++) {
        rd_random_shuffle(&random, order, CLIENTS);
        rd_exact_vector_clear(&v);
        for (int c = 0; c < CLIENTS; c++)
            rd_exact_vector_add(&v, 0, r.x[order[c]], ELEMENTS, r.weight[order[c]]);
        check_sums(&v, &r);
    }
    rd_exact_vector_free(&v);
}

Test(exact_sum, pieces_of_any_size_give_the_whole)
{
    static reference r;
    read_reference(&r, NULL);
    rd_random random = rd_random_stream(2, RD_PURPOSE_TEST, 0, 0);
    rd_exact_vector v = make(ELEMENTS);
    for (int trial = 0; trial < 50; trial++) {
        rd_exact_vector_clear(&v);
        for (int c = 0; c < CLIENTS; c++)
            for (size_t first = 0; first < ELEMENTS;) {
                size_t n = rd_random_below(&random, 40);
                n = n < ELEMENTS - first ? n : ELEMENTS - first;
                rd_exact_vector_add(&v, first, r.x[c] + first, n, r.weight[c]);
                first += n;
            }
        check_sums(&v, &r);
    }
    rd_exact_vector_free(&v);
}

Test(exact_sum, partial_sums_merge_in_any_tree)
{
    static reference r;
    read_reference(&r, NULL);
    rd_random random = rd_random_stream(3, RD_PURPOSE_TEST, 0, 0);
    enum { PARTS = 5 };
    rd_exact_vector part[PARTS];
    for (int p = 0; p < PARTS; p++)
        part[p] = make(ELEMENTS);
    for (int trial = 0; trial < 20; trial++) {
        for (int p = 0; p < PARTS; p++)
            rd_exact_vector_clear(&part[p]);
        for (int c = 0; c < CLIENTS; c++)
            rd_exact_vector_add(&part[rd_random_below(&random, PARTS)], 0, r.x[c], ELEMENTS, r.weight[c]);
        for (uint32_t left = PARTS; left > 1; left--) {
            uint32_t into = rd_random_below(&random, left - 1);
            rd_exact_vector_merge(&part[into], &part[left - 1]);
        }
        check_sums(&part[0], &r);
    }
    for (int p = 0; p < PARTS; p++)
        rd_exact_vector_free(&part[p]);
}

Test(exact_sum, adding_a_range_leaves_the_rest_alone)
{
    rd_exact_vector v = make(40);
    float ones[40];
    for (int i = 0; i < 40; i++)
        ones[i] = 1.0f;
    rd_exact_vector_add(&v, 7, ones, 21, 2);
    for (size_t i = 0; i < 40; i++)
        cr_assert_eq(units(&v, i), i >= 7 && i < 28 ? (__int128)2 << 63 : 0);
    rd_exact_vector_add(&v, 40, ones, 0, 1);
    rd_exact_vector_free(&v);
}

Test(exact_sum, what_would_spoil_it_ends_the_program)
{
    const float ones[4] = {1, 1, 1, 1};
    double mean[4];
    rd_exact_vector v = make(4), other = make(3);
    expect_abort(rd_exact_vector_add(&v, 1, ones, 4, 1));
    expect_abort(rd_exact_vector_add(&v, SIZE_MAX, ones, 2, 1));
    expect_abort(rd_exact_vector_add(&v, 0, ones, 4, 0));
    expect_abort(rd_exact_vector_add(&v, 0, ones, 4, RD_EXACT_MAX_TERM_WEIGHT + 1));
    expect_abort(rd_exact_vector_merge(&v, &other));
    expect_abort(rd_exact_vector_mean(&v, 0, 4, 0, mean));
    rd_exact_vector_free(&v);
    rd_exact_vector_free(&other);
}

/* ---- limits and rounding, worked out by hand ---- */

Test(exact_sum, tiny_terms_are_rounded_to_the_nearest_unit_halves_away_from_zero)
{
    static const struct {
        float x;
        uint32_t weight;
        int expected; /* units of 2^-63 */
    } cases[] = {
        {0x1p-63f, 1, 1},        {-0x1p-63f, 1, -1},       {0x1p-64f, 1, 1},          {-0x1p-64f, 1, -1},
        {0x1.8p-63f, 1, 2},      {-0x1.8p-63f, 1, -2},     {0x1.4p-62f, 1, 3},        {0x1.fffffep-65f, 1, 0},
        {0x1.000002p-64f, 1, 1}, {-0x1.fffffep-65f, 1, 0}, {0x1p-65f, 1, 0},          {0x1p-65f, 2, 1},
        {0x1p-65f, 5, 1},        {0x1p-65f, 6, 2},         {0x1p-94f, 1u << 31, 1},   {0x1p-95f, 1u << 31, 1},
        {0x1p-96f, 1u << 31, 0}, {0x1p-149f, 1u << 31, 0}, {-0x1p-149f, 1u << 31, 0}, {0x1p-126f, 1, 0},
    };
    rd_exact_loop loops[RD_EXACT_LOOPS_MAX];
    size_t count = rd_exact_loops(loops);
    for (size_t l = 0; l < count; l++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            rd_exact_vector v = make(33); /* vector code and the rest of it */
            float x[33];
            for (int k = 0; k < 33; k++)
                x[k] = cases[i].x;
            loops[l].add(v.high, v.low, x, 33, cases[i].weight);
            for (size_t k = 0; k < 33; k++)
                cr_assert_eq(units(&v, k), cases[i].expected, "case %zu, %s", i, loops[l].name);
            rd_exact_vector_free(&v);
        }
}

/* The definition, in plain 128-bit integers: weight * mantissa, moved to its place, halves away from zero. */
static __int128 term_by_definition(uint32_t bits, uint32_t weight)
{
    uint32_t exponent = bits >> 23 & 0xff;
    unsigned __int128 product = (unsigned __int128)((bits & 0x7fffff) | (exponent > 0 ? 0x800000 : 0)) * weight;
    exponent = exponent == 0 ? 1 : exponent > 150 ? 150 : exponent; /* unfit: as if it were 2^23 to 2^24 */
    if (exponent >= 87)
        product <<= exponent - 87;
    else
        product = ((product << 1 >> (87 - exponent)) + 1) >> 1;
    return bits >> 31 ? -(__int128)product : (__int128)product;
}

/* Every exponent with both signs: zeros, subnormals, all that is fit, what is too large, infinities and NaN. */
Test(exact_sum, every_loop_agrees_with_the_definition_on_every_exponent)
{
    static const uint32_t mantissas[] = {0, 1, 0x155555, 0x3fffff, 0x400000, 0x400001, 0x7ffffe, 0x7fffff};
    static const uint32_t weights[] = {1, 2, 3, 600, 0x7fffffff, 1u << 31};
    enum { M = sizeof mantissas / sizeof *mantissas, N = 2 * 256 * M };
    static uint32_t bits[N];
    static float x[N];
    rd_exact_loop loops[RD_EXACT_LOOPS_MAX];
    size_t count = rd_exact_loops(loops);
    for (uint32_t i = 0; i < N; i++) {
        bits[i] = (i & 1) << 31 | (i >> 1) / M << 23 | mantissas[(i >> 1) % M];
        x[i] = float_of(bits[i]);
    }
    for (size_t l = 0; l < count; l++)
        for (size_t w = 0; w < sizeof weights / sizeof *weights; w++) {
            rd_exact_vector v = make(N);
            for (size_t i = 0; i < N; i++) { /* something to add to, with carries */
                v.high[i] = (int64_t)i - N / 2;
                v.low[i] = ~(uint64_t)bits[i];
            }
            loops[l].add(v.high, v.low, x, N, weights[w]);
            for (size_t i = 0; i < N; i++) {
                __int128 before =
                    (__int128)((unsigned __int128)(uint64_t)((int64_t)i - N / 2) << 64 | ~(uint64_t)bits[i]);
                cr_assert(units(&v, i) - before == term_by_definition(bits[i], weights[w]), "%s, weight %u: %08" PRIx32,
                          loops[l].name, weights[w], bits[i]);
            }
            rd_exact_vector_free(&v);
        }
}

Test(exact_sum, the_largest_magnitude_is_found_and_nothing_hides_nan)
{
    float x[] = {0.5f, -3.0f, 0x1p-149f, 2.0f};
    cr_assert_eq(rd_exact_largest(x, 4), 3.0f);
    cr_assert_eq(rd_exact_largest(x, 0), 0.0f);
    cr_assert(rd_exact_is_fit(0x1.fffffep22) && rd_exact_is_fit(-0x1.fffffep22) && rd_exact_is_fit(0));
    cr_assert(!rd_exact_is_fit(0x1p23) && !rd_exact_is_fit(-0x1p23) && !rd_exact_is_fit((double)NAN));
    x[0] = -INFINITY;
    cr_assert(isinf(rd_exact_largest(x, 4)));
    x[3] = -NAN;
    cr_assert(isnan(rd_exact_largest(x, 4)) && !rd_exact_is_fit((double)rd_exact_largest(x, 4)));
}

Test(exact_sum, the_largest_sum_fits)
{
    /* 2^9 terms of weight 2^31 are the whole weight of 2^40: the sum is +-(2^23 - 1/2) * 2^103 units. */
    rd_exact_vector v = make(2);
    float x[2] = {0x1.fffffep22f, -0x1.fffffep22f};
    for (int i = 0; i < 512; i++)
        rd_exact_vector_add(&v, 0, x, 2, RD_EXACT_MAX_TERM_WEIGHT);
    __int128 expected = ((__int128)0xffffff << 102);
    cr_assert(units(&v, 0) == expected);
    cr_assert(units(&v, 1) == -expected);
    double mean[2];
    rd_exact_vector_mean(&v, 0, 2, RD_EXACT_MAX_WEIGHT, mean);
    cr_assert_eq(mean[0], 8388607.5);
    cr_assert_eq(mean[1], -8388607.5);
    rd_exact_vector_free(&v);
}

Test(exact_sum, what_a_float_sum_would_lose_is_kept)
{
    /* In float32, and in float64 too, 2^22 + 2^-40 - 2^22 is 0. */
    rd_exact_vector v = make(1);
    rd_exact_vector_add(&v, 0, (const float[]){0x1p22f}, 1, 1u << 31);
    rd_exact_vector_add(&v, 0, (const float[]){0x1p-40f}, 1, 1);
    rd_exact_vector_add(&v, 0, (const float[]){-0x1p22f}, 1, 1u << 31);
    double mean;
    rd_exact_vector_mean(&v, 0, 1, 1, &mean);
    cr_assert_eq(mean, 0x1p-40);
    rd_exact_vector_free(&v);
}

Test(exact_sum, find_unfit_names_the_first_one)
{
    enum { N = 1000 };
    static float x[N];
    static const float unfit[] = {NAN, -NAN, INFINITY, -INFINITY, 0x1p23f, -0x1p23f, 0x1p127f};
    static const size_t places[] = {0, 1, 15, 16, 255, 256, 257, 511, 512, 998, 999};
    for (int i = 0; i < N; i++)
        x[i] = i % 3 == 0 ? 0x1.fffffep22f : i % 3 == 1 ? -0x1.fffffep22f : 0x1p-149f;
    cr_assert_eq(rd_exact_find_unfit(x, N), N);
    cr_assert_eq(rd_exact_find_unfit(x, 0), 0);
    for (size_t p = 0; p < sizeof places / sizeof *places; p++)
        for (size_t u = 0; u < sizeof unfit / sizeof *unfit; u++) {
            float kept = x[places[p]];
            x[places[p]] = unfit[u];
            cr_assert_eq(rd_exact_find_unfit(x, N), places[p], "value %zu at %zu", u, places[p]);
            cr_assert_eq(rd_exact_find_unfit(x, places[p]), places[p]);
            x[places[p]] = kept;
        }
    x[700] = x[300] = x[301] = NAN;
    cr_assert_eq(rd_exact_find_unfit(x, N), 300);
}

/* "16 bytes each", and what rounding up to a cache line and the heap's own granularity add. */
Test(exact_sum, takes_the_memory_that_it_says)
{
    static const size_t counts[] = {1, 8, 9, 100, 1000, 4097};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        rd_exact_vector v;
        rd_error err;
        cr_assert_eq(rd_exact_vector_create(counts[i], &v, &err), RD_OK);
        const size_t taken[] = {malloc_usable_size(v.high), malloc_usable_size(v.low)};
        for (size_t j = 0; j < 2; j++)
            cr_expect(taken[j] >= 8 * counts[i] && taken[j] < 8 * counts[i] + 128, "%zu: %zu", counts[i], taken[j]);
        rd_exact_vector_free(&v);
    }
}

Test(exact_sum, too_many_elements_are_refused)
{
    rd_exact_vector v;
    rd_error err = {0};
    cr_assert_eq(rd_exact_vector_create(SIZE_MAX / 8, &v, &err), RD_ERR_MEMORY);
    cr_assert_not_null(strstr(err.message, "no memory"), "%s", err.message);
    rd_exact_vector empty = make(0);
    rd_exact_vector_clear(&empty);
    rd_exact_vector_free(&empty);
}

/* ---- one sum ---- */

Test(exact_scalar, mean_of_weighted_values)
{
    rd_exact_scalar s = {0};
    rd_error err;
    cr_assert(isnan(rd_exact_scalar_mean(&s)));
    cr_assert_eq(rd_exact_scalar_add(&s, 0.5, 600, &err), RD_OK);
    cr_assert_eq(rd_exact_scalar_add(&s, -2.25, 200, &err), RD_OK);
    cr_assert_eq(rd_exact_scalar_add(&s, 1e300 * 0.0, 0, &err), RD_OK);
    cr_assert_eq(s.weight, 800);
    cr_assert_eq(rd_exact_scalar_mean(&s), -0.1875); /* (300 - 450) / 800 */
}

Test(exact_scalar, order_does_not_matter)
{
    enum { N = 200 };
    double value[N];
    uint32_t order[N];
    rd_error err;
    rd_random random = rd_random_stream(4, RD_PURPOSE_TEST, 0, 0);
    for (uint32_t i = 0; i < N; i++) {
        value[i] = ldexp(rd_random_normal(&random), (int)rd_random_below(&random, 80) - 45);
        order[i] = i;
    }
    __int128 first = 0;
    for (int trial = 0; trial < 20; trial++) {
        rd_exact_scalar s = {0};
        for (int i = 0; i < N; i++)
            cr_assert_eq(rd_exact_scalar_add(&s, value[order[i]], 1 + order[i] * 977, &err), RD_OK);
        cr_assert(trial == 0 || s.sum == first);
        first = s.sum;
        rd_random_shuffle(&random, order, N);
    }
}

Test(exact_scalar, values_are_rounded_to_the_unit_before_the_weight)
{
    static const struct {
        double value;
        int expected; /* units of 2^-40 */
    } cases[] = {{0x1p-40, 1},     {0x1p-41, 0},  {0x1.8p-40, 2}, {0x1.4p-39, 2},
                 {-0x1.8p-40, -2}, {-0x1p-41, 0}, {0x1.2p-40, 1}, {0x1p-1074, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rd_exact_scalar s = {0};
        rd_error err;
        cr_assert_eq(rd_exact_scalar_add(&s, cases[i].value, 1000, &err), RD_OK);
        cr_assert_eq(s.sum, 1000 * cases[i].expected, "case %zu", i);
    }
}

Test(exact_scalar, limits_are_reported_and_leave_the_sum_alone)
{
    static const double unfit[] = {NAN, INFINITY, -INFINITY, 0x1p40, -0x1p40, 1e300};
    rd_exact_scalar s = {0};
    rd_error err = {0};
    double largest = nextafter(0x1p40, 0.0);
    cr_assert_eq(rd_exact_scalar_add(&s, largest, RD_EXACT_MAX_WEIGHT - 1, &err), RD_OK);
    __int128 before = s.sum;
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++) {
        cr_assert_eq(rd_exact_scalar_add(&s, unfit[i], 1, &err), RD_ERR_RANGE);
        cr_assert_eq(err.status, RD_ERR_RANGE);
    }
    cr_assert_eq(rd_exact_scalar_add(&s, 1.0, 2, &err), RD_ERR_RANGE);
    cr_assert_not_null(strstr(err.message, "2^40"), "%s", err.message);
    cr_assert_eq(rd_exact_scalar_add(&s, 1.0, UINT64_MAX, &err), RD_ERR_RANGE);
    cr_assert(s.sum == before && s.weight == RD_EXACT_MAX_WEIGHT - 1);
    cr_assert_eq(rd_exact_scalar_add(&s, largest, 1, &err), RD_OK);
    cr_assert_eq(rd_exact_scalar_mean(&s), largest);
}
