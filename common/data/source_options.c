/* source_options.c: see source_options.h. */
#include "data/source_options.h"

#include <stdio.h>
#include <string.h>

static rd_status read_format(const rd_source_options *o, rd_source *s, rd_error *err)
{
    static const char *const formats[] = {[RD_SOURCE_IDX] = "idx",
                                          [RD_SOURCE_CSV] = "csv",
                                          [RD_SOURCE_LEAF] = "leaf",
                                          [RD_SOURCE_SAFETENSORS] = "safetensors",
                                          [RD_SOURCE_TEXT] = "text"};
    if (o->format == NULL)
        return RD_OK;
    for (size_t i = RD_SOURCE_IDX; i <= RD_SOURCE_TEXT; i++)
        if (strcmp(o->format, formats[i]) == 0) {
            s->format = (rd_source_format)i;
            return RD_OK;
        }
    return rd_fail(err, RD_ERR_USAGE, "--format: expected idx, csv, leaf, safetensors or text, found '%.40s'",
                   o->format);
}

static rd_status read_character(const char *option, const char *value, const char *allowed, char *out, rd_error *err)
{
    if (value == NULL)
        return RD_OK;
    const bool tab = strcmp(value, "tab") == 0 || strcmp(value, "\\t") == 0;
    if ((!tab && strlen(value) != 1) || (allowed != NULL && strchr(allowed, *value) == NULL))
        return rd_fail(err, RD_ERR_USAGE, "--%s: expected %s, found '%.40s'", option,
                       allowed != NULL ? "'.' or ','" : "one character, or 'tab'", value);
    *out = tab ? '\t' : *value;
    return RD_OK;
}

/* An option for another kind of file than this one. */
static rd_status check_kind(const rd_source_options *o, const rd_source *s, rd_error *err)
{
    const char *csv = o->label_column != NULL ? "label-column"
                      : o->separator != NULL  ? "separator"
                      : o->decimal != NULL    ? "decimal"
                      : o->header             ? "header"
                      : o->no_header          ? "no-header"
                                              : NULL;
    if (csv != NULL && s->format != RD_SOURCE_CSV)
        return rd_fail(err, RD_ERR_USAGE, "--%s is for tables; --data %s is not read as one (--format csv would)", csv,
                       o->data);
    if (o->labels != NULL && s->format != RD_SOURCE_IDX)
        return rd_fail(err, RD_ERR_USAGE, "--labels is for IDX images; --data %s is not read as such", o->data);
    if (o->header && o->no_header)
        return rd_fail(err, RD_ERR_USAGE, "--header and --no-header: one of them");
    return RD_OK;
}

static rd_status copy(const char *option, const char *value, char *to, size_t size, rd_error *err)
{
    if (value != NULL && (size_t)snprintf(to, size, "%s", value) >= size)
        return rd_fail(err, RD_ERR_USAGE, "--%s: longer than %zu characters", option, size - 1);
    return RD_OK;
}

rd_status rd_source_from_options(const rd_source_options *o, rd_source *out, rd_error *err)
{
    rd_status status = RD_OK;
    RD_TRY(rd_source_from_path(o->data, out, err));
    RD_TRY(read_format(o, out, err));
    RD_TRY(check_kind(o, out, err));
    RD_TRY(read_character("separator", o->separator, NULL, &out->separator, err));
    RD_TRY(read_character("decimal", o->decimal, ".,", &out->decimal, err));
    RD_TRY(copy("labels", o->labels, out->labels_path, sizeof out->labels_path, err));
    RD_TRY(copy("label-column", o->label_column, out->label_column, sizeof out->label_column, err));
    out->heading = o->header ? RD_YES : o->no_header ? RD_NO : RD_UNSAID;
cleanup:
    return status;
}
