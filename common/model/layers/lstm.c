/* lstm.c: long short-term memory (Hochreiter and Schmidhuber 1997; with a forget gate, Gers et al. 2000). Of
 * the four gates i, f, g, o in PyTorch's order: c_t = f c_(t-1) + i g,   h_t = o tanh(c_t),   with i, f, o
 * through a sigmoid and g through tanh. */
#include <string.h>

#include "model/elementwise.h"
#include "model/layers/recurrent.h"

enum { GATES = 4 };

static rd_status lstm_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    rd_status status = rd_recurrent_plan(plan, l, at, GATES, err);
    size_t T = l->in.size[0], H = l->out.size[1];
    if (status == RD_OK && l->activation->forward != NULL)
        status = rd_fail(err, RD_ERR_CONFIG, "%s.activation: a recurrent layer has none but its own", at.path);
    l->saved = T * (GATES + 2) * H; /* the gates, c and tanh(c) */
    l->scratch_per_sample = T * GATES * H + 2 * H;
    return status;
}

/* Where step t of sample b lies. */
typedef struct step {
    float *gates, *c, *tanh_c; /* (4H), (H), (H) */
} step;

static step step_of(const rd_layer *l, const rd_pass *pass, size_t b, size_t t)
{
    size_t T = l->in.size[0], H = l->out.size[1], row = b * T + t;
    float *c = pass->saved + pass->B * T * GATES * H;
    return (step){pass->saved + row * GATES * H, c + row * H, c + pass->B * T * H + row * H};
}

static void lstm_forward(const rd_layer *l, const rd_pass *pass)
{
    size_t T = l->in.size[0], H = l->out.size[1];
    rd_recurrent_inputs(l, pass, pass->saved, GATES, true);
    for (size_t t = 0; t < T; t++) {
        rd_recurrent_step(l, pass, pass->saved, pass->y, GATES, t);
        for (size_t b = 0; b < pass->B; b++) {
            step s = step_of(l, pass, b, t);
            float *restrict y = pass->y + (b * T + t) * H, *restrict c = s.c, *g = s.gates;
            rd_sigmoid(g, g, 2 * H);
            rd_tanh(g + 2 * H, g + 2 * H, H);
            rd_sigmoid(g + 3 * H, g + 3 * H, H);
            for (size_t i = 0; i < H; i++)
                c[i] = g[i] * g[2 * H + i] + (t > 0 ? g[H + i] * (c - H)[i] : 0.0f);
            rd_tanh(c, s.tanh_c, H);
            for (size_t i = 0; i < H; i++)
                y[i] = g[3 * H + i] * s.tanh_c[i];
        }
    }
}

/* One step of one sample: from dh and dc (H), gradients of what it put out, to dg (4H) and the dc of the step
 * before. */
static void step_back(const step *s, const float *before, const float *restrict dy, const float *restrict dh,
                      float *restrict dc, float *restrict dg, size_t H)
{
    const float *i = s->gates, *f = i + H, *g = f + H, *o = g + H;
    for (size_t k = 0; k < H; k++) {
        float h = dy[k] + dh[k], tc = s->tanh_c[k];
        float c = dc[k] + h * o[k] * (1.0f - tc * tc);
        dg[k] = c * g[k] * i[k] * (1.0f - i[k]);
        dg[H + k] = c * (before != NULL ? before[k] : 0.0f) * f[k] * (1.0f - f[k]);
        dg[2 * H + k] = c * i[k] * (1.0f - g[k] * g[k]);
        dg[3 * H + k] = h * tc * o[k] * (1.0f - o[k]);
        dc[k] = c * f[k];
    }
}

static void lstm_backward(const rd_layer *l, const rd_pass *pass)
{
    size_t T = l->in.size[0], H = l->out.size[1];
    float *dg = pass->scratch, *dh = dg + pass->B * T * GATES * H, *dc = dh + pass->B * H;
    memset(dh, 0, 2 * pass->B * H * sizeof *dh);
    for (size_t t = T; t-- > 0;) {
        if (t + 1 < T)
            rd_recurrent_step_back(l, pass, dg, dh, GATES, t + 1);
        for (size_t b = 0; b < pass->B; b++) {
            step s = step_of(l, pass, b, t);
            step_back(&s, t > 0 ? s.c - H : NULL, pass->dy + (b * T + t) * H, dh + b * H, dc + b * H,
                      dg + (b * T + t) * GATES * H, H);
        }
    }
    rd_recurrent_finish(l, pass, dg, dg, GATES);
}

const rd_layer_type rd_layer_lstm = {.name = "lstm",
                                     .prefix = "lstm",
                                     .keys = rd_recurrent_keys,
                                     .plan = lstm_plan,
                                     .init = rd_recurrent_init,
                                     .forward = lstm_forward,
                                     .backward = lstm_backward};
