/* kmeans.c: k-means by Lloyd's algorithm (Lloyd 1982), a step of it a round: every client gives each of its
 * rows to the nearest centroid and sends how many rows each got and their sum; the new centroids are the
 * means. What comes out is the squared distance to each centroid, and the loss "inertia" is the smallest.
 *
 * Before the first round there are no centroids. In it every client picks K of its rows at random, and the
 * centroids are the means over clients. A centroid that gets no row stays where it is. */
#include <stdlib.h>

#include "model/counting.h"
#include "model/json_key.h"
#include "model/layer.h"

enum { CENTROIDS };

static const char *const keys[] = {"clusters", NULL};

static rd_status plan(rd_plan *p, rd_layer *l, rd_json_node at, rd_error *err)
{
    size_t K = 0;
    rd_status status = rd_json_key_whole(at, "clusters", 1, 65536, &K, err);
    if (status != RD_OK)
        return status;
    if (l->in.vocabulary > 0)
        return rd_plan_misfit(l, at.path, "features", err);
    l->out = (rd_shape){.rank = 1, .size = {K}};
    l->flops = 3 * (uint64_t)K * l->inputs;
    status = rd_plan_statistic(p, l, "centroids", 2, (const size_t[]){K, l->inputs}, err);
    return status == RD_OK ? rd_plan_statistic(p, l, "sums", 2, (const size_t[]){K * (1 + l->inputs), 3}, err) : status;
}

static void init(const rd_layer *l, uint64_t seed, float *parameters)
{
    (void)seed;
    for (size_t i = 0; i < l->tensor_count; i++)
        rd_init_constant(l->tensors[i], 0.0f, parameters);
}

static double distance(const float *x, const float *centroid, size_t D)
{
    double sum = 0;
    for (size_t i = 0; i < D; i++) {
        double d = (double)x[i] - (double)centroid[i];
        sum += d * d;
    }
    return sum;
}

static void forward(const rd_layer *l, const rd_pass *pass)
{
    const float *centroids = rd_layer_read(l, pass, CENTROIDS);
    for (size_t b = 0; b < pass->B; b++)
        for (size_t k = 0; k < l->outputs; k++)
            pass->y[b * l->outputs + k] =
                (float)distance(pass->x + b * l->inputs, centroids + k * l->inputs, l->inputs);
}

static void add_row(const rd_layer *l, const float *x, size_t k, rd_sum *sums)
{
    rd_sum *values = sums + l->outputs + k * l->inputs;
    sums[k] += rd_sum_of(1);
    for (size_t i = 0; i < l->inputs; i++)
        values[i] += rd_sum_of((double)x[i]);
}

static void count(const rd_layer *l, const float *parameters, const float *x, const int32_t *labels, size_t B,
                  rd_sum *sums)
{
    const float *centroids = parameters + l->tensors[CENTROIDS]->offset;
    (void)labels;
    for (size_t b = 0; b < B; b++, x += l->inputs) {
        size_t nearest = 0;
        double least = distance(x, centroids, l->inputs);
        for (size_t k = 1; k < l->outputs; k++) {
            double d = distance(x, centroids + k * l->inputs, l->inputs);
            if (d < least) {
                least = d;
                nearest = k;
            }
        }
        add_row(l, x, nearest, sums);
    }
}

static void count_start(const rd_layer *l, const float *x, size_t rows, rd_sum *sums)
{
    for (size_t k = 0; k < rows; k++)
        add_row(l, x + k * l->inputs, k, sums);
}

static size_t start_rows(const rd_layer *l)
{
    return l->outputs;
}

static size_t sum_count(const rd_layer *l)
{
    return l->outputs * (1 + l->inputs);
}

static void conclude(const rd_layer *l, const rd_sum *sums, float *parameters)
{
    float *centroids = parameters + l->tensors[CENTROIDS]->offset;
    for (size_t k = 0; k < l->outputs; k++)
        for (size_t i = 0; i < l->inputs && sums[k] > 0; i++)
            centroids[k * l->inputs + i] = (float)((double)sums[l->outputs + k * l->inputs + i] / (double)sums[k]);
}

static const rd_counting_type counting = {
    .sum_count = sum_count, .count = count, .count_start = count_start, .start_rows = start_rows, .conclude = conclude};

const rd_layer_type rd_layer_kmeans = {.name = "kmeans",
                                       .prefix = "kmeans",
                                       .keys = keys,
                                       .plan = plan,
                                       .init = init,
                                       .forward = forward,
                                       .counting = &counting};
