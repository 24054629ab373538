/* dense.c: the fully connected layer, y = x W^T + b, laid out as PyTorch's Linear. On a sequence (T,E) it
 * maps every position by itself. */
#include <stdlib.h>

#include "model/json_key.h"
#include "model/layers/linear.h"

typedef struct dense {
    rd_linear map;
    bool starts_at_zero; /* "start": "zero": a map whose output is added to something begins as no change */
} dense;

static const char *const dense_keys[] = {"units", "bias", "start", NULL};

static rd_status dense_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    static const char *const starts[] = {"random", "zero", NULL};
    size_t units = 0, start = 0;
    bool bias = true;
    rd_status status = RD_OK;
    RD_TRY(rd_json_key_whole(at, "units", 1, RD_LAYER_MAX_WIDTH, &units, err));
    RD_TRY(rd_json_key_bool(at, "bias", true, &bias, err));
    RD_TRY(rd_json_key_choice(at, "start", starts, 0, &start, err));
    if (l->in.rank == 3 || l->in.vocabulary > 0)
        return rd_plan_misfit(l, at.path, "features (D) or a sequence (T, E)", err);
    dense *own = rd_layer_own(l, sizeof *own, at.path, err);
    if (own == NULL)
        return RD_ERR_MEMORY;
    rd_linear *f = &own->map;
    f->I = l->in.size[l->in.rank - 1];
    f->O = units;
    own->starts_at_zero = start == 1;
    l->out.size[l->out.rank - 1] = units;
    RD_TRY(rd_linear_plan(plan, l, f, "weight", bias ? "bias" : NULL, err));
    size_t rows = l->inputs / f->I;
    l->flops = rows * rd_linear_flops(f);
    l->scratch_per_sample = rd_linear_scratch(f, rows);
cleanup:
    return status;
}

static void dense_init(const rd_layer *l, uint64_t seed, float *parameters)
{
    const dense *f = l->own;
    rd_linear_init(l, &f->map, l->activation->rectifies, seed, parameters);
    if (f->starts_at_zero)
        rd_init_constant(l->tensors[f->map.weight], 0.0f, parameters);
}

static rd_linear_rows rows_of(const rd_layer *l, const rd_pass *pass)
{
    return (rd_linear_rows){.count = pass->B * (l->inputs / ((const dense *)l->own)->map.I),
                            .x = pass->x,
                            .y = pass->y,
                            .dy = pass->dy,
                            .dx = pass->dx,
                            .scratch = pass->scratch};
}

static void dense_forward(const rd_layer *l, const rd_pass *pass)
{
    const rd_linear_rows rows = rows_of(l, pass);
    rd_linear_forward(l, &((const dense *)l->own)->map, pass, &rows);
}

static void dense_backward(const rd_layer *l, const rd_pass *pass)
{
    const rd_linear_rows rows = rows_of(l, pass);
    rd_linear_backward(l, &((const dense *)l->own)->map, pass, &rows);
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
