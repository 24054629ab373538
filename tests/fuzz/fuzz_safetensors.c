/* Safetensors headers: what is accepted covers its data without gaps, fits in 2^53, and survives being
 * written and read again. */
#include <stdlib.h>
#include <string.h>

#include "format/safetensors.h"

static void check(int holds)
{
    if (!holds)
        abort();
}

static void holds(const rd_safetensors *file)
{
    uint64_t at = 0;
    for (size_t i = 0; i < file->tensor_count; i++) {
        const rd_st_tensor *t = &file->tensors[i];
        uint64_t count = 1;
        check(t->rank >= 0 && t->rank <= RD_SAFETENSORS_MAX_RANK && t->name[0] != '\0');
        for (int k = 0; k < t->rank; k++)
            count *= t->shape[k];
        check(t->count == count && t->begin == at && t->begin <= t->end);
        check(t->dtype == RD_DTYPE_OTHER ? t->other[0] != '\0' : t->end - t->begin == count * rd_dtype_size(t->dtype));
        check(rd_safetensors_find(file, t->name) == t);
        at = t->end;
    }
    check(file->data_size == at && at <= UINT64_C(1) << 53);
    for (size_t i = 0; i < file->metadata_count; i++)
        check(rd_safetensors_metadata(file, file->metadata[i].key) != NULL);
}

static void again(const rd_safetensors *file)
{
    rd_safetensors copy;
    rd_error err;
    char *bytes = NULL;
    size_t size = 0;
    for (size_t i = 0; i < file->tensor_count; i++)
        if (file->tensors[i].dtype == RD_DTYPE_OTHER)
            return; /* nobody writes such */
    if (rd_safetensors_header(file->tensors, file->tensor_count, file->metadata, file->metadata_count, &bytes, &size,
                              &err) != RD_OK)
        return;
    check(size % 8 == 0);
    check(rd_safetensors_parse(bytes + 8, size - 8, "copy", &copy, &err) == RD_OK);
    check(copy.tensor_count == file->tensor_count && copy.metadata_count == file->metadata_count);
    for (size_t i = 0; i < file->tensor_count; i++) {
        const rd_st_tensor *a = rd_safetensors_find(&copy, file->tensors[i].name), *b = &file->tensors[i];
        check(a != NULL && a->begin == b->begin && a->end == b->end && a->dtype == b->dtype);
        check(a->rank == b->rank && memcmp(a->shape, b->shape, sizeof a->shape) == 0);
    }
    rd_safetensors_free(&copy);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rd_safetensors file;
    rd_error err;
    /* A block of the very size, so that a read behind its end is seen. */
    char *json = malloc(count > 0 ? count : 1);
    if (json == NULL)
        return 0;
    if (count > 0)
        memcpy(json, bytes, count);
    if (rd_safetensors_parse(json, count, "input", &file, &err) == RD_OK) {
        holds(&file);
        again(&file);
        rd_safetensors_free(&file);
    } else {
        check(err.status == RD_ERR_FORMAT && err.message[0] != '\0');
    }
    free(json);
    return 0;
}
