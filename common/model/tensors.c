/* tensors.c: see tensors.h. */
#include "model/tensors.h"

#include <stdio.h>
#include <stdlib.h>

static rd_status allocate(size_t count, rd_tensor **out, rd_error *err)
{
    *out = calloc(count > 0 ? count : 1, sizeof **out);
    return *out != NULL ? RD_OK : rd_fail(err, RD_ERR_MEMORY, "no memory for a table of %zu tensors", count);
}

rd_status rd_tensor_table_double(rd_tensor_table of, const char *prefix, rd_tensor_table *out, rd_error *err)
{
    rd_tensor *tensors;
    rd_status status = allocate(2 * of.count, &tensors, err);
    for (size_t i = 0; i < of.count && status == RD_OK; i++) {
        rd_tensor *second = &tensors[of.count + i];
        tensors[i] = *second = of.tensors[i];
        second->offset += of.elements;
        int length = snprintf(second->name, sizeof second->name, "%s%s", prefix, of.tensors[i].name);
        if (length < 0 || (size_t)length >= sizeof second->name)
            status = rd_fail(err, RD_ERR_CONFIG, "tensor name '%s' is too long for '%s...' beside it",
                             of.tensors[i].name, prefix);
    }
    if (status == RD_OK)
        *out = (rd_tensor_table){tensors, 2 * of.count, 0, 2 * of.elements};
    else
        free(tensors);
    return status;
}

rd_status rd_tensor_table_of_vectors(const char *const *names, const size_t *sizes, size_t count, rd_tensor_table *out,
                                     rd_error *err)
{
    rd_tensor *tensors;
    size_t offset = 0;
    rd_status status = allocate(count, &tensors, err);
    if (status != RD_OK)
        return status;
    for (size_t i = 0; i < count; offset += sizes[i++]) {
        tensors[i] = (rd_tensor){.rank = 1, .shape = {sizes[i]}, .count = sizes[i], .offset = offset};
        (void)snprintf(tensors[i].name, sizeof tensors[i].name, "%s", names[i]);
    }
    *out = (rd_tensor_table){tensors, count, 0, offset};
    return RD_OK;
}

void rd_tensor_table_free(rd_tensor_table *t)
{
    free((void *)t->tensors);
    *t = (rd_tensor_table){0};
}
