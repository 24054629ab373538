/* gp.c: see gp.h. */
#include "search/gp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* LAPACK, which Debian's OpenBLAS holds; its C header would be one more package for two declarations. */
extern void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
extern void dpotrs_(const char *uplo, const int *n, const int *nrhs, const double *a, const int *lda, double *b,
                    const int *ldb, int *info);

/* Matern 5/2: (1 + r + r^2 / 3) exp(-r), r = sqrt(5) |a - b| / length. */
static double kernel(const double *a, const double *b, size_t d, double length)
{
    double squares = 0;
    for (size_t i = 0; i < d; i++)
        squares += (a[i] - b[i]) * (a[i] - b[i]);
    double r = sqrt(5 * squares) / length;
    return (1 + r + r * r / 3) * exp(-r);
}

static void normalise(const double *y, size_t n, double *mean, double *deviation, double *normal)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += y[i];
    *mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (y[i] - *mean) * (y[i] - *mean);
    *deviation = squares > 0 ? sqrt(squares / (double)n) : 1;
    for (size_t i = 0; i < n; i++)
        normal[i] = (y[i] - *mean) / *deviation;
}

rd_status search_gp_fit(const search_points *seen, double length, double noise, search_gp *out, rd_error *err)
{
    const size_t n = seen->n, d = seen->d;
    const double *x = seen->x;
    search_gp g = {.n = n, .d = d, .length = length, .noise = noise};
    const int size = (int)n, one = 1;
    int info = 0;
    rd_status status = RD_OK;
    g.x = malloc(n * d * sizeof *g.x);
    g.L = malloc(n * n * sizeof *g.L);
    g.alpha = malloc(2 * n * sizeof *g.alpha); /* the second half: the observations */
    if (g.x == NULL || g.L == NULL || g.alpha == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for a Gaussian process over %zu points", n);
    memcpy(g.x, x, n * d * sizeof *x);
    normalise(seen->y, n, &g.mean, &g.deviation, g.alpha);
    for (size_t i = 0; i < n; i++)
        g.alpha[n + i] = g.alpha[i];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            g.L[i * n + j] = kernel(x + i * d, x + j * d, d, length) + (i == j ? noise : 0);
    dpotrf_("L", &size, g.L, &size, &info);
    if (info == 0)
        dpotrs_("L", &size, &one, g.L, &size, g.alpha, &size, &info);
    if (info != 0)
        RD_THROW(RD_ERR_RANGE, "the kernel matrix of %zu points is not positive definite", n);
    g.likelihood = -(double)n / 2 * log(2 * 3.14159265358979323846);
    for (size_t i = 0; i < n; i++)
        g.likelihood -= log(g.L[i * n + i]) + g.alpha[i] * g.alpha[n + i] / 2;
    *out = g;
    memset(&g, 0, sizeof g);
cleanup:
    search_gp_free(&g);
    return status;
}

rd_status search_gp_fit_best(const search_points *seen, search_gp *out, rd_error *err)
{
    static const double lengths[] = {0.1, 0.15, 0.25, 0.4, 0.6, 1.0, 1.6, 2.5}, noises[] = {1e-6, 1e-4, 1e-2, 0.1};
    rd_status status = RD_ERR_RANGE;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t j = 0; j < sizeof noises / sizeof *noises; j++) {
            search_gp g;
            rd_status one = search_gp_fit(seen, lengths[i], noises[j], &g, err);
            if (one == RD_ERR_MEMORY)
                return one;
            if (one != RD_OK)
                continue;
            if (status != RD_OK || g.likelihood > out->likelihood) {
                search_gp_free(out);
                *out = g;
                status = RD_OK;
            } else {
                search_gp_free(&g);
            }
        }
    return status;
}

void search_gp_free(search_gp *g)
{
    free(g->x);
    free(g->L);
    free(g->alpha);
    memset(g, 0, sizeof *g);
}

void search_gp_predict(const search_gp *g, const double *x, double *work, double *mean, double *variance)
{
    double sum = 0, explained = 0;
    for (size_t i = 0; i < g->n; i++) {
        work[i] = kernel(x, g->x + i * g->d, g->d, g->length);
        sum += work[i] * g->alpha[i];
    }
    for (size_t i = 0; i < g->n; i++) { /* L v = k by forward substitution; L's column j begins at j n */
        for (size_t j = 0; j < i; j++)
            work[i] -= g->L[j * g->n + i] * work[j];
        work[i] /= g->L[i * g->n + i];
        explained += work[i] * work[i];
    }
    double left = 1 - explained;
    *mean = g->mean + g->deviation * sum;
    *variance = g->deviation * g->deviation * (left > 0 ? left : 0);
}

double search_expected_improvement(double mean, double variance, double best)
{
    double deviation = sqrt(variance), gain = best - mean;
    if (deviation <= 0)
        return gain > 0 ? gain : 0;
    double z = gain / deviation;
    return gain * erfc(-z / sqrt(2)) / 2 + deviation * exp(-z * z / 2) / sqrt(2 * 3.14159265358979323846);
}

double search_van_der_corput(unsigned long number, unsigned base)
{
    double value = 0, share = 1.0 / base;
    for (number++; number > 0; number /= base, share /= base)
        value += share * (double)(number % base);
    return value;
}
