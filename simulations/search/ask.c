/* ask.c: see ask.h. The first points of a Bayesian search spread evenly (Halton 1960, moved as
 * a whole by a random vector); each later one is the best of many candidates: random ones, and neighbours of
 * the best so far. A simulation repeated is a result known, so whatever the method, a point with the values
 * of an earlier one is passed over while there are others. */
#include "search/ask.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "search/gp.h"

enum { RANDOM_CANDIDATES = 2000, NEIGHBOURS = 500, ATTEMPTS = 1000 };

static size_t first_points(const search_space *s)
{
    return 2 * s->key_count + 2;
}

static void spread_point(const search_space *s, size_t number, double point[SEARCH_KEYS])
{
    static const unsigned primes[SEARCH_KEYS] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53};
    rd_random random = rd_random_stream(s->seed, RD_PURPOSE_SEARCH, 0, 0);
    for (size_t i = 0; i < s->key_count; i++) {
        double moved = search_van_der_corput((unsigned long)number, primes[i]) + rd_random_uniform(&random);
        point[i] = moved - floor(moved);
    }
}

/* What has been seen, with the worst for failures and the mean for what still runs. */
static void observations(const search_trial *trials, size_t count, double *y, double *best)
{
    double sum = 0, worst = -INFINITY;
    size_t finished = 0;
    *best = INFINITY;
    for (size_t i = 0; i < count; i++)
        if (isfinite(trials[i].objective)) {
            sum += trials[i].objective;
            worst = fmax(worst, trials[i].objective);
            *best = fmin(*best, trials[i].objective);
            finished++;
        }
    for (size_t i = 0; i < count; i++)
        y[i] = isfinite(trials[i].objective) ? trials[i].objective
               : finished == 0               ? 0
               : isnan(trials[i].objective)  ? sum / (double)finished
                                             : worst;
}

static void candidate(const search_space *s, const search_trial *trials, size_t count, size_t number, rd_random *random,
                      double point[SEARCH_KEYS])
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (trials[i].objective < trials[best].objective || !isfinite(trials[best].objective))
            best = i;
    for (size_t i = 0; i < s->key_count; i++) {
        double u = rd_random_uniform(random);
        if (number >= RANDOM_CANDIDATES)
            u = trials[best].point[i] + 0.05 * rd_random_normal(random);
        point[i] = u < 0 ? 0 : u >= 1 ? 1 - 1e-9 : u;
    }
}

static bool is_among(const double *x, size_t count, size_t d, const double *features)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(x + i * d, features, d * sizeof *x) == 0)
            return true;
    return false;
}

static bool was_tried(const search_space *s, const search_trial *trials, size_t count, const double point[SEARCH_KEYS])
{
    double features[SEARCH_FEATURES], other[SEARCH_FEATURES];
    size_t d = search_space_features(s, point, features);
    for (size_t i = 0; i < count; i++) {
        (void)search_space_features(s, trials[i].point, other);
        if (is_among(other, 1, d, features))
            return true;
    }
    return false;
}

static rd_status improve(const search_space *s, const search_trial *trials, size_t count, double point[SEARCH_KEYS],
                         rd_error *err)
{
    double *x = malloc(count * SEARCH_FEATURES * sizeof *x), *y = malloc(2 * count * sizeof *y), best, most = -1;
    double features[SEARCH_FEATURES], mean, variance;
    rd_random random = rd_random_stream(s->seed, RD_PURPOSE_SEARCH, count, 1);
    search_gp g = {0};
    size_t d = 0;
    rd_status status = RD_OK;
    if (x == NULL || y == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for %zu trials", count);
    d = search_space_features(s, trials[0].point, features);
    for (size_t i = 0; i < count; i++)
        (void)search_space_features(s, trials[i].point, x + i * d);
    observations(trials, count, y, &best);
    RD_TRY(search_gp_fit_best(&(search_points){count, d, x, y}, &g, err));
    for (size_t i = 0; i < RANDOM_CANDIDATES + NEIGHBOURS; i++) {
        double here[SEARCH_KEYS] = {0};
        candidate(s, trials, count, i, &random, here);
        (void)search_space_features(s, here, features);
        search_gp_predict(&g, features, y + count, &mean, &variance);
        double gain = search_expected_improvement(mean, variance, isfinite(best) ? best : 0);
        if (is_among(x, count, d, features))
            gain = -0.5; /* only if there is nothing else */
        if (gain > most) {
            most = gain;
            memcpy(point, here, sizeof here);
        }
    }
cleanup:
    search_gp_free(&g);
    free(x);
    free(y);
    return status;
}

rd_status search_ask(const search_space *s, const search_trial *trials, size_t count, double point[SEARCH_KEYS],
                     rd_error *err)
{
    rd_random random = rd_random_stream(s->seed, RD_PURPOSE_SEARCH, count, 2);
    memset(point, 0, SEARCH_KEYS * sizeof *point);
    if (s->method == SEARCH_GRID) {
        search_space_grid_point(s, count, point);
        return RD_OK;
    }
    if (s->method == SEARCH_BAYESIAN && count >= first_points(s))
        return improve(s, trials, count, point, err);
    for (size_t attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (s->method == SEARCH_BAYESIAN)
            spread_point(s, count + attempt, point);
        for (size_t i = 0; i < s->key_count && s->method == SEARCH_RANDOM; i++)
            point[i] = rd_random_uniform(&random);
        if (!was_tried(s, trials, count, point))
            break;
    }
    return RD_OK;
}
