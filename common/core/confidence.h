/* confidence.h: the mean of a few measurements, and its confidence interval. */
#ifndef RONDO_CORE_CONFIDENCE_H
#define RONDO_CORE_CONFIDENCE_H

#include <stddef.h>
#include <stdint.h>

/* The t that Student's distribution with so many degrees of freedom exceeds with probability 0.025. Takes a
 * millisecond. */
double rd_student_t(uint64_t degrees);
/* *mean of x (n > 0); returns half the width of its 95 % confidence interval, t from rd_student_t(n - 1); NaN for
 * n = 1. */
double rd_confidence_half_width(const double *x, size_t n, double t, double *mean);

#endif
