/* same.c: are two plans the same model?
 *
 * Running a plan looks at nothing but the plan, so plans that are equal in all that is worked out of run.json
 * compute the same. What follows from the rest (offsets, slots, sizes of scratch memory) is not looked at. */
#include <string.h>

#include "model/plan.h"

static bool same_shape(const rd_shape *a, const rd_shape *b)
{
    return a->rank == b->rank && a->vocabulary == b->vocabulary &&
           memcmp(a->size, b->size, (size_t)a->rank * sizeof *a->size) == 0;
}

static bool same_tensor(const rd_tensor *a, const rd_tensor *b)
{
    return strcmp(a->name, b->name) == 0 && a->role == b->role && a->local == b->local && a->rank == b->rank &&
           memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) == 0;
}

static bool same_layer(const rd_layer *a, const rd_layer *b)
{
    if (a->type != b->type || strcmp(a->name, b->name) != 0 || a->from != b->from || a->also != b->also ||
        a->activation != b->activation || a->tensor_count != b->tensor_count || a->own_size != b->own_size ||
        !same_shape(&a->in, &b->in) || !same_shape(&a->out, &b->out))
        return false;
    for (size_t i = 0; i < a->tensor_count; i++)
        if (!same_tensor(a->tensors[i], b->tensors[i]))
            return false;
    return a->own_size == 0 || memcmp(a->own, b->own, a->own_size) == 0;
}

bool rd_model_same(const rd_model *a, const rd_model *b)
{
    const rd_vocabulary *u = &a->vocabulary, *v = &b->vocabulary;
    if (!same_shape(&a->input, &b->input) || u->count != v->count || a->loss.kind != b->loss.kind ||
        a->loss.label_smoothing != b->loss.label_smoothing || a->loss.delta != b->loss.delta ||
        a->lora_scaling != b->lora_scaling || a->layer_count != b->layer_count || a->tensor_count != b->tensor_count)
        return false;
    if (u->count > 0 && memcmp(u->symbol, v->symbol, u->count * sizeof *u->symbol) != 0)
        return false;
    for (size_t i = 0; i < a->layer_count; i++)
        if (!same_layer(&a->layers[i], &b->layers[i]))
            return false;
    return true;
}
