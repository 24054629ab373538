/* allow.c: see allow.h. */
#include "allow.h"

#include <stdlib.h>
#include <string.h>

#include "core/file.h"

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

rd_status rd_allow_load(const char *path, rd_allow *out, rd_error *err)
{
    size_t size, lines = 1;
    memset(out, 0, sizeof *out);
    rd_status status = rd_file_read(path, 64 << 20, &out->text, &size, err);
    if (status != RD_OK)
        return status;
    for (size_t i = 0; i < size; i++)
        lines += out->text[i] == '\n';
    out->names = calloc(lines, sizeof *out->names);
    if (out->names == NULL) {
        rd_allow_free(out);
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for %zu names", path, lines);
    }
    char *rest = out->text;
    for (char *line; (line = strsep(&rest, "\r\n")) != NULL;)
        if (line[0] != '\0' && line[0] != '#')
            out->names[out->count++] = line;
    if (out->count == 0) {
        rd_allow_free(out);
        return rd_fail(err, RD_ERR_CONFIG, "%s: names no client: expected one name a line", path);
    }
    qsort(out->names, out->count, sizeof *out->names, compare_names);
    return RD_OK;
}

bool rd_allow_has(const rd_allow *a, const char *name)
{
    return bsearch(&name, a->names, a->count, sizeof *a->names, compare_names) != NULL;
}

void rd_allow_free(rd_allow *a)
{
    free(a->names);
    free(a->text);
    memset(a, 0, sizeof *a);
}
