/* plan.c: from the "model" object of run.json to the plan of layers.
 *
 * Each layer is told what comes in, answers with what goes out, and declares its tensors. Kinds of layers
 * that are made of others (layers/compose.c) call back to plan those. In the end the tensors are laid one after
 * another into the vector of parameters, those that travel first. Whatever is wrong is found here, where
 * there still is a key to point at; running a plan cannot fail. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/grow.h"
#include "model/counting.h"
#include "model/json_key.h"
#include "model/plan.h"

#define MOST_LAYERS 4096

struct rd_plan {
    rd_model *model;
    size_t tensor_capacity, layer_capacity;
    uint64_t elements; /* of all tensors so far */
    const char *path;  /* of the layer that is being planned */
    const rd_fine_tuning *fine_tuning;
    size_t (*tensor_of)[RD_LAYER_MAX_TENSORS]; /* (layer_capacity) numbers in model->tensors, which still moves */
};

rd_shape rd_plan_shape(const rd_plan *plan, size_t layer)
{
    return layer == RD_LAYER_INPUT ? plan->model->input : plan->model->layers[layer].out;
}

rd_status rd_plan_misfit(const rd_layer *l, const char *path, const char *takes, rd_error *err)
{
    char in[RD_SHAPE_TEXT_MAX];
    rd_shape_text(&l->in, in);
    return rd_fail(err, RD_ERR_CONFIG, "%s: layer '%s' takes %s, but what comes in is %s", path, l->name, takes, in);
}

void *rd_layer_own(rd_layer *l, size_t size, const char *path, rd_error *err)
{
    l->own = calloc(1, size);
    l->own_size = size;
    if (l->own == NULL)
        (void)rd_fail(err, RD_ERR_MEMORY, "%s: no memory for the plan", path);
    return l->own;
}

/* ---- tensors ---- */

static rd_status too_large(const rd_plan *plan, const rd_layer *l, rd_error *err)
{
    char in[RD_SHAPE_TEXT_MAX], out[RD_SHAPE_TEXT_MAX];
    rd_shape_text(&l->in, in);
    rd_shape_text(&l->out, out);
    return rd_fail(err, RD_ERR_CONFIG,
                   "%s: layer '%s' from %s to %s takes the model beyond the largest size, 2147483648 parameters",
                   plan->path, l->name, in, out);
}

static rd_status too_many(const rd_layer *l, const char *path, rd_error *err)
{
    return rd_fail(err, RD_ERR_INTERNAL, "%s: layer '%s' has more than %d tensors", path, l->name,
                   RD_LAYER_MAX_TENSORS);
}

static rd_status add_tensor(rd_plan *plan, rd_layer *l, const char *suffix, int rank, const size_t *shape,
                            rd_tensor_role role, rd_error *err)
{
    rd_model *m = plan->model;
    uint64_t room = RD_MODEL_MAX_PARAMETERS - plan->elements, count = 1;
    for (int i = 0; i < rank; i++) {
        if (count > room / shape[i])
            return too_large(plan, l, err);
        count *= shape[i];
    }
    rd_status status =
        rd_grow(&m->tensors, &plan->tensor_capacity, m->tensor_count + 1, sizeof *m->tensors, "tensors", err);
    if (status != RD_OK)
        return status;
    rd_tensor *t = &m->tensors[m->tensor_count];
    if (l->tensor_count == RD_LAYER_MAX_TENSORS)
        return too_many(l, plan->path, err);
    *t = (rd_tensor){.rank = rank, .count = (size_t)count, .role = role};
    if (snprintf(t->name, sizeof t->name, "%s.%s", l->name, suffix) >= (int)sizeof t->name)
        return rd_fail(err, RD_ERR_CONFIG, "%s: the name of the tensor '%s.%s' is longer than %zu characters",
                       plan->path, l->name, suffix, sizeof t->name - 1);
    if (rd_fine_tuning_freezes(plan->fine_tuning, t->name))
        t->role = RD_TENSOR_FROZEN;
    t->local = rd_fine_tuning_keeps_local(plan->fine_tuning, t->name);
    memcpy(t->shape, shape, (size_t)rank * sizeof *shape);
    plan->elements += count;
    plan->tensor_of[l - m->layers][l->tensor_count++] = m->tensor_count++;
    return RD_OK;
}

rd_status rd_plan_tensor(rd_plan *plan, rd_layer *l, const char *suffix, int rank, const size_t *shape, rd_error *err)
{
    return add_tensor(plan, l, suffix, rank, shape, RD_TENSOR_TRAINED, err);
}

rd_status rd_plan_statistic(rd_plan *plan, rd_layer *l, const char *suffix, int rank, const size_t *shape,
                            rd_error *err)
{
    return add_tensor(plan, l, suffix, rank, shape, RD_TENSOR_STATISTIC, err);
}

rd_status rd_plan_tie(rd_plan *plan, rd_layer *l, const char *name, const rd_layer_type *type, const char *path,
                      const rd_tensor **tensor, rd_error *err)
{
    rd_model *m = plan->model;
    for (rd_layer *other = m->layers; other < l; other++)
        if (other->type == type && strcmp(other->name, name) == 0 && !other->follows) {
            size_t number = plan->tensor_of[other - m->layers][0];
            if (l->tensor_count == RD_LAYER_MAX_TENSORS)
                return too_many(l, path, err);
            other->follows = true;
            plan->tensor_of[l - m->layers][l->tensor_count++] = number;
            *tensor = &m->tensors[number];
            return RD_OK;
        }
    return rd_fail(err, RD_ERR_CONFIG, "%s: no layer of type %s before it is named '%s' and still to be tied", path,
                   type->name, name);
}

size_t rd_plan_lora_rank(const rd_plan *plan, const char *weight, float *scaling)
{
    const rd_fine_tuning *f = plan->fine_tuning;
    const cJSON *pattern;
    cJSON_ArrayForEach(pattern, f->lora_targets)
    {
        if (f->lora_rank > 0 && fnmatch(pattern->valuestring, weight, 0) == 0) {
            *scaling = (float)(f->lora_alpha / (double)f->lora_rank);
            return f->lora_rank;
        }
    }
    return 0;
}

/* ---- a layer ---- */

static rd_status find_type(rd_json_node at, const rd_layer_type **out, rd_error *err)
{
    enum { MOST_TYPES = 48 };
    const char *names[MOST_TYPES + 1] = {NULL};
    size_t which = 0;
    for (size_t i = 0; i < MOST_TYPES && rd_layer_types[i] != NULL; i++)
        names[i] = rd_layer_types[i]->name;
    rd_status status = rd_json_key_choice(at, "type", names, -1, &which, err);
    *out = rd_layer_types[which];
    return status;
}

/* Has the layer itself, or one that it is a part of, this name? */
static bool is_taken(const rd_model *m, const char *name, size_t *by)
{
    size_t length = strlen(name);
    for (*by = 0; *by < m->layer_count; ++*by) {
        const char *other = m->layers[*by].name;
        if (strncmp(other, name, length) == 0 && (other[length] == '\0' || other[length] == '.'))
            return true;
    }
    return false;
}

/* The layer's "name", or its type's prefix and a number, behind the scope. */
static rd_status name_layer(const rd_model *m, const rd_layer_type *type, rd_json_node at, const char *scope,
                            char name[RD_LAYER_NAME_MAX], rd_error *err)
{
    const char *given, *dot = scope[0] != '\0' ? "." : "";
    size_t by, number = 1;
    int length;
    rd_status status = rd_json_key_text(at, "name", &given, err);
    if (status != RD_OK)
        return status;
    if (given != NULL) {
        size_t size = strlen(given);
        length = snprintf(name, RD_LAYER_NAME_MAX, "%s%s%s", scope, dot, given);
        if (size == 0 || length >= RD_LAYER_NAME_MAX ||
            strspn(given, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") != size)
            return rd_fail(err, RD_ERR_CONFIG,
                           "%s.name: expected 1 to %d letters, digits, '_', '-' or '.', found \"%.60s\"", at.path,
                           RD_LAYER_NAME_MAX - 1, given);
        if (is_taken(m, name, &by))
            return rd_fail(err, RD_ERR_CONFIG, "%s.name: '%s' is already the name of another layer", at.path, name);
        return RD_OK;
    }
    for (size_t i = 0; i < m->layer_count; i++)
        number += m->layers[i].type == type && m->layers[i].scope == strlen(scope) &&
                  strncmp(m->layers[i].name, scope, strlen(scope)) == 0;
    do {
        length = snprintf(name, RD_LAYER_NAME_MAX, "%s%s%s%zu", scope, dot, type->prefix, number++);
        if (length >= RD_LAYER_NAME_MAX)
            return rd_fail(err, RD_ERR_CONFIG, "%s: the layer's name under '%s' is longer than %d characters", at.path,
                           scope, RD_LAYER_NAME_MAX - 1);
    } while (is_taken(m, name, &by));
    return RD_OK;
}

static rd_status make_room(rd_plan *plan, rd_error *err)
{
    rd_model *m = plan->model;
    size_t capacity = plan->layer_capacity;
    rd_status status = RD_OK;
    if (m->layer_count == MOST_LAYERS)
        RD_THROW(RD_ERR_CONFIG, "%s: a model has at most %d layers", plan->path, MOST_LAYERS);
    RD_TRY(rd_grow(&m->layers, &capacity, m->layer_count + 1, sizeof *m->layers, "layers", err));
    capacity = plan->layer_capacity;
    RD_TRY(rd_grow(&plan->tensor_of, &capacity, m->layer_count + 1, sizeof *plan->tensor_of, "layers", err));
    plan->layer_capacity = capacity;
cleanup:
    return status;
}

static rd_status plan_simple(rd_plan *plan, const rd_layer_type *type, rd_json_node at, const char *name,
                             const rd_layer_site *site, size_t *out, rd_error *err)
{
    rd_model *m = plan->model;
    size_t activation = 0;
    rd_status status = rd_json_key_choice(at, "activation", rd_activation_names, 0, &activation, err);
    if (status == RD_OK)
        status = make_room(plan, err);
    if (status != RD_OK)
        return status;
    rd_layer *l = &m->layers[m->layer_count];
    *l = (rd_layer){.type = type,
                    .activation = &rd_activations[activation],
                    .scope = strlen(site->scope),
                    .from = site->from,
                    .also = site->also};
    memcpy(l->name, name, RD_LAYER_NAME_MAX);
    l->in = l->out = rd_plan_shape(plan, site->from);
    l->inputs = rd_shape_count(&l->in);
    *out = m->layer_count++;
    status = l->type->plan(plan, l, at, err);
    l->outputs = rd_shape_count(&l->out);
    if (status == RD_OK && l->outputs > RD_LAYER_MAX_WIDTH)
        status = rd_fail(err, RD_ERR_CONFIG, "%s: layer '%s' puts out %zu numbers a sample; the most is %u", at.path,
                         l->name, l->outputs, RD_LAYER_MAX_WIDTH);
    return status;
}

rd_status rd_plan_one(rd_plan *plan, const rd_layer_type *type, rd_json_node at, const rd_layer_site *site, size_t *out,
                      rd_error *err)
{
    static const char *const keys[] = {"type", "name", "activation", NULL};
    char name[RD_LAYER_NAME_MAX] = "";
    rd_status status = RD_OK;
    RD_TRY(rd_json_key_object(at, err));
    if (type == NULL)
        RD_TRY(find_type(at, &type, err));
    RD_TRY(rd_json_key_known(at, keys, type->keys, err));
    RD_TRY(name_layer(plan->model, type, at, site->scope, name, err));
    plan->path = at.path;
    RD_TRY(type->compose != NULL ? type->compose(plan, at, name, site->from, out, err)
                                 : plan_simple(plan, type, at, name, site, out, err));
cleanup:
    return status;
}

rd_status rd_plan_list(rd_plan *plan, rd_json_node list, const char *scope, size_t from, size_t *out, rd_error *err)
{
    if (!cJSON_IsArray(list.json) || cJSON_GetArraySize(list.json) == 0)
        return rd_fail(err, RD_ERR_CONFIG, "%s: expected a list of at least one layer, found %s", list.path,
                       list.json == NULL          ? "nothing"
                       : cJSON_IsArray(list.json) ? "an empty one"
                                                  : "something else");
    size_t number = 0;
    const cJSON *item;
    *out = from;
    cJSON_ArrayForEach(item, list.json)
    {
        char place[RD_JSON_PATH_MAX];
        (void)snprintf(place, sizeof place, "%s[%zu]", list.path, number++);
        rd_status status = rd_plan_one(plan, NULL, (rd_json_node){item, place},
                                       &(rd_layer_site){scope, *out, RD_LAYER_INPUT}, out, err);
        if (status != RD_OK)
            return status;
    }
    return RD_OK;
}

/* ---- the model ---- */

/* "input": 784, or [1, 28, 28], or {"tokens": 80, "vocabulary": 65}, or with a text of symbols instead of 65
 */
static rd_status read_input(rd_model *m, rd_json_node section, rd_error *err)
{
    static const char *const keys[] = {"tokens", "vocabulary", NULL};
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(section.json, "input"), *dimension;
    char place[RD_JSON_PATH_MAX];
    rd_shape *s = &m->input;
    if (cJSON_IsArray(item)) {
        cJSON_ArrayForEach(dimension, item)
        {
            double value = cJSON_IsNumber(dimension) ? dimension->valuedouble : 0;
            if (s->rank == 3 || !(value >= 1 && value <= RD_LAYER_MAX_WIDTH) || value != (double)(size_t)value)
                return rd_fail(err, RD_ERR_CONFIG,
                               "%s.input: expected one to three whole numbers: [D], [T, E] or [C, H, W]", section.path);
            s->size[s->rank++] = (size_t)value;
        }
        if (s->rank == 0 || rd_shape_count(s) > RD_LAYER_MAX_WIDTH)
            return rd_fail(err, RD_ERR_CONFIG, "%s.input: expected 1 to %u numbers a sample", section.path,
                           RD_LAYER_MAX_WIDTH);
        return RD_OK;
    }
    s->rank = 1;
    if (!cJSON_IsObject(item))
        return rd_json_key_whole(section, "input", 1, RD_LAYER_MAX_WIDTH, &s->size[0], err);
    (void)snprintf(place, sizeof place, "%s.input", section.path);
    const rd_json_node input = {item, place};
    const cJSON *symbols = cJSON_GetObjectItemCaseSensitive(item, "vocabulary");
    rd_status status = RD_OK;
    RD_TRY(rd_json_key_known(input, keys, NULL, err));
    RD_TRY(rd_json_key_whole(input, "tokens", 1, RD_LAYER_MAX_WIDTH, &s->size[0], err));
    if (!cJSON_IsString(symbols))
        return rd_json_key_whole(input, "vocabulary", 2, RD_LAYER_MAX_WIDTH, &s->vocabulary, err);
    (void)snprintf(place, sizeof place, "%s.input.vocabulary", section.path);
    status = rd_vocabulary_create(symbols->valuestring, place, &m->vocabulary, err);
    s->vocabulary = m->vocabulary.count;
    if (status == RD_OK && s->vocabulary < 2)
        status = rd_fail(err, RD_ERR_CONFIG, "%s: expected at least 2 symbols", place);
cleanup:
    return status;
}

/* "loss": "mse", or {"type": "huber", "delta": 1} */
static rd_status read_loss(rd_loss *loss, rd_json_node section, rd_error *err)
{
    static const char *const type[] = {"type", NULL}, *const smoothing[] = {"label_smoothing", NULL},
                             *const delta[] = {"delta", NULL};
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(section.json, "loss");
    char place[RD_JSON_PATH_MAX];
    size_t kind = 0;
    double value = 0;
    loss->delta = 1;
    rd_status status = RD_OK;
    if (!cJSON_IsObject(item)) {
        status = rd_json_key_choice(section, "loss", rd_loss_names, -1, &kind, err);
        loss->kind = (rd_loss_kind)kind;
        return status;
    }
    (void)snprintf(place, sizeof place, "%s.loss", section.path);
    const rd_json_node at = {item, place};
    RD_TRY(rd_json_key_choice(at, "type", rd_loss_names, -1, &kind, err));
    loss->kind = (rd_loss_kind)kind;
    RD_TRY(rd_json_key_known(at, type,
                             loss->kind == RD_LOSS_SOFTMAX_CROSS_ENTROPY ? smoothing
                             : loss->kind == RD_LOSS_HUBER               ? delta
                                                                         : NULL,
                             err));
    RD_TRY(rd_json_key_number(at, "label_smoothing", 0, 0.999, 0, &value, err));
    loss->label_smoothing = (float)value;
    RD_TRY(rd_json_key_number(at, "delta", 1e-6, 1e6, 1, &value, err));
    if (loss->kind == RD_LOSS_HUBER)
        loss->delta = (float)value;
cleanup:
    return status;
}

/* Does the loss fit what the last layer puts out? */
static rd_status check_output(const rd_model *m, const char *path, rd_error *err)
{
    const rd_layer *last = &m->layers[m->layer_count - 1];
    size_t width = rd_model_output_size(m);
    char out[RD_SHAPE_TEXT_MAX];
    rd_shape_text(&last->out, out);
    if (last->out.rank == 3 || last->out.vocabulary > 0)
        return rd_fail(err, RD_ERR_CONFIG,
                       "%s: the last layer '%s' puts out %s, but a loss needs features (D) or a sequence (T, E)", path,
                       last->name, out);
    if (m->loss.kind == RD_LOSS_SOFTMAX_CROSS_ENTROPY && width < 2)
        return rd_fail(err, RD_ERR_CONFIG,
                       "%s: the loss softmax_cross_entropy needs an output for each of at least 2 classes, but the "
                       "last layer '%s' puts out %s",
                       path, last->name, out);
    if (m->loss.kind == RD_LOSS_BINARY_CROSS_ENTROPY && width != 1)
        return rd_fail(err, RD_ERR_CONFIG,
                       "%s: the loss binary_cross_entropy needs one output, but the last layer '%s' puts out %s", path,
                       last->name, out);
    if (!rd_loss_types[m->loss.kind].classifies && last->out.rank != 1)
        return rd_fail(err, RD_ERR_CONFIG, "%s: the loss %s needs features (D), but the last layer '%s' puts out %s",
                       path, rd_loss_names[m->loss.kind], last->name, out);
    return RD_OK;
}

/* A layer that learns by counting is a model of its own. */
static rd_status check_counting(const rd_model *m, const char *path, rd_error *err)
{
    for (size_t i = 0; i < m->layer_count; i++)
        if (m->layers[i].type->counting != NULL && (m->layer_count > 1 || m->layers[i].activation->forward != NULL))
            return rd_fail(err, RD_ERR_CONFIG,
                           "%s: layer '%s' learns by counting: it stands alone, without an activation", path,
                           m->layers[i].name);
    bool kmeans = m->layers[0].type->counting != NULL && m->layers[0].type->counting->count_start != NULL;
    if (kmeans != (m->loss.kind == RD_LOSS_INERTIA))
        return rd_fail(err, RD_ERR_CONFIG, "%s.loss: the loss inertia and a layer of type kmeans need each other",
                       path);
    if (m->layers[0].type->counting != NULL && !kmeans && m->loss.kind != RD_LOSS_SOFTMAX_CROSS_ENTROPY)
        return rd_fail(err, RD_ERR_CONFIG, "%s.loss: layer '%s' needs softmax_cross_entropy, the loss of its posterior",
                       path, m->layers[0].name);
    if (m->layers[0].type->counting != NULL && m->travelling_count < m->parameter_count)
        return rd_fail(err, RD_ERR_CONFIG,
                       "%s.fine_tuning: layer '%s' learns by counting, nothing of it can be frozen or local", path,
                       m->layers[0].name);
    return RD_OK;
}

/* What travels, what a client keeps for itself, what is frozen. */
static int part_of(const rd_tensor *t)
{
    return t->role == RD_TENSOR_FROZEN ? 2 : t->local ? 1 : 0;
}

/* Lays the tensors into the vector, those that travel first, and tells the layers where theirs are. */
static rd_status lay_out(rd_plan *plan, rd_error *err)
{
    rd_model *m = plan->model;
    rd_tensor *sorted = malloc((m->tensor_count + 1) * sizeof *sorted);
    size_t *place = malloc((m->tensor_count + 1) * sizeof *place), next = 0;
    if (sorted == NULL || place == NULL) {
        free(sorted);
        free(place);
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the table of tensors");
    }
    for (int part = 0; part < 3; part++) {
        for (size_t i = 0; i < m->tensor_count; i++)
            if (part_of(&m->tensors[i]) == part) {
                place[i] = next;
                sorted[next] = m->tensors[i];
                sorted[next++].offset = m->parameter_count;
                m->parameter_count += m->tensors[i].count;
            }
        if (part == 0) {
            m->travelling_tensors = next;
            m->travelling_count = m->parameter_count;
        } else if (part == 1) {
            m->changing_tensors = next;
            m->changing_count = m->parameter_count;
        }
    }
    free(m->tensors);
    m->tensors = sorted;
    for (size_t i = 0; i < m->layer_count; i++)
        for (size_t j = 0; j < m->layers[i].tensor_count; j++)
            m->layers[i].tensors[j] = &m->tensors[place[plan->tensor_of[i][j]]];
    free(place);
    return RD_OK;
}

/* Works backwards through the layers, as the gradient will: which slot does the gradient of each output lie
 * in, and who needs a gradient at all? */
static rd_status plan_gradients(rd_model *m, rd_error *err)
{
    enum { NONE = -1 };
    size_t count = m->layer_count;
    m->slot_of = malloc((count + 1) * sizeof *m->slot_of);
    m->slot_size = calloc(count + 1, sizeof *m->slot_size);
    bool *assigned = calloc(count + 1, sizeof *assigned), *busy = calloc(count + 1, sizeof *busy);
    rd_status status = RD_OK;
    if (m->slot_of == NULL || m->slot_size == NULL || assigned == NULL || busy == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for the plan");
    for (size_t i = count; i-- > 0;) {
        const size_t inputs[] = {m->layers[i].from, m->layers[i].also};
        if (!assigned[i]) { /* the last layer, or one whose output nobody uses */
            size_t slot = 0;
            while (busy[slot])
                slot++;
            m->slot_of[i] = slot;
            assigned[i] = busy[slot] = true;
        }
        for (int k = 0; k < 2; k++) {
            if (inputs[k] == RD_LAYER_INPUT || assigned[inputs[k]])
                continue;
            size_t slot = 0;
            while (busy[slot])
                slot++;
            m->slot_of[inputs[k]] = slot;
            assigned[inputs[k]] = busy[slot] = true;
        }
        busy[m->slot_of[i]] = false;
        size_t *size = &m->slot_size[m->slot_of[i]];
        *size = m->layers[i].outputs > *size ? m->layers[i].outputs : *size;
        m->slot_count = m->slot_of[i] + 1 > m->slot_count ? m->slot_of[i] + 1 : m->slot_count;
    }
    for (size_t i = 0; i < count; i++) {
        const size_t inputs[] = {m->layers[i].from, m->layers[i].also};
        for (size_t t = 0; t < m->layers[i].tensor_count; t++)
            m->layers[i].trains = m->layers[i].trains || m->layers[i].tensors[t]->role == RD_TENSOR_TRAINED;
        for (int k = 0; k < 2; k++) {
            if (inputs[k] == RD_LAYER_INPUT)
                continue;
            const rd_layer *before = &m->layers[inputs[k]];
            m->layers[i].needs_dx = m->layers[i].needs_dx || before->needs_dx || before->trains;
        }
    }
cleanup:
    free(assigned);
    free(busy);
    return status;
}

rd_status rd_model_create(const cJSON *section, rd_model **out, rd_error *err)
{
    static const char path[] = "model";
    static const char *const keys[] = {"input", "loss", "layers", "fine_tuning", NULL};
    rd_json_node at = {section, path}, layers;
    cJSON *expanded = NULL;
    rd_model *m = NULL;
    rd_fine_tuning fine_tuning = {0};
    rd_plan plan = {.fine_tuning = &fine_tuning};
    size_t last;
    rd_status status = RD_OK;
    RD_TRY(rd_json_key_object(at, err));
    if (cJSON_GetObjectItemCaseSensitive(at.json, "preset") != NULL) {
        RD_TRY(rd_preset_expand(at, &expanded, err));
        at.json = expanded;
    }
    plan.model = m = calloc(1, sizeof *m);
    if (m == NULL)
        RD_THROW(RD_ERR_MEMORY, "%s: no memory for the plan", path);
    RD_TRY(rd_json_key_known(at, keys, NULL, err));
    RD_TRY(read_input(m, at, err));
    RD_TRY(read_loss(&m->loss, at, err));
    RD_TRY(rd_fine_tuning_read(at, &fine_tuning, err));
    m->lora_scaling =
        fine_tuning.lora_rank > 0 ? (float)(fine_tuning.lora_alpha / (double)fine_tuning.lora_rank) : 0.0f;
    layers = (rd_json_node){cJSON_GetObjectItemCaseSensitive(at.json, "layers"), "model.layers"};
    RD_TRY(rd_plan_list(&plan, layers, "", RD_LAYER_INPUT, &last, err));
    RD_TRY(check_output(m, path, err));
    RD_TRY(lay_out(&plan, err));
    RD_TRY(plan_gradients(m, err));
    RD_TRY(check_counting(m, path, err));
    if (m->travelling_count == 0)
        RD_THROW(RD_ERR_CONFIG, "%s: nothing is left to train: %s", path,
                 m->parameter_count == 0 ? "no layer has parameters"
                                         : "fine_tuning names every tensor as frozen or local");
    *out = m;
    m = NULL;
cleanup:
    rd_model_free(m);
    free(plan.tensor_of);
    cJSON_Delete(expanded);
    return status;
}

void rd_model_free(rd_model *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < m->layer_count; i++)
        free(m->layers[i].own);
    rd_vocabulary_free(&m->vocabulary);
    free(m->layers);
    free(m->tensors);
    free(m->slot_of);
    free(m->slot_size);
    free(m);
}
