/* norm.c: normalisation of each sample by itself: layer norm (Ba et al. 2016) over the features of each
 * position, RMS norm (Zhang and Sennrich 2019), which leaves out the mean, and group norm (Wu and He 2018)
 * over groups of channels. They are one computation: a sample is cut into runs of numbers, each run is
 * normalised, and then every number is multiplied by a weight and moved by a bias, which go by feature or by
 * channel. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/json_key.h"
#include "model/layer.h"

enum { WEIGHT, BIAS };

typedef struct norm {
    size_t runs, length; /* of a sample */
    size_t weights;      /* of the layer */
    size_t repeat;       /* numbers in a row that share a weight: the pixels of a channel, else 1 */
    bool centred;        /* minus the mean; and then there is a bias */
    float epsilon;
} norm;

static const char *const epsilon_key[] = {"epsilon", NULL};
static const char *const group_keys[] = {"groups", "epsilon", NULL};

static rd_status norm_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err, norm shape)
{
    double epsilon;
    rd_status status = rd_json_key_number(at, "epsilon", 1e-12, 1, 1e-5, &epsilon, err);
    if (status != RD_OK)
        return status;
    if (shape.length < 2)
        return rd_fail(err, RD_ERR_CONFIG, "%s: layer '%s' would normalise single numbers, of which nothing is left",
                       at.path, l->name);
    norm *f = rd_layer_own(l, sizeof *f, at.path, err);
    if (f == NULL)
        return RD_ERR_MEMORY;
    *f = shape;
    f->epsilon = (float)epsilon;
    l->flops = 4 * l->inputs;
    l->saved = l->inputs + f->runs; /* the normalised numbers, and each run's factor */
    status = rd_plan_tensor(plan, l, "weight", 1, (const size_t[]){f->weights}, err);
    if (status == RD_OK && f->centred)
        status = rd_plan_tensor(plan, l, "bias", 1, (const size_t[]){f->weights}, err);
    return status;
}

static rd_status by_position(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err, bool centred)
{
    if (l->in.rank == 3 || l->in.vocabulary > 0)
        return rd_plan_misfit(l, at.path, "features (D) or a sequence (T, E)", err);
    size_t width = l->in.size[l->in.rank - 1];
    return norm_plan(
        plan, l, at, err,
        (norm){.runs = l->inputs / width, .length = width, .weights = width, .repeat = 1, .centred = centred});
}

static rd_status layer_norm_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    return by_position(plan, l, at, err, true);
}

static rd_status rms_norm_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    return by_position(plan, l, at, err, false);
}

static rd_status group_norm_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    size_t groups = 0;
    rd_status status = rd_json_key_whole(at, "groups", 1, 65536, &groups, err);
    if (status != RD_OK)
        return status;
    if (l->in.rank != 3)
        return rd_plan_misfit(l, at.path, "an image (C, H, W)", err);
    size_t C = l->in.size[0];
    if (C % groups != 0)
        return rd_fail(err, RD_ERR_CONFIG, "%s.groups: %zu channels cannot be cut into %zu groups", at.path, C, groups);
    return norm_plan(
        plan, l, at, err,
        (norm){.runs = groups, .length = l->inputs / groups, .weights = C, .repeat = l->inputs / C, .centred = true});
}

static void norm_init(const rd_layer *l, uint64_t seed, float *parameters)
{
    (void)seed;
    rd_init_constant(l->tensors[WEIGHT], 1.0f, parameters);
    if (((const norm *)l->own)->centred)
        rd_init_constant(l->tensors[BIAS], 0.0f, parameters);
}

/* Sums in eight lanes, which a compiler turns into vectors. */
static double sum_of(const float *x, size_t n)
{
    enum { LANES = 8 };
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lane[k] += (double)x[i + k];
    for (; i < n; i++)
        sum += (double)x[i];
    for (size_t k = 0; k < LANES; k++)
        sum += lane[k];
    return sum;
}

static double product_of(const float *x, const float *y, size_t n)
{
    enum { LANES = 8 };
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lane[k] += (double)x[i + k] * (double)y[i + k];
    for (; i < n; i++)
        sum += (double)x[i] * (double)y[i];
    for (size_t k = 0; k < LANES; k++)
        sum += lane[k];
    return sum;
}

/* Which weight number i of a run has. */
static inline size_t weight_at(const norm *f, size_t run, size_t i)
{
    return f->repeat == 1 ? i : (run % f->runs * f->length + i) / f->repeat;
}

static void norm_forward(const rd_layer *l, const rd_pass *pass)
{
    const norm *f = l->own;
    const float *weight = rd_layer_read(l, pass, WEIGHT), *bias = f->centred ? rd_layer_read(l, pass, BIAS) : NULL;
    float *factors = pass->saved + pass->B * l->inputs;
    for (size_t run = 0; run < pass->B * f->runs; run++) {
        const float *x = pass->x + run * f->length;
        float *normal = pass->saved + run * f->length, *y = pass->y + run * f->length;
        float mean = f->centred ? (float)(sum_of(x, f->length) / (double)f->length) : 0.0f;
        for (size_t i = 0; i < f->length; i++)
            normal[i] = x[i] - mean;
        double square = product_of(normal, normal, f->length) / (double)f->length;
        factors[run] = (float)(1 / sqrt(square + (double)f->epsilon));
        for (size_t i = 0; i < f->length; i++)
            normal[i] *= factors[run];
        if (f->repeat == 1)
            for (size_t i = 0; i < f->length; i++)
                y[i] = weight[i] * normal[i] + (bias != NULL ? bias[i] : 0.0f);
        else
            for (size_t i = 0; i < f->length; i++)
                y[i] = weight[weight_at(f, run, i)] * normal[i] + bias[weight_at(f, run, i)];
    }
}

/* With n the normalised run, g = w dy, s its factor: dx = s (g - mean(g) - n mean(g n)), where mean(g) is
 * left out if the run was not centred. */
static void norm_backward(const rd_layer *l, const rd_pass *pass)
{
    const norm *f = l->own;
    const float *weight = rd_layer_read(l, pass, WEIGHT), *factors = pass->saved + pass->B * l->inputs;
    float *into_weight = rd_layer_into(l, pass, WEIGHT), *into_bias = f->centred ? rd_layer_into(l, pass, BIAS) : NULL;
    for (size_t run = 0; run < pass->B * f->runs && pass->dx != NULL; run++) {
        const float *normal = pass->saved + run * f->length, *dy = pass->dy + run * f->length;
        float *g = pass->dx + run * f->length;
        for (size_t i = 0; i < f->length; i++)
            g[i] = weight[weight_at(f, run, i)] * dy[i];
        float centre = f->centred ? (float)(sum_of(g, f->length) / (double)f->length) : 0.0f;
        float slope = (float)(product_of(g, normal, f->length) / (double)f->length);
        for (size_t i = 0; i < f->length; i++)
            g[i] = factors[run] * (g[i] - centre - normal[i] * slope);
    }
    if (into_weight != NULL)
        rd_layer_scale(into_weight, f->weights, pass->scale);
    if (into_bias != NULL)
        rd_layer_scale(into_bias, f->weights, pass->scale);
    for (size_t run = 0; run < pass->B * f->runs; run++) {
        const float *normal = pass->saved + run * f->length, *dy = pass->dy + run * f->length;
        for (size_t i = 0; i < f->length && into_weight != NULL; i++)
            into_weight[weight_at(f, run, i)] += pass->rate * dy[i] * normal[i];
        for (size_t i = 0; i < f->length && into_bias != NULL; i++)
            into_bias[weight_at(f, run, i)] += pass->rate * dy[i];
    }
}

const rd_layer_type rd_layer_layer_norm = {.name = "layer_norm",
                                           .prefix = "ln",
                                           .keys = epsilon_key,
                                           .plan = layer_norm_plan,
                                           .init = norm_init,
                                           .forward = norm_forward,
                                           .backward = norm_backward};
const rd_layer_type rd_layer_rms_norm = {.name = "rms_norm",
                                         .prefix = "rms",
                                         .keys = epsilon_key,
                                         .plan = rms_norm_plan,
                                         .init = norm_init,
                                         .forward = norm_forward,
                                         .backward = norm_backward};
const rd_layer_type rd_layer_group_norm = {.name = "group_norm",
                                           .prefix = "gn",
                                           .keys = group_keys,
                                           .plan = group_norm_plan,
                                           .init = norm_init,
                                           .forward = norm_forward,
                                           .backward = norm_backward};
