/* dense.c: the fully connected layer, y = x W^T + b, with W (O,I) and b (O) laid out as PyTorch's Linear.
 *
 * Nearly all of a small network's training time is spent in the three products here, so each is one sgemm on
 * the tensors where they lie. The weight gradient never exists as a matrix of its own: alpha and beta of the
 * product are the rate and the scale, which makes plain SGD a rank-B update of W in place. That spares a pass
 * over the weights to write the gradient and one to apply it, at batch 10 a third of the memory traffic. */
#include <cblas.h>
#include <string.h>

#include "model/json_key.h"
#include "model/layer.h"

#undef I /* cblas.h brings in complex.h, which takes the letter */

enum { WEIGHT, BIAS }; /* places in l->tensors */

static const char *const dense_keys[] = {"units", NULL};

static rd_status dense_plan(rd_plan *plan, rd_layer *l, const cJSON *json, const char *path, rd_error *err)
{
    rd_status status = rd_json_key_whole(json, path, "units", 1, RD_LAYER_MAX_WIDTH, &l->outputs, err);
    if (status != RD_OK)
        return status;
    l->flops = 2 * (uint64_t)l->inputs * l->outputs;
    status = rd_plan_tensor(plan, l, "weight", 2, (const size_t[]){l->outputs, l->inputs}, err);
    if (status != RD_OK)
        return status;
    return rd_plan_tensor(plan, l, "bias", 1, (const size_t[]){l->outputs}, err);
}

static void dense_init(const rd_layer *l, uint64_t seed, float *parameters)
{
    if (l->activation->rectifies)
        rd_init_he_normal(&l->tensors[WEIGHT], l->inputs, seed, parameters);
    else
        rd_init_glorot_uniform(&l->tensors[WEIGHT], l->inputs, l->outputs, seed, parameters);
    rd_init_zero(&l->tensors[BIAS], parameters);
}

/* x (B,I), W (O,I), b (O)  ->  y (B,O) = x W^T + b */
static void dense_forward(const rd_layer *l, const rd_pass *pass)
{
    const float *W = pass->parameters + l->tensors[WEIGHT].offset;
    const float *b = pass->parameters + l->tensors[BIAS].offset;
    int B = (int)pass->B, I = (int)l->inputs, O = (int)l->outputs;
    for (size_t i = 0; i < pass->B; i++)
        memcpy(pass->y + i * l->outputs, b, l->outputs * sizeof *b);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, B, O, I, 1.0f, pass->x, I, W, I, 1.0f, pass->y, O);
}

/* dy (B,O), x (B,I), W (O,I)  ->  dx (B,I) = dy W
 *                                 W (O,I)  = scale W + rate dy^T x
 *                                 b (O)    = scale b + rate sum_B dy       (W and b of `into`)
 * dx comes first: it needs W as it was. */
static void dense_backward(const rd_layer *l, const rd_pass *pass)
{
    const float *W = pass->parameters + l->tensors[WEIGHT].offset;
    float *into_W = pass->into + l->tensors[WEIGHT].offset;
    float *restrict into_b = pass->into + l->tensors[BIAS].offset;
    int B = (int)pass->B, I = (int)l->inputs, O = (int)l->outputs;
    if (pass->dx != NULL)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, B, I, O, 1.0f, pass->dy, O, W, I, 0.0f,
                    pass->dx, I);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, O, I, B, pass->rate, pass->dy, O, pass->x, I,
                pass->scale, into_W, I);

    for (size_t o = 0; o < l->outputs; o++)
        into_b[o] = pass->scale == 0.0f ? 0.0f : pass->scale * into_b[o]; /* 0 forgets NaN, as sgemm does */
    for (size_t i = 0; i < pass->B; i++) {
        const float *restrict dy = pass->dy + i * l->outputs;
        for (size_t o = 0; o < l->outputs; o++)
            into_b[o] += pass->rate * dy[o];
    }
}

const rd_layer_type rd_layer_dense = {
    .name = "dense",
    .prefix = "fc",
    .keys = dense_keys,
    .plan = dense_plan,
    .init = dense_init,
    .forward = dense_forward,
    .backward = dense_backward,
};
