/* weighted_mean.h: means of many vectors that do not depend on the order in which the vectors are added.
 *
 * The sums are those with which Rondo's aggregator averages updates: 128-bit integers in units of 2^-63, so any
 * order, and any tree of partial sums, gives the same bits. Every float32 of a magnitude from 2^-40 to 2^23 enters
 * without rounding; what is smaller is rounded to the unit after its weight is applied.
 *
 * Memory: 16 bytes an element. One thread at a time may add to a mean. */
#ifndef RONDO_WEIGHTED_MEAN_H
#define RONDO_WEIGHTED_MEAN_H

#include <stddef.h>
#include <stdint.h>

#include "rondo/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rd_weighted_mean rd_weighted_mean;

/* Of vectors of count elements; nothing is added yet. RD_ERR_MEMORY names the count. rd_weighted_mean_free frees it. */
rd_status rd_weighted_mean_create(size_t count, rd_weighted_mean **out, rd_error *err) RONDO_MUST_CHECK;
void rd_weighted_mean_free(rd_weighted_mean *m); /* NULL: nothing */

/* Adds x (count) with a weight of 1 to 2^31. RD_ERR_RANGE: an element is NaN, infinite or 2^23 or more (err names it),
 * or the weight is none, or all weights together would pass 2^40; nothing is added then. */
rd_status rd_weighted_mean_add(rd_weighted_mean *m, const float *x, uint32_t weight, rd_error *err) RONDO_MUST_CHECK;

/* Adds all that was added to from, which stays as it is. RD_ERR_RANGE: their counts differ, or all weights together
 * would pass 2^40. */
rd_status rd_weighted_mean_merge(rd_weighted_mean *into, const rd_weighted_mean *from, rd_error *err) RONDO_MUST_CHECK;

/* All weights together. */
uint64_t rd_weighted_mean_weight(const rd_weighted_mean *m);

/* mean (count): each sum rounded to double once and divided by the weight once. RD_ERR_STATE: nothing was added. */
rd_status rd_weighted_mean_read(const rd_weighted_mean *m, double *mean, rd_error *err) RONDO_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
