/* batch_norm.c: batch normalisation (Ioffe and Szegedy 2015) of images by channel, and of features, as
 * PyTorch's BatchNorm2d and BatchNorm1d, momentum 0.1.
 *
 * In a federation the running mean and variance travel and are averaged by samples like every parameter: each
 * client's statistics are those of its own rows, and the global model's are their weighted mean. The mean of
 * variances leaves out how far the clients' means lie apart, which is why group norm is often preferred where
 * clients differ much (Hsieh et al. 2020).
 *
 * A batch with a single number a channel (one row of features, the last of a client's rows; one image of 1 x 1) has no
 * variance: to follow it would put every input to 0 and pull running_var down. PyTorch refuses it. Here the layer then
 * goes by what it has learnt so far, as in use, and learns nothing of it. */
#include <math.h>
#include <stdlib.h>

#include "model/json_key.h"
#include "model/layer.h"

enum { WEIGHT, BIAS, MEAN, VARIANCE };
#define MOMENTUM 0.1f

typedef struct batch_norm {
    size_t C, pixels;
    float epsilon;
} batch_norm;

static const char *const keys[] = {"epsilon", NULL};

static rd_status batch_norm_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    double epsilon;
    rd_status status = RD_OK;
    RD_TRY(rd_json_key_number(at, "epsilon", 1e-12, 1, 1e-5, &epsilon, err));
    if (l->in.rank == 2 || l->in.vocabulary > 0)
        return rd_plan_misfit(l, at.path, "an image (C, H, W) or features (D)", err);
    batch_norm *f = rd_layer_own(l, sizeof *f, at.path, err);
    if (f == NULL)
        return RD_ERR_MEMORY;
    *f = (batch_norm){.C = l->in.size[0], .pixels = l->inputs / l->in.size[0], .epsilon = (float)epsilon};
    l->flops = 2 * l->inputs;
    l->saved = l->inputs; /* what the normalised input was */
    l->scratch = 0;
    const size_t shape[] = {f->C};
    RD_TRY(rd_plan_tensor(plan, l, "weight", 1, shape, err));
    RD_TRY(rd_plan_tensor(plan, l, "bias", 1, shape, err));
    RD_TRY(rd_plan_statistic(plan, l, "running_mean", 1, shape, err));
    RD_TRY(rd_plan_statistic(plan, l, "running_var", 1, shape, err));
    l->least_rows = f->pixels > 1 ? 1 : 2;
cleanup:
    return status;
}

static void batch_norm_init(const rd_layer *l, uint64_t seed, float *parameters)
{
    (void)seed;
    rd_init_constant(l->tensors[WEIGHT], 1.0f, parameters);
    rd_init_constant(l->tensors[BIAS], 0.0f, parameters);
    rd_init_constant(l->tensors[MEAN], 0.0f, parameters);
    rd_init_constant(l->tensors[VARIANCE], 1.0f, parameters);
}

/* Mean and variance of channel c over the batch. */
static void moments(const batch_norm *f, const rd_layer *l, const float *x, size_t B, size_t c, double *mean,
                    double *variance)
{
    double sum = 0, squares = 0, n = (double)(B * f->pixels);
    for (size_t b = 0; b < B; b++)
        for (size_t i = 0; i < f->pixels; i++)
            sum += (double)x[b * l->inputs + c * f->pixels + i];
    *mean = sum / n;
    for (size_t b = 0; b < B; b++)
        for (size_t i = 0; i < f->pixels; i++) {
            double d = (double)x[b * l->inputs + c * f->pixels + i] - *mean;
            squares += d * d;
        }
    *variance = squares / n;
}

/* A frozen layer goes by what it has learnt, in training, too; and so does any where the batch says nothing. */
static bool follows_batch(const rd_layer *l, const rd_pass *pass)
{
    const batch_norm *f = l->own;
    return pass->training && l->tensors[MEAN]->role == RD_TENSOR_STATISTIC && pass->B * f->pixels > 1;
}

static float *statistic(const rd_layer *l, const rd_pass *pass, size_t tensor)
{
    return pass->statistics + l->tensors[tensor]->offset;
}

static void batch_norm_forward(const rd_layer *l, const rd_pass *pass)
{
    const batch_norm *f = l->own;
    const float *weight = rd_layer_read(l, pass, WEIGHT), *bias = rd_layer_read(l, pass, BIAS);
    for (size_t c = 0; c < f->C; c++) {
        double mean = (double)rd_layer_read(l, pass, MEAN)[c], variance = (double)rd_layer_read(l, pass, VARIANCE)[c];
        if (follows_batch(l, pass)) {
            double n = (double)(pass->B * f->pixels);
            moments(f, l, pass->x, pass->B, c, &mean, &variance);
            float *running = &statistic(l, pass, MEAN)[c], *spread = &statistic(l, pass, VARIANCE)[c];
            *running += MOMENTUM * ((float)mean - *running);
            *spread += MOMENTUM * ((float)(variance * n / (n - 1)) - *spread);
        }
        float centre = (float)mean, factor = (float)(1 / sqrt(variance + (double)f->epsilon));
        for (size_t b = 0; b < pass->B; b++)
            for (size_t i = 0; i < f->pixels; i++) {
                size_t at = b * l->inputs + c * f->pixels + i;
                float normal = (pass->x[at] - centre) * factor;
                pass->saved[at] = normal;
                pass->y[at] = weight[c] * normal + bias[c];
            }
    }
}

/* With n the normalised input, s = 1 / sqrt(var + epsilon) and means over the batch:
 *     dx = w s (dy - mean(dy) - n mean(dy n)),   and dx = w s dy where the batch was not looked at */
static void batch_norm_backward(const rd_layer *l, const rd_pass *pass)
{
    const batch_norm *f = l->own;
    float *into_weight = rd_layer_into(l, pass, WEIGHT), *into_bias = rd_layer_into(l, pass, BIAS);
    bool follows = follows_batch(l, pass);
    if (into_weight != NULL)
        rd_layer_scale(into_weight, f->C, pass->scale);
    if (into_bias != NULL)
        rd_layer_scale(into_bias, f->C, pass->scale);
    for (size_t c = 0; c < f->C; c++) {
        double sum = 0, product = 0, mean, variance = (double)rd_layer_read(l, pass, VARIANCE)[c];
        for (size_t b = 0; b < pass->B; b++)
            for (size_t i = 0; i < f->pixels; i++) {
                size_t at = b * l->inputs + c * f->pixels + i;
                sum += (double)pass->dy[at];
                product += (double)pass->dy[at] * (double)pass->saved[at];
            }
        if (follows)
            moments(f, l, pass->x, pass->B, c, &mean, &variance);
        double n = (double)(pass->B * f->pixels);
        float factor = (float)((double)rd_layer_read(l, pass, WEIGHT)[c] / sqrt(variance + (double)f->epsilon));
        float centre = follows ? (float)(sum / n) : 0.0f, slope = follows ? (float)(product / n) : 0.0f;
        for (size_t b = 0; b < pass->B && pass->dx != NULL; b++)
            for (size_t i = 0; i < f->pixels; i++) {
                size_t at = b * l->inputs + c * f->pixels + i;
                pass->dx[at] = factor * (pass->dy[at] - centre - pass->saved[at] * slope);
            }
        if (into_weight != NULL)
            into_weight[c] += pass->rate * (float)product;
        if (into_bias != NULL)
            into_bias[c] += pass->rate * (float)sum;
    }
}

const rd_layer_type rd_layer_batch_norm = {
    .name = "batch_norm",
    .prefix = "bn",
    .keys = keys,
    .plan = batch_norm_plan,
    .init = batch_norm_init,
    .forward = batch_norm_forward,
    .backward = batch_norm_backward,
};
