/* source_options.h: the options by which a command line says where samples come from, the same for every program. */
#ifndef RONDO_DATA_SOURCE_OPTIONS_H
#define RONDO_DATA_SOURCE_OPTIONS_H

#include <stdbool.h>

#include "core/error.h"
#include "core/options.h"
#include "data/source.h"

/* Zeroed: nothing is given. */
typedef struct rd_source_options {
    const char *data, *format, *labels, *label_column, *separator, *decimal;
    bool header, no_header;
} rd_source_options;

/* Rows of a table of options; o is an rd_source_options. */
/* clang-format off */
#define RD_SOURCE_OPTIONS(o, must, what) \
    {RD_OPTION_TEXT, "data", "PATH", what, &(o)->data, must, 0, 0}, RD_SOURCE_DETAILS(o)
#define RD_SOURCE_DETAILS(o) \
    {RD_OPTION_TEXT, "format", "FORMAT", \
     "idx, csv, leaf, safetensors or text; default: by the file's name and first bytes", &(o)->format, false, 0, 0}, \
    {RD_OPTION_TEXT, "labels", "FILE", \
     "idx: the labels; default: the images' name with 'labels-idx1' for 'images-idx3'", &(o)->labels, false, 0, 0}, \
    {RD_OPTION_TEXT, "label-column", "COLUMN", \
     "csv: heading or position of the label, -1 is the last; default: the run's label, or the last column", \
     &(o)->label_column, false, 0, 0}, \
    {RD_OPTION_TEXT, "separator", "CHAR", "csv: what stands between columns, 'tab' for a tab; default: guessed", \
     &(o)->separator, false, 0, 0}, \
    {RD_OPTION_TEXT, "decimal", "CHAR", "csv: '.' or ',' in numbers; default: guessed", &(o)->decimal, false, 0, 0}, \
    {RD_OPTION_FLAG, "header", NULL, "csv: the first line holds names; default: guessed", &(o)->header, false, 0, 0}, \
    {RD_OPTION_FLAG, "no-header", NULL, "csv: the first line holds data, not names", &(o)->no_header, false, 0, 0}
/* clang-format on */

/* RD_ERR_USAGE: an option that is not for this kind of file, or makes no sense; RD_ERR_DATA: the path. */
rd_status rd_source_from_options(const rd_source_options *o, rd_source *out, rd_error *err) RD_MUST_CHECK;

#endif
