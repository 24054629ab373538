/* rnn.c: the simple recurrent layer (Elman 1990): h_t = tanh(x_t W_ih^T + b_ih + h_(t-1) W_hh^T + b_hh). */
#include "model/elementwise.h"
#include "model/layers/recurrent.h"

static rd_status rnn_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    rd_status status = rd_recurrent_plan(plan, l, at, 1, err);
    size_t rows = l->in.size[0], H = l->out.size[1];
    if (status == RD_OK && l->activation->forward != NULL)
        status = rd_fail(err, RD_ERR_CONFIG, "%s.activation: a recurrent layer has none but its own", at.path);
    l->scratch_per_sample = rows * H + H;
    return status;
}

static void rnn_forward(const rd_layer *l, const rd_pass *pass)
{
    size_t T = l->in.size[0], H = l->out.size[1];
    rd_recurrent_inputs(l, pass, pass->y, 1, true);
    for (size_t t = 0; t < T; t++) {
        rd_recurrent_step(l, pass, pass->y, pass->y, 1, t);
        for (size_t b = 0; b < pass->B; b++)
            rd_tanh(pass->y + (b * T + t) * H, pass->y + (b * T + t) * H, H);
    }
}

static void rnn_backward(const rd_layer *l, const rd_pass *pass)
{
    size_t T = l->in.size[0], H = l->out.size[1];
    float *dg = pass->scratch, *dh = dg + pass->B * T * H;
    for (size_t t = T; t-- > 0;) {
        if (t + 1 < T)
            rd_recurrent_step_back(l, pass, dg, dh, 1, t + 1);
        for (size_t b = 0; b < pass->B; b++) {
            size_t at = (b * T + t) * H;
            for (size_t i = 0; i < H; i++) {
                float d = pass->dy[at + i] + (t + 1 < T ? dh[b * H + i] : 0.0f);
                dg[at + i] = d * (1.0f - pass->y[at + i] * pass->y[at + i]);
            }
        }
    }
    rd_recurrent_finish(l, pass, dg, dg, 1);
}

const rd_layer_type rd_layer_rnn = {.name = "rnn",
                                    .prefix = "rnn",
                                    .keys = rd_recurrent_keys,
                                    .plan = rnn_plan,
                                    .init = rd_recurrent_init,
                                    .forward = rnn_forward,
                                    .backward = rnn_backward};
