/* exact_double.h: sums of doubles without rounding, so that neither the order nor the grouping of what is added
 * changes a bit. For statistics over clients: each sends the exact sum over its own rows, the sums of all are
 * added, and the result is rounded once, whoever adds first.
 *
 * The sum is one integer in two's complement, in units of 2^-1074 (the smallest double), wide enough for 2^63
 * numbers of any size. Method: U. Kulisch, W. L. Miranker, "The Arithmetic of the Digital Computer: A New
 * Approach", SIAM Review 28 (1986), section 5. 272 bytes a sum; for gradients there is exact_sum.h. */
#ifndef RONDO_CORE_EXACT_DOUBLE_H
#define RONDO_CORE_EXACT_DOUBLE_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

enum { RD_EXACT_DOUBLE_LIMBS = 34, RD_EXACT_DOUBLE_TEXT_MAX = 560 };

/* Zeroed: 0. */
typedef struct rd_exact_double {
    uint64_t limb[RD_EXACT_DOUBLE_LIMBS]; /* lowest first */
} rd_exact_double;

void rd_exact_double_merge(rd_exact_double *sum, const rd_exact_double *other);
/* Adds a finite value that was seen so often. */
void rd_exact_double_add_times(rd_exact_double *sum, double value, uint32_t times);
/* The nearest double, ties to even; infinite where the sum is beyond every double. */
double rd_exact_double_value(const rd_exact_double *sum);

/* "-1f8p-1074": a sign, hexadecimal digits, and the power of two that they count. */
void rd_exact_double_write(const rd_exact_double *sum, char text[RD_EXACT_DOUBLE_TEXT_MAX]);
/* RD_ERR_FORMAT where text is nothing that rd_exact_double_write writes. */
rd_status rd_exact_double_read(const char *text, rd_exact_double *sum, rd_error *err) RD_MUST_CHECK;

#endif
