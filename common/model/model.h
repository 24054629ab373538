/* model.h: a model is a plan of layers over one contiguous vector of parameters.
 *
 * The plan (rd_model) is immutable and shared by all threads. Parameters are a plain float vector of
 * rd_model_parameter_count elements that the caller owns: aggregation, checkpoints and codecs see a vector,
 * people see the table of names and shapes. Names and layouts follow PyTorch: a dense layer from I to O
 * units has "fc1.weight" (O,I) and "fc1.bias" (O).
 *
 * Letters used for shapes: B batch, I inputs of a layer, O outputs, C classes, T targets. */
#ifndef RONDO_MODEL_MODEL_H
#define RONDO_MODEL_MODEL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define RD_TENSOR_NAME_MAX 64
#define RD_TENSOR_MAX_RANK 4

typedef struct rd_tensor {
    char name[RD_TENSOR_NAME_MAX];
    int rank;
    size_t shape[RD_TENSOR_MAX_RANK];
    size_t offset; /* of its first element in the parameter vector */
    size_t count;  /* product of shape */
} rd_tensor;

typedef enum rd_loss_kind {
    RD_LOSS_SOFTMAX_CROSS_ENTROPY, /* int32 class per sample; mean over the batch, in nats */
    RD_LOSS_MSE,                   /* T float targets per sample; mean over batch and targets of (y - t)^2 */
} rd_loss_kind;

typedef struct rd_model rd_model;

/* Builds the plan from the "model" object of run.json, either a preset
 *     {"preset": "mnist-2nn"}                       784-200-200-10, ReLU: 199,210 parameters
 *     {"preset": "linear-regression", "input": 10}
 *     {"preset": "softmax-regression", "input": 784, "classes": 10}
 * or layers
 *     {"input": 784, "loss": "softmax_cross_entropy",
 *      "layers": [{"type": "dense", "units": 200, "activation": "relu"}, ..., {"type": "dense", "units":
 * 10}]}
 * A layer may have a "name", under which its tensors are listed; dense layers without one are fc1, fc2, ...
 * by their place among the dense layers. "activation" is none (default), relu, tanh or sigmoid; "loss" is
 * softmax_cross_entropy or mse.
 * RD_ERR_CONFIG names the layer and the key: "model.layers[1].units: expected a whole number from 1 to
 * 16777216, found -3". */
rd_status rd_model_create(const cJSON *section, rd_model **out, rd_error *err) RD_MUST_CHECK;
void rd_model_free(rd_model *m);

size_t rd_model_input_size(const rd_model *m);  /* D: features per sample */
size_t rd_model_output_size(const rd_model *m); /* C or T */
rd_loss_kind rd_model_loss(const rd_model *m);
size_t rd_model_parameter_count(const rd_model *m);
const rd_tensor *rd_model_tensors(const rd_model *m, size_t *count);
/* Multiply-adds times two, of one sample's forward pass. */
uint64_t rd_model_forward_flops(const rd_model *m);

/* Writes initial parameters: He normal (He et al. 2015) in front of ReLU, Glorot uniform (Glorot and Bengio
 * 2010) elsewhere, biases zero. Depends on (seed, tensor) alone. */
void rd_model_init(const rd_model *m, uint64_t seed, float *parameters);

/* What one batch of up to max_batch samples needs besides the parameters; one per thread. */
typedef struct rd_workspace rd_workspace;
rd_status rd_workspace_create(const rd_model *m, size_t max_batch, rd_workspace **out,
                              rd_error *err) RD_MUST_CHECK;
void rd_workspace_free(rd_workspace *w);
/* Where the caller puts the batch before a forward pass: features (B,D), and labels (B) or targets (B,T);
 * the one that the loss does not use is NULL. */
float *rd_workspace_x(rd_workspace *w);
int32_t *rd_workspace_labels(rd_workspace *w);
float *rd_workspace_targets(rd_workspace *w);

typedef struct rd_batch_result {
    double loss_sum; /* sum over the batch of each sample's loss */
    size_t correct;  /* classification: samples whose largest logit is the label's */
} rd_batch_result;

/* Forward pass and loss over B samples in the workspace. Returns the outputs (B,C) or (B,T), which stay valid
 * until the next call. result may be NULL (then labels are not looked at). */
const float *rd_model_forward(const rd_model *m, const float *parameters, rd_workspace *w, size_t B,
                              rd_batch_result *result);

/* Forward and backward pass; for every parameter p:  into[p] = scale * into[p] + rate * dL/dp, with L the
 * mean loss over the batch. `into` may be the parameters themselves, which makes plain SGD with weight decay
 * one matrix product per layer and spares the gradient vector: rate = -lr, scale = 1 - lr * decay. With scale
 * 0, what `into` held before does not matter. */
void rd_model_backward(const rd_model *m, const float *parameters, rd_workspace *w, size_t B, float *into,
                       float scale, float rate, rd_batch_result *result);

#endif
