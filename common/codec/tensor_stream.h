/* tensor_stream.h: a safetensors body with a table of tensors, taken as it comes off the socket, in
 * pieces of any size, and handed out as floats with their place in the parameter vector. Memory is the header
 * plus a small constant. The model that a client fetches and the update that an aggregator receives both pass
 * through here. */
#ifndef RONDO_CODEC_TENSOR_STREAM_H
#define RONDO_CODEC_TENSOR_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "format/safetensors.h"
#include "model/tensors.h"

typedef struct rd_tensor_sink {
    /* The header is there and has exactly the table's tensors, as F32. May be NULL. */
    rd_status (*on_header)(void *user, const rd_safetensors *file, rd_error *err);
    /* count values, all finite and below 2^23, belong at parameters [first, first + count). */
    rd_status (*on_values)(void *user, size_t first, const float *values, size_t count, rd_error *err);
    void *user;
} rd_tensor_sink;

typedef struct rd_tensor_stream rd_tensor_stream;

/* What the table points to must outlive the stream. */
rd_status rd_tensor_stream_create(rd_tensor_table t, const rd_tensor_sink *sink, rd_tensor_stream **out,
                                  rd_error *err) RD_MUST_CHECK;
/* The next bytes. RD_ERR_FORMAT: not safetensors, wrong names, shapes or dtype, too long; RD_ERR_RANGE: NaN,
 * Inf or 2^23 and more; or what the sink returned. After a failure the stream is only good for freeing. */
rd_status rd_tensor_stream_feed(rd_tensor_stream *s, const void *bytes, size_t count, rd_error *err) RD_MUST_CHECK;
/* The body has ended: was all of it there? */
rd_status rd_tensor_stream_finish(const rd_tensor_stream *s, rd_error *err) RD_MUST_CHECK;
void rd_tensor_stream_free(rd_tensor_stream *s);

/* No body for this table is larger. */
uint64_t rd_tensor_stream_max_size(rd_tensor_table t);

#endif
