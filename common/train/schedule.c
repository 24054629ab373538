/* schedule.c: see schedule.h. */
#include "train/schedule.h"

#include <math.h>

static double shape(const rd_schedule *s, double done)
{
    switch (s->kind) {
    case RD_SCHEDULE_CONSTANT:
        break;
    case RD_SCHEDULE_EXPONENTIAL:
        return pow(s->decay, done);
    case RD_SCHEDULE_STEP:
        return pow(s->decay, floor(done / (double)s->every));
    case RD_SCHEDULE_COSINE: {
        double way = s->rounds > 1 ? done / ((double)s->rounds - 1) : 0;
        return s->final + (1 - s->final) * (1 + cos(3.14159265358979323846 * (way < 1 ? way : 1))) / 2;
    }
    }
    return 1;
}

double rd_schedule_factor(const rd_schedule *s, uint64_t round)
{
    double warm = round <= s->warmup ? (double)round / ((double)s->warmup + 1) : 1;
    return warm * shape(s, (double)round - 1);
}
