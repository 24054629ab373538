/* fedadagrad.c: see adaptive.h; v += d^2. */
#include "round/strategies/adaptive.h"

static double second(const rd_strategy *s, double v, double d)
{
    (void)s;
    return v + d * d;
}

static void direct(const rd_strategy *s, double *mean, size_t count, float *const companions[RD_COMPANIONS_MAX])
{
    rd_adaptive_direct(s, mean, count, companions, second);
}

const rd_strategy_kind rd_strategy_fedadagrad = {
    .name = "fedadagrad",
    .keys = {[BETA1] = ADAPTIVE_KEY_BETA1(0), [TAU] = ADAPTIVE_KEY_TAU},
    .companions = ADAPTIVE_COMPANIONS,
    .server_learning_rate = ADAPTIVE_LEARNING_RATE,
    .weighted = true,
    .direct = direct,
};
