/* plan.h: the inside of rd_model, for the files that build it (plan.c) and run it (model.c, pass.c). */
#ifndef RONDO_MODEL_PLAN_H
#define RONDO_MODEL_PLAN_H

#include "model/layer.h"

#define RD_MODEL_MAX_PARAMETERS (UINT64_C(1) << 31)

struct rd_model {
    size_t input_size;
    rd_loss_kind loss;
    rd_layer *layers; /* (layer_count) */
    size_t layer_count;
    rd_tensor *tensors; /* (tensor_count), by rising offset, without gaps */
    size_t tensor_count;
    size_t parameter_count;
};

/* Turns {"preset": NAME, ...} into the {"input", "loss", "layers"} that it stands for. The caller deletes
 * *out. */
rd_status rd_preset_expand(const cJSON *section, const char *path, cJSON **out, rd_error *err) RD_MUST_CHECK;

#endif
