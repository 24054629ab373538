/* elementwise.h: functions of one float, over many at once. They are polynomials that a compiler turns into
 * vector instructions, and give the same bits whatever the vector length. Errors are below 2 units in the
 * last place in the range where the result is a normal number. NaN stays NaN. */
#ifndef RONDO_MODEL_ELEMENTWISE_H
#define RONDO_MODEL_ELEMENTWISE_H

#include <stddef.h>

/* x and y may be the same vector. */
void rd_exp(const float *x, float *y, size_t n);     /* overflows to infinity above 88.7, to 0 below -87.3 */
void rd_sigmoid(const float *x, float *y, size_t n); /* 1 / (1 + exp(-x)) */
void rd_tanh(const float *x, float *y, size_t n);
/* The normal distribution's cumulative distribution function, to 3e-7 (absolute). */
void rd_normal_cdf(const float *x, float *y, size_t n);

#endif
