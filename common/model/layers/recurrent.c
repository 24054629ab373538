/* recurrent.c: see recurrent.h. What does not depend on the step before is one product over all steps at
 * once. */
#include "model/layers/recurrent.h"
#include "model/blas.h"

#include <math.h>
#include <string.h>

#include "model/json_key.h"

const char *const rd_recurrent_keys[] = {"units", NULL};

rd_status rd_recurrent_plan(rd_plan *plan, rd_layer *l, rd_json_node at, size_t gates, rd_error *err)
{
    size_t H = 0;
    rd_status status = RD_OK;
    RD_TRY(rd_json_key_whole(at, "units", 1, 65536, &H, err));
    if (l->in.rank != 2)
        return rd_plan_misfit(l, at.path, "a sequence (T, E)", err);
    size_t T = l->in.size[0], I = l->in.size[1];
    l->out.size[1] = H;
    l->flops = 2 * (uint64_t)T * gates * H * (I + H);
    RD_TRY(rd_plan_tensor(plan, l, "weight_ih_l0", 2, (const size_t[]){gates * H, I}, err));
    RD_TRY(rd_plan_tensor(plan, l, "weight_hh_l0", 2, (const size_t[]){gates * H, H}, err));
    RD_TRY(rd_plan_tensor(plan, l, "bias_ih_l0", 1, (const size_t[]){gates * H}, err));
    RD_TRY(rd_plan_tensor(plan, l, "bias_hh_l0", 1, (const size_t[]){gates * H}, err));
cleanup:
    return status;
}

void rd_recurrent_init(const rd_layer *l, uint64_t seed, float *parameters)
{
    for (size_t i = 0; i < l->tensor_count; i++)
        rd_init_uniform(l->tensors[i], 1 / sqrt((double)l->out.size[1]), seed, parameters);
}

void rd_recurrent_inputs(const rd_layer *l, const rd_pass *pass, float *g, size_t gates, bool with_hidden_bias)
{
    size_t T = l->in.size[0], N = gates * l->out.size[1];
    const float *b = rd_layer_read(l, pass, RD_RECURRENT_INPUT_BIAS),
                *c = rd_layer_read(l, pass, RD_RECURRENT_HIDDEN_BIAS);
    int rows = (int)(pass->B * T), I = (int)l->in.size[1];
    for (size_t n = 0; n < N; n++)
        g[n] = with_hidden_bias ? b[n] + c[n] : b[n];
    for (size_t r = 1; r < pass->B * T; r++)
        memcpy(g + r * N, g, N * sizeof *g);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, (int)N, I, 1.0f, pass->x, I,
                rd_layer_read(l, pass, RD_RECURRENT_INPUT), I, 1.0f, g, (int)N);
}

void rd_recurrent_step(const rd_layer *l, const rd_pass *pass, float *g, const float *h, size_t gates, size_t t)
{
    size_t T = l->in.size[0], H = l->out.size[1], N = gates * H;
    if (t == 0)
        return;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)pass->B, (int)N, (int)H, 1.0f, h + (t - 1) * H,
                (int)(T * H), rd_layer_read(l, pass, RD_RECURRENT_HIDDEN), (int)H, 1.0f, g + t * N, (int)(T * N));
}

void rd_recurrent_step_back(const rd_layer *l, const rd_pass *pass, const float *dg, float *dh, size_t gates, size_t t)
{
    size_t T = l->in.size[0], H = l->out.size[1], N = gates * H;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)pass->B, (int)H, (int)N, 1.0f, dg + t * N, (int)(T * N),
                rd_layer_read(l, pass, RD_RECURRENT_HIDDEN), (int)H, 0.0f, dh, (int)H);
}

void rd_recurrent_finish(const rd_layer *l, const rd_pass *pass, float *dg, float *dh_gates, size_t gates)
{
    size_t T = l->in.size[0], H = l->out.size[1], N = gates * H, rows = pass->B * T;
    int I = (int)l->in.size[1], n = (int)N, h = (int)H;
    float *into[4];
    for (size_t i = 0; i < 4; i++)
        into[i] = rd_layer_into(l, pass, i);
    if (pass->dx != NULL)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, I, n, 1.0f, dg, n,
                    rd_layer_read(l, pass, RD_RECURRENT_INPUT), I, 0.0f, pass->dx, I);
    if (into[RD_RECURRENT_INPUT] != NULL)
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, I, (int)rows, pass->rate, dg, n, pass->x, I,
                    pass->scale, into[RD_RECURRENT_INPUT], I);
    if (into[RD_RECURRENT_INPUT_BIAS] != NULL)
        rd_layer_add_rows(into[RD_RECURRENT_INPUT_BIAS], N, dg, rows, pass->scale, pass->rate);
    if (into[RD_RECURRENT_HIDDEN_BIAS] != NULL)
        rd_layer_add_rows(into[RD_RECURRENT_HIDDEN_BIAS], N, dh_gates, rows, pass->scale, pass->rate);
    if (into[RD_RECURRENT_HIDDEN] == NULL)
        return;
    /* Row r of the gates goes with row r - 1 of the outputs, except that a sample's first step has none
     * before it. */
    for (size_t b = 0; b < pass->B; b++)
        memset(dh_gates + b * T * N, 0, N * sizeof *dh_gates);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, h, (int)rows - 1, pass->rate, dh_gates + N, n, pass->y, h,
                pass->scale, into[RD_RECURRENT_HIDDEN], h);
}
