/* strategy.h: how the updates of a round become the next model (run.json "strategy"). A strategy is a line in the
 * table of strategy.c: how updates are taken in, how much each counts, and the step that the server makes with
 * what comes of them. What clients do differently while they train (train/local_round.h) follows from the same
 * line. Pure: no file, no clock, no thread.
 *
 *   name                                        what travels up        the server
 *   fedavg            McMahan et al. 2017       delta                  w += eta * sum n_k d_k / sum n_k
 *   fedsgd            McMahan et al. 2017       one full-batch step    the same
 *   fedprox           Li et al. 2020            delta, trained with    the same
 *                                               mu/2 |w - w_global|^2
 *   fedavgm           Hsu et al. 2019           delta                  momentum:  m = beta m + d;  w += eta m
 *   fedadagrad,       Reddi et al. 2021,        delta                  m = beta1 m + (1 - beta1) d;
 *   fedadam, fedyogi  algorithm 2                                      w += eta m / (sqrt(v) + tau)
 *   scaffold          Karimireddy et al. 2020,  delta and change of    w += eta * mean d;  c += (sum of changes) / N
 *                     option II                 the control variate
 *   fednova           Wang et al. 2020          delta                  w += eta * (sum p_k a_k) * sum p_k d_k / a_k
 *   q-fedavg          Li et al. 2020, "Fair     delta, loss before     w += eta * L sum F_k^q d_k / sum h_k,
 *                     Resource Allocation"      training               h_k = q F_k^(q-1) |L d_k|^2 + L F_k^q, L = 1/lr
 *   fedbuff           Nguyen et al. 2022        delta, when ready      w += eta / K sum s(staleness) d_k
 *   norm_clipping     Sun et al. 2019           delta                  d_k scaled down to a norm of at most C
 *   fltrust           Cao et al. 2021           delta                  d_k scaled to the norm of a delta of the
 *                                                                      server's own, weighted by their cosine
 *   median, trimmed_mean, krum, multi_krum, bulyan, geometric_median: robust.h
 */
#ifndef RONDO_ROUND_STRATEGY_H
#define RONDO_ROUND_STRATEGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "round/robust.h"

typedef enum rd_strategy_kind {
    RD_FEDAVG,
    RD_FEDSGD,
    RD_FEDPROX,
    RD_FEDAVGM,
    RD_FEDADAGRAD,
    RD_FEDADAM,
    RD_FEDYOGI,
    RD_SCAFFOLD,
    RD_FEDNOVA,
    RD_QFEDAVG,
    RD_FEDBUFF,
    RD_NORM_CLIPPING,
    RD_FLTRUST,
    RD_MEDIAN,
    RD_TRIMMED_MEAN,
    RD_KRUM,
    RD_MULTI_KRUM,
    RD_BULYAN,
    RD_GEOMETRIC_MEDIAN,
    RD_STRATEGIES
} rd_strategy_kind;

/* How an update is taken in. */
typedef enum rd_intake_kind {
    RD_INTAKE_STREAM, /* piece by piece into the exact sum */
    RD_INTAKE_WHOLE,  /* collected first, because its weight depends on all of it */
    RD_INTAKE_ROWS,   /* all of a round are kept until its end: cohort * n * 4 bytes */
} rd_intake_kind;

typedef enum rd_server_optimizer {
    RD_SERVER_PLAIN,
    RD_SERVER_MOMENTUM,
    RD_SERVER_ADAGRAD,
    RD_SERVER_ADAM,
    RD_SERVER_YOGI,
} rd_server_optimizer;

/* run.json "strategy" */
typedef struct rd_strategy {
    rd_strategy_kind kind;
    double server_learning_rate; /* eta; default 1, adaptive ones 0.1 */
    bool uniform;                /* "weighting": "uniform": every client counts the same, not by its samples */
    double beta1;                /* fedavgm's "momentum", 0.9; adaptive "beta1", 0.9 (fedadagrad 0) */
    double beta2, tau;           /* adaptive; 0.99 and 0.001 */
    double proximal;             /* mu; fedprox, fednova */
    double q;                    /* q-fedavg */
    double clip_norm;            /* norm_clipping: C */
    uint64_t buffer_size;        /* fedbuff: K updates make a step */
    uint64_t concurrency;        /* fedbuff: so many clients train at a time */
    uint64_t most_staleness;     /* fedbuff: older updates are refused */
    double staleness_exponent;   /* fedbuff: s = (1 + staleness)^-exponent; 0.5 */
    rd_robust_config robust;
} rd_strategy;

extern const char *const rd_strategy_names[]; /* in the order of rd_strategy_kind; RD_STRATEGIES of them */
rd_intake_kind rd_strategy_intake(const rd_strategy *s);
rd_server_optimizer rd_strategy_optimizer(const rd_strategy *s);
/* Is it one of robust.h's rules? */
bool rd_strategy_is_robust(const rd_strategy *s);
/* Which one; means something only where it is one. */
rd_robust_rule rd_strategy_rule(const rd_strategy *s);
/* The fewest updates that a round needs: robust rules withstand `byzantine` attackers only among so many. */
size_t rd_strategy_least_updates(const rd_strategy *s);
/* What it needs them for: "krum withstands strategy.byzantine 4". */
void rd_strategy_promise(const rd_strategy *s, char *text, size_t size);

/* ---- what an update counts ---- */

/* What is known of an update when it has come. */
typedef struct rd_update_facts {
    uint64_t samples;
    uint64_t steps;       /* of local training; fednova */
    double loss;          /* of the global model on the client's training rows; q-fedavg */
    double learning_rate; /* that clients train with in this round */
    double momentum;      /* of the clients' SGD */
    uint64_t staleness;   /* rounds since the model that it was trained from; fedbuff */
    double norm, cosine;  /* of the delta, and with the server's own; for RD_INTAKE_WHOLE only */
    double root_norm;     /* of the server's own delta; fltrust */
} rd_update_facts;

/* The update enters the sum as weight * (scale * delta). */
typedef struct rd_contribution {
    uint32_t weight; /* 0: it counts nothing */
    double scale;    /* not negative, finite */
    double effort;   /* fednova: a_k; q-fedavg: h_k; else 0 */
} rd_contribution;

/* RD_ERR_RANGE, RD_ERR_DATA: this strategy cannot use such an update, and why. Where the update's norm plays a part
 * and is not known yet, the result says nothing but that the rest will do. */
rd_status rd_strategy_weigh(const rd_strategy *s, const rd_update_facts *u, rd_contribution *out,
                            rd_error *err) RD_MUST_CHECK;
/* One unit of fltrust's weights: a cosine of 1 weighs so much. */
#define RD_TRUST_UNIT (1u << 20)
/* fltrust: a delta shorter than this, the smallest normal float, points nowhere and counts nothing. */
#define RD_TRUST_LEAST_NORM 0x1p-126

/* The sum is divided by the total weight and multiplied with this. effort: the mean of the contributions' effort,
 * weighted as strategy says (fednova: by samples; q-fedavg: uniformly). */
double rd_strategy_factor(const rd_strategy *s, double mean_effort, double learning_rate);

/* ---- the server's step ---- */

/* What the server remembers between rounds; each (n), or NULL where the strategy has none. */
typedef struct rd_server_memory {
    float *m, *v;
} rd_server_memory;
/* Vectors of n that the server's optimizer keeps: 0, 1 (m) or 2 (m, v). */
size_t rd_server_vectors(const rd_strategy *s);
/* v starts as tau^2 (Reddi et al. 2021 ask for v >= tau^2), m as 0. */
void rd_server_memory_start(const rd_strategy *s, size_t n, const rd_server_memory *memory);

/* Makes the server's step for elements [first, first + count) with their mean delta (count). Returns the sum of
 * squares of the changes. */
double rd_server_step(const rd_strategy *s, const rd_server_memory *memory, const double *mean, size_t first,
                      size_t count, float *parameters);
/* Without an optimizer: statistics, and parameters in scattered places. */
double rd_server_add(const double *mean, size_t count, float *parameters);

#endif
