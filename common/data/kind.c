/* kind.c: see kind.h. */
#include "data/kind.h"

#include "data/input.h"
#include "format/sniff.h"

/* False: it cannot be read. */
static bool sniff_file(const char *path, rd_sniff_kind *kind)
{
    rd_error ignored;
    char first[RD_SNIFF_BYTES];
    rd_input in = {0};
    size_t got = 0;
    bool read =
        rd_input_open(&in, path, &ignored) == RD_OK && rd_input_read(&in, first, sizeof first, &got, &ignored) == RD_OK;
    rd_input_close(&in);
    *kind = rd_sniff(first, got);
    return read;
}

rd_status rd_kind_format(const char *path, rd_source_format *out, rd_error *err)
{
    rd_sniff_kind kind;
    *out = RD_SOURCE_CSV;
    if (!sniff_file(path, &kind))
        return RD_OK;
    switch (kind) {
    case RD_SNIFF_TEXT:
    case RD_SNIFF_EMPTY:
        return RD_OK;
    case RD_SNIFF_IDX:
        *out = RD_SOURCE_IDX;
        return RD_OK;
    case RD_SNIFF_JSON:
        *out = RD_SOURCE_LEAF;
        return RD_OK;
    case RD_SNIFF_SAFETENSORS:
        *out = RD_SOURCE_SAFETENSORS;
        return RD_OK;
    default:
        return rd_fail(err, RD_ERR_DATA, "%s: %s", path, rd_sniff_describe(kind));
    }
}

/* Whether the reader of that format is to see such a file; it knows best what is wrong with a text. */
static bool may_read(rd_source_format format, rd_sniff_kind kind)
{
    const bool text = kind == RD_SNIFF_TEXT || kind == RD_SNIFF_JSON;
    if (kind == RD_SNIFF_UNKNOWN || kind == RD_SNIFF_EMPTY)
        return true;
    switch (format) {
    case RD_SOURCE_IDX:
        return kind == RD_SNIFF_IDX;
    case RD_SOURCE_TEXT: /* of whatever is written */
        return text || kind == RD_SNIFF_HTML || kind == RD_SNIFF_ARFF;
    case RD_SOURCE_CSV:
    case RD_SOURCE_LEAF:
        return text;
    default:
        return true; /* safetensors.c asks itself */
    }
}

rd_status rd_kind_check(const char *path, rd_source_format format, rd_error *err)
{
    static const char *const wanted[] = {[RD_SOURCE_IDX] = "an IDX file",
                                         [RD_SOURCE_CSV] = "a table (CSV)",
                                         [RD_SOURCE_LEAF] = "LEAF's JSON",
                                         [RD_SOURCE_TEXT] = "a text"};
    rd_sniff_kind kind;
    if (!sniff_file(path, &kind) || may_read(format, kind))
        return RD_OK;
    if (rd_sniff_is_foreign(kind))
        return rd_fail(err, RD_ERR_DATA, "%s: %s", path, rd_sniff_describe(kind));
    return rd_fail(err, RD_ERR_DATA, "%s: %s, but %s was expected", path, rd_sniff_describe(kind), wanted[format]);
}
