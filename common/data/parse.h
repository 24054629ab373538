/* parse.h: the readers of source.h without the file system: what rd_idx_load and rd_leaf_load do
 * once they hold bytes. Tests and fuzzers come in here.
 *
 * On failure *out is left empty. `whose` starts the messages. */
#ifndef RONDO_DATA_PARSE_H
#define RONDO_DATA_PARSE_H

#include <stddef.h>

#include "core/error.h"
#include "data/dataset.h"
#include "data/input.h"
#include "data/source.h"

/* Class numbers are below this, so that a stray number in a label column does not size a model. */
#define RD_MAX_CLASSES 16777216

/* labels NULL: the images have none. */
rd_status rd_idx_read(rd_input *images, rd_input *labels, rd_dataset *out, rd_error *err) RD_MUST_CHECK;

/* m: the model that the samples are for, or NULL; only texts need it. */
rd_status rd_leaf_parse(const char *text, size_t size, const char *whose, const rd_model *m, rd_dataset *out,
                        rd_error *err) RD_MUST_CHECK;

/* The labels that belong to these images: ".../train-images-idx3-ubyte.gz" -> "train-labels-idx1-ubyte.gz"
 * in the same folder. RD_ERR_DATA where the file's name has no "images" in it. */
rd_status rd_idx_labels_path(const char *images_path, char *out, size_t size, rd_error *err) RD_MUST_CHECK;

#endif
