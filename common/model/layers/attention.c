/* attention.c: multi-head self-attention (Vaswani et al. 2017), laid out as PyTorch's MultiheadAttention:
 * in_proj_weight (3E,E), in_proj_bias (3E), out_proj.weight (E,E), out_proj.bias (E).
 *
 * With "causal" no position looks at later ones. With "rotary" queries and keys are turned by angles that
 * grow with the position (Su et al. 2021), halves of a head paired: numbers i and i + d/2 are rotated by t /
 * 10000^(2i/d).
 *
 * Kept for the backward pass, by sample: queries, keys and values (T,3E), turned where that is asked for; the
 * attention of each head (T,T); and what the heads put out (T,E). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/blas.h"
#include "model/elementwise.h"
#include "model/json_key.h"
#include "model/layers/linear.h"

typedef struct attention {
    size_t T, E, heads, d; /* d = E / heads */
    bool causal, rotary;
    rd_linear in, out;
    float rotations[]; /* (T, d/2, 2) cosines and sines, for rotary */
} attention;

static const char *const attention_keys[] = {"heads", "causal", "rotary", "bias", NULL};

static void fill_rotations(attention *f)
{
    for (size_t t = 0; t < f->T; t++)
        for (size_t i = 0; i < f->d / 2; i++) {
            double angle = (double)t / pow(10000.0, 2.0 * (double)i / (double)f->d);
            f->rotations[(t * (f->d / 2) + i) * 2] = (float)cos(angle);
            f->rotations[(t * (f->d / 2) + i) * 2 + 1] = (float)sin(angle);
        }
}

static rd_status read_keys(attention *f, const rd_layer *l, rd_json_node at, bool *bias, rd_error *err)
{
    rd_status status = RD_OK;
    RD_TRY(rd_json_key_whole(at, "heads", 1, 4096, &f->heads, err));
    RD_TRY(rd_json_key_bool(at, "causal", false, &f->causal, err));
    RD_TRY(rd_json_key_bool(at, "rotary", false, &f->rotary, err));
    RD_TRY(rd_json_key_bool(at, "bias", true, bias, err));
    if (l->in.rank != 2)
        RD_TRY(rd_plan_misfit(l, at.path, "a sequence (T, E)", err));
    f->T = l->in.size[0];
    f->E = l->in.size[1];
    f->d = f->E / f->heads;
    if (f->E % f->heads != 0 || (f->rotary && f->d % 2 != 0))
        return rd_fail(err, RD_ERR_CONFIG, "%s.heads: vectors of %zu numbers cannot be cut into %zu heads%s", at.path,
                       f->E, f->heads, f->rotary ? " of an even size, which rotary needs" : "");
cleanup:
    return status;
}

static rd_status attention_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    bool bias = true;
    attention *f = rd_layer_own(l, sizeof *f + l->inputs * sizeof *f->rotations, at.path, err);
    if (f == NULL)
        return RD_ERR_MEMORY;
    rd_status status = RD_OK;
    RD_TRY(read_keys(f, l, at, &bias, err));
    f->in = (rd_linear){.I = f->E, .O = 3 * f->E};
    f->out = (rd_linear){.I = f->E, .O = f->E};
    RD_TRY(rd_linear_plan(plan, l, &f->in, "in_proj_weight", bias ? "in_proj_bias" : NULL, err));
    RD_TRY(rd_linear_plan(plan, l, &f->out, "out_proj.weight", bias ? "out_proj.bias" : NULL, err));
    if (f->rotary)
        fill_rotations(f);
    size_t square = f->T * f->T;
    l->flops = f->T * (rd_linear_flops(&f->in) + rd_linear_flops(&f->out)) + 4 * (uint64_t)f->E * square;
    l->saved = 4 * l->inputs + f->heads * square;
    size_t low_rank = rd_linear_scratch(&f->in, f->T) + rd_linear_scratch(&f->out, f->T);
    l->scratch_per_sample = 4 * l->inputs + low_rank;
    l->scratch = square;
cleanup:
    return status;
}

static void attention_init(const rd_layer *l, uint64_t seed, float *parameters)
{
    const attention *f = l->own;
    rd_linear_init(l, &f->in, false, seed, parameters);
    rd_linear_init(l, &f->out, false, seed, parameters);
}

/* Turns the heads of queries and keys, (T,3E) of one sample; back with sign -1. */
static void rotate(const attention *f, float *qkv, float sign)
{
    for (size_t t = 0; t < f->T; t++)
        for (size_t i = 0; i < f->d / 2; i++) {
            const float *angle = &f->rotations[(t * (f->d / 2) + i) * 2];
            float c = angle[0], s = sign * angle[1];
            for (size_t head = 0; head < 2 * f->heads; head++) { /* queries' heads, then keys' */
                float *a = qkv + t * 3 * f->E + head * f->d + i, *b = a + f->d / 2;
                float x = *a, y = *b;
                *a = x * c - y * s;
                *b = y * c + x * s;
            }
        }
}

/* Rows of scores (T,T) become shares of 1 over what a position may look at; the rest is 0. */
static void softmax_rows(const attention *f, float *p)
{
    for (size_t t = 0; t < f->T; t++, p += f->T) {
        size_t seen = f->causal ? t + 1 : f->T;
        float top = p[0], sum = 0.0f;
        for (size_t i = 1; i < seen; i++)
            top = p[i] > top ? p[i] : top;
        for (size_t i = 0; i < seen; i++)
            p[i] -= top;
        rd_exp(p, p, seen);
        for (size_t i = 0; i < seen; i++)
            sum += p[i];
        for (size_t i = 0; i < seen; i++)
            p[i] /= sum;
        memset(p + seen, 0, (f->T - seen) * sizeof *p);
    }
}

typedef struct saved_parts {
    float *qkv, *shares, *heads; /* of all samples */
} saved_parts;

static saved_parts parts_of(const attention *f, const rd_pass *pass)
{
    size_t rows = pass->B * f->T;
    return (saved_parts){pass->saved, pass->saved + rows * 4 * f->E, pass->saved + rows * 3 * f->E};
}

static void attention_forward(const rd_layer *l, const rd_pass *pass)
{
    const attention *f = l->own;
    saved_parts k = parts_of(f, pass);
    size_t rows = pass->B * f->T;
    int T = (int)f->T, d = (int)f->d, E = (int)f->E;
    rd_linear_forward(l, &f->in, pass,
                      &(rd_linear_rows){.count = rows, .x = pass->x, .y = k.qkv, .scratch = pass->scratch});
    for (size_t b = 0; b < pass->B; b++) {
        float *qkv = k.qkv + b * f->T * 3 * f->E;
        if (f->rotary)
            rotate(f, qkv, 1.0f);
        for (size_t h = 0; h < f->heads; h++) {
            float *q = qkv + h * f->d, *p = k.shares + (b * f->heads + h) * f->T * f->T;
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, T, T, d, (float)(1 / sqrt((double)d)), q, 3 * E, q + E,
                        3 * E, 0.0f, p, T);
            softmax_rows(f, p);
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, T, d, T, 1.0f, p, T, q + 2 * E, 3 * E, 0.0f,
                        k.heads + b * f->T * f->E + h * f->d, E);
        }
    }
    rd_linear_forward(l, &f->out, pass,
                      &(rd_linear_rows){.count = rows, .x = k.heads, .y = pass->y, .scratch = pass->scratch});
}

/* One head of one sample: from the gradient of what it put out to those of its queries, keys and values. */
static void head_backward(const attention *f, const float *q, const float *p, const float *dheads, float *dq, float *ds)
{
    int T = (int)f->T, d = (int)f->d, E = (int)f->E;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, T, d, T, 1.0f, p, T, dheads, E, 0.0f, dq + 2 * E, 3 * E);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, T, T, d, 1.0f, dheads, E, q + 2 * E, 3 * E, 0.0f, ds, T);
    for (size_t t = 0; t < f->T; t++) { /* softmax: ds = p (dp - sum(p dp)) */
        float sum = 0.0f;
        for (size_t i = 0; i < f->T; i++)
            sum += p[t * f->T + i] * ds[t * f->T + i];
        for (size_t i = 0; i < f->T; i++)
            ds[t * f->T + i] = p[t * f->T + i] * (ds[t * f->T + i] - sum);
    }
    float scale = (float)(1 / sqrt((double)d));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, T, d, T, scale, ds, T, q + E, 3 * E, 0.0f, dq, 3 * E);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, T, d, T, scale, ds, T, q, 3 * E, 0.0f, dq + E, 3 * E);
}

static void attention_backward(const rd_layer *l, const rd_pass *pass)
{
    const attention *f = l->own;
    saved_parts k = parts_of(f, pass);
    size_t rows = pass->B * f->T;
    float *dheads = pass->scratch, *dqkv = dheads + rows * f->E, *ds = dqkv + rows * 3 * f->E,
          *low_rank = ds + f->T * f->T;
    rd_linear_backward(
        l, &f->out, pass,
        &(rd_linear_rows){.count = rows, .x = k.heads, .dy = pass->dy, .dx = dheads, .scratch = low_rank});
    for (size_t b = 0; b < pass->B; b++) {
        float *d = dqkv + b * f->T * 3 * f->E;
        for (size_t h = 0; h < f->heads; h++)
            head_backward(f, k.qkv + b * f->T * 3 * f->E + h * f->d, k.shares + (b * f->heads + h) * f->T * f->T,
                          dheads + b * f->T * f->E + h * f->d, d + h * f->d, ds);
        if (f->rotary)
            rotate(f, d, -1.0f);
    }
    rd_linear_backward(l, &f->in, pass,
                       &(rd_linear_rows){.count = rows, .x = pass->x, .dy = dqkv, .dx = pass->dx, .scratch = low_rank});
}

const rd_layer_type rd_layer_attention = {
    .name = "attention",
    .prefix = "attn",
    .keys = attention_keys,
    .plan = attention_plan,
    .init = attention_init,
    .forward = attention_forward,
    .backward = attention_backward,
};
