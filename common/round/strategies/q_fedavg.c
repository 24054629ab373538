/* q_fedavg.c: clients that fare worse count more (Li et al. 2020, "Fair resource allocation in federated learning",
 * algorithm 2):
 *     w += eta * L sum F_k^q d_k / sum h_k,   h_k = q F_k^(q-1) |L d_k|^2 + L F_k^q,   L = 1/lr
 * with F_k the loss of the global model on the client's training rows. */
#include <math.h>

#include "core/exact_sum.h"
#include "round/strategy.h"

enum { Q };
enum { MOST_POWER = 1 << 20 };

/* extra: h_k */
static rd_status weigh(const rd_strategy *s, const rd_update_facts *u, rd_contribution *out, rd_error *err)
{
    double q = s->value[Q], L = 1 / u->learning_rate, F = u->loss, power = pow(F, q);
    if (!(F >= 0) || !(power <= MOST_POWER))
        return rd_fail(err, RD_ERR_RANGE,
                       "q-fedavg needs a loss from 0 on whose power q = %g is at most 2^20, found %g", q, F);
    out->scale = power;
    out->extra = L * power;
    if (q > 0 && F > 0)
        out->extra += q * power / F * (L * u->norm) * (L * u->norm);
    if (!(out->extra < RD_EXACT_MAX_SCALAR)) /* the server divides by the sum of these */
        return rd_fail(err, RD_ERR_RANGE,
                       "q-fedavg: with a loss of %g, a delta of norm %g and learning rate %g its h = q F^(q-1) |L "
                       "delta|^2 + L F^q is %g; below 2^40 expected",
                       F, u->norm, u->learning_rate, out->extra);
    return RD_OK;
}

static double factor(const rd_strategy *s, double mean_extra, double learning_rate)
{
    (void)s;
    return mean_extra > 0 ? 1 / (learning_rate * mean_extra) : 0;
}

static rd_status check(const rd_strategy *s, const rd_strategy_setting *c, rd_error *err)
{
    (void)s;
    return c->train_loss ? RD_OK
                         : rd_fail(err, RD_ERR_CONFIG,
                                   "strategy q-fedavg needs evaluation.train_loss true: it weighs by that loss");
}

const rd_strategy_kind rd_strategy_q_fedavg = {
    .name = "q-fedavg",
    .keys = {[Q] = {.name = "q", .most = 100, .required = true}},
    .uniform = true,
    .collects = RD_COLLECTS_EACH,
    .check = check,
    .weigh = weigh,
    .factor = factor,
};
