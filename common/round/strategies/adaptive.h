/* adaptive.h: what fedadagrad, fedadam and fedyogi share (Reddi et al. 2021, algorithm 2), d being the mean delta:
 *     m = beta1 m + (1 - beta1) d;  v = each one's own;  w += eta m / (sqrt(v) + tau)
 * Both are companions at the server; m starts as 0 and v as tau^2, for which the paper asks v >= tau^2. */
#ifndef RONDO_ROUND_STRATEGIES_ADAPTIVE_H
#define RONDO_ROUND_STRATEGIES_ADAPTIVE_H

#include <math.h>

#include "round/strategy.h"

enum { BETA1, TAU, BETA2 };
enum { M, V };

#define ADAPTIVE_KEY_BETA1(default_value)                            \
    {                                                                \
        .name = "beta1", .most = 0.999999, .preset = (default_value) \
    }
#define ADAPTIVE_KEY_BETA2                                \
    {                                                     \
        .name = "beta2", .most = 0.999999, .preset = 0.99 \
    }
#define ADAPTIVE_KEY_TAU                                           \
    {                                                              \
        .name = "tau", .above = true, .most = 1e6, .preset = 0.001 \
    }
#define ADAPTIVE_LEARNING_RATE 0.1
#define ADAPTIVE_COMPANIONS                                                       \
    {                                                                             \
        [M] = {.where = RD_KEPT_SERVER, .file = "m"},                             \
        [V] = {.where = RD_KEPT_SERVER, .file = "v", .start = rd_adaptive_start}, \
    }

static inline double rd_adaptive_start(const rd_strategy *s)
{
    return s->value[TAU] * s->value[TAU];
}

/* second: v after the element d of the mean. */
static inline void rd_adaptive_direct(const rd_strategy *s, double *mean, size_t count,
                                      float *const companions[RD_COMPANIONS_MAX],
                                      double (*second)(const rd_strategy *s, double v, double d))
{
    for (size_t i = 0; i < count; i++) {
        float *m = &companions[M][i], *v = &companions[V][i];
        *m = (float)(s->value[BETA1] * (double)*m + (1 - s->value[BETA1]) * mean[i]);
        *v = (float)second(s, (double)*v, mean[i]);
        mean[i] = (double)*m / (sqrt((double)*v) + s->value[TAU]);
    }
}

#endif
