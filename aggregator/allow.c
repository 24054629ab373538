/* allow.c: see allow.h. */
#include "allow.h"

#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/grow.h"
#include "core/lines.h"

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A name in double quotes, as spreadsheets write it, loses them (RFC 4180); what would be two names to a spreadsheet
 * is refused where no quotes say that it is one. text: what the line is a part of, in which the name stays. */
static rd_status read_name(const char *path, char *text, const rd_line *line, const char **out, rd_error *err)
{
    char *name = text + (line->text - text), *to = name, *end = name + line->length;
    if (*name != '"') {
        char *separator = memchr(name, ',', line->length);
        separator = separator != NULL ? separator : memchr(name, ';', line->length);
        separator = separator != NULL ? separator : memchr(name, '\t', line->length);
        if (separator != NULL)
            return rd_fail(err, RD_ERR_CONFIG,
                           "%s: line %zu: one name a line was expected; a name with a comma, semicolon or tab in it "
                           "stands in double quotes",
                           path, line->number);
        *end = '\0';
        *out = name;
        return RD_OK;
    }
    char *p = name + 1;
    for (; p < end && (*p != '"' || (p + 1 < end && p[1] == '"')); p++) {
        p += *p == '"';
        *to++ = *p;
    }
    if (p + 1 != end || to == name)
        return rd_fail(err, RD_ERR_CONFIG, "%s: line %zu: a name in double quotes ends with its closing quote", path,
                       line->number);
    *to = '\0';
    *out = name;
    return RD_OK;
}

rd_status rd_allow_load(const char *path, rd_allow *out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_lines lines;
    rd_line line;
    size_t size, capacity = 0;
    memset(out, 0, sizeof *out);
    RD_TRY(rd_file_read(path, 64 << 20, &out->text, &size, err));
    RD_TRY(rd_lines_open(&lines, out->text, size, RD_LINES_TRIM | RD_LINES_COMMENTS, path, err));
    while (rd_lines_next(&lines, &line)) {
        if (line.length == 0)
            continue;
        RD_TRY(rd_grow(&out->names, &capacity, out->count + 1, sizeof *out->names, "names", err));
        RD_TRY(read_name(path, out->text, &line, &out->names[out->count], err));
        out->count++;
    }
    if (out->count == 0)
        RD_THROW(RD_ERR_CONFIG, "%s: names no client: expected one name a line", path);
    qsort(out->names, out->count, sizeof *out->names, compare_names);
cleanup:
    if (status != RD_OK)
        rd_allow_free(out);
    return status;
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
