/* robust.c: see robust.h. Columns are sorted side by side, a block of them at a time, with comparisons that do not
 * depend on the values; distances first compare all pairs, a block of coordinates at a time so that the updates stay in
 * the cache. */
#include "round/robust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/wide.h"

enum { COLUMNS = RD_COLUMNS, PIECE = 4096, BLOCK = RD_ROBUST_BLOCK, LANES = 8 };

rd_status rd_robust_check(const rd_strategy *s, const rd_collected_updates *updates, rd_error *err)
{
    char chosen[48] = "";
    size_t least = rd_strategy_least_updates(s);
    if (updates->count >= least)
        return RD_OK;
    if (rd_strategy_value(s, "chosen") > 0)
        (void)snprintf(chosen, sizeof chosen, " and choose %.0f", rd_strategy_value(s, "chosen"));
    return rd_fail(err, RD_ERR_RANGE, "%zu updates are too few to withstand strategy.byzantine %.0f%s: %zu are needed",
                   updates->count, rd_strategy_value(s, "byzantine"), chosen, least);
}

/* ---- by coordinate ---- */

/* Puts the smaller of each column's two values into a, the other into b. */
static void exchange(float *restrict a, float *restrict b)
{
    for (size_t c = 0; c < COLUMNS; c++) {
        float x = a[c], y = b[c];
        a[c] = x < y ? x : y;
        b[c] = x > y ? x : y; /* two comparisons: what compilers know as minimum and maximum */
    }
}

/* Sorts each column of x (k,COLUMNS) by Batcher's merge exchange (Knuth, volume 3, algorithm 5.2.2M). */
RD_WIDE static void sort_columns(float *x, size_t k)
{
    size_t top = 1;
    while (2 * top < k)
        top *= 2;
    for (size_t p = top; p > 0; p /= 2) {
        size_t d = p, r = 0;
        for (size_t q = top;; q /= 2) {
            for (size_t i = 0; i + d < k; i++)
                if ((i & p) == r)
                    exchange(x + i * COLUMNS, x + (i + d) * COLUMNS);
            if (q == p)
                break;
            d = q - p;
            r = p;
        }
    }
}

double rd_robust_mean(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    return sum / (double)n;
}

double rd_robust_middle(const float *sorted, size_t n)
{
    return n % 2 == 1 ? (double)sorted[n / 2] : ((double)sorted[n / 2 - 1] + (double)sorted[n / 2]) / 2;
}

rd_status rd_robust_by_coordinate(const rd_collected_updates *updates, rd_coordinate_rule *rule, size_t number,
                                  float *out, rd_error *err)
{
    size_t k = updates->count, n = updates->n;
    float *x = calloc(k * (COLUMNS + 1), sizeof *x);
    if (x == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory to compare %zu updates", k);
    for (size_t first = 0; first < n; first += COLUMNS) {
        size_t count = n - first < COLUMNS ? n - first : COLUMNS;
        for (size_t i = 0; i < k; i++)
            memcpy(x + i * COLUMNS, updates->values[i] + first, count * sizeof *x);
        sort_columns(x, k);
        rule(x, k, number, count, x + k * COLUMNS, out + first);
    }
    free(x);
    return RD_OK;
}

/* ---- by distance ---- */

RD_WIDE void rd_robust_add_updates(const rd_collected_updates *updates, const double *share, size_t first, size_t count,
                                   double *sum)
{
    memset(sum, 0, BLOCK * sizeof *sum);
    for (size_t i = 0; i < updates->count; i++) {
        const float *update = updates->values[i] + first;
        for (size_t j = 0; j < count && share[i] != 0; j++)
            sum[j] += share[i] * (double)update[j];
    }
}

/* Squared distance of a vector of `type` and an update. Sums lie side by side, so that vectors of any length add up
 * alike. */
#define SQUARED_DISTANCE(name, type)                                              \
    RD_WIDE static double name(const type *a, const float *b, size_t n)           \
    {                                                                             \
        double lanes[LANES] = {0}, sum = 0;                                       \
        size_t i = 0;                                                             \
        for (; i + LANES <= n; i += LANES)                                        \
            for (size_t l = 0; l < LANES; l++) {                                  \
                double d = (double)a[i + l] - (double)b[i + l];                   \
                lanes[l] += d * d;                                                \
            }                                                                     \
        for (; i < n; i++)                                                        \
            sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]); \
        for (size_t l = 0; l < LANES; l++)                                        \
            sum += lanes[l];                                                      \
        return sum;                                                               \
    }
SQUARED_DISTANCE(squared_distance, float)
SQUARED_DISTANCE(squared_distance_to, double)

double rd_robust_distance(const double *v, const float *update, size_t n)
{
    return squared_distance_to(v, update, n);
}

/* (k,k) */
static rd_status all_distances(const float *const *updates, size_t k, size_t n, double **out, rd_error *err)
{
    double *d = calloc(k * k, sizeof *d);
    if (d == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the distances of %zu updates", k);
    for (size_t first = 0; first < n; first += PIECE) {
        size_t count = n - first < PIECE ? n - first : PIECE;
        for (size_t i = 0; i < k; i++)
            for (size_t j = i + 1; j < k; j++)
                d[i * k + j] += squared_distance(updates[i] + first, updates[j] + first, count);
    }
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < i; j++)
            d[i * k + j] = d[j * k + i];
    *out = d;
    return RD_OK;
}

/* Another update, seen from one. */
typedef struct neighbour {
    double distance; /* squared */
    size_t update;
} neighbour;

static int compare(const void *a, const void *b)
{
    double x = ((const neighbour *)a)->distance, y = ((const neighbour *)b)->distance;
    return (x > y) - (x < y);
}

struct rd_ranking {
    size_t k;
    neighbour *near; /* (k,k) each update's others, the nearest first; the update itself is the first */
    double *scores;  /* (k) */
    bool *gone;      /* (k) */
};

void rd_ranking_free(rd_ranking *r)
{
    if (r == NULL)
        return;
    free(r->near);
    free(r->scores);
    free(r->gone);
    free(r);
}

rd_status rd_ranking_create(const rd_collected_updates *updates, rd_ranking **out, rd_error *err)
{
    rd_status status = RD_OK;
    size_t k = updates->count;
    double *distances = NULL;
    rd_ranking *r = calloc(1, sizeof *r);
    if (r != NULL)
        *r = (rd_ranking){.k = k,
                          .near = malloc(k * k * sizeof(neighbour)),
                          .scores = malloc(k * sizeof(double)),
                          .gone = calloc(k, sizeof(bool))};
    if (r == NULL || r->near == NULL || r->scores == NULL || r->gone == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory to rank %zu updates", k);
    RD_TRY(all_distances(updates->values, k, updates->n, &distances, err));
    for (size_t i = 0; i < k; i++) {
        for (size_t j = 0; j < k; j++)
            r->near[i * k + j] = (neighbour){j == i ? -1 : distances[i * k + j], j};
        qsort(r->near + i * k, k, sizeof *r->near, compare);
    }
    *out = r;
    r = NULL;
cleanup:
    free(distances);
    rd_ranking_free(r);
    return status;
}

void rd_ranking_score(rd_ranking *r, size_t left, size_t f)
{
    size_t wanted = left > f + 2 ? left - f - 2 : 1;
    for (size_t i = 0; i < r->k; i++) {
        double sum = 0;
        size_t count = 0;
        for (size_t j = 1; j < r->k && count < wanted; j++) {
            const neighbour *other = &r->near[i * r->k + j];
            if (!r->gone[other->update] && ++count)
                sum += other->distance;
        }
        r->scores[i] = sum;
    }
}

size_t rd_ranking_take_best(rd_ranking *r)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < r->k; i++)
        if (!r->gone[i] && (best == SIZE_MAX || r->scores[i] < r->scores[best]))
            best = i;
    r->gone[best] = true;
    return best;
}

rd_status rd_robust_mean_of_best(const rd_collected_updates *updates, size_t f, size_t chosen, float *out,
                                 rd_error *err)
{
    rd_ranking *r = NULL;
    double sum[BLOCK];
    size_t n = updates->n;
    rd_status status = rd_ranking_create(updates, &r, err);
    if (status != RD_OK)
        return status;
    rd_ranking_score(r, r->k, f);
    for (size_t i = 0; i < chosen; i++)
        (void)rd_ranking_take_best(r);
    for (size_t i = 0; i < r->k; i++)
        r->scores[i] = r->gone[i] ? 1 : 0;
    for (size_t first = 0; first < n; first += BLOCK) {
        size_t count = n - first < BLOCK ? n - first : BLOCK;
        rd_robust_add_updates(updates, r->scores, first, count, sum);
        for (size_t j = 0; j < count; j++)
            out[first + j] = (float)(sum[j] / (double)chosen);
    }
    rd_ranking_free(r);
    return RD_OK;
}
