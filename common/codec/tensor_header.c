/* tensor_header.c: see tensor_header.h. */
#include "codec/tensor_header.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

rd_status rd_tensor_header(rd_tensor_table t, const rd_st_pair *metadata, size_t metadata_count, char **bytes,
                           size_t *size, rd_error *err)
{
    const size_t count = t.count;
    const rd_tensor *tensors = t.tensors;
    rd_st_tensor *entries = calloc(count, sizeof *entries);
    if (entries == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the header of %zu tensors", count);
    for (size_t i = 0; i < count; i++) {
        entries[i].name = tensors[i].name;
        entries[i].dtype = RD_DTYPE_F32;
        entries[i].rank = tensors[i].rank;
        for (int k = 0; k < tensors[i].rank; k++)
            entries[i].shape[k] = tensors[i].shape[k];
    }
    rd_status status = rd_safetensors_header(entries, count, metadata, metadata_count, bytes, size, err);
    free(entries);
    return status;
}

/* "[200, 784]" */
static const char *write_shape(const rd_st_tensor *s, char *text, size_t size)
{
    size_t at = (size_t)snprintf(text, size, "[");
    for (int k = 0; k < s->rank && at < size; k++)
        at += (size_t)snprintf(text + at, size - at, "%s%llu", k > 0 ? ", " : "", (unsigned long long)s->shape[k]);
    if (at < size)
        (void)snprintf(text + at, size - at, "]");
    return text;
}

static rd_status match_tensor(const rd_tensor *t, const rd_st_tensor *s, const char *whose, rd_error *err)
{
    char found[128], expected[128];
    rd_st_tensor wanted = {.rank = t->rank};
    bool same = s->rank == t->rank;
    for (int k = 0; k < t->rank; k++) {
        wanted.shape[k] = t->shape[k];
        same = same && s->shape[k] == t->shape[k];
    }
    if (s->dtype != RD_DTYPE_F32)
        return rd_fail(err, RD_ERR_FORMAT, "%s: tensor '%s': expected dtype F32, found %s", whose, t->name,
                       rd_st_dtype_name(s));
    if (!same)
        return rd_fail(err, RD_ERR_FORMAT, "%s: tensor '%s': expected shape %s, found %s", whose, t->name,
                       write_shape(&wanted, expected, sizeof expected), write_shape(s, found, sizeof found));
    return RD_OK;
}

/* A tensor of the file that is not one of the model's. */
static rd_status find_stranger(rd_tensor_table t, const rd_safetensors *file, const char *whose, rd_error *err)
{
    for (size_t i = 0; i < file->tensor_count; i++) {
        bool known = false;
        for (size_t k = 0; k < t.count && !known; k++)
            known = strcmp(t.tensors[k].name, file->tensors[i].name) == 0;
        if (!known)
            return rd_fail(err, RD_ERR_FORMAT, "%s: tensor '%.100s' is not one of the model's", whose,
                           file->tensors[i].name);
    }
    return RD_OK;
}

rd_status rd_tensor_header_match(rd_tensor_table t, const rd_safetensors *file, const char *whose, size_t *origin,
                                 rd_error *err)
{
    const size_t count = t.count;
    const rd_tensor *tensors = t.tensors;
    if (file->tensor_count > count)
        return find_stranger(t, file, whose, err);
    for (size_t i = 0; i < count; i++) {
        const rd_st_tensor *s = rd_safetensors_find(file, tensors[i].name);
        if (s == NULL && file->tensor_count == count)
            return find_stranger(t, file, whose, err);
        if (s == NULL)
            return rd_fail(err, RD_ERR_FORMAT, "%s: tensor '%s' is missing", whose, tensors[i].name);
        rd_status status = match_tensor(&tensors[i], s, whose, err);
        if (status != RD_OK)
            return status;
        origin[i] = (size_t)(s - file->tensors);
    }
    return RD_OK;
}
