#include "model/activation.h"

#include <math.h>

/* max(0, y), written so that NaN passes through and the loop becomes one vector instruction an element. */
static void relu_forward(float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = 0.0f > y[i] ? 0.0f : y[i];
}

static void relu_backward(const float *restrict y, float *restrict dy, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dy[i] = y[i] > 0.0f ? dy[i] : 0.0f;
}

static void tanh_forward(float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = tanhf(y[i]);
}

static void tanh_backward(const float *restrict y, float *restrict dy, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dy[i] *= 1.0f - y[i] * y[i];
}

/* 1 / (1 + exp(-y)); for very negative y the exponential is infinite and the quotient 0, as it should be. */
static void sigmoid_forward(float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = 1.0f / (1.0f + expf(-y[i]));
}

static void sigmoid_backward(const float *restrict y, float *restrict dy, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dy[i] *= y[i] * (1.0f - y[i]);
}

const rd_activation rd_activations[] = {
    {"none", false, NULL, NULL},
    {"relu", true, relu_forward, relu_backward},
    {"tanh", false, tanh_forward, tanh_backward},
    {"sigmoid", false, sigmoid_forward, sigmoid_backward},
};

const char *const rd_activation_names[] = {"none", "relu", "tanh", "sigmoid", NULL};
