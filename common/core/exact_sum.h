/* exact_sum.h: sums of many updates that do not depend on the order in which the updates arrive.
 *
 * Floating-point addition is not associative, and networks do not keep order. So each term weight * x is
 * turned into a 128-bit integer in units of 2^-63 and integers are added: any order, any number of threads
 * and any tree of partial sums give the same bits.
 *
 * What is exact: every float32 with |x| >= 2^-40 (and every smaller one whose last bit is >= 2^-63) enters
 * the sum without any rounding at all. What is smaller is rounded to the nearest 2^-63 after the weight is
 * applied (halves away from zero), which depends on nothing but the term itself, so independence of order
 * holds for every input.
 *
 * Overflow cannot happen unseen: |x| < RD_EXACT_MAX_VALUE and total weight <= RD_EXACT_MAX_WEIGHT are
 * checked, and within them |sum| < 2^126.
 *
 * Memory: 16 bytes per element. */
#ifndef RONDO_CORE_EXACT_SUM_H
#define RONDO_CORE_EXACT_SUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define RD_EXACT_MAX_VALUE 8388608.0f           /* 2^23 */
#define RD_EXACT_MAX_WEIGHT (UINT64_C(1) << 40) /* of all terms together: about 10^12 samples a round */
#define RD_EXACT_MAX_TERM_WEIGHT (UINT32_C(1) << 31)
#define RD_EXACT_MAX_SCALAR 0x1p40 /* of a value in an rd_exact_scalar */

/* n sums side by side, one per parameter. */
typedef struct rd_exact_vector {
    size_t count;
    int64_t *high; /* (count) upper halves of the 128-bit sums */
    uint64_t *low; /* (count) lower halves */
} rd_exact_vector;

/* All sums start at 0. RD_ERR_MEMORY names the count. */
rd_status rd_exact_vector_create(size_t count, rd_exact_vector *out, rd_error *err) RD_MUST_CHECK;
void rd_exact_vector_free(rd_exact_vector *v);
void rd_exact_vector_clear(rd_exact_vector *v);

/* Index of the first element that may not enter a sum (NaN, Inf, or |x| >= RD_EXACT_MAX_VALUE), or count. */
size_t rd_exact_find_unfit(const float *x, size_t count);

/* The largest magnitude of x (count): infinity or NaN where one of them is that; 0 for none. */
float rd_exact_largest(const float *x, size_t count);

/* May it enter a sum? */
bool rd_exact_is_fit(double x);

/* What keeps a number from entering a sum: "NaN", "infinite" or "2^23 or more". */
const char *rd_exact_unfit_word(double x);

/* Adds weight * x[i] to element first + i, for i in [0, count). Every x[i] must be fit (see above; of what is
 * not, some value from 2^23 to 2^24 is added, the same by every loop) and
 * 1 <= weight <= RD_EXACT_MAX_TERM_WEIGHT. The caller keeps the total weight within RD_EXACT_MAX_WEIGHT.
 * Different ranges may be added to from different threads at the same time. */
void rd_exact_vector_add(rd_exact_vector *v, size_t first, const float *x, size_t count, uint32_t weight);

/* Adds every element of from to into; both have the same count. */
void rd_exact_vector_merge(rd_exact_vector *into, const rd_exact_vector *from);

/* mean[i] = (sum of element first + i) / total_weight, the sum rounded to double once and divided once.
 * 1 <= total_weight <= RD_EXACT_MAX_WEIGHT. */
void rd_exact_vector_mean(const rd_exact_vector *v, size_t first, size_t count, uint64_t total_weight, double *mean);

/* The loops that rd_exact_vector_add can choose from on this processor, fastest first; it takes loops[0].
 * They give the same bits: tests and benchmarks run each. Returns how many there are. */
#define RD_EXACT_LOOPS_MAX 3
typedef struct rd_exact_loop {
    const char *name; /* "AVX2" */
    void (*add)(int64_t *high, uint64_t *low, const float *x, size_t count, uint32_t weight);
} rd_exact_loop;
size_t rd_exact_loops(rd_exact_loop loops[RD_EXACT_LOOPS_MAX]);

/* One sum of weighted doubles (losses, counts), in units of 2^-40: each value is rounded to the nearest unit
 * (halves to even) before its weight is applied, and nothing is rounded after that. A zeroed struct is an
 * empty sum; two sums are merged by adding their members. */
typedef struct rd_exact_scalar {
    __int128 sum;
    uint64_t weight;
} rd_exact_scalar;

/* Adds weight * value. Fails with RD_ERR_RANGE where value is not finite or |value| >= RD_EXACT_MAX_SCALAR, or where the
 * total weight would pass RD_EXACT_MAX_WEIGHT; the sum is then unchanged. */
rd_status rd_exact_scalar_add(rd_exact_scalar *s, double value, uint64_t weight, rd_error *err) RD_MUST_CHECK;

/* Sum / weight, or NaN when nothing was added: the sum rounded to double once and divided once. */
double rd_exact_scalar_mean(const rd_exact_scalar *s);

#endif
