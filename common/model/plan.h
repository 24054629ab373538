/* plan.h: the inside of rd_model, for the files that build it (plan.c) and run it (model.c, pass.c). */
#ifndef RONDO_MODEL_PLAN_H
#define RONDO_MODEL_PLAN_H

#include "model/layer.h"
#include "model/loss.h"

#define RD_MODEL_MAX_PARAMETERS (UINT64_C(1) << 31)

struct rd_model {
    rd_shape input;
    rd_vocabulary vocabulary; /* count 0: none */
    rd_loss loss;
    rd_layer *layers; /* (layer_count) each after those whose output it takes */
    size_t layer_count;
    rd_tensor *tensors; /* (tensor_count), by rising offset, without gaps; frozen ones last */
    size_t tensor_count, travelling_tensors, changing_tensors;
    size_t parameter_count, travelling_count, changing_count;
    float lora_scaling; /* alpha / rank; 0: no LoRA */

    /* Gradients of the layers' outputs lie in slots that are used again as soon as they are free. */
    size_t *slot_of;   /* (layer_count) */
    size_t *slot_size; /* (slot_count) floats per sample */
    size_t slot_count;
};

/* Turns {"preset": NAME, ...} into the {"input", "loss", "layers"} that it stands for. The caller deletes
 * *out. */
rd_status rd_preset_expand(rd_json_node section, cJSON **out, rd_error *err) RD_MUST_CHECK;

/* Which tensors are frozen, and which dense maps get a low-rank change: model.fine_tuning. */
typedef struct rd_fine_tuning {
    const cJSON *freeze, *train, *local, *lora_targets; /* lists of patterns, or NULL */
    size_t lora_rank;                                   /* 0: none */
    double lora_alpha;
} rd_fine_tuning;
rd_status rd_fine_tuning_read(rd_json_node section, rd_fine_tuning *out, rd_error *err) RD_MUST_CHECK;
bool rd_fine_tuning_freezes(const rd_fine_tuning *f, const char *tensor);
bool rd_fine_tuning_keeps_local(const rd_fine_tuning *f, const char *tensor);

#endif
