/* tensor_file.h: tensors as a safetensors file that Python opens with one line: global parameters, and what a server
 * keeps beside them. */
#ifndef RONDO_CODEC_TENSOR_FILE_H
#define RONDO_CODEC_TENSOR_FILE_H

#include <stdint.h>

#include "core/error.h"
#include "model/tensors.h"

/* Writes a table's part of a vector through path.tmp and rename. Only its owner may read it. Does not wait for the disk: that is the store's, so that
 * clients can have the model while the disk still works. */
rd_status rd_tensor_file_write(rd_tensor_table t, const float *vector, uint64_t round, const char *path,
                               rd_error *err) RD_MUST_CHECK;
/* Reads a file that has exactly the table's tensors, as F32, in any order, into the vector. RD_ERR_FORMAT where it has
 * others, or a number that is not finite: nothing that Rondo writes has one. */
rd_status rd_tensor_file_read(rd_tensor_table t, const char *path, float *vector, rd_error *err) RD_MUST_CHECK;

#endif
