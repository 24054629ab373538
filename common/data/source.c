/* source.c: see source.h. */
#include "data/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "data/kind.h"
#include "data/parse.h"
#include "data/table_file.h"

/* Whether path ends in ending or in ending.gz, in any case. */
static bool has_ending(const char *path, const char *ending)
{
    size_t length = strlen(path), n = strlen(ending);
    if (length > 3 && strcasecmp(path + length - 3, ".gz") == 0)
        length -= 3;
    return length > n && strncasecmp(path + length - n, ending, n) == 0;
}

/* "train-images-idx3-ubyte", "images.gz": the names that MNIST's relatives have. */
static bool is_idx_name(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;
    return strstr(base, "images") != NULL || strstr(base, "-idx") != NULL || has_ending(path, "ubyte") ||
           has_ending(path, ".idx");
}

rd_status rd_source_from_path(const char *path, rd_source *out, rd_error *err)
{
    struct stat info;
    memset(out, 0, sizeof *out);
    if (*path == '\0' || strlen(path) >= sizeof out->path)
        return rd_fail(err, RD_ERR_DATA, "'%.60s': a path of 1 to %zu characters was expected", path,
                       sizeof out->path - 1);
    strcpy(out->path, path);
    out->text.test_share = 0.1;
    if (has_ending(path, ".csv") || has_ending(path, ".tsv") || has_ending(path, ".data")) {
        out->format = RD_SOURCE_CSV;
        out->separator = has_ending(path, ".tsv") ? '\t' : '\0';
    } else if (has_ending(path, ".txt")) {
        out->format = RD_SOURCE_TEXT;
    } else if (has_ending(path, ".json") || (stat(path, &info) == 0 && S_ISDIR(info.st_mode))) {
        out->format = RD_SOURCE_LEAF;
    } else if (has_ending(path, ".safetensors")) {
        out->format = RD_SOURCE_SAFETENSORS;
    } else if (is_idx_name(path)) {
        out->format = RD_SOURCE_IDX;
    } else {
        rd_status status = rd_kind_format(path, &out->format, err);
        if (status != RD_OK)
            return status;
    }
    return RD_OK;
}

static rd_status load_text(const rd_source *source, const rd_model *m, rd_dataset *out, rd_error *err)
{
    rd_input in = {0};
    rd_status status = RD_OK;
    RD_TRY(rd_kind_check(source->path, RD_SOURCE_TEXT, err));
    RD_TRY(rd_input_open(&in, source->path, err));
    RD_TRY(rd_text_read(&in, &source->text, m, out, err));
cleanup:
    rd_input_close(&in);
    return status;
}

static rd_status load_table(const rd_source *source, const rd_schema *schema, bool optional_label, rd_dataset *out,
                            rd_error *err)
{
    rd_table_file file = {0};
    rd_status status = rd_table_file_open(source, schema, optional_label, &file, err);
    if (status == RD_OK)
        status = rd_table_file_encode(&file, schema, true, out, err);
    rd_table_file_close(&file);
    return status;
}

rd_status rd_source_load(const rd_source *source, const rd_model *m, const rd_schema *schema, bool optional_label,
                         rd_dataset *out, rd_error *err)
{
    memset(out, 0, sizeof *out);
    switch (source->format) {
    case RD_SOURCE_IDX:
        return rd_idx_load(source, optional_label, out, err);
    case RD_SOURCE_CSV:
        return load_table(source, schema, optional_label, out, err);
    case RD_SOURCE_LEAF:
        return rd_leaf_load(source, m, out, err);
    case RD_SOURCE_SAFETENSORS:
        return rd_dataset_file_load(source, m, optional_label, out, err);
    case RD_SOURCE_TEXT:
        return load_text(source, m, out, err);
    case RD_SOURCE_SYNTHETIC:
        return rd_synthetic_make(&source->synthetic, out, err);
    case RD_SOURCE_NONE:
        break;
    }
    return rd_fail(err, RD_ERR_DATA, "no data file was named");
}
