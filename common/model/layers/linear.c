/* linear.c: see linear.h.
 *
 * Nearly all of a small network's training time is spent in the three products here, so each is one sgemm on
 * the tensors where they lie. The weight gradient never exists as a matrix of its own: alpha and beta of the
 * product are the rate and the scale, which makes plain SGD a rank-B update of W in place. That spares a pass
 * over the weights to write the gradient and one to apply it, at batch 10 a third of the memory traffic. */
#include "model/layers/linear.h"
#include "model/blas.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static size_t bias_of(const rd_linear *f)
{
    return f->weight + 1;
}

static size_t a_of(const rd_linear *f)
{
    return f->weight + 1 + f->has_bias;
}

rd_status rd_linear_plan(rd_plan *plan, rd_layer *l, rd_linear *f, const char *weight, const char *bias, rd_error *err)
{
    const size_t I = f->I, O = f->O;
    char name[RD_TENSOR_NAME_MAX], prefix[RD_TENSOR_NAME_MAX] = "", suffix[RD_TENSOR_NAME_MAX];
    *f = (rd_linear){.I = I, .O = O, .weight = l->tensor_count, .has_bias = bias != NULL};
    rd_status status = RD_OK;
    RD_TRY(rd_plan_tensor(plan, l, weight, 2, (const size_t[]){O, I}, err));
    if (bias != NULL)
        RD_TRY(rd_plan_tensor(plan, l, bias, 1, (const size_t[]){O}, err));
    (void)snprintf(name, sizeof name, "%s.%s", l->name, weight);
    f->rank = rd_plan_lora_rank(plan, name, &f->scaling);
    if (f->rank == 0)
        return RD_OK;
    if (strcmp(weight, "weight") != 0)
        (void)snprintf(prefix, sizeof prefix, "%.40s.", weight);
    (void)snprintf(suffix, sizeof suffix, "%.48slora_A.weight", prefix);
    RD_TRY(rd_plan_tensor(plan, l, suffix, 2, (const size_t[]){f->rank, I}, err));
    (void)snprintf(suffix, sizeof suffix, "%.48slora_B.weight", prefix);
    RD_TRY(rd_plan_tensor(plan, l, suffix, 2, (const size_t[]){O, f->rank}, err));
cleanup:
    return status;
}

void rd_linear_init(const rd_layer *l, const rd_linear *f, bool rectified, uint64_t seed, float *parameters)
{
    if (rectified)
        rd_init_he_normal(l->tensors[f->weight], f->I, seed, parameters);
    else
        rd_init_glorot_uniform(l->tensors[f->weight], f->I, f->O, seed, parameters);
    if (f->has_bias)
        rd_init_constant(l->tensors[bias_of(f)], 0.0f, parameters);
    if (f->rank > 0) { /* the change begins as none */
        rd_init_uniform(l->tensors[a_of(f)], 1 / sqrt((double)f->I), seed, parameters);
        rd_init_constant(l->tensors[a_of(f) + 1], 0.0f, parameters);
    }
}

uint64_t rd_linear_flops(const rd_linear *f)
{
    return 2 * (uint64_t)f->I * f->O + 2 * (uint64_t)f->rank * (f->I + f->O);
}

size_t rd_linear_scratch(const rd_linear *f, size_t rows)
{
    return 2 * rows * f->rank;
}

void rd_linear_forward(const rd_layer *l, const rd_linear *f, const rd_pass *pass, const rd_linear_rows *rows)
{
    const float *W = rd_layer_read(l, pass, f->weight), *x = rows->x;
    float *y = rows->y, *scratch = rows->scratch;
    int n = (int)rows->count, I = (int)f->I, O = (int)f->O, R = (int)f->rank;
    if (f->has_bias) {
        const float *b = rd_layer_read(l, pass, bias_of(f));
        for (size_t i = 0; i < rows->count; i++)
            memcpy(y + i * f->O, b, f->O * sizeof *b);
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, O, I, 1.0f, x, I, W, I, f->has_bias ? 1.0f : 0.0f, y, O);
    if (f->rank == 0)
        return;
    const float *A = rd_layer_read(l, pass, a_of(f)), *B = rd_layer_read(l, pass, a_of(f) + 1);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, R, I, 1.0f, x, I, A, I, 0.0f, scratch, R);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, O, R, f->scaling, scratch, R, B, R, 1.0f, y, O);
}

/* With u = x A^T and v = dy B, both (rows, rank):  dB = s dy^T u,  dA = s v^T x,  dx += s v A. */
static void lora_backward(const rd_layer *l, const rd_linear *f, const rd_pass *pass, const rd_linear_rows *rows)
{
    const float *x = rows->x, *dy = rows->dy;
    float *dx = rows->dx;
    const float *A = rd_layer_read(l, pass, a_of(f)), *B = rd_layer_read(l, pass, a_of(f) + 1);
    float *into_A = rd_layer_into(l, pass, a_of(f)), *into_B = rd_layer_into(l, pass, a_of(f) + 1);
    float *u = rows->scratch, *v = u + rows->count * f->rank, rate = pass->rate * f->scaling;
    int n = (int)rows->count, I = (int)f->I, O = (int)f->O, R = (int)f->rank;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, R, I, 1.0f, x, I, A, I, 0.0f, u, R);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, R, O, 1.0f, dy, O, B, R, 0.0f, v, R);
    if (dx != NULL)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, I, R, f->scaling, v, R, A, I, 1.0f, dx, I);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, R, I, n, rate, v, R, x, I, pass->scale, into_A, I);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, O, R, n, rate, dy, O, u, R, pass->scale, into_B, R);
}

/* dx (rows,I) = dy W;  W = scale W + rate dy^T x;  b = scale b + rate (sum over rows of dy).
 * dx comes first: it needs W as it was. */
void rd_linear_backward(const rd_layer *l, const rd_linear *f, const rd_pass *pass, const rd_linear_rows *rows)
{
    const float *W = rd_layer_read(l, pass, f->weight), *x = rows->x, *dy = rows->dy;
    float *dx = rows->dx;
    float *into_W = rd_layer_into(l, pass, f->weight);
    float *into_b = f->has_bias ? rd_layer_into(l, pass, bias_of(f)) : NULL;
    int n = (int)rows->count, I = (int)f->I, O = (int)f->O;
    if (dx != NULL)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, I, O, 1.0f, dy, O, W, I, 0.0f, dx, I);
    if (into_W != NULL)
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, O, I, n, pass->rate, dy, O, x, I, pass->scale, into_W, I);
    if (into_b != NULL)
        rd_layer_add_rows(into_b, f->O, dy, rows->count, pass->scale, pass->rate);
    if (f->rank > 0)
        lora_backward(l, f, pass, rows);
}
