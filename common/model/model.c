/* model.c: what a plan says of itself, and the initial parameters. */
#include <stdio.h>

#include "model/plan.h"

size_t rd_shape_count(const rd_shape *s)
{
    size_t count = 1;
    for (int i = 0; i < s->rank; i++)
        if (__builtin_mul_overflow(count, s->size[i], &count))
            return SIZE_MAX;
    return count;
}

void rd_shape_text(const rd_shape *s, char text[RD_SHAPE_TEXT_MAX])
{
    if (s->vocabulary > 0)
        (void)snprintf(text, RD_SHAPE_TEXT_MAX, "%zu tokens of %zu symbols", s->size[0], s->vocabulary);
    else if (s->rank == 1)
        (void)snprintf(text, RD_SHAPE_TEXT_MAX, "(%zu)", s->size[0]);
    else if (s->rank == 2)
        (void)snprintf(text, RD_SHAPE_TEXT_MAX, "(%zu, %zu)", s->size[0], s->size[1]);
    else
        (void)snprintf(text, RD_SHAPE_TEXT_MAX, "(%zu, %zu, %zu)", s->size[0], s->size[1], s->size[2]);
}

static const rd_layer *last_layer(const rd_model *m)
{
    return &m->layers[m->layer_count - 1];
}

const rd_shape *rd_model_input(const rd_model *m)
{
    return &m->input;
}

size_t rd_model_input_size(const rd_model *m)
{
    return rd_shape_count(&m->input);
}

const rd_vocabulary *rd_model_vocabulary(const rd_model *m)
{
    return m->vocabulary.count > 0 ? &m->vocabulary : NULL;
}

size_t rd_model_output_size(const rd_model *m)
{
    const rd_shape *s = &last_layer(m)->out;
    return s->size[s->rank - 1];
}

size_t rd_model_predictions(const rd_model *m)
{
    const rd_shape *s = &last_layer(m)->out;
    return s->rank == 2 ? s->size[0] : 1;
}

rd_loss_kind rd_model_loss(const rd_model *m)
{
    return m->loss.kind;
}

const char *rd_model_loss_name(const rd_model *m)
{
    return rd_loss_names[m->loss.kind];
}

bool rd_model_classifies(const rd_model *m)
{
    return rd_loss_types[m->loss.kind].classifies;
}

size_t rd_model_class_count(const rd_model *m)
{
    size_t outputs = rd_model_output_size(m);
    return outputs == 1 ? 2 : outputs;
}

size_t rd_model_parameter_count(const rd_model *m)
{
    return m->parameter_count;
}

rd_tensor_table rd_model_tensors(const rd_model *m, rd_tensor_set set)
{
    switch (set) {
    case RD_TENSORS_TRAVELLING:
        return (rd_tensor_table){m->tensors, m->travelling_tensors, 0, m->travelling_count};
    case RD_TENSORS_CHANGING:
        return (rd_tensor_table){m->tensors, m->changing_tensors, 0, m->changing_count};
    case RD_TENSORS_STAYING:
        return (rd_tensor_table){m->tensors + m->travelling_tensors, m->tensor_count - m->travelling_tensors,
                                 m->travelling_count, m->parameter_count - m->travelling_count};
    case RD_TENSORS_ALL:
        break;
    }
    return (rd_tensor_table){m->tensors, m->tensor_count, 0, m->parameter_count};
}

uint64_t rd_model_forward_flops(const rd_model *m)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < m->layer_count; i++)
        sum += m->layers[i].flops;
    return sum;
}

size_t rd_model_least_rows(const rd_model *m)
{
    size_t least = 1;
    for (size_t i = 0; i < m->layer_count; i++)
        for (size_t k = 0; k < m->layers[i].tensor_count; k++)
            if (m->layers[i].tensors[k]->role == RD_TENSOR_STATISTIC && m->layers[i].least_rows > least)
                least = m->layers[i].least_rows;
    return least;
}

size_t rd_model_layer_count(const rd_model *m)
{
    return m->layer_count;
}

rd_layer_info rd_model_layer_info(const rd_model *m, size_t layer)
{
    const rd_layer *l = &m->layers[layer];
    rd_layer_info info = {.name = l->name, .type = l->type->name, .in = l->in, .out = l->out, .flops = l->flops};
    for (size_t i = 0; i < l->tensor_count; i++) {
        bool seen = false;
        for (size_t before = 0; before < layer; before++)
            for (size_t j = 0; j < m->layers[before].tensor_count; j++)
                seen = seen || m->layers[before].tensors[j] == l->tensors[i];
        if (seen)
            continue;
        info.parameters += l->tensors[i]->count;
        info.trained += l->tensors[i]->role == RD_TENSOR_TRAINED ? l->tensors[i]->count : 0;
    }
    info.activation_bytes = sizeof(float) * (l->outputs * (l->activation->saves_input ? 2 : 1) + l->saved);
    return info;
}

void rd_model_init(const rd_model *m, uint64_t seed, float *parameters)
{
    for (size_t i = 0; i < m->layer_count; i++)
        if (m->layers[i].type->init != NULL)
            m->layers[i].type->init(&m->layers[i], seed, parameters);
}
