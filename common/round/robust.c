/* robust.c: see robust.h. Rules by coordinate sort a block of columns side by side, with comparisons that do not
 * depend on the values; rules by distance first compare all pairs, a block of coordinates at a time so that the
 * rows stay in the cache. */
#include "round/robust.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/wide.h"

enum { COLUMNS = 64, PIECE = 4096, BLOCK = 1024, LANES = 8 };

size_t rd_robust_least_updates(const rd_robust_config *c)
{
    size_t f = (size_t)c->byzantine, chosen = (size_t)c->chosen;
    switch (c->rule) {
    case RD_ROBUST_TRIMMED_MEAN:
        return 2 * f + 1;
    case RD_ROBUST_KRUM:
        return 2 * f + 3;
    case RD_ROBUST_MULTI_KRUM:
        return chosen > f + 3 ? chosen + f : 2 * f + 3; /* those chosen are not among the f */
    case RD_ROBUST_BULYAN:
        return 4 * f + 3;
    case RD_ROBUST_MEDIAN:
    case RD_ROBUST_GEOMETRIC_MEDIAN:
        break;
    }
    return 1;
}

size_t rd_robust_tolerance(rd_robust_rule rule, size_t n)
{
    size_t least = rule == RD_ROBUST_BULYAN || rule == RD_ROBUST_KRUM || rule == RD_ROBUST_MULTI_KRUM ? 3 : 1;
    if (n < least)
        return SIZE_MAX;
    return (n - least) / (rule == RD_ROBUST_BULYAN ? 4 : 2);
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

static double mean_of(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    return sum / (double)n;
}

static double median_of(const float *sorted, size_t n)
{
    return n % 2 == 1 ? (double)sorted[n / 2] : ((double)sorted[n / 2 - 1] + (double)sorted[n / 2]) / 2;
}

/* Mean of the `count` values closest to the median: they lie side by side. */
static double mean_around_median(const float *sorted, size_t n, size_t count)
{
    double median = median_of(sorted, n);
    size_t first = 0, last = n; /* [first, last) is left */
    while (last - first > count) {
        if (median - (double)sorted[first] > (double)sorted[last - 1] - median)
            first++;
        else
            last--;
    }
    return mean_of(sorted + first, count);
}

typedef enum summary { MEDIAN, TRIMMED, AROUND_MEDIAN } summary;

/* One number for each of the first `count` columns of the sorted x (k,COLUMNS). number: of values left out at each
 * end (TRIMMED), or that are averaged (AROUND_MEDIAN). column: room for k. */
static void summarise(const float *x, size_t k, summary how, size_t number, size_t count, float *column, float *out)
{
    double sum[COLUMNS] = {0};
    for (size_t i = number; how == TRIMMED && i < k - number; i++)
        for (size_t c = 0; c < COLUMNS; c++)
            sum[c] += (double)x[i * COLUMNS + c];
    for (size_t c = 0; c < count; c++) {
        for (size_t i = 0; i < k && how != TRIMMED; i++)
            column[i] = x[i * COLUMNS + c];
        out[c] = (float)(how == TRIMMED  ? sum[c] / (double)(k - 2 * number)
                         : how == MEDIAN ? median_of(column, k)
                                         : mean_around_median(column, k, number));
    }
}

static rd_status by_coordinate(const float *const *rows, size_t k, size_t n, summary how, size_t number, float *out,
                               rd_error *err)
{
    float *x = calloc(k * (COLUMNS + 1), sizeof *x);
    if (x == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory to compare %zu updates", k);
    for (size_t first = 0; first < n; first += COLUMNS) {
        size_t count = n - first < COLUMNS ? n - first : COLUMNS;
        for (size_t i = 0; i < k; i++)
            memcpy(x + i * COLUMNS, rows[i] + first, count * sizeof *x);
        sort_columns(x, k);
        summarise(x, k, how, number, count, x + k * COLUMNS, out + first);
    }
    free(x);
    return RD_OK;
}

/* sum (BLOCK) = share[i] rows[i], added up in the order of the rows, for coordinates [first, first + count). */
RD_WIDE static void add_rows(const float *const *rows, const double *share, size_t k, size_t first, size_t count,
                             double *sum)
{
    memset(sum, 0, BLOCK * sizeof *sum);
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < count && share[i] != 0; j++)
            sum[j] += share[i] * (double)rows[i][first + j];
}

/* ---- by distance ---- */

/* Squared distance of a vector of `type` and a row. Sums lie side by side, so that vectors of any length add up alike. */
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

/* (k,k) */
static rd_status all_distances(const float *const *rows, size_t k, size_t n, double **out, rd_error *err)
{
    double *d = calloc(k * k, sizeof *d);
    if (d == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the distances of %zu updates", k);
    for (size_t first = 0; first < n; first += PIECE) {
        size_t count = n - first < PIECE ? n - first : PIECE;
        for (size_t i = 0; i < k; i++)
            for (size_t j = i + 1; j < k; j++)
                d[i * k + j] += squared_distance(rows[i] + first, rows[j] + first, count);
    }
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < i; j++)
            d[i * k + j] = d[j * k + i];
    *out = d;
    return RD_OK;
}

/* Another row, seen from one. */
typedef struct neighbour {
    double distance; /* squared */
    size_t row;
} neighbour;

static int compare(const void *a, const void *b)
{
    double x = ((const neighbour *)a)->distance, y = ((const neighbour *)b)->distance;
    return (x > y) - (x < y);
}

typedef struct ranking {
    neighbour *near; /* (k,k) each row's others, the nearest first; the row itself is the first */
    double *scores;  /* (k) */
    bool *gone;      /* (k) */
} ranking;

static void free_ranking(ranking *r)
{
    free(r->near);
    free(r->scores);
    free(r->gone);
}

static rd_status make_ranking(const float *const *rows, size_t k, size_t n, ranking *r, rd_error *err)
{
    double *distances = NULL;
    *r = (ranking){.near = malloc(k * k * sizeof(neighbour)),
                   .scores = malloc(k * sizeof(double)),
                   .gone = calloc(k, sizeof(bool))};
    if (r->near == NULL || r->scores == NULL || r->gone == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory to rank %zu updates", k);
    rd_status status = all_distances(rows, k, n, &distances, err);
    for (size_t i = 0; i < k && status == RD_OK; i++) {
        for (size_t j = 0; j < k; j++)
            r->near[i * k + j] = (neighbour){j == i ? -1 : distances[i * k + j], j};
        qsort(r->near + i * k, k, sizeof *r->near, compare);
    }
    free(distances);
    return status;
}

/* Each row's sum of the distances to its nearest among the `left` rows that are not gone. */
static void score_all(ranking *r, size_t k, size_t left, size_t f)
{
    size_t wanted = left > f + 2 ? left - f - 2 : 1;
    for (size_t i = 0; i < k; i++) {
        double sum = 0;
        size_t count = 0;
        for (size_t j = 1; j < k && count < wanted; j++) {
            const neighbour *other = &r->near[i * k + j];
            if (!r->gone[other->row] && ++count)
                sum += other->distance;
        }
        r->scores[i] = sum;
    }
}

/* The row with the smallest score that is not gone, which it then is. */
static size_t take_best(ranking *r, size_t k)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < k; i++)
        if (!r->gone[i] && (best == SIZE_MAX || r->scores[i] < r->scores[best]))
            best = i;
    r->gone[best] = true;
    return best;
}

/* Mean of `chosen` rows with the smallest scores, in the order of the rows. */
static rd_status krum(const float *const *rows, size_t k, size_t n, size_t f, size_t chosen, float *out, rd_error *err)
{
    ranking r;
    rd_status status = make_ranking(rows, k, n, &r, err);
    if (status == RD_OK) {
        score_all(&r, k, k, f);
        for (size_t i = 0; i < chosen; i++)
            (void)take_best(&r, k);
        double sum[BLOCK];
        for (size_t i = 0; i < k; i++)
            r.scores[i] = r.gone[i] ? 1 : 0;
        for (size_t first = 0; first < n; first += BLOCK) {
            size_t count = n - first < BLOCK ? n - first : BLOCK;
            add_rows(rows, r.scores, k, first, count, sum);
            for (size_t j = 0; j < count; j++)
                out[first + j] = (float)(sum[j] / (double)chosen);
        }
    }
    free_ranking(&r);
    return status;
}

static rd_status bulyan(const float *const *rows, size_t k, size_t n, size_t f, float *out, rd_error *err)
{
    ranking r;
    size_t selected = k - 2 * f;
    const float **some = malloc(selected * sizeof *some);
    rd_status status = make_ranking(rows, k, n, &r, err);
    if (some == NULL && status == RD_OK)
        status = rd_fail(err, RD_ERR_MEMORY, "no memory to select %zu updates", selected);
    for (size_t i = 0; i < selected && status == RD_OK; i++) {
        score_all(&r, k, k - i, f);
        some[i] = rows[take_best(&r, k)];
    }
    if (status == RD_OK)
        status = by_coordinate(some, selected, n, AROUND_MEDIAN, selected - 2 * f, out, err);
    free_ranking(&r);
    free(some);
    return status;
}

/* ---- geometric median ---- */

/* v (n) -> sum of share[i] rows[i] / sum of share, and how far that is from v, squared. */
static double move(const float *const *rows, const double *share, size_t k, size_t n, double *v)
{
    double total = 0, moved = 0, sum[BLOCK];
    for (size_t i = 0; i < k; i++)
        total += share[i];
    for (size_t first = 0; first < n; first += BLOCK) {
        size_t count = n - first < BLOCK ? n - first : BLOCK;
        add_rows(rows, share, k, first, count, sum);
        for (size_t j = 0; j < count; j++) {
            double there = sum[j] / total, step = there - v[first + j];
            moved += step * step;
            v[first + j] = there;
        }
    }
    return moved;
}

static rd_status geometric_median(const rd_robust_config *c, const float *const *rows, const uint32_t *weights,
                                  size_t k, size_t n, float *out, rd_error *err)
{
    rd_status status = RD_OK;
    double *v = calloc(n + 1, sizeof *v), *share = malloc(k * sizeof *share);
    if (v == NULL || share == NULL)
        RD_TRY(rd_fail(err, RD_ERR_MEMORY, "no memory for the median of %zu updates", k));
    for (size_t i = 0; i < k; i++)
        share[i] = (double)weights[i];
    (void)move(rows, share, k, n, v);
    for (uint32_t step = 0; step < c->iterations; step++) {
        double size = 0;
        for (size_t i = 0; i < k; i++)
            share[i] = (double)weights[i] / fmax(c->smoothing, sqrt(squared_distance_to(v, rows[i], n)));
        double moved = move(rows, share, k, n, v);
        for (size_t j = 0; j < n; j++)
            size += v[j] * v[j];
        if (moved <= 1e-20 * size)
            break;
    }
    for (size_t j = 0; j < n; j++)
        out[j] = (float)v[j];
cleanup:
    free(v);
    free(share);
    return status;
}

/* ---- all ---- */

rd_status rd_robust_aggregate(const rd_robust_config *c, const float *const *rows, const uint32_t *weights, size_t k,
                              size_t n, float *out, rd_error *err)
{
    size_t f = (size_t)c->byzantine, least = rd_robust_least_updates(c);
    char chosen[48] = "";
    if (c->chosen > 0)
        (void)snprintf(chosen, sizeof chosen, " and choose %llu", (unsigned long long)c->chosen);
    if (k < least)
        return rd_fail(err, RD_ERR_RANGE,
                       "%zu updates are too few to withstand strategy.byzantine %zu%s: %zu are needed", k, f, chosen,
                       least);
    switch (c->rule) {
    case RD_ROBUST_MEDIAN:
        return by_coordinate(rows, k, n, MEDIAN, 0, out, err);
    case RD_ROBUST_TRIMMED_MEAN:
        return by_coordinate(rows, k, n, TRIMMED, f, out, err);
    case RD_ROBUST_KRUM:
        return krum(rows, k, n, f, 1, out, err);
    case RD_ROBUST_MULTI_KRUM:
        return krum(rows, k, n, f, c->chosen > 0 ? (size_t)c->chosen : k - f, out, err);
    case RD_ROBUST_BULYAN:
        return bulyan(rows, k, n, f, out, err);
    case RD_ROBUST_GEOMETRIC_MEDIAN:
        return geometric_median(c, rows, weights, k, n, out, err);
    }
    return rd_fail(err, RD_ERR_INTERNAL, "no such robust rule");
}
