/* safetensors.h: the file format of parameters and updates, on disk and on the wire.
 *
 *   8 bytes   N, length of the header, little-endian
 *   N bytes   JSON: {"name": {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, ...,
 *                    "__metadata__": {"key": "text", ...}}
 *   the data, row-major little-endian, offsets counted from its beginning, without gaps
 *
 * (the format's specification is in the README of the safetensors project). This file knows headers; whoever
 * holds the bytes of the data keeps them. No I/O here but in rd_safetensors_open. */
#ifndef RONDO_FORMAT_SAFETENSORS_H
#define RONDO_FORMAT_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "format/dtype.h"

#define RD_SAFETENSORS_MAX_HEADER (UINT64_C(16) << 20) /* larger headers are refused */
#define RD_SAFETENSORS_MAX_RANK 8
#define RD_SAFETENSORS_DTYPE_MAX 24

typedef struct rd_st_tensor {
    const char *name; /* of any length; in an rd_safetensors its own, for writing the caller's */
    rd_dtype dtype;
    char other[RD_SAFETENSORS_DTYPE_MAX]; /* RD_DTYPE_OTHER: the name in the header */
    int rank;
    uint64_t shape[RD_SAFETENSORS_MAX_RANK];
    uint64_t count;      /* elements: product of shape (1 for rank 0) */
    uint64_t begin, end; /* bytes, from the beginning of the data */
} rd_st_tensor;
const char *rd_st_dtype_name(const rd_st_tensor *t); /* "F32", "F8_E4M3" */

typedef struct rd_st_pair {
    char *key, *value;
} rd_st_pair;

typedef struct rd_safetensors {
    rd_st_tensor *tensors; /* (tensor_count), by rising begin */
    size_t tensor_count;
    rd_st_pair *metadata; /* (metadata_count), by key */
    size_t metadata_count;
    uint64_t data_start; /* file offset of the data: 8 + N */
    uint64_t data_size;  /* bytes of data that the tensors cover */
} rd_safetensors;

/* Parses a header of `size` JSON bytes (without the 8-byte length). Checks everything that can be checked:
 * shapes against offsets, overlaps, gaps, duplicate names, overflow in products. A dtype is whatever stands there:
 * whoever takes a tensor says which he can read. `whose` names the file in err: "model.safetensors: tensor
 * 'fc1.weight' ends at byte 812, but its shape [10, 20] needs 800". */
rd_status rd_safetensors_parse(const char *json, size_t size, const char *whose, rd_safetensors *out,
                               rd_error *err) RD_MUST_CHECK;

/* Opens a file, parses its header, compares data_size with the file's length. *fd is the caller's to close.
 */
rd_status rd_safetensors_open(const char *path, rd_safetensors *out, int *fd, rd_error *err) RD_MUST_CHECK;

/* Writes the 8-byte length and the JSON header for these tensors, whose data follow in the order given
 * (begin and end are ignored and computed here; of RD_DTYPE_OTHER there can be none). The header is padded with spaces to a multiple of 8, so that
 * the data are aligned. *bytes is the caller's to free. */
rd_status rd_safetensors_header(const rd_st_tensor *tensors, size_t tensor_count, const rd_st_pair *metadata,
                                size_t metadata_count, char **bytes, size_t *size, rd_error *err) RD_MUST_CHECK;

const rd_st_tensor *rd_safetensors_find(const rd_safetensors *s, const char *name); /* NULL: none */
const char *rd_safetensors_metadata(const rd_safetensors *s, const char *key);      /* NULL: none */
void rd_safetensors_free(rd_safetensors *s);

#endif
