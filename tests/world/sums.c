/* sums.c: see sums.h. */
#include "sums.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIT 8388608.0 /* 2^23: what is below may enter a sum */
#define UNITS 63      /* a sum counts in 2^-63 */

rd_status sums_open(sums *s, const rd_config *config, const rd_model *model, rd_error *err)
{
    const rd_schema none = {0};
    *s = (sums){.config = config};
    size_t at = 0;
    for (size_t i = 0; i < RD_COMPANIONS_MAX; i++) {
        const rd_companion *c = &config->strategy.kind->companions[i];
        for (size_t j = 0; (c->where & RD_KEPT_SERVER) != 0 && j < SUMS_ELEMENTS; j++)
            s->model.kept[at++] = c->start != NULL ? (float)c->start(&config->strategy) : 0.0f;
    }
    return config->strategy.kind->server_trains ? rd_own_training_open(config, model, &none, &s->own, err) : RD_OK;
}

void sums_close(sums *s)
{
    rd_own_training_free(&s->own);
}

static bool is(const sums *s, const char *strategy)
{
    return strcmp(s->config->strategy.kind->name, strategy) == 0;
}

static double key_of(const sums *s, const char *key)
{
    return rd_strategy_value(&s->config->strategy, key);
}

static double norm_of(const float *x)
{
    double squares = 0;
    for (size_t i = 0; i < SUMS_ELEMENTS; i++)
        squares += (double)x[i] * (double)x[i];
    return sqrt(squares);
}

/* Where the model has gone so far that the server's training diverges, nobody can be compared with it. */
void sums_prepare(sums *s, uint64_t round)
{
    rd_error err;
    s->own_diverged = s->config->strategy.kind->server_trains && round <= s->config->rounds &&
                      (rd_own_training_run(&s->own, s->config, round, s->model.parameters, &err) != RD_OK ||
                       !(norm_of(s->own.delta) < FIT));
}

/* ---- what an update counts ---- */

static int by_number(const void *a, const void *b)
{
    const uint64_t p = *(const uint64_t *)a, q = *(const uint64_t *)b;
    return (p > q) - (p < q);
}

/* The largest with which a client has no more than the share beside the smallest of the others: each is tried. */
void sums_limit_weights(sums *s, const uint64_t *samples, size_t count, size_t wanted)
{
    const double said = s->config->cohort.max_weight;
    const uint64_t share = said > 0 ? (uint64_t)lround(100 * said) : wanted >= 4 ? 50 : 100; /* in hundredths */
    uint64_t sorted[ACCOUNT_CLIENTS];
    s->most_weight = 0;
    if (count < 2 || wanted < 2 || share == 100)
        return;
    memcpy(sorted, samples, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_number);
    s->most_weight = sorted[0];
    for (uint64_t most = sorted[0]; most <= SUMS_MOST_SAMPLES; most++) {
        uint64_t others = 0;
        for (size_t i = 0; i + 1 < wanted && i + 1 < count; i++)
            others += sorted[i] < most ? sorted[i] : most;
        if (100 * most <= share * (most + others))
            s->most_weight = most;
    }
}

/* Of an update that counts by its samples. */
static uint64_t counted_samples(const sums *s, uint64_t samples)
{
    const rd_strategy *strategy = &s->config->strategy;
    const bool limited = strategy->kind->weighted && !strategy->uniform && s->most_weight > 0;
    return limited && samples > s->most_weight ? s->most_weight : samples;
}

static rd_contribution contribution(const sums *s, const sums_update *u)
{
    rd_contribution c = {.weight = s->config->strategy.uniform ? 1 : (uint32_t)counted_samples(s, u->report.samples),
                         .scale = 1};
    const double norm = norm_of(u->values), rate = (double)s->config->training.learning_rate;
    if (is(s, "fednova")) {
        c.extra = (double)u->report.steps;
        c.scale = 1 / c.extra;
    } else if (is(s, "fedbuff")) {
        c.scale = pow(1 + (double)u->staleness, -key_of(s, "staleness_exponent"));
    } else if (is(s, "norm_clipping")) {
        c.scale = norm > key_of(s, "clip_norm") ? key_of(s, "clip_norm") / norm : 1;
    } else if (is(s, "q-fedavg")) { /* q is 1 here: h = |L d|^2 + L F */
        c.scale = u->report.before.loss;
        c.extra = c.scale / rate;
        if (c.scale > 0)
            c.extra += norm / rate * (norm / rate);
    } else if (is(s, "fltrust")) {
        const double own = norm_of(s->own.delta);
        double product = 0;
        for (size_t i = 0; i < SUMS_ELEMENTS; i++)
            product += (double)u->values[i] * (double)s->own.delta[i];
        const double cosine = norm > 0 && own > 0 ? product / (norm * own) : 0;
        const bool counts = norm > 0 && cosine > 0;
        c.weight = counts ? (uint32_t)(fmin(cosine, 1) * 0x1p20 + 0.5) : 0;
        c.scale = counts ? own / norm : 0;
    }
    return c;
}

uint32_t sums_weight(const sums *s, const sums_update *u)
{
    return contribution(s, u).weight;
}

bool sums_can_use(const sums *s, const sums_update *u)
{
    const rd_contribution c = contribution(s, u);
    float largest = 0;
    for (size_t i = 0; i < SUMS_UPDATE; i++) {
        if (!(fabs((double)u->values[i]) < FIT))
            return false;
        largest = fmaxf(largest, fabsf(u->values[i]));
    }
    const bool told = !is(s, "q-fedavg") || (u->report.before.samples > 0 && u->report.before.loss >= 0);
    const bool steps = !is(s, "fednova") || u->report.steps > 0;
    return isfinite(u->report.running_loss) && u->report.samples > 0 && told && steps && c.extra < 0x1p40 &&
           (double)largest * c.scale < FIT;
}

/* ---- the mean ---- */

/* weight * value in units of 2^-63: exact, or where the value is small rounded to the nearest, halves away from 0. */
static __int128 term(float value, uint32_t weight)
{
    const double units = ldexp((double)value, UNITS);
    return fabs(units) >= 0x1p24 ? (__int128)units * weight : (__int128)round(units * (double)weight);
}

/* first: of the delta, or of what goes up behind it. Returns the total weight. */
static uint64_t mean_of(const sums *s, size_t first, double mean[SUMS_ELEMENTS])
{
    __int128 sum[SUMS_ELEMENTS] = {0};
    uint64_t total = 0;
    for (size_t k = 0; k < s->count; k++) {
        const sums_update *u = &s->updates[k];
        const rd_contribution c = contribution(s, u);
        total += c.weight;
        for (size_t i = 0; i < SUMS_ELEMENTS; i++)
            sum[i] += term((float)((double)u->values[first + i] * c.scale), c.weight);
    }
    for (size_t i = 0; i < SUMS_ELEMENTS && total > 0; i++)
        mean[i] = ldexp((double)sum[i], -UNITS) / (double)total;
    return total;
}

static double mean_extra(const sums *s)
{
    __int128 sum = 0;
    uint64_t total = 0;
    for (size_t k = 0; k < s->count; k++) {
        const rd_contribution c = contribution(s, &s->updates[k]);
        sum += (__int128)nearbyint(ldexp(c.extra, 40)) * c.weight;
        total += c.weight;
    }
    return ldexp((double)sum, -40) / (double)total;
}

static int by_key(const void *a, const void *b)
{
    const uint64_t p = ((const sums_update *)a)->key, q = ((const sums_update *)b)->key;
    return (p > q) - (p < q);
}

static bool combine(sums *s, double mean[SUMS_ELEMENTS])
{
    const float *values[ACCOUNT_CLIENTS];
    uint32_t weights[ACCOUNT_CLIENTS];
    float out[SUMS_ELEMENTS];
    rd_error err;
    qsort(s->updates, s->count, sizeof *s->updates, by_key);
    for (size_t i = 0; i < s->count; i++) {
        values[i] = s->updates[i].values;
        weights[i] = contribution(s, &s->updates[i]).weight;
    }
    const rd_collected_updates updates = {values, weights, s->count, SUMS_ELEMENTS};
    if (s->config->strategy.kind->combine(&s->config->strategy, &updates, out, &err) != RD_OK)
        return false;
    for (size_t i = 0; i < SUMS_ELEMENTS; i++)
        mean[i] = (double)out[i];
    return true;
}

/* ---- the server's step ---- */

/* m = beta m + (1 - beta) d, v by its strategy; d / ... */
static double adaptive(const sums *s, double d, float *m, float *v)
{
    const double beta1 = key_of(s, "beta1"), beta2 = key_of(s, "beta2"), square = d * d, old = (double)*v;
    *m = (float)(beta1 * (double)*m + (1 - beta1) * d);
    *v = (float)(is(s, "fedadagrad") ? old + square
                 : is(s, "fedadam")  ? beta2 * old + (1 - beta2) * square
                                     : old - (1 - beta2) * square *
                                                (old > square   ? 1
                                                 : old < square ? -1
                                                                : 0));
    return (double)*m / (sqrt((double)*v) + key_of(s, "tau"));
}

static double direction(const sums *s, double d, size_t i, sums_model *next)
{
    float *first = &next->kept[i], *second = &next->kept[SUMS_ELEMENTS + i];
    if (is(s, "fedavgm"))
        return (double)(*first = (float)(key_of(s, "momentum") * (double)*first + d));
    return is(s, "fedadam") || is(s, "fedyogi") || is(s, "fedadagrad") ? adaptive(s, d, first, second) : d;
}

static bool is_fit(const sums_model *m, bool last, bool goes_down)
{
    for (size_t i = 0; i < SUMS_ELEMENTS; i++)
        if (!isfinite(m->parameters[i]) || (!last && !(fabs((double)m->parameters[i]) < FIT)))
            return false;
    for (size_t i = 0; i < SUMS_KEPT; i++)
        if (!isfinite(m->kept[i]) || (goes_down && !(fabs((double)m->kept[i]) < FIT)))
            return false;
    return true;
}

bool sums_step(sums *s, size_t clients, bool last)
{
    const bool scaffold = is(s, "scaffold");
    double mean[SUMS_ELEMENTS], up[SUMS_ELEMENTS], factor = 1;
    sums_model next = s->model;
    if (s->own_diverged)
        return false;
    if (s->config->strategy.kind->combine != NULL) {
        if (!combine(s, mean))
            return false;
    } else if (mean_of(s, 0, mean) == 0) {
        return false;
    }
    if (is(s, "fednova"))
        factor = mean_extra(s);
    if (is(s, "q-fedavg"))
        factor = mean_extra(s) > 0 ? 1 / ((double)s->config->training.learning_rate * mean_extra(s)) : 0;
    for (size_t i = 0; i < SUMS_ELEMENTS; i++) {
        const double change = direction(s, mean[i] * factor, i, &next) * s->config->strategy.server_learning_rate;
        next.parameters[i] = (float)((double)next.parameters[i] + change);
    }
    for (size_t i = 0; scaffold && i < SUMS_ELEMENTS;
         i++) { /* c += (how many of all took part) * mean of what came up */
        (void)mean_of(s, SUMS_ELEMENTS, up);
        next.kept[i] = (float)((double)next.kept[i] + (double)s->count / (double)clients * up[i]);
    }
    if (!is_fit(&next, last, scaffold))
        return false;
    s->model = next;
    return true;
}

double sums_running_loss(const sums *s)
{
    double sum = 0, samples = 0; /* losses are quarters, so nothing is rounded */
    for (size_t k = 0; k < s->count; k++) {
        sum += s->updates[k].report.running_loss * (double)s->updates[k].report.samples;
        samples += (double)s->updates[k].report.samples;
    }
    return samples > 0 ? sum / samples : NAN;
}
