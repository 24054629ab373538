/* strategy.c: see strategy.h. */
#include "round/strategy.h"

#include <math.h>
#include <stdio.h>

#include "core/exact_sum.h"

typedef struct line {
    rd_intake_kind intake;
    rd_server_optimizer optimizer;
    int rule; /* of robust.h, or -1 */
} line;

const char *const rd_strategy_names[] = {
    [RD_FEDAVG] = "fedavg",
    [RD_FEDSGD] = "fedsgd",
    [RD_FEDPROX] = "fedprox",
    [RD_FEDAVGM] = "fedavgm",
    [RD_FEDADAGRAD] = "fedadagrad",
    [RD_FEDADAM] = "fedadam",
    [RD_FEDYOGI] = "fedyogi",
    [RD_SCAFFOLD] = "scaffold",
    [RD_FEDNOVA] = "fednova",
    [RD_QFEDAVG] = "q-fedavg",
    [RD_FEDBUFF] = "fedbuff",
    [RD_NORM_CLIPPING] = "norm_clipping",
    [RD_FLTRUST] = "fltrust",
    [RD_MEDIAN] = "median",
    [RD_TRIMMED_MEAN] = "trimmed_mean",
    [RD_KRUM] = "krum",
    [RD_MULTI_KRUM] = "multi_krum",
    [RD_BULYAN] = "bulyan",
    [RD_GEOMETRIC_MEDIAN] = "geometric_median",
};

static const line table[] = {
    [RD_FEDAVG] = {RD_INTAKE_STREAM, RD_SERVER_PLAIN, -1},
    [RD_FEDSGD] = {RD_INTAKE_STREAM, RD_SERVER_PLAIN, -1},
    [RD_FEDPROX] = {RD_INTAKE_STREAM, RD_SERVER_PLAIN, -1},
    [RD_FEDAVGM] = {RD_INTAKE_STREAM, RD_SERVER_MOMENTUM, -1},
    [RD_FEDADAGRAD] = {RD_INTAKE_STREAM, RD_SERVER_ADAGRAD, -1},
    [RD_FEDADAM] = {RD_INTAKE_STREAM, RD_SERVER_ADAM, -1},
    [RD_FEDYOGI] = {RD_INTAKE_STREAM, RD_SERVER_YOGI, -1},
    [RD_SCAFFOLD] = {RD_INTAKE_STREAM, RD_SERVER_PLAIN, -1},
    [RD_FEDNOVA] = {RD_INTAKE_STREAM, RD_SERVER_PLAIN, -1},
    [RD_QFEDAVG] = {RD_INTAKE_WHOLE, RD_SERVER_PLAIN, -1},
    [RD_FEDBUFF] = {RD_INTAKE_STREAM, RD_SERVER_PLAIN, -1},
    [RD_NORM_CLIPPING] = {RD_INTAKE_WHOLE, RD_SERVER_PLAIN, -1},
    [RD_FLTRUST] = {RD_INTAKE_WHOLE, RD_SERVER_PLAIN, -1},
    [RD_MEDIAN] = {RD_INTAKE_ROWS, RD_SERVER_PLAIN, RD_ROBUST_MEDIAN},
    [RD_TRIMMED_MEAN] = {RD_INTAKE_ROWS, RD_SERVER_PLAIN, RD_ROBUST_TRIMMED_MEAN},
    [RD_KRUM] = {RD_INTAKE_ROWS, RD_SERVER_PLAIN, RD_ROBUST_KRUM},
    [RD_MULTI_KRUM] = {RD_INTAKE_ROWS, RD_SERVER_PLAIN, RD_ROBUST_MULTI_KRUM},
    [RD_BULYAN] = {RD_INTAKE_ROWS, RD_SERVER_PLAIN, RD_ROBUST_BULYAN},
    [RD_GEOMETRIC_MEDIAN] = {RD_INTAKE_ROWS, RD_SERVER_PLAIN, RD_ROBUST_GEOMETRIC_MEDIAN},
};

rd_intake_kind rd_strategy_intake(const rd_strategy *s)
{
    return table[s->kind].intake;
}

rd_server_optimizer rd_strategy_optimizer(const rd_strategy *s)
{
    return table[s->kind].optimizer;
}

bool rd_strategy_is_robust(const rd_strategy *s)
{
    return table[s->kind].rule >= 0;
}

rd_robust_rule rd_strategy_rule(const rd_strategy *s)
{
    return rd_strategy_is_robust(s) ? (rd_robust_rule)table[s->kind].rule : RD_ROBUST_MEDIAN;
}

size_t rd_strategy_least_updates(const rd_strategy *s)
{
    return rd_strategy_is_robust(s) ? rd_robust_least_updates(&s->robust) : 1;
}

void rd_strategy_promise(const rd_strategy *s, char *text, size_t size)
{
    int written = snprintf(text, size, "%s withstands strategy.byzantine %llu", rd_strategy_names[s->kind],
                           (unsigned long long)s->robust.byzantine);
    if (s->robust.chosen > 0 && written > 0 && (size_t)written < size)
        (void)snprintf(text + written, size - (size_t)written, " and averages strategy.chosen %llu",
                       (unsigned long long)s->robust.chosen);
}

/* ---- what an update counts ---- */

/* The norm |a|_1 of Wang et al. 2020, section 3: how much `steps` local steps amount to. */
static double effort_of(const rd_strategy *s, const rd_update_facts *u)
{
    double steps = (double)u->steps, rho = u->momentum, shrink = u->learning_rate * s->proximal;
    if (rho > 0)
        return (steps - rho * (1 - pow(rho, steps)) / (1 - rho)) / (1 - rho);
    return shrink > 0 ? (1 - pow(1 - shrink, steps)) / shrink : steps;
}

static rd_status weigh_fairly(const rd_strategy *s, const rd_update_facts *u, rd_contribution *out, rd_error *err)
{
    enum { MOST = 1 << 20 };
    double L = 1 / u->learning_rate, F = u->loss, power = pow(F, s->q);
    if (!(F >= 0) || !(power <= MOST))
        return rd_fail(err, RD_ERR_RANGE,
                       "q-fedavg needs a loss from 0 on whose power q = %g is at most 2^20, found %g", s->q, F);
    out->scale = power;
    out->effort = L * power;
    if (s->q > 0 && F > 0)
        out->effort += s->q * power / F * (L * u->norm) * (L * u->norm);
    if (!(out->effort < RD_EXACT_MAX_SCALAR)) /* the server divides by the sum of these */
        return rd_fail(err, RD_ERR_RANGE,
                       "q-fedavg: with a loss of %g, a delta of norm %g and learning rate %g its h = q F^(q-1) |L "
                       "delta|^2 + L F^q is %g; below 2^40 expected",
                       F, u->norm, u->learning_rate, out->effort);
    return RD_OK;
}

/* Scaled, no element is larger than root_norm, because none is larger than the norm. */
static void weigh_by_trust(const rd_update_facts *u, rd_contribution *out)
{
    bool counts = u->norm >= RD_TRUST_LEAST_NORM && u->cosine > 0;
    out->weight = counts ? (uint32_t)(fmin(u->cosine, 1) * RD_TRUST_UNIT + 0.5) : 0;
    out->scale = counts ? u->root_norm / u->norm : 0;
}

rd_status rd_strategy_weigh(const rd_strategy *s, const rd_update_facts *u, rd_contribution *out, rd_error *err)
{
    *out = (rd_contribution){.weight = s->uniform ? 1 : (uint32_t)u->samples, .scale = 1};
    switch (s->kind) {
    case RD_FEDNOVA:
        if (u->steps == 0)
            return rd_fail(err, RD_ERR_DATA, "fednova needs to know the local steps of an update (\"steps\")");
        out->effort = effort_of(s, u);
        if (!(out->effort > 0 && out->effort < RD_EXACT_MAX_SCALAR))
            return rd_fail(err, RD_ERR_RANGE,
                           "fednova: %llu local steps at learning rate %g with proximal %g amount to %g; a length "
                           "above 0 expected",
                           (unsigned long long)u->steps, u->learning_rate, s->proximal, out->effort);
        out->scale = 1 / out->effort;
        break;
    case RD_QFEDAVG:
        return weigh_fairly(s, u, out, err);
    case RD_FEDBUFF:
        out->scale = pow(1 + (double)u->staleness, -s->staleness_exponent);
        break;
    case RD_NORM_CLIPPING:
        if (u->norm > s->clip_norm)
            out->scale = s->clip_norm / u->norm;
        break;
    case RD_FLTRUST:
        weigh_by_trust(u, out);
        break;
    default:
        break;
    }
    return RD_OK;
}

double rd_strategy_factor(const rd_strategy *s, double mean_effort, double learning_rate)
{
    if (s->kind == RD_FEDNOVA)
        return mean_effort;
    if (s->kind == RD_QFEDAVG)
        return mean_effort > 0 ? 1 / (learning_rate * mean_effort) : 0;
    return 1;
}

/* ---- the server's step ---- */

size_t rd_server_vectors(const rd_strategy *s)
{
    switch (rd_strategy_optimizer(s)) {
    case RD_SERVER_PLAIN:
        return 0;
    case RD_SERVER_MOMENTUM:
        return 1;
    default:
        return 2;
    }
}

void rd_server_memory_start(const rd_strategy *s, size_t n, const rd_server_memory *memory)
{
    for (size_t i = 0; i < n && memory->m != NULL; i++)
        memory->m[i] = 0.0f;
    for (size_t i = 0; i < n && memory->v != NULL; i++)
        memory->v[i] = (float)(s->tau * s->tau);
}

double rd_server_add(const double *mean, size_t count, float *parameters)
{
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        parameters[i] = (float)((double)parameters[i] + mean[i]);
        squares += mean[i] * mean[i];
    }
    return squares;
}

/* The second moment after d. */
static double second_moment(const rd_strategy *s, double v, double d)
{
    double square = d * d;
    switch (rd_strategy_optimizer(s)) {
    case RD_SERVER_ADAGRAD:
        return v + square;
    case RD_SERVER_YOGI:
        return v - (1 - s->beta2) * square * (v > square ? 1 : v < square ? -1 : 0);
    default:
        return s->beta2 * v + (1 - s->beta2) * square;
    }
}

double rd_server_step(const rd_strategy *s, const rd_server_memory *memory, const double *mean, size_t first,
                      size_t count, float *parameters)
{
    rd_server_optimizer optimizer = rd_strategy_optimizer(s);
    double squares = 0, eta = s->server_learning_rate;
    for (size_t i = 0; i < count; i++) {
        double change = mean[i];
        if (optimizer == RD_SERVER_MOMENTUM) {
            change = memory->m[first + i] = (float)(s->beta1 * (double)memory->m[first + i] + mean[i]);
        } else if (optimizer != RD_SERVER_PLAIN) {
            float *m = &memory->m[first + i], *v = &memory->v[first + i];
            *m = (float)(s->beta1 * (double)*m + (1 - s->beta1) * mean[i]);
            *v = (float)second_moment(s, (double)*v, mean[i]);
            change = (double)*m / (sqrt((double)*v) + s->tau);
        }
        change *= eta;
        parameters[first + i] = (float)((double)parameters[first + i] + change);
        squares += change * change;
    }
    return squares;
}
