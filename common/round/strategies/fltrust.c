/* fltrust.c: the server trains on a few samples that it trusts, data.root (Cao et al. 2021): each delta is scaled to the
 * length of the server's own and counts the cosine with it, where that is above 0. */
#include <math.h>

#include "round/strategy.h"

#define UNIT (1u << 20) /* a cosine of 1 weighs so much */
#define LEAST_NORM \
    0x1p-126 /* a delta shorter than this, the smallest normal float, points nowhere and counts nothing */

/* Scaled, no element is larger than own_norm, because none is larger than the norm. */
static rd_status weigh(const rd_strategy *s, const rd_update_facts *u, rd_contribution *out, rd_error *err)
{
    (void)s;
    (void)err;
    bool counts = u->norm >= LEAST_NORM && u->cosine > 0;
    out->weight = counts ? (uint32_t)(fmin(u->cosine, 1) * UNIT + 0.5) : 0;
    out->scale = counts ? u->own_norm / u->norm : 0;
    return RD_OK;
}

const rd_strategy_kind rd_strategy_fltrust = {
    .name = "fltrust",
    .server_trains = true,
    .collects = RD_COLLECTS_EACH,
    .weigh = weigh,
};
