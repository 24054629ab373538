/* scaffold.c: stochastic controlled averaging (Karimireddy et al. 2020, algorithm 1, option II). The server keeps a
 * control variate c, each client its own c_k, both the mean gradient where its owner is:
 *
 *   clients step along      g - c_k + c
 *   after K steps           c_k changes by  -c - d / (K lr)   (d = local - global is minus the steps' sum times lr)
 *   the server              w += eta * mean d;  c += (sum of the changes) / N,  with N all clients of the run
 *
 * c goes down with the model, the change of c_k up with the delta. */
#include "round/strategy.h"

enum { CONTROL };

/* c_k - c is what is taken off the gradient. */
static void before(const rd_strategy *s, const rd_client_view *v, float *correction)
{
    (void)s;
    for (size_t i = 0; i < v->count; i++)
        correction[i] = v->kept[CONTROL][i] - v->down[CONTROL][i];
}

static void after(const rd_strategy *s, const rd_client_view *v)
{
    (void)s;
    double way = (double)v->steps * v->learning_rate;
    for (size_t i = 0; i < v->count; i++) {
        float change = way > 0 ? (float)(-(double)v->down[CONTROL][i] - (double)v->delta[i] / way) : 0.0f;
        v->up[CONTROL][i] = change;
        v->kept[CONTROL][i] += change;
    }
}

/* The mean is over those that took part. */
static void take(const rd_strategy *s, const rd_round_facts *facts, const double *mean, size_t count,
                 float *const companions[RD_COMPANIONS_MAX])
{
    (void)s;
    double share = (double)facts->updates / (double)(facts->clients > 0 ? facts->clients : facts->updates);
    for (size_t i = 0; i < count; i++)
        companions[CONTROL][i] = (float)((double)companions[CONTROL][i] + share * mean[i]);
}

static rd_status check(const rd_strategy *s, const rd_strategy_setting *c, rd_error *err)
{
    return rd_strategy_needs_sgd(s, c, false, err);
}

const rd_strategy_kind rd_strategy_scaffold = {
    .name = "scaffold",
    .companions = {[CONTROL] = {.where = RD_KEPT_SERVER | RD_GOES_DOWN | RD_KEPT_CLIENT | RD_GOES_UP,
                                .prefix = "control.",
                                .file = "c",
                                .take = take}},
    .uniform = true,
    .weighted = true,
    .check = check,
    .before = before,
    .after = after,
};
