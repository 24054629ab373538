/* layer.h: what a kind of layer is.
 *
 * A kind of layer is one file: how it is planned from JSON, how its parameters start, and its forward and
 * backward pass side by side, offered as one rd_layer_type. To add a kind, write that file (layers/dense.c is
 * the example) and name its type in the table in layers/layers.c; plan, model, training, files and wire need no change.
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
#include "model/json_key.h"
#include "model/model.h"

#define RD_LAYER_NAME_MAX 56
#define RD_LAYER_MAX_WIDTH (1u << 24)
#define RD_LAYER_MAX_TENSORS 20
#define RD_LAYER_INPUT SIZE_MAX /* instead of a layer's number: the model's input */

typedef struct rd_layer_type rd_layer_type;

typedef struct rd_layer {
    const rd_layer_type *type;
    char name[RD_LAYER_NAME_MAX]; /* "fc1": first part of its tensors' names */
    size_t scope;                 /* characters of it that are the name of what the layer is a part of */
    size_t from;                  /* number of the layer whose output it takes */
    size_t also;                  /* of a second one, for layers that take two; else RD_LAYER_INPUT */
    rd_shape in, out;             /* of one sample */
    size_t inputs, outputs;       /* I and O: products of the shapes */
    const rd_activation *activation;
    const rd_tensor *tensors[RD_LAYER_MAX_TENSORS]; /* in the order in which plan declared them */
    size_t tensor_count;
    uint64_t flops; /* of one sample's forward pass: multiply-adds times two */

    /* Memory that plan asks for, in floats. */
    size_t saved;                       /* a sample, from forward to backward */
    size_t scratch, scratch_per_sample; /* for one call; its content does not outlive it */

    size_t least_rows; /* of a batch, for its statistics to learn of it; 0: any */

    void *own; /* (own_size) what plan worked out for the passes; no pointers in it */
    size_t own_size;
    bool draws;    /* random numbers in training */
    bool follows;  /* another layer has already scaled this one's first tensor in `into` (tied weights) */
    bool trains;   /* has a tensor that is trained */
    bool needs_dx; /* something before it is trained */
} rd_layer;

/* A layer's share of one pass over B samples. The layer keeps none of it. */
typedef struct rd_pass {
    size_t B;
    bool training;           /* dropout drops, statistics follow the batch */
    const float *parameters; /* the model's whole vector; tensors[i]->offset says where a tensor begins */
    const float *x;          /* (B,I) */
    const float *x2;         /* (B,I), for layers that take two */
    float *y;                /* (B,O) out of forward, before the activation; in backward it may hold what the
                                activation made of it */
    float *saved;            /* (B, l->saved) */
    float *scratch;          /* (l->scratch + B * l->scratch_per_sample) */
    rd_random *random;       /* forward, training; for layers that draw */
    float *statistics;       /* forward, training: like parameters, for tensors of that role */

    /* backward only */
    float *dy;   /* (B,O) dL/dy, the activation taken off; the layer may overwrite it */
    float *dx;   /* (B,I) out: dL/dx; NULL where nobody needs it */
    float *dx2;  /* (B,I) out, for layers that take two */
    float *into; /* like parameters, and perhaps the same vector: into = scale * into + rate * dL/dp */
    float scale, rate;
    float share; /* of the mini-batch that these B samples are: for losses of a layer's own */
} rd_pass;

/* The plan under construction; layers only hand it on. */
typedef struct rd_plan rd_plan;

struct rd_layer_type {
    const char *name;        /* "dense", the value of "type" */
    const char *prefix;      /* "fc": layers without a "name" become fc1, fc2, ... */
    const char *const *keys; /* what JSON may hold beside type, name and activation; ends with NULL */

    /* Reads the layer's own keys; in, inputs, name and activation are set, and out is what comes in. Sets
     * out, flops and memory and declares the tensors. */
    rd_status (*plan)(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err);
    void (*init)(const rd_layer *l, uint64_t seed, float *parameters); /* NULL: no parameters */
    void (*forward)(const rd_layer *l, const rd_pass *pass);
    /* Reads everything it needs of the parameters before it writes to `into`, which may be the same. */
    void (*backward)(const rd_layer *l, const rd_pass *pass);

    /* Kinds that learn by counting have this instead of backward (counting.h). */
    const struct rd_counting_type *counting;

    /* Kinds made of other kinds have this instead of all of the above: plans them from layer `from` on, and
     * says in *out which one ends it. */
    rd_status (*compose)(rd_plan *plan, rd_json_node at, const char *name, size_t from, size_t *out, rd_error *err);
};

/* Every kind there is; ends with NULL. */
extern const rd_layer_type *const rd_layer_types[];

/* ---- for plan ---- */

/* Declares the layer's next tensor, with the layer's name, a dot and the suffix as its name. Fails with
 * RD_ERR_CONFIG, naming the layer, where the model would pass 2^31 parameters or the name is too long. */
rd_status rd_plan_tensor(rd_plan *plan, rd_layer *l, const char *suffix, int rank, const size_t *shape,
                         rd_error *err) RD_MUST_CHECK;
/* The same for one that follows the data without a gradient. */
rd_status rd_plan_statistic(rd_plan *plan, rd_layer *l, const char *suffix, int rank, const size_t *shape,
                            rd_error *err) RD_MUST_CHECK;
/* Gives the layer another one's tensor as its next; the other one then `follows`. RD_ERR_CONFIG: there is no
 * layer of this name and type before it. */
rd_status rd_plan_tie(rd_plan *plan, rd_layer *l, const char *name, const rd_layer_type *type, const char *path,
                      const rd_tensor **tensor, rd_error *err) RD_MUST_CHECK;
/* Memory for l->own, all zero; NULL with RD_ERR_MEMORY in err. */
void *rd_layer_own(rd_layer *l, size_t size, const char *path, rd_error *err);
/* "model.layers[2]: layer 'conv1' takes an image (C, H, W), but what comes in is (784)". */
rd_status rd_plan_misfit(const rd_layer *l, const char *path, const char *takes, rd_error *err) RD_MUST_CHECK;
/* Plans a list of layers from layer `from` on, their names starting with scope and a dot. */
rd_status rd_plan_list(rd_plan *plan, rd_json_node list, const char *scope, size_t from, size_t *out,
                       rd_error *err) RD_MUST_CHECK;
/* What a layer is a part of, and whose outputs it takes. */
typedef struct rd_layer_site {
    const char *scope; /* name of the composed layer, "" at the top */
    size_t from, also; /* as in rd_layer */
} rd_layer_site;
/* Plans one layer; `at` gives its keys, and its type where type is NULL. */
rd_status rd_plan_one(rd_plan *plan, const rd_layer_type *type, rd_json_node at, const rd_layer_site *site, size_t *out,
                      rd_error *err) RD_MUST_CHECK;
/* What comes out of a layer, or of the input. */
rd_shape rd_plan_shape(const rd_plan *plan, size_t layer);

/* LoRA's share in a dense map whose weight has this name: 0 for none; alpha / rank in *scaling. */
size_t rd_plan_lora_rank(const rd_plan *plan, const char *weight, float *scaling);

/* ---- for the passes ---- */

static inline const float *rd_layer_read(const rd_layer *l, const rd_pass *pass, size_t tensor)
{
    return pass->parameters + l->tensors[tensor]->offset;
}
/* Where the gradient of a tensor goes, or NULL where it is not wanted. */
static inline float *rd_layer_into(const rd_layer *l, const rd_pass *pass, size_t tensor)
{
    return l->tensors[tensor]->role == RD_TENSOR_TRAINED ? pass->into + l->tensors[tensor]->offset : NULL;
}
/* into (n) = scale * into; 0 forgets NaN, as BLAS does. */
void rd_layer_scale(float *into, size_t n, float scale);
/* into (n) = scale * into + rate * (sum over rows of dy (rows, n)) */
void rd_layer_add_rows(float *into, size_t n, const float *dy, size_t rows, float scale, float rate);

/* ---- initial values, each from the random stream that the tensor's name and the seed select ---- */

/* Normal with mean 0 and variance 2 / fan_in (He et al. 2015, equation 10). */
void rd_init_he_normal(const rd_tensor *t, size_t fan_in, uint64_t seed, float *parameters);
/* Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010, equation 16). */
void rd_init_glorot_uniform(const rd_tensor *t, size_t fan_in, size_t fan_out, uint64_t seed, float *parameters);
void rd_init_normal(const rd_tensor *t, double deviation, uint64_t seed, float *parameters);
void rd_init_uniform(const rd_tensor *t, double bound, uint64_t seed, float *parameters);
void rd_init_constant(const rd_tensor *t, float value, float *parameters);

#endif
