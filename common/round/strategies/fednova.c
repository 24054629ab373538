/* fednova.c: clients that make different numbers of steps (Wang et al. 2020): w += eta (sum p_k a_k) sum p_k d_k / a_k,
 * with p_k what the client counts and a_k the length of its steps. */
#include <math.h>

#include "core/exact_sum.h"
#include "round/strategy.h"

enum { PROXIMAL };

static double proximal(const rd_strategy *s)
{
    return s->value[PROXIMAL];
}

/* The norm |a|_1 of section 3: how much `steps` local steps amount to. */
static double length_of(const rd_strategy *s, const rd_update_facts *u)
{
    double steps = (double)u->steps, rho = u->momentum, shrink = u->learning_rate * proximal(s);
    if (rho > 0)
        return (steps - rho * (1 - pow(rho, steps)) / (1 - rho)) / (1 - rho);
    return shrink > 0 ? (1 - pow(1 - shrink, steps)) / shrink : steps;
}

/* extra: a_k */
static rd_status weigh(const rd_strategy *s, const rd_update_facts *u, rd_contribution *out, rd_error *err)
{
    if (u->steps == 0)
        return rd_fail(err, RD_ERR_DATA, "fednova needs to know the local steps of an update (\"steps\")");
    out->extra = length_of(s, u);
    if (!(out->extra > 0 && out->extra < RD_EXACT_MAX_SCALAR))
        return rd_fail(err, RD_ERR_RANGE,
                       "fednova: %llu local steps at learning rate %g with proximal %g amount to %g; a length "
                       "above 0 expected",
                       (unsigned long long)u->steps, u->learning_rate, proximal(s), out->extra);
    out->scale = 1 / out->extra;
    return RD_OK;
}

static double factor(const rd_strategy *s, double mean_extra, double learning_rate)
{
    (void)s;
    (void)learning_rate;
    return mean_extra;
}

static rd_status check(const rd_strategy *s, const rd_strategy_setting *c, rd_error *err)
{
    rd_status status = rd_strategy_needs_sgd(s, c, true, err);
    if (status == RD_OK && c->momentum != 0 && proximal(s) > 0)
        return rd_fail(err, RD_ERR_CONFIG, "strategy.proximal: not together with training.momentum");
    return status == RD_OK ? rd_strategy_check_proximal("strategy.proximal", proximal(s), c, err) : status;
}

const rd_strategy_kind rd_strategy_fednova = {
    .name = "fednova",
    .keys = {[PROXIMAL] = {.name = "proximal", .most = 1e6}},
    .weighted = true,
    .check = check,
    .proximal = proximal,
    .weigh = weigh,
    .factor = factor,
};
