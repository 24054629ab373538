/* strategy.c: see strategy.h. What fedavg does where a strategy says nothing else. */
#include "round/strategy.h"

#include <stdio.h>
#include <string.h>

/* ---- companions ---- */

size_t rd_companions_count(const rd_strategy *s, unsigned where)
{
    size_t count = 0;
    for (size_t i = 0; s != NULL && i < RD_COMPANIONS_MAX; i++)
        count += (s->kind->companions[i].where & where) != 0;
    return count;
}

void rd_companions_place(const rd_strategy *s, unsigned where, float *base, size_t n, float *out[RD_COMPANIONS_MAX])
{
    for (size_t i = 0; i < RD_COMPANIONS_MAX; i++) {
        bool is = s != NULL && base != NULL && (s->kind->companions[i].where & where) != 0;
        out[i] = is ? base : NULL;
        base += is ? n : 0;
    }
}

/* ---- the table ---- */

size_t rd_strategy_key_count(const rd_strategy_kind *kind)
{
    size_t count = 0;
    while (count < RD_STRATEGY_KEYS_MAX && kind->keys[count].name != NULL)
        count++;
    return count;
}

rd_strategy rd_strategy_of(const rd_strategy_kind *kind)
{
    rd_strategy s = {.kind = kind,
                     .server_learning_rate = kind->server_learning_rate > 0 ? kind->server_learning_rate : 1,
                     .uniform = kind->uniform};
    for (size_t i = 0; i < rd_strategy_key_count(kind); i++)
        s.value[i] = kind->keys[i].preset;
    return s;
}

/* ---- what is withstood ---- */

double rd_strategy_value(const rd_strategy *s, const char *key)
{
    for (size_t i = 0; i < rd_strategy_key_count(s->kind); i++)
        if (strcmp(s->kind->keys[i].name, key) == 0)
            return s->value[i];
    return 0;
}

bool rd_strategy_counts_samples(const rd_strategy *s)
{
    return s->kind->weighted && !s->uniform;
}

size_t rd_strategy_least_updates(const rd_strategy *s)
{
    if (s->kind->least_updates != NULL)
        return s->kind->least_updates(s);
    size_t least = s->kind->withstands.among + s->kind->withstands.each * (size_t)rd_strategy_value(s, "byzantine");
    return least > 0 ? least : 1;
}

void rd_strategy_promise(const rd_strategy *s, char *text, size_t size)
{
    double chosen = rd_strategy_value(s, "chosen");
    int written =
        snprintf(text, size, "%s withstands strategy.byzantine %.0f", s->kind->name, rd_strategy_value(s, "byzantine"));
    if (chosen > 0 && written > 0 && (size_t)written < size)
        (void)snprintf(text + written, size - (size_t)written, " and averages strategy.chosen %.0f", chosen);
}

/* ---- a client's round ---- */

double rd_strategy_proximal(const rd_strategy *s)
{
    return s != NULL && s->kind->proximal != NULL ? s->kind->proximal(s) : 0;
}

/* ---- the server's ---- */

rd_status rd_strategy_weigh(const rd_strategy *s, const rd_update_facts *u, rd_contribution *out, rd_error *err)
{
    const uint64_t samples = u->most_weight > 0 && u->samples > u->most_weight ? u->most_weight : u->samples;
    *out = (rd_contribution){.weight = s->uniform ? 1 : (uint32_t)samples, .scale = 1};
    return s->kind->weigh != NULL ? s->kind->weigh(s, u, out, err) : RD_OK;
}

double rd_strategy_factor(const rd_strategy *s, double mean_extra, double learning_rate)
{
    return s->kind->factor != NULL ? s->kind->factor(s, mean_extra, learning_rate) : 1;
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

double rd_server_step(const rd_strategy *s, double *mean, size_t count, float *parameters,
                      float *const companions[RD_COMPANIONS_MAX])
{
    if (s->kind->direct != NULL)
        s->kind->direct(s, mean, count, companions);
    for (size_t i = 0; i < count; i++)
        mean[i] *= s->server_learning_rate;
    return rd_server_add(mean, count, parameters);
}

/* ---- for several strategies ---- */

rd_status rd_strategy_needs_sgd(const rd_strategy *s, const rd_strategy_setting *c, bool momentum_too, rd_error *err)
{
    if (!c->sgd)
        return rd_fail(err, RD_ERR_CONFIG, "training.optimizer: strategy %s is for clients that train with sgd",
                       s->kind->name);
    if (!momentum_too && c->momentum != 0)
        return rd_fail(err, RD_ERR_CONFIG, "training.momentum: strategy %s is for sgd without momentum", s->kind->name);
    return RD_OK;
}

rd_status rd_strategy_check_proximal(const char *key, double mu, const rd_strategy_setting *c, rd_error *err)
{
    if (!c->sgd || c->momentum != 0 || c->learning_rate * mu < 2)
        return RD_OK;
    return rd_fail(err, RD_ERR_CONFIG,
                   "%s: with training.learning_rate %g it must be below %g, found %g: each step would end further from "
                   "what it pulls to than it began",
                   key, c->learning_rate, 2 / c->learning_rate, mu);
}
