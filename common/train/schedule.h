/* schedule.h: the learning rate by round (run.json "training.schedule"). With r = 1, 2, ... the round, and R
 * all rounds:
 *
 *   constant      1
 *   exponential   decay^(r-1)
 *   step          decay^floor((r-1) / every)
 *   cosine        final + (1 - final) (1 + cos(pi (r-1) / (R-1))) / 2   (one period of Loshchilov and Hutter 2017)
 *
 * times learning_rate, and in the first `warmup` rounds times r / (warmup + 1), too. */
#ifndef RONDO_TRAIN_SCHEDULE_H
#define RONDO_TRAIN_SCHEDULE_H

#include <stdint.h>

typedef enum rd_schedule_kind {
    RD_SCHEDULE_CONSTANT,
    RD_SCHEDULE_EXPONENTIAL,
    RD_SCHEDULE_STEP,
    RD_SCHEDULE_COSINE
} rd_schedule_kind;

typedef struct rd_schedule {
    rd_schedule_kind kind;
    double decay;    /* exponential, step: 0 < decay <= 1 */
    uint64_t every;  /* step: rounds */
    double final;    /* cosine: share of the learning rate at the last round */
    uint64_t rounds; /* cosine: R */
    uint64_t warmup; /* rounds */
} rd_schedule;

/* What the learning rate is multiplied with in this round. */
double rd_schedule_factor(const rd_schedule *s, uint64_t round);

#endif
