/* The C library's functions in place of common/model/elementwise.c, whose polynomials are made for floats. */
#include "model/elementwise.h"

void rd_exp(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = exp(x[i]);
}

void rd_sigmoid(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = 1 / (1 + exp(-x[i]));
}

void rd_tanh(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = tanh(x[i]);
}

void rd_normal_cdf(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = erfc(-x[i] / sqrt(2)) / 2;
}
