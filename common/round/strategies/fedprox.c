/* fedprox.c: fedavg of clients that add mu/2 |w - w_global|^2 to their loss (Li et al. 2020, "Federated optimization in
 * heterogeneous networks", algorithm 2). */
#include "round/strategy.h"

enum { PROXIMAL };

static double proximal(const rd_strategy *s)
{
    return s->value[PROXIMAL];
}

static rd_status check(const rd_strategy *s, const rd_strategy_setting *c, rd_error *err)
{
    return rd_strategy_check_proximal("strategy.proximal", proximal(s), c, err);
}

const rd_strategy_kind rd_strategy_fedprox = {
    .name = "fedprox",
    .keys = {[PROXIMAL] = {.name = "proximal", .most = 1e6, .required = true}},
    .weighted = true,
    .prunes = true,
    .check = check,
    .proximal = proximal,
};
