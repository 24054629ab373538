/* shape_layers.c: layers without parameters that hand on what comes in: flattened, the last position of a
 * sequence, the mean over positions, partly dropped, or added to something else. */
#include <stdlib.h>
#include <string.h>

#include "model/json_key.h"
#include "model/layer.h"

static const char *const no_keys[] = {NULL};

/* ---- flatten: (C,H,W) or (T,E) -> (D) ---- */

static rd_status flatten_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    (void)plan;
    if (l->in.vocabulary > 0)
        return rd_plan_misfit(l, at.path, "an image (C, H, W), a sequence (T, E) or features (D)", err);
    l->out = (rd_shape){.rank = 1, .size = {l->inputs}};
    return RD_OK;
}

static void copy_forward(const rd_layer *l, const rd_pass *pass)
{
    memcpy(pass->y, pass->x, pass->B * l->outputs * sizeof *pass->y);
}

static void copy_backward(const rd_layer *l, const rd_pass *pass)
{
    memcpy(pass->dx, pass->dy, pass->B * l->outputs * sizeof *pass->dx);
}

/* ---- last, mean: (T,E) -> (E) ---- */

static rd_status reduce_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    (void)plan;
    if (l->in.rank != 2)
        return rd_plan_misfit(l, at.path, "a sequence (T, E)", err);
    l->out = (rd_shape){.rank = 1, .size = {l->in.size[1]}};
    return RD_OK;
}

static void last_forward(const rd_layer *l, const rd_pass *pass)
{
    for (size_t b = 0; b < pass->B; b++)
        memcpy(pass->y + b * l->outputs, pass->x + (b + 1) * l->inputs - l->outputs, l->outputs * sizeof *pass->y);
}

static void last_backward(const rd_layer *l, const rd_pass *pass)
{
    memset(pass->dx, 0, pass->B * l->inputs * sizeof *pass->dx);
    for (size_t b = 0; b < pass->B; b++)
        memcpy(pass->dx + (b + 1) * l->inputs - l->outputs, pass->dy + b * l->outputs, l->outputs * sizeof *pass->dx);
}

static void mean_forward(const rd_layer *l, const rd_pass *pass)
{
    size_t T = l->in.size[0], E = l->outputs;
    for (size_t b = 0; b < pass->B; b++) {
        float *y = pass->y + b * E;
        memset(y, 0, E * sizeof *y);
        for (size_t t = 0; t < T; t++)
            for (size_t e = 0; e < E; e++)
                y[e] += pass->x[(b * T + t) * E + e];
        for (size_t e = 0; e < E; e++)
            y[e] /= (float)T;
    }
}

static void mean_backward(const rd_layer *l, const rd_pass *pass)
{
    size_t T = l->in.size[0], E = l->outputs;
    for (size_t b = 0; b < pass->B; b++)
        for (size_t t = 0; t < T; t++)
            for (size_t e = 0; e < E; e++)
                pass->dx[(b * T + t) * E + e] = pass->dy[b * E + e] / (float)T;
}

/* ---- dropout (Srivastava et al. 2014): in training each number is 0 with the rate's probability, else
 * divided by 1 - rate ---- */

typedef struct dropout {
    uint32_t below; /* a random word below this keeps the number */
    float factor;
} dropout;

static const char *const dropout_keys[] = {"rate", NULL};

static rd_status dropout_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    (void)plan;
    double rate;
    rd_status status = rd_json_key_number(at, "rate", 0, 0.99, 0.5, &rate, err);
    if (status != RD_OK)
        return status;
    if (l->in.vocabulary > 0)
        return rd_plan_misfit(l, at.path, "numbers", err);
    dropout *f = rd_layer_own(l, sizeof *f, at.path, err);
    if (f == NULL)
        return RD_ERR_MEMORY;
    f->below = (uint32_t)((1 - rate) * 4294967295.0);
    f->factor = (float)(1 / (1 - rate));
    l->draws = rate > 0;
    l->saved = rate > 0 ? l->inputs : 0;
    return RD_OK;
}

/* The factors are saved: 0 or 1 / (1 - rate). */
static void dropout_forward(const rd_layer *l, const rd_pass *pass)
{
    const dropout *f = l->own;
    size_t n = pass->B * l->inputs;
    if (!pass->training || !l->draws) {
        copy_forward(l, pass);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        pass->saved[i] = rd_random_u32(pass->random) < f->below ? f->factor : 0.0f;
        pass->y[i] = pass->x[i] * pass->saved[i];
    }
}

static void dropout_backward(const rd_layer *l, const rd_pass *pass)
{
    for (size_t i = 0; i < pass->B * l->inputs; i++)
        pass->dx[i] = l->draws ? pass->dy[i] * pass->saved[i] : pass->dy[i];
}

/* ---- add: two inputs of one shape ---- */

static rd_status add_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    rd_shape other = rd_plan_shape(plan, l->also);
    char in[RD_SHAPE_TEXT_MAX], second[RD_SHAPE_TEXT_MAX];
    rd_shape_text(&l->in, in);
    rd_shape_text(&other, second);
    if (strcmp(in, second) != 0)
        return rd_fail(err, RD_ERR_CONFIG,
                       "%s: layer '%s' adds what comes in, %s, to what its layers make of it, %s; a "
                       "\"shortcut\" can fit the one to the other",
                       at.path, l->name, second, in);
    if (l->in.vocabulary > 0)
        return rd_plan_misfit(l, at.path, "numbers", err);
    l->flops = l->inputs;
    return RD_OK;
}

static void add_forward(const rd_layer *l, const rd_pass *pass)
{
    for (size_t i = 0; i < pass->B * l->inputs; i++)
        pass->y[i] = pass->x[i] + pass->x2[i];
}

static void add_backward(const rd_layer *l, const rd_pass *pass)
{
    if (pass->dx != NULL)
        memcpy(pass->dx, pass->dy, pass->B * l->inputs * sizeof *pass->dx);
    if (pass->dx2 != NULL)
        memcpy(pass->dx2, pass->dy, pass->B * l->inputs * sizeof *pass->dx2);
}

const rd_layer_type rd_layer_flatten = {.name = "flatten",
                                        .prefix = "flatten",
                                        .keys = no_keys,
                                        .plan = flatten_plan,
                                        .forward = copy_forward,
                                        .backward = copy_backward};
const rd_layer_type rd_layer_last = {.name = "last",
                                     .prefix = "last",
                                     .keys = no_keys,
                                     .plan = reduce_plan,
                                     .forward = last_forward,
                                     .backward = last_backward};
const rd_layer_type rd_layer_mean = {.name = "mean",
                                     .prefix = "mean",
                                     .keys = no_keys,
                                     .plan = reduce_plan,
                                     .forward = mean_forward,
                                     .backward = mean_backward};
const rd_layer_type rd_layer_dropout = {.name = "dropout",
                                        .prefix = "dropout",
                                        .keys = dropout_keys,
                                        .plan = dropout_plan,
                                        .forward = dropout_forward,
                                        .backward = dropout_backward};
const rd_layer_type rd_layer_add = {.name = "add",
                                    .prefix = "add",
                                    .keys = no_keys,
                                    .plan = add_plan,
                                    .forward = add_forward,
                                    .backward = add_backward};
