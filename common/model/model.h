/* model.h: a model is a plan of layers over one contiguous vector of parameters.
 *
 * The plan (rd_model) is immutable and shared by all threads. Parameters are a plain float vector of
 * rd_model_parameter_count elements that the caller owns: aggregation, checkpoints and codecs see a vector,
 * people see the table of names and shapes. Names and layouts follow PyTorch: a dense layer from I to O
 * units has "fc1.weight" (O,I) and "fc1.bias" (O).
 *
 * The vector begins with everything that travels between clients and aggregator (RD_TENSORS_TRAVELLING); after it come tensors that each client keeps for itself (fine_tuning.local), and then frozen ones,
 * which stay as they are.
 *
 * Letters used for shapes: B batch, I inputs of a layer, O outputs, C classes or channels, T positions in
 * time or targets, V symbols of a vocabulary. */
#ifndef RONDO_MODEL_MODEL_H
#define RONDO_MODEL_MODEL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/random.h"
#include "model/tensors.h"
#include "model/vocabulary.h"

/* The shape of one sample on its way through the model. */
typedef struct rd_shape {
    int rank; /* 1: features (D) or tokens (T); 2: a sequence (T,E); 3: an image (C,H,W) */
    size_t size[3];
    size_t vocabulary; /* > 0: the T numbers are tokens in [0, vocabulary) */
} rd_shape;

size_t rd_shape_count(const rd_shape *s);
#define RD_SHAPE_TEXT_MAX 96
/* "(64, 7, 7)", "80 tokens of 65 symbols" */
void rd_shape_text(const rd_shape *s, char text[RD_SHAPE_TEXT_MAX]);

typedef enum rd_loss_kind {
    RD_LOSS_SOFTMAX_CROSS_ENTROPY, /* a class per prediction; in nats */
    RD_LOSS_BINARY_CROSS_ENTROPY,  /* one output, the logit of class 1 of 0 and 1; in nats */
    RD_LOSS_HINGE,                 /* max(0, 1 - s y), s = +-1; with C > 1 outputs one against the rest, summed */
    RD_LOSS_SQUARED_HINGE,         /* the square of it */
    RD_LOSS_MSE,                   /* T float targets per sample; mean over targets of (y - t)^2 */
    RD_LOSS_MAE,                   /* |y - t| */
    RD_LOSS_HUBER,                 /* (y - t)^2 / 2 up to delta, then delta (|y - t| - delta / 2) */
    RD_LOSS_INERTIA,               /* the smallest output: squared distance to the nearest centroid */
} rd_loss_kind;

typedef struct rd_model rd_model;

/* Builds the plan from the "model" object of run.json: {"preset": NAME, ...} (preset.c lists them) or
 *     {"input": 784, "loss": "softmax_cross_entropy",
 *      "layers": [{"type": "dense", "units": 200, "activation": "relu"}, ..., {"type": "dense", "units":
 * 10}]} "input" is a number of features, a shape such as [1, 28, 28], or {"tokens": T, "vocabulary": V}, with
 * V a number or a text that lists the symbols. common/model/README.md lists the layers, losses and
 * fine-tuning keys. RD_ERR_CONFIG names the layer and the key: "model.layers[1].units: expected a whole
 * number from 1 to 16777216, found -3". */
rd_status rd_model_create(const cJSON *section, rd_model **out, rd_error *err) RD_MUST_CHECK;
void rd_model_free(rd_model *m);
/* Do both plans compute the same with the same parameters, start alike and name their tensors alike? They may
 * have been written differently: a preset and its layers, a key left out and its default. */
bool rd_model_same(const rd_model *a, const rd_model *b);

const rd_shape *rd_model_input(const rd_model *m);
size_t rd_model_input_size(const rd_model *m); /* D: numbers per sample */
/* NULL: the input is no text, or its symbols were not listed. */
const rd_vocabulary *rd_model_vocabulary(const rd_model *m);
size_t rd_model_output_size(const rd_model *m); /* numbers per prediction: C or T */
size_t rd_model_predictions(const rd_model *m); /* per sample: 1, or one for every position of a sequence */
rd_loss_kind rd_model_loss(const rd_model *m);
const char *rd_model_loss_name(const rd_model *m);
/* Does a label say which class is right (or a vector of real targets what the output should be)? */
bool rd_model_classifies(const rd_model *m);
/* C: of classes that labels may name; two for a single output. */
size_t rd_model_class_count(const rd_model *m);
size_t rd_model_parameter_count(const rd_model *m);
/* What clients and aggregator send each other comes first, what every client keeps for itself behind it, and then what
 * never changes. */
typedef enum rd_tensor_set {
    RD_TENSORS_ALL,
    RD_TENSORS_TRAVELLING,
    RD_TENSORS_CHANGING, /* those that travel, then local ones */
    RD_TENSORS_STAYING,  /* those that do not travel: local ones, then frozen ones */
} rd_tensor_set;
/* Valid as long as the model. */
rd_tensor_table rd_model_tensors(const rd_model *m, rd_tensor_set set);
/* Multiply-adds times two, of one sample's forward pass. */
uint64_t rd_model_forward_flops(const rd_model *m);

/* What is known of one layer, for people. */
typedef struct rd_layer_info {
    const char *name, *type;
    rd_shape in, out;
    size_t parameters, trained; /* elements; a tensor that two layers share counts with the first */
    uint64_t flops;             /* of one sample's forward pass */
    size_t activation_bytes;    /* that training keeps for one sample */
} rd_layer_info;
size_t rd_model_layer_count(const rd_model *m);
rd_layer_info rd_model_layer_info(const rd_model *m, size_t layer);

/* Writes initial parameters: He normal (He et al. 2015) in front of ReLU, Glorot uniform (Glorot and Bengio
 * 2010) elsewhere, biases zero; layers that start otherwise say so. Depends on (seed, tensor) alone. */
void rd_model_init(const rd_model *m, uint64_t seed, float *parameters);

/* Bytes of a workspace for so many samples; SIZE_MAX where that is beyond counting. */
size_t rd_workspace_bytes(const rd_model *m, size_t max_batch);
/* What one batch of up to max_batch samples needs besides the parameters; one per thread. */
typedef struct rd_workspace rd_workspace;
rd_status rd_workspace_create(const rd_model *m, size_t max_batch, rd_workspace **out, rd_error *err) RD_MUST_CHECK;
void rd_workspace_free(rd_workspace *w);
/* Where the caller puts the batch before a forward pass: features (B,D), and labels (B, predictions), where
 * -1 means "do not look", or targets (B,T); the one that the loss does not use is NULL. */
float *rd_workspace_x(rd_workspace *w);
int32_t *rd_workspace_labels(rd_workspace *w);
float *rd_workspace_targets(rd_workspace *w);

typedef struct rd_batch_result {
    double loss_sum;    /* sum over the predictions of each one's loss */
    size_t predictions; /* that were looked at: B, or labels that are not -1 */
    size_t correct;     /* classification: predictions whose class is the label's */
} rd_batch_result;

/* Forward pass and loss over B samples in the workspace, as in use (no dropout, running statistics). Returns
 * the outputs (B, predictions, C or T), which stay valid until the next call. result may be NULL (then labels
 * are not looked at). */
const float *rd_model_forward(const rd_model *m, const float *parameters, rd_workspace *w, size_t B,
                              rd_batch_result *result);

typedef struct rd_gradient_call {
    float *parameters; /* statistics among them are brought up to date; the rest is read */
    float *into;       /* for every trained parameter p: into[p] = scale * into[p] + rate * dL/dp */
    float scale, rate;
    size_t B;           /* samples in the workspace */
    size_t predictions; /* of the whole mini-batch, of which these samples may be a piece: L is the sum of the
                           losses over so many */
    float share;        /* of the mini-batch that these B samples are, for losses of a layer's own */
    rd_random *random;  /* for dropout; may be NULL where no layer drops anything */
} rd_gradient_call;

/* Forward and backward pass, as in training. `into` may be the parameters themselves, which makes plain SGD
 * with weight decay one matrix product per layer and spares the gradient vector: rate = -lr, scale = 1 - lr *
 * decay. With scale 0, what `into` held before does not matter. Parameters that are not trained are left
 * alone in `into`. */
void rd_model_backward(const rd_model *m, const rd_gradient_call *call, rd_workspace *w, rd_batch_result *result);
/* Takes the low-rank changes of model.fine_tuning.lora into the weights that they change (W + alpha / rank B
 * A) and sets B to 0: the model computes what it did before, and its other tensors do so without it. */
void rd_model_merge_lora(const rd_model *m, float *parameters);
bool rd_tensor_is_lora(const rd_tensor *t);

/* Rows that a mini-batch must have for every layer to learn of it: 2 with batch norm over features, else 1. */
size_t rd_model_least_rows(const rd_model *m);

#endif
