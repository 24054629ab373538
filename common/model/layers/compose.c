/* compose.c: kinds of layers that are made of others.
 *
 *   residual      what its layers make of the input, plus the input (or what a shortcut makes of it)
 *   transformer   x + attention(norm(x)), then x + feed-forward(norm(x)) (pre-norm, Xiong et al. 2020)
 *   adapter       x + up(activation(down(x))), with up starting at zero (Houlsby et al. 2019)
 *
 * A composed layer writes the JSON that a person would have written, and has it planned. */
#include <stdio.h>
#include <string.h>

#include "model/json_key.h"
#include "model/layer.h"

extern const rd_layer_type rd_layer_add;

/* A sum as it stands in the file: what its layers make of what comes in, plus what the shortcut makes of it. */
typedef struct sum {
    const cJSON *layers, *shortcut; /* shortcut NULL: what comes in, as it is */
    const char *activation;         /* of the sum; NULL: none */
    const char *path;
} sum;

static rd_status plan_sum(rd_plan *plan, const sum *s, const char *scope, size_t from, size_t *out, rd_error *err)
{
    char place[RD_JSON_PATH_MAX];
    size_t end = from, side = from;
    (void)snprintf(place, sizeof place, "%s.layers", s->path);
    rd_status status = rd_plan_list(plan, (rd_json_node){s->layers, place}, scope, from, &end, err);
    (void)snprintf(place, sizeof place, "%s.shortcut", s->path);
    if (status == RD_OK && s->shortcut != NULL)
        status = rd_plan_list(plan, (rd_json_node){s->shortcut, place}, scope, from, &side, err);
    if (status != RD_OK)
        return status;
    cJSON *json = cJSON_CreateObject();
    if (json == NULL || (s->activation != NULL && cJSON_AddStringToObject(json, "activation", s->activation) == NULL))
        status = rd_fail(err, RD_ERR_MEMORY, "%s: no memory for the plan", s->path);
    else
        status = rd_plan_one(plan, &rd_layer_add, (rd_json_node){json, s->path}, &(rd_layer_site){scope, end, side},
                             out, err);
    cJSON_Delete(json);
    return status;
}

static const char *const residual_keys[] = {"layers", "shortcut", NULL};

static rd_status residual_compose(rd_plan *plan, rd_json_node at, const char *name, size_t from, size_t *out,
                                  rd_error *err)
{
    sum s = {.layers = cJSON_GetObjectItemCaseSensitive(at.json, "layers"),
             .shortcut = cJSON_GetObjectItemCaseSensitive(at.json, "shortcut"),
             .path = at.path};
    rd_status status = rd_json_key_text(at, "activation", &s.activation, err);
    return status == RD_OK ? plan_sum(plan, &s, name, from, out, err) : status;
}

/* Plans the JSON text as the layers of a sum. */
static rd_status plan_text_sum(rd_plan *plan, const char *text, const char *path, const char *scope, size_t from,
                               size_t *out, rd_error *err)
{
    cJSON *layers = cJSON_Parse(text);
    rd_status status = layers != NULL ? plan_sum(plan, &(sum){.layers = layers, .path = path}, scope, from, out, err)
                                      : rd_fail(err, RD_ERR_MEMORY, "%s: no memory for the plan", path);
    cJSON_Delete(layers);
    return status;
}

static const char *const transformer_keys[] = {"heads",   "units",   "causal", "rotary",  "norm",
                                               "dropout", "experts", "top_k",  "balance", NULL};

typedef struct transformer {
    size_t heads, units, experts, top_k, width, norm;
    bool causal, rotary;
    double dropout, balance;
} transformer;

static const char *const norms[] = {"layer_norm", "rms_norm", NULL};

static rd_status read_transformer(transformer *f, rd_json_node at, rd_error *err)
{
    rd_status status = RD_OK;
    RD_TRY(rd_json_key_whole(at, "heads", 1, 4096, &f->heads, err));
    RD_TRY(rd_json_key_whole(at, "units", 1, RD_LAYER_MAX_WIDTH, &f->units, err));
    RD_TRY(rd_json_key_bool(at, "causal", true, &f->causal, err));
    RD_TRY(rd_json_key_bool(at, "rotary", false, &f->rotary, err));
    RD_TRY(rd_json_key_choice(at, "norm", norms, 0, &f->norm, err));
    RD_TRY(rd_json_key_number(at, "dropout", 0, 0.99, 0, &f->dropout, err));
    RD_TRY(rd_json_key_number(at, "balance", 0, 100, 0.01, &f->balance, err));
    if (cJSON_GetObjectItemCaseSensitive(at.json, "experts") != NULL)
        RD_TRY(rd_json_key_whole(at, "experts", 2, 1024, &f->experts, err));
    if (f->experts > 0)
        RD_TRY(rd_json_key_whole(at, "top_k", 1, f->experts, &f->top_k, err));
    const char *stray = cJSON_GetObjectItemCaseSensitive(at.json, "top_k") != NULL     ? "top_k"
                        : cJSON_GetObjectItemCaseSensitive(at.json, "balance") != NULL ? "balance"
                                                                                       : NULL;
    if (f->experts == 0 && stray != NULL)
        RD_THROW(RD_ERR_CONFIG, "%s.%s has a meaning only with \"experts\"", at.path, stray);
    if (cJSON_GetObjectItemCaseSensitive(at.json, "activation") != NULL)
        RD_THROW(RD_ERR_CONFIG, "%s.activation: a transformer block's is GELU, inside", at.path);
cleanup:
    return status;
}

static rd_status transformer_compose(rd_plan *plan, rd_json_node at, const char *name, size_t from, size_t *out,
                                     rd_error *err)
{
    transformer f = {0};
    char text[640], drop[64] = "";
    size_t middle;
    rd_shape in = rd_plan_shape(plan, from);
    rd_status status = read_transformer(&f, at, err);
    if (status != RD_OK)
        return status;
    if (in.rank != 2) {
        char shape[RD_SHAPE_TEXT_MAX];
        rd_shape_text(&in, shape);
        return rd_fail(err, RD_ERR_CONFIG, "%s: layer '%s' takes a sequence (T, E), but what comes in is %s", at.path,
                       name, shape);
    }
    if (f.dropout > 0)
        (void)snprintf(drop, sizeof drop, ", {\"type\": \"dropout\", \"rate\": %.17g}", f.dropout);
    (void)snprintf(text, sizeof text,
                   "[{\"type\": \"%s\", \"name\": \"norm1\"}, {\"type\": \"attention\", \"name\": \"attn\", "
                   "\"heads\": %zu, "
                   "\"causal\": %s, \"rotary\": %s}%s]",
                   norms[f.norm], f.heads, f.causal ? "true" : "false", f.rotary ? "true" : "false", drop);
    status = plan_text_sum(plan, text, at.path, name, from, &middle, err);
    if (status != RD_OK)
        return status;
    if (f.experts > 0)
        (void)snprintf(text, sizeof text,
                       "[{\"type\": \"%s\", \"name\": \"norm2\"}, {\"type\": \"mixture_of_experts\", "
                       "\"name\": \"moe\", \"experts\": %zu, "
                       "\"top_k\": %zu, \"units\": %zu, \"balance\": %.17g}%s]",
                       norms[f.norm], f.experts, f.top_k, f.units, f.balance, drop);
    else
        (void)snprintf(text, sizeof text,
                       "[{\"type\": \"%s\", \"name\": \"norm2\"}, {\"type\": \"dense\", \"name\": \"fc1\", \"units\": "
                       "%zu, "
                       "\"activation\": \"gelu\"}, {\"type\": \"dense\", \"name\": \"fc2\", \"units\": %zu}%s]",
                       norms[f.norm], f.units, in.size[1], drop);
    return plan_text_sum(plan, text, at.path, name, middle, out, err);
}

static const char *const adapter_keys[] = {"units", NULL};

static rd_status adapter_compose(rd_plan *plan, rd_json_node at, const char *name, size_t from, size_t *out,
                                 rd_error *err)
{
    char text[320];
    size_t units = 0, which = 0;
    rd_shape in = rd_plan_shape(plan, from);
    rd_status status = rd_json_key_whole(at, "units", 1, RD_LAYER_MAX_WIDTH, &units, err);
    if (status == RD_OK)
        status = rd_json_key_choice(at, "activation", rd_activation_names, RD_ACTIVATION_GELU, &which, err);
    if (status != RD_OK)
        return status;
    (void)snprintf(text, sizeof text,
                   "[{\"type\": \"dense\", \"name\": \"adapter_down\", \"units\": %zu, \"activation\": \"%s\"}, "
                   "{\"type\": \"dense\", \"name\": \"adapter_up\", \"units\": %zu, \"start\": \"zero\"}]",
                   units, rd_activation_names[which], in.size[in.rank - 1]);
    return plan_text_sum(plan, text, at.path, name, from, out, err);
}

const rd_layer_type rd_layer_residual = {
    .name = "residual", .prefix = "residual", .keys = residual_keys, .compose = residual_compose};
const rd_layer_type rd_layer_transformer = {
    .name = "transformer", .prefix = "block", .keys = transformer_keys, .compose = transformer_compose};
const rd_layer_type rd_layer_adapter = {
    .name = "adapter", .prefix = "adapter", .keys = adapter_keys, .compose = adapter_compose};
