/* twin.c: see twin.h. */
#include "model/twin.h"

#include <stdio.h>
#include <stdlib.h>

#include "model/plan.h"

static rd_status plan(size_t tensors, size_t elements, rd_model **out, rd_error *err)
{
    rd_model *m = calloc(1, sizeof *m);
    if (m != NULL)
        m->tensors = calloc(tensors > 0 ? tensors : 1, sizeof *m->tensors);
    if (m == NULL || m->tensors == NULL) {
        rd_model_free(m);
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a table of %zu tensors", tensors);
    }
    m->tensor_count = m->shared_tensors = m->learned_tensors = tensors;
    m->parameter_count = m->shared_count = m->learned_count = elements;
    *out = m;
    return RD_OK;
}

rd_status rd_twin_plan(const rd_model *m, const char *prefix, rd_model **out, rd_error *err)
{
    size_t count, n = rd_model_set_size(m, RD_TENSORS_SHARED);
    const rd_tensor *tensors = rd_model_tensors(m, RD_TENSORS_SHARED, &count);
    rd_status status = plan(2 * count, 2 * n, out, err);
    for (size_t i = 0; i < count && status == RD_OK; i++) {
        rd_tensor *twin = &(*out)->tensors[count + i];
        (*out)->tensors[i] = *twin = tensors[i];
        twin->offset += n;
        int length = snprintf(twin->name, sizeof twin->name, "%s%s", prefix, tensors[i].name);
        if (length < 0 || (size_t)length >= sizeof twin->name)
            status = rd_fail(err, RD_ERR_CONFIG, "tensor name '%s' is too long for its twin '%s...'", tensors[i].name,
                             prefix);
    }
    if (status != RD_OK) {
        rd_model_free(*out);
        *out = NULL;
    }
    return status;
}

rd_status rd_vectors_plan(const char *const *names, const size_t *sizes, size_t count, rd_model **out, rd_error *err)
{
    size_t elements = 0;
    for (size_t i = 0; i < count; i++)
        elements += sizes[i];
    rd_status status = plan(count, elements, out, err);
    for (size_t i = 0, offset = 0; i < count && status == RD_OK; offset += sizes[i++]) {
        rd_tensor *t = &(*out)->tensors[i];
        *t = (rd_tensor){.rank = 1, .shape = {sizes[i]}, .count = sizes[i], .offset = offset};
        (void)snprintf(t->name, sizeof t->name, "%s", names[i]);
    }
    return status;
}
