/* layer.h: what a kind of layer is.
 *
 * A kind of layer is one file: how it is planned from JSON, how its parameters start, and its forward and
 * backward pass side by side, offered as one rd_layer_type. To add a kind, write that file (dense.c is the
 * example) and name its type in the table in layers.c; plan, model, training, files and wire need no change.
 *
 * Every layer may end in an activation ("activation": "relu"). The model applies it between layers, so a
 * layer computes its own arithmetic only, and its gradient arrives with the activation already taken off.
 *
 * Letters for shapes: B batch, I inputs, O outputs (floats per sample). Everything is row-major. */
#ifndef RONDO_MODEL_LAYER_H
#define RONDO_MODEL_LAYER_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "model/activation.h"
#include "model/model.h"

#define RD_LAYER_NAME_MAX 48
#define RD_LAYER_MAX_WIDTH (1u << 24)

typedef struct rd_layer_type rd_layer_type;

typedef struct rd_layer {
    const rd_layer_type *type;
    char name[RD_LAYER_NAME_MAX]; /* "fc1": first part of its tensors' names */
    size_t inputs, outputs;       /* I and O, per sample */
    const rd_activation *activation;
    const rd_tensor *tensors; /* (tensor_count), in the order in which plan declared them */
    size_t tensor_count;
    uint64_t flops; /* of one sample's forward pass: multiply-adds times two */
} rd_layer;

/* A layer's share of one pass over B samples. The layer keeps none of it. */
typedef struct rd_pass {
    size_t B;
    const float *parameters; /* the model's whole vector; tensors[i].offset says where a tensor begins */
    const float *x;          /* (B,I) */
    float *y;                /* (B,O) out of forward, before the activation */

    /* backward only */
    float *dy;   /* (B,O) dL/dy, the activation taken off; the layer may overwrite it */
    float *dx;   /* (B,I) out: dL/dx; NULL where nobody needs it (the first layer) */
    float *into; /* like parameters, and perhaps the same vector: into = scale * into + rate * dL/dp */
    float scale, rate;
} rd_pass;

/* The plan under construction; layers only hand it on. */
typedef struct rd_plan rd_plan;

struct rd_layer_type {
    const char *name;        /* "dense", the value of "type" */
    const char *prefix;      /* "fc": layers without a "name" become fc1, fc2, ... */
    const char *const *keys; /* what JSON may hold beside type, name and activation; ends with NULL */

    /* Reads the layer's own keys; inputs, name and activation are set. Sets outputs and flops and declares
     * the tensors. `path` is the layer's place in the file, for messages. */
    rd_status (*plan)(rd_plan *plan, rd_layer *l, const cJSON *json, const char *path, rd_error *err);
    void (*init)(const rd_layer *l, uint64_t seed, float *parameters);
    void (*forward)(const rd_layer *l, const rd_pass *pass);
    /* Reads everything it needs of the parameters before it writes to `into`, which may be the same. */
    void (*backward)(const rd_layer *l, const rd_pass *pass);
};

/* Every kind there is; ends with NULL. */
extern const rd_layer_type *const rd_layer_types[];

/* Declares the layer's next tensor: "<layer>.<suffix>" with this shape. Fails with RD_ERR_CONFIG, naming the
 * layer, where the model would pass 2^31 parameters or the name is taken. */
rd_status rd_plan_tensor(rd_plan *plan, rd_layer *l, const char *suffix, int rank, const size_t *shape,
                         rd_error *err) RD_MUST_CHECK;

/* ---- initial values, each from the random stream that the tensor's name and the seed select ---- */

/* Normal with mean 0 and variance 2 / fan_in (He et al. 2015, equation 10). */
void rd_init_he_normal(const rd_tensor *t, size_t fan_in, uint64_t seed, float *parameters);
/* Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010, equation 16). */
void rd_init_glorot_uniform(const rd_tensor *t, size_t fan_in, size_t fan_out, uint64_t seed,
                            float *parameters);
void rd_init_zero(const rd_tensor *t, float *parameters);

extern const rd_layer_type rd_layer_dense;

#endif
