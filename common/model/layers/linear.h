/* linear.h: the map y = x W^T + b that dense layers, attention and experts are made of, with or without a
 * low-rank change on top (LoRA, Hu et al. 2021): y = x W^T + b + (alpha / rank) (x A^T) B^T.
 *
 * W (O,I), b (O), A (rank,I), B (O,rank), as PyTorch and PEFT lay them out. */
#ifndef RONDO_MODEL_LINEAR_H
#define RONDO_MODEL_LINEAR_H

#include "model/layer.h"

typedef struct rd_linear {
    size_t I, O;
    size_t weight; /* places in l->tensors; bias, A and B come after it where they exist */
    bool has_bias;
    size_t rank; /* 0: no LoRA */
    float scaling;
} rd_linear;

/* Declares the tensors of a map whose I and O are set, and sets the rest of it; weight and bias are their suffixes
 * ("weight", "bias"), bias NULL for none. LoRA's are "lora_A.weight" and "lora_B.weight", behind the weight's own
 * suffix where that is not "weight". */
rd_status rd_linear_plan(rd_plan *plan, rd_layer *l, rd_linear *linear, const char *weight, const char *bias,
                         rd_error *err) RD_MUST_CHECK;
/* rectified: what follows loses half of the signal. */
void rd_linear_init(const rd_layer *l, const rd_linear *linear, bool rectified, uint64_t seed, float *parameters);
uint64_t rd_linear_flops(const rd_linear *linear); /* of one row */

/* Scratch for so many rows, in floats. */
size_t rd_linear_scratch(const rd_linear *linear, size_t rows);
/* The rows that a map is applied to in a pass, which need not be the layer's own inputs and outputs. */
typedef struct rd_linear_rows {
    size_t count;
    const float *x;  /* (count,I) */
    float *y;        /* (count,O) out of forward */
    const float *dy; /* (count,O) for backward */
    float *dx;       /* (count,I) out of backward; NULL where nobody needs it */
    float *scratch;  /* (rd_linear_scratch) */
} rd_linear_rows;
void rd_linear_forward(const rd_layer *l, const rd_linear *linear, const rd_pass *pass, const rd_linear_rows *rows);
/* The gradients of the tensors go into pass->into. */
void rd_linear_backward(const rd_layer *l, const rd_linear *linear, const rd_pass *pass, const rd_linear_rows *rows);

#endif
