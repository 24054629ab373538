/* elementwise.c: see elementwise.h.
 *
 * exp(x) = 2^k exp(r) with k the nearest whole number to x / ln 2 and |r| <= ln(2) / 2. k is found by adding
 * 1.5 * 2^23, which leaves it in the low bits of the sum; ln 2 is split so that x - k ln 2 is exact; exp(r)
 * is a polynomial of degree 6 (minimax, error 2^-27); 2^k is put together from its bits. Everything is plain
 * arithmetic on floats, one rounding each, so any vector length gives the same bits. */
#include "model/elementwise.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/wide.h"

/* x and y may be one vector; that an element depends on no other, the compiler cannot know. */
#if defined(__clang__)
#define EACH /* it looks for itself, and complains where it is asked for what a sanitizer prevents */
#else
#define EACH _Pragma("GCC ivdep")
#endif

static inline int32_t bits_of(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float power_of_two(int32_t k)
{
    int32_t bits = (int32_t)((uint32_t)(k + 127) << 23);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float exp_of(float x)
{
    const float round = 12582912.0f;                                             /* 1.5 * 2^23 */
    float bounded = x < -87.33654f ? -87.33654f : x > 88.72283f ? 88.72283f : x; /* NaN passes */
    float shifted = bounded * 1.44269504f + round;
    float k = shifted - round;
    float r = bounded - k * 0.693359375f;
    r = r + k * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    /* 2^k in two halves: k may be 128, which no single float holds. */
    int32_t whole = bits_of(shifted) - 0x4b400000, half = whole >> 1;
    p = p * power_of_two(half) * power_of_two(whole - half);
    p = x > 88.72283f ? INFINITY : p;
    return x < -87.33654f ? 0.0f : p;
}

RD_WIDE void rd_exp(const float *x, float *y, size_t n)
{
    EACH for (size_t i = 0; i < n; i++) y[i] = exp_of(x[i]);
}

RD_WIDE void rd_sigmoid(const float *x, float *y, size_t n)
{
    EACH for (size_t i = 0; i < n; i++) y[i] = 1.0f / (1.0f + exp_of(-x[i]));
}

/* Near zero, 1 - 2 / (1 + exp(2x)) would cancel; a polynomial in x^2 (Cephes' tanhf coefficients) takes over
 * there. */
static inline float tanh_of(float x)
{
    float e = exp_of(2.0f * x), far = 1.0f - 2.0f / (e + 1.0f);
    float s = x * x;
    float p = -5.70498872745e-3f;
    p = p * s + 2.06390887954e-2f;
    p = p * s - 5.37397155531e-2f;
    p = p * s + 1.33314422036e-1f;
    p = p * s - 3.33332819422e-1f;
    float near = p * s * x + x;
    return s < 0.390625f ? near : far; /* |x| < 0.625; NaN takes the far way */
}

RD_WIDE void rd_tanh(const float *x, float *y, size_t n)
{
    EACH for (size_t i = 0; i < n; i++) y[i] = tanh_of(x[i]);
}

/* Phi(-|x|) = exp(-x^2 / 2) p(t) / 2 with t = 1 / (1 + 0.3275911 |x| / sqrt 2) and p of degree 5 (Abramowitz
 * and Stegun 1964, 7.1.26: the error is below 7.5e-8). */
static inline float normal_cdf_of(float x)
{
    float z = fabsf(x) * 0.70710678f;
    float t = 1.0f / (1.0f + 0.3275911f * z);
    float p = 1.061405429f;
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    float tail = 0.5f * p * t * exp_of(-z * z);
    return x > 0.0f ? 1.0f - tail : tail;
}

RD_WIDE void rd_normal_cdf(const float *x, float *y, size_t n)
{
    EACH for (size_t i = 0; i < n; i++) y[i] = normal_cdf_of(x[i]);
}
