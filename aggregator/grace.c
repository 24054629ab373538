/* grace.c: see grace.h. */
#include "grace.h"

#include <math.h>

rd_grace rd_grace_start(double seconds)
{
    return (rd_grace){.left = seconds};
}

void rd_grace_next_step(rd_grace *g)
{
    g->given = 0;
}

double rd_grace_more(rd_grace *g, bool arriving, uint64_t moved)
{
    const bool moves = g->given == 0 || (double)(moved - g->moved) >= RD_GRACE_RATE * g->given;
    g->given = arriving && moves ? fmin(RD_GRACE_LOOK, g->left) : 0;
    g->left -= g->given;
    g->moved = moved;
    return g->given;
}
