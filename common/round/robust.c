/* robust.c: see robust.h. Rules by coordinate turn a block of columns into short rows and sort those; rules by
 * distance first compare all pairs, a block of coordinates at a time so that the rows stay in the cache. */
#include "round/robust.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 64, PIECE = 4096 };

size_t rd_robust_least_updates(const rd_robust_config *c)
{
    size_t f = (size_t)c->byzantine;
    switch (c->rule) {
    case RD_ROBUST_TRIMMED_MEAN:
        return 2 * f + 1;
    case RD_ROBUST_KRUM:
    case RD_ROBUST_MULTI_KRUM:
        return 2 * f + 3;
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

static void insert_sort(float *x, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        float value = x[i];
        size_t j = i;
        for (; j > 0 && x[j - 1] > value; j--)
            x[j] = x[j - 1];
        x[j] = value;
    }
}

static float middle_of(float a, float b, float c)
{
    float low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

/* Quicksort; libc's would call a function for each comparison. */
static void sort(float *x, size_t n)
{
    while (n > 24) {
        float pivot = middle_of(x[0], x[n / 2], x[n - 1]);
        size_t i = 0, j = n - 1;
        for (;;) {
            while (x[i] < pivot)
                i++;
            while (x[j] > pivot)
                j--;
            if (i >= j)
                break;
            float swap = x[i];
            x[i++] = x[j];
            x[j--] = swap;
        }
        if (i < n - i) { /* the shorter part by recursion: its depth is at most log2(n) */
            sort(x, i);
            x += i;
            n -= i;
        } else {
            sort(x + i, n - i);
            n = i;
        }
    }
    insert_sort(x, n);
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

/* trim: values left out at each end; SIZE_MAX: the median. around: values around the median; 0: not so. */
static rd_status by_coordinate(const float *const *rows, size_t k, size_t n, size_t trim, size_t around,
                               float *out, rd_error *err)
{
    float *columns = malloc(COLUMNS * k * sizeof *columns);
    if (columns == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory to compare %zu updates", k);
    for (size_t first = 0; first < n; first += COLUMNS) {
        size_t count = n - first < COLUMNS ? n - first : COLUMNS;
        for (size_t i = 0; i < k; i++)
            for (size_t j = 0; j < count; j++)
                columns[j * k + i] = rows[i][first + j];
        for (size_t j = 0; j < count; j++) {
            float *column = columns + j * k;
            sort(column, k);
            double value = around > 0         ? mean_around_median(column, k, around)
                           : trim == SIZE_MAX ? median_of(column, k)
                                              : mean_of(column + trim, k - 2 * trim);
            out[first + j] = (float)value;
        }
    }
    free(columns);
    return RD_OK;
}

/* ---- by distance ---- */

static double squared_distance(const float *a, const float *b, size_t n)
{
    enum { LANES = 8 };
    double lanes[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++) {
            double d = (double)a[i + l] - (double)b[i + l];
            lanes[l] += d * d;
        }
    for (; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    for (size_t l = 0; l < LANES; l++)
        sum += lanes[l];
    return sum;
}

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

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sum of the distances from row i to its nearest among those that are left. */
static double score(const double *d, const bool *gone, size_t k, size_t left, size_t f, size_t i,
                    double *work)
{
    size_t count = 0, nearest = left > f + 2 ? left - f - 2 : 1;
    double sum = 0;
    for (size_t j = 0; j < k; j++)
        if (j != i && !gone[j])
            work[count++] = d[i * k + j];
    qsort(work, count, sizeof *work, compare);
    for (size_t j = 0; j < nearest && j < count; j++)
        sum += work[j];
    return sum;
}

typedef struct ranking {
    double *distances, *work, *scores; /* (k,k), (k), (k) */
    bool *gone;                        /* (k) */
} ranking;

static void free_ranking(ranking *r)
{
    free(r->distances);
    free(r->work);
    free(r->scores);
    free(r->gone);
}

static rd_status make_ranking(const float *const *rows, size_t k, size_t n, ranking *r, rd_error *err)
{
    *r = (ranking){.work = malloc(k * sizeof(double)),
                   .scores = malloc(k * sizeof(double)),
                   .gone = calloc(k, sizeof(bool))};
    if (r->work == NULL || r->scores == NULL || r->gone == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory to rank %zu updates", k);
    return all_distances(rows, k, n, &r->distances, err);
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

static void rank_all(ranking *r, size_t k, size_t left, size_t f)
{
    for (size_t i = 0; i < k; i++)
        if (!r->gone[i])
            r->scores[i] = score(r->distances, r->gone, k, left, f, i, r->work);
}

/* Mean of `chosen` rows with the smallest scores, in the order of the rows. */
static rd_status krum(const float *const *rows, size_t k, size_t n, size_t f, size_t chosen, float *out,
                      rd_error *err)
{
    ranking r;
    rd_status status = make_ranking(rows, k, n, &r, err);
    if (status == RD_OK) {
        rank_all(&r, k, k, f);
        for (size_t i = 0; i < chosen; i++)
            (void)take_best(&r, k);
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t i = 0; i < k; i++)
                sum += r.gone[i] ? (double)rows[i][j] : 0;
            out[j] = (float)(sum / (double)chosen);
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
        rank_all(&r, k, k - i, f);
        some[i] = rows[take_best(&r, k)];
    }
    if (status == RD_OK)
        status = by_coordinate(some, selected, n, 0, selected - 2 * f, out, err);
    free_ranking(&r);
    free(some);
    return status;
}

/* ---- geometric median ---- */

/* v (n) -> sum of share[i] rows[i] / sum of share, and how far that is from v, squared. */
static double move(const float *const *rows, const double *share, size_t k, size_t n, double *v)
{
    double total = 0, moved = 0;
    for (size_t i = 0; i < k; i++)
        total += share[i];
    for (size_t j = 0; j < n; j++) {
        double sum = 0;
        for (size_t i = 0; i < k; i++)
            sum += share[i] * (double)rows[i][j];
        sum /= total;
        moved += (sum - v[j]) * (sum - v[j]);
        v[j] = sum;
    }
    return moved;
}

static rd_status geometric_median(const rd_robust_config *c, const float *const *rows,
                                  const uint32_t *weights, size_t k, size_t n, float *out, rd_error *err)
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
        for (size_t i = 0; i < k; i++) {
            double squares = 0;
            for (size_t j = 0; j < n; j++)
                squares += (v[j] - (double)rows[i][j]) * (v[j] - (double)rows[i][j]);
            share[i] = (double)weights[i] / fmax(c->smoothing, sqrt(squares));
        }
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

rd_status rd_robust_aggregate(const rd_robust_config *c, const float *const *rows, const uint32_t *weights,
                              size_t k, size_t n, float *out, rd_error *err)
{
    size_t f = (size_t)c->byzantine, least = rd_robust_least_updates(c);
    if (k < least)
        return rd_fail(err, RD_ERR_RANGE,
                       "%zu updates are too few to withstand strategy.byzantine %zu: %zu are needed", k, f,
                       least);
    if (c->chosen > 0 && c->chosen + f > k)
        return rd_fail(err, RD_ERR_RANGE, "strategy.chosen %llu and byzantine %zu are more than %zu updates",
                       (unsigned long long)c->chosen, f, k);
    switch (c->rule) {
    case RD_ROBUST_MEDIAN:
        return by_coordinate(rows, k, n, SIZE_MAX, 0, out, err);
    case RD_ROBUST_TRIMMED_MEAN:
        return by_coordinate(rows, k, n, f, 0, out, err);
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
