/* tensor_header.h: the safetensors header of a table of tensors, which model files and updates share. */
#ifndef RONDO_CODEC_TENSOR_HEADER_H
#define RONDO_CODEC_TENSOR_HEADER_H

#include "core/error.h"
#include "format/safetensors.h"
#include "model/tensors.h"

/* All tensors of the table as F32 in its order, so that the data that follow are the vector itself. *bytes (8 + N) is the
 * caller's to free. */
rd_status rd_tensor_header(rd_tensor_table t, const rd_st_pair *metadata, size_t metadata_count, char **bytes,
                           size_t *size, rd_error *err) RD_MUST_CHECK;

/* Finds each tensor of the table in the file: origin[i] is the number, among file->tensors, of tensor i. RD_ERR_FORMAT
 * where one is missing, has another dtype than F32 or another shape, or where there are more. */
rd_status rd_tensor_header_match(rd_tensor_table t, const rd_safetensors *file, const char *whose, size_t *origin,
                                 rd_error *err) RD_MUST_CHECK;

#endif
