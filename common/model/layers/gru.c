/* gru.c: the gated recurrent unit (Cho et al. 2014), with PyTorch's gates r, z, n and its place of the hidden
 * bias: n_t = tanh(x W_in^T + b_in + r (h W_hn^T + b_hn)),   h_t = (1 - z) n_t + z h_(t-1) */
#include <string.h>

#include "model/elementwise.h"
#include "model/layers/recurrent.h"

enum { GATES = 3 };

static rd_status gru_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    rd_status status = rd_recurrent_plan(plan, l, at, GATES, err);
    size_t T = l->in.size[0], H = l->out.size[1];
    if (status == RD_OK && l->activation->forward != NULL)
        status = rd_fail(err, RD_ERR_CONFIG, "%s.activation: a recurrent layer has none but its own", at.path);
    l->saved = T * 2 * GATES * H; /* the gates, and what the hidden state gives to them */
    l->scratch_per_sample = T * 2 * GATES * H + 2 * H;
    return status;
}

static void gru_forward(const rd_layer *l, const rd_pass *pass)
{
    size_t T = l->in.size[0], H = l->out.size[1], N = GATES * H;
    float *g = pass->saved, *hidden = g + pass->B * T * N;
    const float *bias = rd_layer_read(l, pass, RD_RECURRENT_HIDDEN_BIAS);
    rd_recurrent_inputs(l, pass, g, GATES, false);
    for (size_t r = 0; r < pass->B * T; r++)
        memcpy(hidden + r * N, bias, N * sizeof *bias);
    for (size_t t = 0; t < T; t++) {
        rd_recurrent_step(l, pass, hidden, pass->y, GATES, t);
        for (size_t b = 0; b < pass->B; b++) {
            size_t row = b * T + t;
            float *gate = g + row * N, *u = hidden + row * N, *y = pass->y + row * H;
            for (size_t i = 0; i < 2 * H; i++)
                gate[i] += u[i];
            rd_sigmoid(gate, gate, 2 * H);
            for (size_t i = 0; i < H; i++)
                gate[2 * H + i] += gate[i] * u[2 * H + i];
            rd_tanh(gate + 2 * H, gate + 2 * H, H);
            for (size_t i = 0; i < H; i++)
                y[i] = (1.0f - gate[H + i]) * gate[2 * H + i] + (t > 0 ? gate[H + i] * (y - H)[i] : 0.0f);
        }
    }
}

/* One step of one sample: dh (H) in, the gradients of both kinds of gates (3H) and of the step before out. */
static void step_back(const float *gate, const float *hidden, const float *before, float *dh, float *dg, float *du,
                      size_t H)
{
    for (size_t k = 0; k < H; k++) {
        float r = gate[k], z = gate[H + k], n = gate[2 * H + k], d = dh[k];
        float dn = d * (1.0f - z) * (1.0f - n * n);
        dg[k] = du[k] = dn * hidden[2 * H + k] * r * (1.0f - r);
        dg[H + k] = du[H + k] = d * ((before != NULL ? before[k] : 0.0f) - n) * z * (1.0f - z);
        dg[2 * H + k] = dn;
        du[2 * H + k] = dn * r;
        dh[k] = d * z;
    }
}

static void gru_backward(const rd_layer *l, const rd_pass *pass)
{
    size_t T = l->in.size[0], H = l->out.size[1], N = GATES * H, rows = pass->B * T;
    const float *g = pass->saved, *hidden = g + rows * N;
    float *dg = pass->scratch, *du = dg + rows * N, *dh = du + rows * N, *back = dh + pass->B * H;
    memset(dh, 0, pass->B * H * sizeof *dh);
    for (size_t t = T; t-- > 0;) {
        if (t + 1 < T) {
            rd_recurrent_step_back(l, pass, du, back, GATES, t + 1);
            for (size_t i = 0; i < pass->B * H; i++)
                dh[i] += back[i];
        }
        for (size_t b = 0; b < pass->B; b++) {
            size_t row = b * T + t;
            for (size_t i = 0; i < H; i++)
                dh[b * H + i] += pass->dy[row * H + i];
            step_back(g + row * N, hidden + row * N, t > 0 ? pass->y + (row - 1) * H : NULL, dh + b * H, dg + row * N,
                      du + row * N, H);
        }
    }
    rd_recurrent_finish(l, pass, dg, du, GATES);
}

const rd_layer_type rd_layer_gru = {.name = "gru",
                                    .prefix = "gru",
                                    .keys = rd_recurrent_keys,
                                    .plan = gru_plan,
                                    .init = rd_recurrent_init,
                                    .forward = gru_forward,
                                    .backward = gru_backward};
