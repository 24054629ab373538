/* fedsgd.c: one step on all of a client's samples (McMahan et al. 2017, section 2): fedavg with E = 1 and B = infinity. */
#include "round/strategy.h"

static rd_status check(const rd_strategy *s, const rd_strategy_setting *c, rd_error *err)
{
    rd_status status = rd_strategy_needs_sgd(s, c, false, err);
    if (status == RD_OK && (c->epochs != 1 || c->batch_size != 0))
        return rd_fail(err, RD_ERR_CONFIG,
                       "strategy fedsgd is one step on all of a client's samples: training.epochs must be 1 and "
                       "training.batch_size 0");
    return status;
}

const rd_strategy_kind rd_strategy_fedsgd = {.name = "fedsgd", .weighted = true, .prunes = true, .check = check};
