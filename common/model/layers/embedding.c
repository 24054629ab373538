/* embedding.c: tokens become vectors: a row of a table for each symbol (PyTorch's Embedding), a vector for
 * each position on top, and, at the other end of a language model, logits by the same table (tied weights,
 * Press and Wolf 2017). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/blas.h"
#include "model/json_key.h"
#include "model/layer.h"

enum { WEIGHT };

static const char *const units_key[] = {"units", NULL};
static const char *const no_keys[] = {NULL};

extern const rd_layer_type rd_layer_embedding;

/* ---- embedding: T tokens -> (T,E) ---- */

static rd_status embedding_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    size_t units = 0;
    rd_status status = rd_json_key_whole(at, "units", 1, 65536, &units, err);
    if (status != RD_OK)
        return status;
    if (l->in.vocabulary == 0)
        return rd_plan_misfit(l, at.path, "tokens (\"input\": {\"tokens\": T, \"vocabulary\": V})", err);
    l->out = (rd_shape){.rank = 2, .size = {l->in.size[0], units}};
    return rd_plan_tensor(plan, l, "weight", 2, (const size_t[]){l->in.vocabulary, units}, err);
}

/* Small, so that logits by the same table begin small, too (as in GPT-2). */
static void embedding_init(const rd_layer *l, uint64_t seed, float *parameters)
{
    rd_init_normal(l->tensors[WEIGHT], l->follows ? 0.02 : 1.0, seed, parameters);
}

static void embedding_forward(const rd_layer *l, const rd_pass *pass)
{
    const float *W = rd_layer_read(l, pass, WEIGHT);
    size_t E = l->out.size[1];
    for (size_t i = 0; i < pass->B * l->inputs; i++)
        memcpy(pass->y + i * E, W + (size_t)pass->x[i] * E, E * sizeof *W);
}

static void embedding_backward(const rd_layer *l, const rd_pass *pass)
{
    float *into = rd_layer_into(l, pass, WEIGHT);
    size_t E = l->out.size[1];
    if (into == NULL)
        return;
    if (!l->follows)
        rd_layer_scale(into, l->tensors[WEIGHT]->count, pass->scale);
    for (size_t i = 0; i < pass->B * l->inputs; i++) {
        float *row = into + (size_t)pass->x[i] * E;
        for (size_t e = 0; e < E; e++)
            row[e] += pass->rate * pass->dy[i * E + e];
    }
}

/* ---- position: (T,E) -> (T,E), a learned vector added to each position ---- */

static rd_status position_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    if (l->in.rank != 2)
        return rd_plan_misfit(l, at.path, "a sequence (T, E)", err);
    l->flops = l->inputs;
    return rd_plan_tensor(plan, l, "weight", 2, l->in.size, err);
}

static void position_init(const rd_layer *l, uint64_t seed, float *parameters)
{
    rd_init_normal(l->tensors[WEIGHT], 0.02, seed, parameters);
}

static void position_forward(const rd_layer *l, const rd_pass *pass)
{
    const float *W = rd_layer_read(l, pass, WEIGHT);
    for (size_t b = 0; b < pass->B; b++)
        for (size_t i = 0; i < l->inputs; i++)
            pass->y[b * l->inputs + i] = pass->x[b * l->inputs + i] + W[i];
}

static void position_backward(const rd_layer *l, const rd_pass *pass)
{
    float *into = rd_layer_into(l, pass, WEIGHT);
    if (pass->dx != NULL)
        memcpy(pass->dx, pass->dy, pass->B * l->inputs * sizeof *pass->dx);
    if (into != NULL)
        rd_layer_add_rows(into, l->inputs, pass->dy, pass->B, pass->scale, pass->rate);
}

/* ---- sinusoids: the same without parameters (Vaswani et al. 2017, section 3.5) ---- */

static rd_status sinusoid_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    (void)plan;
    if (l->in.rank != 2)
        return rd_plan_misfit(l, at.path, "a sequence (T, E)", err);
    size_t T = l->in.size[0], E = l->in.size[1];
    float *table = rd_layer_own(l, l->inputs * sizeof *table, at.path, err);
    if (table == NULL)
        return RD_ERR_MEMORY;
    for (size_t t = 0; t < T; t++)
        for (size_t e = 0; e < E; e++) {
            double angle = (double)t / pow(10000.0, (double)(e - e % 2) / (double)E);
            table[t * E + e] = (float)(e % 2 == 0 ? sin(angle) : cos(angle));
        }
    l->flops = l->inputs;
    return RD_OK;
}

static void sinusoid_forward(const rd_layer *l, const rd_pass *pass)
{
    const float *table = l->own;
    for (size_t b = 0; b < pass->B; b++)
        for (size_t i = 0; i < l->inputs; i++)
            pass->y[b * l->inputs + i] = pass->x[b * l->inputs + i] + table[i];
}

static void sinusoid_backward(const rd_layer *l, const rd_pass *pass)
{
    memcpy(pass->dx, pass->dy, pass->B * l->inputs * sizeof *pass->dx);
}

/* ---- tied_output: (T,E) or (E) -> (T,V) or (V), by an embedding's table ---- */

static const char *const tied_keys[] = {"embedding", NULL};

static rd_status tied_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    const char *name = NULL;
    const rd_tensor *table;
    rd_status status = rd_json_key_text(at, "embedding", &name, err);
    if (status != RD_OK)
        return status;
    status = rd_plan_tie(plan, l, name != NULL ? name : "embedding1", &rd_layer_embedding, at.path, &table, err);
    if (status != RD_OK)
        return status;
    size_t width = l->in.size[l->in.rank - 1];
    if (l->in.rank == 3 || l->in.vocabulary > 0 || width != table->shape[1]) {
        char takes[RD_SHAPE_TEXT_MAX];
        (void)snprintf(takes, sizeof takes, "vectors of the %zu numbers that its embedding has", table->shape[1]);
        return rd_plan_misfit(l, at.path, takes, err);
    }
    l->out.size[l->out.rank - 1] = table->shape[0];
    l->flops = 2 * (uint64_t)l->inputs * table->shape[0];
    return RD_OK;
}

static void tied_forward(const rd_layer *l, const rd_pass *pass)
{
    int V = (int)l->tensors[WEIGHT]->shape[0], E = (int)l->tensors[WEIGHT]->shape[1];
    int rows = (int)(pass->B * l->inputs / (size_t)E);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, V, E, 1.0f, pass->x, E, rd_layer_read(l, pass, WEIGHT),
                E, 0.0f, pass->y, V);
}

static void tied_backward(const rd_layer *l, const rd_pass *pass)
{
    int V = (int)l->tensors[WEIGHT]->shape[0], E = (int)l->tensors[WEIGHT]->shape[1];
    int rows = (int)(pass->B * l->inputs / (size_t)E);
    float *into = rd_layer_into(l, pass, WEIGHT);
    if (pass->dx != NULL)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, E, V, 1.0f, pass->dy, V,
                    rd_layer_read(l, pass, WEIGHT), E, 0.0f, pass->dx, E);
    if (into != NULL)
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, V, E, rows, pass->rate, pass->dy, V, pass->x, E,
                    pass->scale, into, E);
}

const rd_layer_type rd_layer_embedding = {.name = "embedding",
                                          .prefix = "embedding",
                                          .keys = units_key,
                                          .plan = embedding_plan,
                                          .init = embedding_init,
                                          .forward = embedding_forward,
                                          .backward = embedding_backward};
const rd_layer_type rd_layer_position = {.name = "position",
                                         .prefix = "position",
                                         .keys = no_keys,
                                         .plan = position_plan,
                                         .init = position_init,
                                         .forward = position_forward,
                                         .backward = position_backward};
const rd_layer_type rd_layer_sinusoid = {.name = "sinusoid",
                                         .prefix = "sinusoid",
                                         .keys = no_keys,
                                         .plan = sinusoid_plan,
                                         .forward = sinusoid_forward,
                                         .backward = sinusoid_backward};
const rd_layer_type rd_layer_tied_output = {.name = "tied_output",
                                            .prefix = "tied",
                                            .keys = tied_keys,
                                            .plan = tied_plan,
                                            .forward = tied_forward,
                                            .backward = tied_backward};
