/* plan.c: from the "model" object of run.json to the plan of layers.
 *
 * Each layer is told how many inputs it gets, answers with its outputs, and declares its tensors, which are
 * laid one after another into the vector of parameters. Whatever is wrong is found here, where there still is
 * a key to point at; running a plan cannot fail. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/json_key.h"
#include "model/loss.h"
#include "model/plan.h"

struct rd_plan {
    rd_model *model;
    size_t tensor_capacity;
    const char *path; /* of the layer that is being planned */
};

rd_status rd_plan_tensor(rd_plan *plan, rd_layer *l, const char *suffix, int rank, const size_t *shape,
                         rd_error *err)
{
    rd_model *m = plan->model;
    uint64_t room = RD_MODEL_MAX_PARAMETERS - m->parameter_count, count = 1;
    for (int i = 0; i < rank; i++) {
        if (count > room / shape[i])
            return rd_fail(err, RD_ERR_CONFIG,
                           "%s: layer '%s' from %zu to %zu units takes the model beyond the largest size, "
                           "2147483648 parameters",
                           plan->path, l->name, l->inputs, l->outputs);
        count *= shape[i];
    }
    if (m->tensor_count == plan->tensor_capacity) {
        size_t capacity = plan->tensor_capacity == 0 ? 8 : 2 * plan->tensor_capacity;
        rd_tensor *grown = realloc(m->tensors, capacity * sizeof *grown);
        if (grown == NULL)
            return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for the table of tensors", plan->path);
        m->tensors = grown;
        plan->tensor_capacity = capacity;
    }
    rd_tensor *t = &m->tensors[m->tensor_count++];
    *t = (rd_tensor){.rank = rank, .offset = m->parameter_count, .count = (size_t)count};
    (void)snprintf(t->name, sizeof t->name, "%s.%s", l->name, suffix);
    memcpy(t->shape, shape, (size_t)rank * sizeof *shape);
    m->parameter_count += t->count;
    l->tensor_count++;
    return RD_OK;
}

/* ---- a layer ---- */

static rd_status find_type(const cJSON *json, const char *path, const rd_layer_type **out, rd_error *err)
{
    enum { MOST_TYPES = 32 };
    const char *names[MOST_TYPES + 1] = {NULL};
    size_t which = 0;
    for (size_t i = 0; i < MOST_TYPES && rd_layer_types[i] != NULL; i++)
        names[i] = rd_layer_types[i]->name;
    rd_status status = rd_json_key_choice(json, path, "type", names, -1, &which, err);
    *out = rd_layer_types[which];
    return status;
}

/* The layer's "name", or its type's prefix and the how-manieth of its type it is. */
static rd_status name_layer(const rd_model *m, rd_layer *l, const cJSON *json, const char *path,
                            rd_error *err)
{
    const char *given;
    rd_status status = rd_json_key_text(json, path, "name", &given, err);
    if (status != RD_OK)
        return status;
    if (given != NULL) {
        size_t size = strlen(given);
        if (size == 0 || size >= sizeof l->name ||
            strspn(given, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") != size)
            return rd_fail(err, RD_ERR_CONFIG,
                           "%s.name: expected 1 to %zu letters, digits, '_', '-' or '.', found \"%.60s\"",
                           path, sizeof l->name - 1, given);
        memcpy(l->name, given, size + 1);
    } else {
        size_t number = 1;
        for (const rd_layer *before = m->layers; before < l; before++)
            number += before->type == l->type;
        (void)snprintf(l->name, sizeof l->name, "%s%zu", l->type->prefix, number);
    }
    for (const rd_layer *before = m->layers; before < l; before++)
        if (strcmp(before->name, l->name) == 0)
            return rd_fail(err, RD_ERR_CONFIG, "%s.name: '%s' is already the name of layers[%zu]", path,
                           l->name, (size_t)(before - m->layers));
    return RD_OK;
}

static rd_status plan_layer(rd_plan *plan, const cJSON *json, const char *path, size_t inputs, rd_error *err)
{
    static const char *const keys[] = {"type", "name", "activation", NULL};
    rd_model *m = plan->model;
    rd_layer *l = &m->layers[m->layer_count];
    size_t activation = 0;
    rd_status status = rd_json_key_object(json, path, err);
    if (status == RD_OK)
        status = find_type(json, path, &l->type, err);
    if (status == RD_OK)
        status = rd_json_key_known(json, path, keys, l->type->keys, err);
    if (status == RD_OK)
        status = name_layer(m, l, json, path, err);
    if (status == RD_OK)
        status = rd_json_key_choice(json, path, "activation", rd_activation_names, 0, &activation, err);
    if (status != RD_OK)
        return status;
    l->activation = &rd_activations[activation];
    l->inputs = inputs;
    plan->path = path;
    m->layer_count++;
    return l->type->plan(plan, l, json, path, err);
}

/* ---- the model ---- */

static rd_status plan_layers(rd_model *m, const cJSON *list, const char *path, rd_error *err)
{
    rd_plan plan = {.model = m};
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) == 0)
        return rd_fail(err, RD_ERR_CONFIG, "%s.layers: expected a list of at least one layer, found %s", path,
                       list == NULL          ? "nothing"
                       : cJSON_IsArray(list) ? "an empty one"
                                             : "something else");
    m->layers = calloc((size_t)cJSON_GetArraySize(list), sizeof *m->layers);
    if (m->layers == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s.layers: no memory for the plan", path);
    size_t width = m->input_size;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        char place[RD_JSON_PATH_MAX];
        (void)snprintf(place, sizeof place, "%s.layers[%zu]", path, m->layer_count);
        rd_status status = plan_layer(&plan, item, place, width, err);
        if (status != RD_OK)
            return status;
        width = m->layers[m->layer_count - 1].outputs;
    }
    /* Only now does the table of tensors stay where it is. */
    const rd_tensor *next = m->tensors;
    for (size_t i = 0; i < m->layer_count; i++) {
        m->layers[i].tensors = next;
        next += m->layers[i].tensor_count;
    }
    if (m->loss == RD_LOSS_SOFTMAX_CROSS_ENTROPY && width < 2)
        return rd_fail(
            err, RD_ERR_CONFIG,
            "%s.layers[%zu]: softmax_cross_entropy needs an output for each of at least 2 classes, "
            "found %zu",
            path, m->layer_count - 1, width);
    return RD_OK;
}

rd_status rd_model_create(const cJSON *section, rd_model **out, rd_error *err)
{
    static const char path[] = "model";
    static const char *const keys[] = {"input", "loss", "layers", NULL};
    cJSON *expanded = NULL;
    rd_model *m = NULL;
    rd_status status = RD_OK;
    RD_TRY(rd_json_key_object(section, path, err));
    if (cJSON_GetObjectItemCaseSensitive(section, "preset") != NULL) {
        RD_TRY(rd_preset_expand(section, path, &expanded, err));
        section = expanded;
    }
    m = calloc(1, sizeof *m);
    if (m == NULL)
        RD_TRY(rd_fail(err, RD_ERR_MEMORY, "%s: no memory for the plan", path));
    size_t loss = 0;
    RD_TRY(rd_json_key_known(section, path, keys, NULL, err));
    RD_TRY(rd_json_key_whole(section, path, "input", 1, RD_LAYER_MAX_WIDTH, &m->input_size, err));
    RD_TRY(rd_json_key_choice(section, path, "loss", rd_loss_names, -1, &loss, err));
    m->loss = (rd_loss_kind)loss;
    RD_TRY(plan_layers(m, cJSON_GetObjectItemCaseSensitive(section, "layers"), path, err));
    *out = m;
    m = NULL;
cleanup:
    rd_model_free(m);
    cJSON_Delete(expanded);
    return status;
}

void rd_model_free(rd_model *m)
{
    if (m == NULL)
        return;
    free(m->layers);
    free(m->tensors);
    free(m);
}
