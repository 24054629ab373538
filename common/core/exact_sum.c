/* exact_sum.c: see exact_sum.h.
 *
 * A float32 is sign, mantissa (24 bits) and exponent. A term weight * x is therefore the integer
 * weight * mantissa (at most 55 bits) moved left or right to its place in a 128-bit number, and adding it to
 * the sum is two 64-bit additions with a carry. Written without a branch, the whole of it is the same dozen
 * integer operations for every element, which compilers turn into vector code wherever the processor can
 * shift each lane by its own distance. x86-64 learned that with AVX2, so there the loop is compiled three
 * times and chosen at run time: 0.33 ns an element with AVX-512, 0.66 with AVX2, 2.0 without, in cache, on a
 * Zen 5 core (bench_exact_sum). */
#include "core/exact_sum.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"

enum {
    ALIGNMENT = 64,        /* a cache line, so that no vector straddles two */
    CHECKED_AT_ONCE = 256, /* elements that find_unfit looks at before it asks whether one was unfit */
    UNFIT_EXPONENT = 150   /* biased, of 2^23 */
};

rd_status rd_exact_vector_create(size_t count, rd_exact_vector *out, rd_error *err)
{
    rd_exact_vector v = {.count = count};
    size_t plane = (count * sizeof *v.low + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (count <= SIZE_MAX / 16 - ALIGNMENT) {
        v.high = aligned_alloc(ALIGNMENT, plane > 0 ? plane : ALIGNMENT);
        v.low = aligned_alloc(ALIGNMENT, plane > 0 ? plane : ALIGNMENT);
    }
    if (v.high == NULL || v.low == NULL) {
        rd_exact_vector_free(&v);
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the exact sums of %zu parameters (16 bytes each)", count);
    }
    rd_exact_vector_clear(&v);
    *out = v;
    return RD_OK;
}

void rd_exact_vector_free(rd_exact_vector *v)
{
    free(v->high);
    free(v->low);
    *v = (rd_exact_vector){0};
}

void rd_exact_vector_clear(rd_exact_vector *v)
{
    if (v->count == 0)
        return;
    memset(v->high, 0, v->count * sizeof *v->high);
    memset(v->low, 0, v->count * sizeof *v->low);
}

size_t rd_exact_find_unfit(const float *x, size_t count)
{
    for (size_t first = 0; first < count; first += CHECKED_AT_ONCE) {
        size_t n = count - first < CHECKED_AT_ONCE ? count - first : CHECKED_AT_ONCE;
        uint32_t unfit = 0;
        for (size_t i = 0; i < n; i++)
            unfit |= !(fabsf(x[first + i]) < RD_EXACT_MAX_VALUE); /* NaN compares false */
        for (size_t i = 0; unfit != 0 && i < n; i++)
            if (!(fabsf(x[first + i]) < RD_EXACT_MAX_VALUE))
                return first + i;
    }
    return count;
}

float rd_exact_largest(const float *x, size_t count)
{
    union {
        uint32_t bits;
        float value;
    } largest = {.bits = 0};
    /* Without their sign, floats are in the order of their bits, with infinity and then NaN at the end. */
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= UINT32_C(0x7fffffff);
        largest.bits = bits > largest.bits ? bits : largest.bits;
    }
    return largest.value;
}

bool rd_exact_is_fit(double x)
{
    return fabs(x) < (double)RD_EXACT_MAX_VALUE; /* NaN compares false */
}

const char *rd_exact_unfit_word(double x)
{
    return isnan(x) ? "NaN" : isinf(x) ? "infinite" : "2^23 or more";
}

/* ---- the hot loop ---- */

/* high[i]:low[i] += round(weight * x[i] * 2^63).
 *
 * x = +-mantissa * 2^(exponent - 150). In units of 2^-63 it has to move by exponent - 87 places: to the left
 * by at most 62, since |x| < 2^23, or to the right, and then half a unit is added first. Products are below
 * 2^55, so 63 places to the right and more all leave 0: that takes care of zeros and denormal numbers too,
 * which have the exponent 0 and no implied bit. What is not fit is treated as if its exponent were that of
 * 2^23: no shift is ever wider than its operand, so every loop gives the same, whatever the bits.
 *
 * The sum changes sign instead of the term, by inverting its bits before and after: ~(~s + t) = s - t. */
static inline __attribute__((always_inline)) void add_terms(int64_t *restrict high, uint64_t *restrict low,
                                                            const float *restrict x, size_t count, uint32_t weight)
{
    for (size_t i = 0; i < count; i++) {
        union {
            float value;
            uint32_t bits;
        } term = {.value = x[i]};
        uint64_t bits = term.bits; /* distances in 64 bits: gcc wants shift and operand to be equally wide */
        uint32_t mantissa = (term.bits & UINT32_C(0x7fffff)) | UINT32_C(0x800000);
        uint32_t exponent = term.bits >> 23 & 0xff;
        int64_t shift = (int64_t)(exponent < UNFIT_EXPONENT ? exponent : UNFIT_EXPONENT) - 87;
        int64_t left = shift > 0 ? shift : 0;
        int64_t right = left - shift < 63 ? left - shift : 63;
        uint64_t product = (uint64_t)mantissa * weight;
        uint64_t rounded = (((product + product) >> right) + 1) >> 1;
        uint64_t term_low = rounded << left;
        uint64_t term_high = (rounded >> 1) >> (63 - left); /* >> (64 - left), also for left = 0 */
        uint64_t sign = -(bits >> 31);
        uint64_t sum_low = (low[i] ^ sign) + term_low;
        uint64_t carry = sum_low < term_low;
        uint64_t sum_high = ((uint64_t)high[i] ^ sign) + term_high + carry;
        low[i] = sum_low ^ sign;
        high[i] = (int64_t)(sum_high ^ sign);
    }
}

static void add_portable(int64_t *high, uint64_t *low, const float *x, size_t count, uint32_t weight)
{
    add_terms(high, low, x, count, weight);
}

#ifdef __x86_64__
__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw"))) static void add_avx512(int64_t *high, uint64_t *low,
                                                                                     const float *x, size_t count,
                                                                                     uint32_t weight)
{
    add_terms(high, low, x, count, weight);
}

__attribute__((target("avx2"))) static void add_avx2(int64_t *high, uint64_t *low, const float *x, size_t count,
                                                     uint32_t weight)
{
    add_terms(high, low, x, count, weight);
}
#endif

size_t rd_exact_loops(rd_exact_loop loops[RD_EXACT_LOOPS_MAX])
{
    size_t n = 0;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw"))
        loops[n++] = (rd_exact_loop){"AVX-512", add_avx512};
    if (__builtin_cpu_supports("avx2"))
        loops[n++] = (rd_exact_loop){"AVX2", add_avx2};
#endif
    loops[n++] = (rd_exact_loop){"portable", add_portable};
    return n;
}

void rd_exact_vector_add(rd_exact_vector *v, size_t first, const float *x, size_t count, uint32_t weight)
{
    rd_exact_loop loops[RD_EXACT_LOOPS_MAX];
    RD_ASSERT(first <= v->count && count <= v->count - first);
    RD_ASSERT(weight >= 1 && weight <= RD_EXACT_MAX_TERM_WEIGHT);
    (void)rd_exact_loops(loops);
    loops[0].add(v->high + first, v->low + first, x, count, weight);
}

/* ---- partial sums and means ---- */

void rd_exact_vector_merge(rd_exact_vector *into, const rd_exact_vector *from)
{
    RD_ASSERT(into->count == from->count);
    for (size_t i = 0; i < into->count; i++) {
        uint64_t low = into->low[i] + from->low[i];
        uint64_t carry = low < from->low[i];
        into->high[i] = (int64_t)((uint64_t)into->high[i] + (uint64_t)from->high[i] + carry);
        into->low[i] = low;
    }
}

/* high:low * 2^-63, rounded to the nearest double (halves to even).
 *
 * The 63 bits from the leading one on, with a last bit that is set if anything but zeros follows, round to
 * the same double as the whole number: conversion keeps 53 of them. (double) of an __int128 gives the same at
 * twice the price, for its branches depend on signs, which are as good as random. */
static inline double nearest_double(int64_t high, uint64_t low)
{
    uint64_t sign = (uint64_t)(high >> 63);
    uint64_t size_low = (low ^ sign) - sign; /* the absolute value */
    uint64_t size_high = ((uint64_t)high ^ sign) + (sign & (low == 0));
    bool wide = size_high != 0;
    uint64_t top = wide ? size_high : size_low;
    uint64_t rest = wide ? size_low : 0;
    int zeros = __builtin_clzll(top | 1);
    uint64_t leading = top << zeros | (rest >> 1) >> (63 - zeros);
    uint64_t bits = leading >> 1 | (leading & 1) | (rest << zeros != 0);
    union {
        uint64_t bits;
        double value;
    } scale = {.bits = (uint64_t)(1023 - 63 + 1 - zeros + (wide ? 64 : 0)) << 52}; /* a power of two */
    return (double)(int64_t)((bits ^ sign) - sign) * scale.value;
}

void rd_exact_vector_mean(const rd_exact_vector *v, size_t first, size_t count, uint64_t total_weight, double *mean)
{
    RD_ASSERT(first <= v->count && count <= v->count - first);
    RD_ASSERT(total_weight >= 1 && total_weight <= RD_EXACT_MAX_WEIGHT);
    double weight = (double)total_weight; /* exact: at most 2^40 */
    for (size_t i = 0; i < count; i++)
        mean[i] = nearest_double(v->high[first + i], v->low[first + i]) / weight;
}

/* ---- one sum ---- */

rd_status rd_exact_scalar_add(rd_exact_scalar *s, double value, uint64_t weight, rd_error *err)
{
    if (!(fabs(value) < RD_EXACT_MAX_SCALAR))
        return rd_fail(err, RD_ERR_RANGE, "%g is too large for an exact sum, or no number; below 2^40 expected", value);
    if (weight > RD_EXACT_MAX_WEIGHT || s->weight > RD_EXACT_MAX_WEIGHT - weight)
        return rd_fail(err, RD_ERR_RANGE, "a total weight of %llu + %llu is beyond the 2^40 of an exact sum",
                       (unsigned long long)s->weight, (unsigned long long)weight);
    s->sum += (__int128)rint(value * 0x1p40) * (__int128)weight;
    s->weight += weight;
    return RD_OK;
}

double rd_exact_scalar_mean(const rd_exact_scalar *s)
{
    return s->weight == 0 ? NAN : (double)s->sum * 0x1p-40 / (double)s->weight;
}
