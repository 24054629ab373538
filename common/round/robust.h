/* robust.h: averages that a few arbitrary updates cannot carry away. n updates come in, f of them may be an
 * attacker's; each rule withstands so many by its paper:
 *
 *   median            each coordinate's median                                           2 f < n    Yin et al. 2018
 *   trimmed_mean      each coordinate's mean without the f largest and f smallest        2 f < n    Yin et al. 2018
 *   krum              the update with the smallest sum of squared distances to the       2 f + 2 < n
 *                     n - f - 2 nearest                                          Blanchard et al. 2017
 *   multi_krum        the mean of the `chosen` updates with the smallest such sums       2 f + 2 < n
 *   bulyan            n - 2 f updates are selected by repeated krum; then each           4 f + 2 < n
 *                     coordinate's mean of the n - 4 f values closest to the median   El Mhamdi et al. 2018
 *   geometric_median  the point with the smallest weighted sum of distances, by smoothed
 *                     Weiszfeld steps                                     2 f < n    Pillutla et al. 2022 (RFA)
 *
 * Ties go to the row that comes first. Sums are doubles in the order of the rows: the same rows give the same bits. */
#ifndef RONDO_ROUND_ROBUST_H
#define RONDO_ROUND_ROBUST_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

typedef enum rd_robust_rule {
    RD_ROBUST_MEDIAN,
    RD_ROBUST_TRIMMED_MEAN,
    RD_ROBUST_KRUM,
    RD_ROBUST_MULTI_KRUM,
    RD_ROBUST_BULYAN,
    RD_ROBUST_GEOMETRIC_MEDIAN,
} rd_robust_rule;

typedef struct rd_robust_config {
    rd_robust_rule rule;
    uint64_t byzantine;  /* f; the medians need not be told */
    uint64_t chosen;     /* multi_krum; 0: n - f */
    double smoothing;    /* geometric_median: distances below it count as it, > 0 */
    uint32_t iterations; /* geometric_median: most steps */
} rd_robust_config;

/* The largest f among n updates; SIZE_MAX: n is too small for any. */
size_t rd_robust_tolerance(rd_robust_rule rule, size_t n);
/* The fewest updates among which c->byzantine are withstood, and c->chosen can be chosen beside them. */
size_t rd_robust_least_updates(const rd_robust_config *c);

/* rows (k) point to updates of n finite floats each, weights (k) are their samples, for the geometric median. Writes
 * out (n). RD_ERR_RANGE: k is below rd_robust_least_updates. Memory: 24 k^2 + 4 k * 65
 * bytes, 16 n for the geometric median. */
rd_status rd_robust_aggregate(const rd_robust_config *c, const float *const *rows, const uint32_t *weights, size_t k,
                              size_t n, float *out, rd_error *err) RD_MUST_CHECK;

#endif
