/* recurrent.h: what the recurrent layers (rnn.c, gru.c, lstm.c) have in common. A sequence (T,I) becomes
 * (T,H); every step computes `gates` times H numbers from its input and from the step before. Tensors follow
 * PyTorch's modules of one layer: weight_ih_l0 (gates H, I), weight_hh_l0 (gates H, H), bias_ih_l0 and
 * bias_hh_l0 (gates H). */
#ifndef RONDO_MODEL_RECURRENT_H
#define RONDO_MODEL_RECURRENT_H

#include "model/layer.h"

enum { RD_RECURRENT_INPUT, RD_RECURRENT_HIDDEN, RD_RECURRENT_INPUT_BIAS, RD_RECURRENT_HIDDEN_BIAS };
extern const char *const rd_recurrent_keys[];

rd_status rd_recurrent_plan(rd_plan *plan, rd_layer *l, rd_json_node at, size_t gates, rd_error *err) RD_MUST_CHECK;
/* Uniform in +-1/sqrt(H), as PyTorch. */
void rd_recurrent_init(const rd_layer *l, uint64_t seed, float *parameters);

/* g (B,T,gates H) = x W_ih^T + b_ih, and + b_hh if with_hidden_bias */
void rd_recurrent_inputs(const rd_layer *l, const rd_pass *pass, float *g, size_t gates, bool with_hidden_bias);
/* For step t > 0 of every sample: g_t (B, gates H) += h_(t-1) W_hh^T, where rows of g lie T gates H apart and
 * those of h (B,T,H) T H. */
void rd_recurrent_step(const rd_layer *l, const rd_pass *pass, float *g, const float *h, size_t gates, size_t t);
/* dh (B,H) = dg_t W_hh, dg_t as g_t above. */
void rd_recurrent_step_back(const rd_layer *l, const rd_pass *pass, const float *dg, float *dh, size_t gates, size_t t);
/* From dg (B,T,gates H), which is spoilt: dx and the gradients of input weights and bias; and, from dh_gates
 * likewise (which may be dg), those of the hidden ones. */
void rd_recurrent_finish(const rd_layer *l, const rd_pass *pass, float *dg, float *dh_gates, size_t gates);

#endif
