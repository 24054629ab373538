/* source.h: where samples come from. One description serves `data.train` and `data.test` in run.json and
 * the --data options of rondo-client, and one function opens any of them.
 *
 *   idx          images and labels, plain or gzipped           (MNIST, Fashion-MNIST)
 *   csv          a table, with or without a heading            (UCI tables)
 *   leaf         LEAF JSON: users, user_data                   (Caldas et al. 2018)
 *   text         a text in UTF-8, for language models        (text.h)
 *   synthetic    data that are made up                         (synthetic.h)
 *   safetensors  "x" and "y" of any type                       (dataset_file.c; what `rondo-sim partition` writes)
 */
#ifndef RONDO_DATA_SOURCE_H
#define RONDO_DATA_SOURCE_H

#include <stdbool.h>

#include "core/error.h"
#include "data/dataset.h"
#include "data/schema.h"
#include "data/synthetic.h"
#include "data/text.h"

typedef enum rd_source_format {
    RD_SOURCE_NONE = 0, /* not given */
    RD_SOURCE_IDX,
    RD_SOURCE_CSV,
    RD_SOURCE_LEAF,
    RD_SOURCE_SAFETENSORS,
    RD_SOURCE_TEXT,
    RD_SOURCE_SYNTHETIC,
} rd_source_format;

#define RD_SOURCE_PATH_MAX 1024
#define RD_SOURCE_COLUMN_MAX 64

/* What run.json says of a question, if it does. */
typedef enum rd_tristate { RD_UNSAID = 0, RD_YES, RD_NO } rd_tristate;

typedef struct rd_source {
    rd_source_format format;
    char path[RD_SOURCE_PATH_MAX];           /* idx: the images; leaf: a file or a folder of *.json */
    char labels_path[RD_SOURCE_PATH_MAX];    /* idx: the labels; empty = derived from path */
    char label_column[RD_SOURCE_COLUMN_MAX]; /* csv: a heading, or a position: "0" first, "-1" last; empty: not given */
    char group_column[RD_SOURCE_COLUMN_MAX]; /* csv: the column that says whose row it is; empty: not given. It is no
                                                feature. */
    rd_tristate heading;                     /* csv: the first line holds names */
    char separator, decimal;                 /* csv; '\0': not given */
    bool standardise;                        /* csv: asks for "scale": "standard" in the run's schema */
    rd_text_options text;
    rd_synthetic synthetic;
    rd_tristate regression; /* csv: the label is a target; the model knows, too */
} rd_source;

/* Describes a file, setting all of *out, by its name: .csv/.tsv/.data, .json or a folder (leaf), .safetensors, .txt, a
 * name with "images" or "-idx" in it (idx); else by its first bytes (kind.h). Each may be followed by .gz, safetensors
 * excepted. For idx, labels_path stays empty: rd_source_load derives it ("train-images-idx3" -> "train-labels-idx1"). What a
 * table's dialect is stays open (table.h guesses). The file need not exist: rd_source_load reports that. RD_ERR_DATA: a
 * name that says nothing, of a file that no reader takes; path empty or too long. */
rd_status rd_source_from_path(const char *path, rd_source *out, rd_error *err) RD_MUST_CHECK;

/* Reads it all. m is the model that the samples are for; only a text needs it. A table is read through schema, which is
 * settled. optional_label: rows to predict on, of a table, an IDX or a safetensors file, may have no label. err names the file, and for text the line:
 * "wine.csv: line 17: column 4 ('abc') is not a number". A file that is missing or wrong is RD_ERR_DATA; *out is then
 * empty. */
rd_status rd_source_load(const rd_source *source, const rd_model *m, const rd_schema *schema, bool optional_label,
                         rd_dataset *out, rd_error *err) RD_MUST_CHECK;

/* The readers behind rd_source_load, one file each (idx.c, leaf.c, dataset_file.c); tables are table.h and encode.h. */
rd_status rd_idx_load(const rd_source *source, bool optional_label, rd_dataset *out, rd_error *err) RD_MUST_CHECK;
rd_status rd_leaf_load(const rd_source *source, const rd_model *m, rd_dataset *out, rd_error *err) RD_MUST_CHECK;
rd_status rd_dataset_file_load(const rd_source *source, const rd_model *m, bool optional_label, rd_dataset *out,
                               rd_error *err) RD_MUST_CHECK;

/* Writes some rows as one safetensors file ("x", "y"; metadata "classes"), which rd_dataset_file_load reads
 * back bit for bit. */
rd_status rd_dataset_file_save(const rd_dataset *d, rd_rows rows, const char *path, rd_error *err) RD_MUST_CHECK;

#endif
