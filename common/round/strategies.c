/* strategies.c: the table of strategies. Adding one: its file in strategies/, and its line here. */
#include "round/strategy.h"

/* clang-format off */
#define EVERY_STRATEGY(X) \
    X(fedavg) \
    X(fedsgd) \
    X(fedprox) \
    X(fedavgm) \
    X(fedadagrad) \
    X(fedadam) \
    X(fedyogi) \
    X(scaffold) \
    X(fednova) \
    X(q_fedavg) \
    X(fedbuff) \
    X(norm_clipping) \
    X(fltrust) \
    X(median) \
    X(trimmed_mean) \
    X(krum) \
    X(multi_krum) \
    X(bulyan) \
    X(geometric_median)
/* clang-format on */

#define DECLARE(name) extern const rd_strategy_kind rd_strategy_##name;
#define POINT_TO(name) &rd_strategy_##name,

EVERY_STRATEGY(DECLARE)

const rd_strategy_kind *const rd_strategy_kinds[] = {EVERY_STRATEGY(POINT_TO)};
const size_t rd_strategy_kind_count = sizeof rd_strategy_kinds / sizeof *rd_strategy_kinds;

_Static_assert(sizeof rd_strategy_kinds / sizeof *rd_strategy_kinds <= RD_STRATEGIES_MAX, "too many strategies");
