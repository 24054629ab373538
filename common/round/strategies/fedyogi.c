/* fedyogi.c: see adaptive.h; v -= (1 - beta2) d^2 sign(v - d^2). */
#include "round/strategies/adaptive.h"

static double second(const rd_strategy *s, double v, double d)
{
    double square = d * d;
    return v - (1 - s->value[BETA2]) * square * (v > square ? 1 : v < square ? -1 : 0);
}

static void direct(const rd_strategy *s, double *mean, size_t count, float *const companions[RD_COMPANIONS_MAX])
{
    rd_adaptive_direct(s, mean, count, companions, second);
}

const rd_strategy_kind rd_strategy_fedyogi = {
    .name = "fedyogi",
    .keys = {[BETA1] = ADAPTIVE_KEY_BETA1(0.9), [TAU] = ADAPTIVE_KEY_TAU, [BETA2] = ADAPTIVE_KEY_BETA2},
    .companions = ADAPTIVE_COMPANIONS,
    .server_learning_rate = ADAPTIVE_LEARNING_RATE,
    .weighted = true,
    .direct = direct,
};
