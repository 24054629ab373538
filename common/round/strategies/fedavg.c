/* fedavg.c: federated averaging (McMahan et al. 2017, algorithm 1): w += eta * sum n_k d_k / sum n_k. */
#include "round/strategy.h"

const rd_strategy_kind rd_strategy_fedavg = {.name = "fedavg", .weighted = true, .prunes = true, .counts = true};
