/* model.c: what a plan says of itself, and the initial parameters. */
#include "model/plan.h"

size_t rd_model_input_size(const rd_model *m)
{
    return m->input_size;
}

size_t rd_model_output_size(const rd_model *m)
{
    return m->layers[m->layer_count - 1].outputs;
}

rd_loss_kind rd_model_loss(const rd_model *m)
{
    return m->loss;
}

size_t rd_model_parameter_count(const rd_model *m)
{
    return m->parameter_count;
}

const rd_tensor *rd_model_tensors(const rd_model *m, size_t *count)
{
    *count = m->tensor_count;
    return m->tensors;
}

uint64_t rd_model_forward_flops(const rd_model *m)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < m->layer_count; i++)
        sum += m->layers[i].flops;
    return sum;
}

void rd_model_init(const rd_model *m, uint64_t seed, float *parameters)
{
    for (size_t i = 0; i < m->layer_count; i++)
        m->layers[i].type->init(&m->layers[i], seed, parameters);
}
