#include "model/activation.h"

#include <math.h>

#include "model/elementwise.h"

enum { BLOCK = 256 }; /* elements at a time, where a function needs room on the stack */

/* max(0, x), written so that NaN passes through and the loop becomes one vector instruction an element. */
static void relu_forward(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = 0.0f > x[i] ? 0.0f : x[i];
}

static void relu_backward(const float *restrict y, float *restrict dy, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dy[i] = y[i] > 0.0f ? dy[i] : 0.0f;
}

/* x below zero keeps a hundredth of itself, as in PyTorch. */
static void leaky_relu_forward(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = 0.0f > x[i] ? 0.01f * x[i] : x[i];
}

static void leaky_relu_backward(const float *restrict y, float *restrict dy, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dy[i] = y[i] > 0.0f ? dy[i] : 0.01f * dy[i];
}

static void tanh_backward(const float *restrict y, float *restrict dy, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dy[i] *= 1.0f - y[i] * y[i];
}

static void sigmoid_backward(const float *restrict y, float *restrict dy, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dy[i] *= y[i] * (1.0f - y[i]);
}

/* x Phi(x), Phi the normal distribution's (Hendrycks and Gimpel 2016; not the tanh approximation) */
static void gelu_forward(const float *x, float *y, size_t n)
{
    float phi[BLOCK];
    for (size_t done = 0; done < n; done += BLOCK) {
        size_t count = n - done < BLOCK ? n - done : BLOCK;
        rd_normal_cdf(x + done, phi, count);
        for (size_t i = 0; i < count; i++)
            y[done + i] = x[done + i] * phi[i];
    }
}

/* Phi(x) + x phi(x), with phi(x) = exp(-x^2 / 2) / sqrt(2 pi) */
static void gelu_backward(const float *x, float *dy, size_t n)
{
    float cdf[BLOCK], density[BLOCK];
    for (size_t done = 0; done < n; done += BLOCK) {
        size_t count = n - done < BLOCK ? n - done : BLOCK;
        rd_normal_cdf(x + done, cdf, count);
        for (size_t i = 0; i < count; i++)
            density[i] = -0.5f * x[done + i] * x[done + i];
        rd_exp(density, density, count);
        for (size_t i = 0; i < count; i++)
            dy[done + i] *= cdf[i] + x[done + i] * density[i] * 0.39894228f;
    }
}

/* x sigmoid(x) */
static void silu_forward(const float *x, float *y, size_t n)
{
    float s[BLOCK];
    for (size_t done = 0; done < n; done += BLOCK) {
        size_t count = n - done < BLOCK ? n - done : BLOCK;
        rd_sigmoid(x + done, s, count);
        for (size_t i = 0; i < count; i++)
            y[done + i] = x[done + i] * s[i];
    }
}

static void silu_backward(const float *x, float *dy, size_t n)
{
    float s[BLOCK];
    for (size_t done = 0; done < n; done += BLOCK) {
        size_t count = n - done < BLOCK ? n - done : BLOCK;
        rd_sigmoid(x + done, s, count);
        for (size_t i = 0; i < count; i++)
            dy[done + i] *= s[i] * (1.0f + x[done + i] * (1.0f - s[i]));
    }
}

const rd_activation rd_activations[] = {
    {"none", false, false, NULL, NULL},
    {"relu", true, false, relu_forward, relu_backward},
    {"leaky_relu", true, false, leaky_relu_forward, leaky_relu_backward},
    {"tanh", false, false, rd_tanh, tanh_backward},
    {"sigmoid", false, false, rd_sigmoid, sigmoid_backward},
    {"gelu", true, true, gelu_forward, gelu_backward},
    {"silu", true, true, silu_forward, silu_backward},
};

const char *const rd_activation_names[] = {"none", "relu", "leaky_relu", "tanh", "sigmoid", "gelu", "silu", NULL};
