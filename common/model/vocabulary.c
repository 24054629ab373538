/* vocabulary.c: see vocabulary.h. */
#include "model/vocabulary.h"

#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

rd_status rd_vocabulary_create(const char *text, const char *path, rd_vocabulary *out, rd_error *err)
{
    size_t size = strlen(text), length;
    memset(out, 0, sizeof *out);
    out->symbol = malloc((size > 0 ? size : 1) * sizeof *out->symbol);
    if (out->symbol == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for %zu symbols", path, size);
    for (size_t i = 0; i < size; i += length) {
        uint32_t code = 0;
        length = rd_utf8_decode(text + i, size - i, &code);
        if (length == 0 || rd_vocabulary_find(out, code) >= 0) {
            rd_vocabulary_free(out);
            return rd_fail(err, RD_ERR_CONFIG,
                           length == 0 ? "%s: byte %zu is not UTF-8" : "%s: the symbol at byte %zu stands there twice",
                           path, i);
        }
        out->symbol[out->count++] = code;
    }
    return RD_OK;
}

void rd_vocabulary_free(rd_vocabulary *v)
{
    free(v->symbol);
    memset(v, 0, sizeof *v);
}

int32_t rd_vocabulary_find(const rd_vocabulary *v, uint32_t code)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->symbol[i] == code)
            return (int32_t)i;
    return -1;
}
