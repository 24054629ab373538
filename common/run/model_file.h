/* model_file.h: global parameters as a safetensors file that Python opens with one line. */
#ifndef RONDO_RUN_MODEL_FILE_H
#define RONDO_RUN_MODEL_FILE_H

#include <stdint.h>

#include "core/error.h"
#include "model/model.h"

/* Writes a set of the parameters through path.tmp and rename. Does not wait for the disk:
 * that is the store's, so that clients can have the model while the disk still works. */
rd_status rd_model_file_write(const rd_model *m, rd_tensor_set set, const float *parameters, uint64_t round,
                              const char *path, rd_error *err) RD_MUST_CHECK;
/* Reads a file that has exactly the set's tensors, as F32, in any order. RD_ERR_FORMAT where it has others, or a number
 * that is not finite: nothing that Rondo writes has one. */
rd_status rd_model_file_read(const rd_model *m, rd_tensor_set set, const char *path, float *parameters,
                             rd_error *err) RD_MUST_CHECK;

#endif
