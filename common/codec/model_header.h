/* model_header.h: the safetensors header of a model's tensors, which model files and updates share. */
#ifndef RONDO_CODEC_MODEL_HEADER_H
#define RONDO_CODEC_MODEL_HEADER_H

#include "core/error.h"
#include "format/safetensors.h"
#include "model/model.h"

/* All tensors of the set as F32 in the order of the parameter vector, so that the data that follow are the
 * vector itself. *bytes (8 + N) is the caller's to free. */
rd_status rd_model_header(const rd_model *m, rd_tensor_set set, const rd_st_pair *metadata, size_t metadata_count,
                          char **bytes, size_t *size, rd_error *err) RD_MUST_CHECK;

/* Finds each of the set's tensors in the file: origin[i] is the number, among file->tensors, of
 * tensor i of the set. RD_ERR_FORMAT where one is missing, has another dtype than F32 or another shape, or
 * where there are more. */
rd_status rd_model_header_match(const rd_model *m, rd_tensor_set set, const rd_safetensors *file, const char *whose,
                                size_t *origin, rd_error *err) RD_MUST_CHECK;

#endif
