/* tensors.c: see tensors.h. */
#include "model/tensors.h"

#include <stdio.h>
#include <stdlib.h>

static rd_status allocate(size_t count, rd_tensor **out, rd_error *err)
{
    *out = calloc(count > 0 ? count : 1, sizeof **out);
    return *out != NULL ? RD_OK : rd_fail(err, RD_ERR_MEMORY, "no memory for a table of %zu tensors", count);
}

rd_status rd_tensor_table_repeat(rd_tensor_table of, const char *const *prefixes, size_t count, rd_tensor_table *out,
                                 rd_error *err)
{
    rd_tensor *tensors;
    rd_status status = allocate((1 + count) * of.count, &tensors, err);
    for (size_t i = 0; i < (1 + count) * of.count && status == RD_OK; i++) {
        const rd_tensor *from = &of.tensors[i % of.count];
        const char *prefix = i < of.count ? "" : prefixes[i / of.count - 1];
        tensors[i] = *from;
        tensors[i].offset += i / of.count * of.elements;
        int length = snprintf(tensors[i].name, sizeof tensors[i].name, "%s%s", prefix, from->name);
        if (length < 0 || (size_t)length >= sizeof tensors[i].name)
            status =
                rd_fail(err, RD_ERR_CONFIG, "tensor name '%s' is too long for '%s...' beside it", from->name, prefix);
    }
    if (status == RD_OK)
        *out = (rd_tensor_table){tensors, (1 + count) * of.count, 0, (1 + count) * of.elements};
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
