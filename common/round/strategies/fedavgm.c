/* fedavgm.c: momentum at the server (Hsu et al. 2019): m = beta m + d; w += eta m. */
#include "round/strategy.h"

enum { MOMENTUM };
enum { M };

static void direct(const rd_strategy *s, double *mean, size_t count, float *const companions[RD_COMPANIONS_MAX])
{
    float *m = companions[M];
    for (size_t i = 0; i < count; i++)
        mean[i] = (double)(m[i] = (float)(s->value[MOMENTUM] * (double)m[i] + mean[i]));
}

const rd_strategy_kind rd_strategy_fedavgm = {
    .name = "fedavgm",
    .keys = {[MOMENTUM] = {.name = "momentum", .most = 0.999999, .preset = 0.9}},
    .companions = {[M] = {.where = RD_KEPT_SERVER, .file = "m"}},
    .weighted = true,
    .direct = direct,
};
