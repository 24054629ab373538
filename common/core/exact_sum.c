/* exact_sum.c: see exact_sum.h.
 *
 * A float32 is m * 2^(e - 150) with a 24-bit m, so weight * m fits 55 bits, and in units of 2^-63 the term is
 * that product shifted by e - 87: to the left for |x| >= 2^-40, to the right, with rounding, for what is
 * smaller. The 128-bit sums are held as two planes, so that compilers can work on several elements at once.
 */
#include "core/exact_sum.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define UNIT_EXPONENT 87 /* biased exponent at which the last bit of m is worth 2^-63 */
#define SCALAR_UNIT 0x1p-40

rd_status rd_exact_vector_create(size_t count, rd_exact_vector *out, rd_error *err)
{
    out->count = count;
    out->high = calloc(count, sizeof *out->high);
    out->low = calloc(count, sizeof *out->low);
    if (out->high == NULL || out->low == NULL) {
        rd_exact_vector_free(out);
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the exact sum of %zu parameters (%zu bytes)", count,
                       16 * count);
    }
    return RD_OK;
}

void rd_exact_vector_free(rd_exact_vector *v)
{
    free(v->high);
    free(v->low);
    memset(v, 0, sizeof *v);
}

void rd_exact_vector_clear(rd_exact_vector *v)
{
    memset(v->high, 0, v->count * sizeof *v->high);
    memset(v->low, 0, v->count * sizeof *v->low);
}

size_t rd_exact_find_unfit(const float *x, size_t count)
{
    enum { BLOCK = 1024 };
    for (size_t done = 0; done < count; done += BLOCK) {
        size_t n = count - done < BLOCK ? count - done : BLOCK;
        int unfit = 0;
        for (size_t i = 0; i < n; i++)
            unfit |= !(fabsf(x[done + i]) < RD_EXACT_MAX_VALUE);
        for (size_t i = 0; unfit && i < n; i++)
            if (!(fabsf(x[done + i]) < RD_EXACT_MAX_VALUE))
                return done + i;
    }
    return count;
}

void rd_exact_vector_add(rd_exact_vector *v, size_t first, const float *x, size_t count, uint32_t weight)
{
    int64_t *restrict high = v->high + first;
    uint64_t *restrict low = v->low + first;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        uint32_t biased = bits >> 23 & 255;
        uint32_t normal = biased != 0;
        uint64_t product = (uint64_t)((bits & 0x7fffff) | normal << 23) * weight;
        int shift = (int)(biased + (1 - normal)) - UNIT_EXPONENT; /* -86 .. 62 */

        unsigned left = shift > 0 ? (unsigned)shift : 0;
        unsigned right = shift < 0 ? (unsigned)-shift : 0;
        if (right > 63)
            right = 63;
        uint64_t half = right > 0 ? UINT64_C(1) << (right - 1) : 0;
        product = (product + half) >> right; /* of the magnitude: half away from zero */

        uint64_t term_low = product << left;
        uint64_t term_high = product >> 1 >> (63 - left);
        uint64_t sign =
            (uint64_t)0 - (bits >> 31); /* all ones for a negative term, whose two's complement is ~t + 1 */
        term_low = (term_low ^ sign) - sign;
        term_high = (term_high ^ sign) + (sign & (term_low == 0));
        uint64_t sum = low[i] + term_low;
        high[i] = (int64_t)((uint64_t)high[i] + term_high + (sum < term_low));
        low[i] = sum;
    }
}

void rd_exact_vector_merge(rd_exact_vector *into, const rd_exact_vector *from)
{
    for (size_t i = 0; i < into->count; i++) {
        uint64_t sum = into->low[i] + from->low[i];
        into->high[i] = (int64_t)((uint64_t)into->high[i] + (uint64_t)from->high[i] + (sum < from->low[i]));
        into->low[i] = sum;
    }
}

void rd_exact_vector_mean(const rd_exact_vector *v, size_t first, size_t count, uint64_t total_weight,
                          double *mean)
{
    double divisor = (double)total_weight; /* exact: at most 2^40 */
    for (size_t i = 0; i < count; i++) {
        __int128 sum = (__int128)((unsigned __int128)(uint64_t)v->high[first + i] << 64 | v->low[first + i]);
        mean[i] = (double)sum * 0x1p-63 / divisor;
    }
}

rd_status rd_exact_scalar_add(rd_exact_scalar *s, double value, uint64_t weight, rd_error *err)
{
    if (!(fabs(value) < 0x1p40))
        return rd_fail(err, RD_ERR_RANGE, "%g cannot enter a sum: expected a magnitude below 2^40", value);
    if (weight > RD_EXACT_MAX_WEIGHT - s->weight)
        return rd_fail(err, RD_ERR_RANGE, "the total weight of a sum would pass 2^40");
    s->sum += (__int128)nearbyint(value / SCALAR_UNIT) * (__int128)weight; /* below 2^80 * 2^40 */
    s->weight += weight;
    return RD_OK;
}

double rd_exact_scalar_mean(const rd_exact_scalar *s)
{
    return s->weight == 0 ? NAN : (double)s->sum * SCALAR_UNIT / (double)s->weight;
}
