/* tensor_stream.c: see tensor_stream.h. A small state machine: the 8 bytes of the header's length, the
 * header, then floats. Tensors may come in any order, so for each piece of data it knows where in the
 * parameter vector it belongs. */
#include "codec/tensor_stream.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "codec/tensor_header.h"
#include "core/exact_sum.h"
#include "format/foreign.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensors are little-endian on the wire and are handed out as they come; this host would need to swap bytes"
#endif

#define METADATA_ROOM 65536u /* bytes of header that strangers may use beyond what the tensors need */
#define BYTES_PER_TENSOR 512u
#define STAGE 4096u /* floats copied at a time where the caller's bytes are not aligned */

typedef enum stage { STAGE_LENGTH, STAGE_HEADER, STAGE_DATA } stage;

struct rd_tensor_stream {
    rd_tensor_table table;
    rd_tensor_sink sink;

    stage stage;
    uint8_t length_bytes[8];
    char *header; /* (header_size) */
    uint64_t header_size;
    uint64_t got;        /* bytes of the current stage */
    rd_safetensors file; /* from STAGE_DATA on */
    size_t *destination; /* (tensor_count) offset in the parameter vector of each tensor of the file */
    size_t tensor;       /* of the file, being received */

    uint8_t carry[4]; /* the first bytes of a float that is cut in two */
    size_t carried;
    float values[STAGE];
};

static uint64_t max_header(rd_tensor_table t)
{
    return METADATA_ROOM + BYTES_PER_TENSOR * (uint64_t)t.count;
}

uint64_t rd_tensor_stream_max_size(rd_tensor_table t)
{
    return 8 + max_header(t) + sizeof(float) * (uint64_t)t.elements;
}

rd_status rd_tensor_stream_create(rd_tensor_table t, const rd_tensor_sink *sink, rd_tensor_stream **out, rd_error *err)
{
    rd_tensor_stream *s = calloc(1, sizeof *s);
    if (s == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a stream of tensors");
    s->table = t;
    s->sink = *sink;
    *out = s;
    return RD_OK;
}

static rd_status length_complete(rd_tensor_stream *s, rd_error *err)
{
    s->header_size = 0;
    for (int i = 7; i >= 0; i--)
        s->header_size = s->header_size << 8 | s->length_bytes[i];
    if (s->header_size < 2 || s->header_size > max_header(s->table))
        return rd_fail(err, RD_ERR_FORMAT,
                       "not a safetensors body: a header of %" PRIu64 " bytes, at most %" PRIu64 " are expected",
                       s->header_size, max_header(s->table));
    s->header = malloc((size_t)s->header_size);
    if (s->header == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a header of %" PRIu64 " bytes", s->header_size);
    s->stage = STAGE_HEADER;
    s->got = 0;
    return RD_OK;
}

static rd_status header_complete(rd_tensor_stream *s, rd_error *err)
{
    rd_status status = RD_OK;
    const size_t count = s->table.count;
    size_t *origin = NULL;
    RD_TRY(rd_safetensors_parse(s->header, (size_t)s->header_size, "body", &s->file, err));
    origin = calloc(count, sizeof *origin);
    s->destination = calloc(count, sizeof *s->destination);
    if (origin == NULL || s->destination == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for the table of %zu tensors", count);
    RD_TRY(rd_tensor_header_match(s->table, &s->file, "body", origin, err));
    for (size_t i = 0; i < count; i++)
        s->destination[origin[i]] = s->table.tensors[i].offset;
    if (s->sink.on_header != NULL)
        RD_TRY(s->sink.on_header(s->sink.user, &s->file, err));
    s->stage = STAGE_DATA;
    s->got = 0;
cleanup:
    free(origin);
    free(s->header);
    s->header = NULL;
    return status;
}

/* Hands out whole floats that begin at byte s->got of the data; they may belong to several tensors. */
static rd_status hand_out(rd_tensor_stream *s, const float *values, size_t count, rd_error *err)
{
    while (count > 0) {
        const rd_st_tensor *t = &s->file.tensors[s->tensor];
        size_t within = (size_t)(s->got - t->begin) / sizeof(float);
        size_t n = (size_t)t->count - within < count ? (size_t)t->count - within : count;
        size_t unfit = rd_exact_find_unfit(values, n);
        if (unfit < n)
            return rd_fail(err, RD_ERR_RANGE, "tensor '%s': element %zu is %s", t->name, within + unfit,
                           rd_exact_unfit_word((double)values[unfit]));
        if (n > 0) {
            rd_status status = s->sink.on_values(s->sink.user, s->destination[s->tensor] + within, values, n, err);
            if (status != RD_OK)
                return status;
        }
        s->got += n * sizeof(float);
        values += n;
        count -= n;
        while (s->tensor < s->file.tensor_count && s->file.tensors[s->tensor].end <= s->got)
            s->tensor++;
    }
    return RD_OK;
}

static rd_status feed_data(rd_tensor_stream *s, const uint8_t *bytes, size_t count, rd_error *err)
{
    if (count > s->file.data_size - s->got - s->carried)
        return rd_fail(err, RD_ERR_FORMAT, "the body is longer than its header says");
    while (count > 0) {
        if (s->carried > 0 || count < sizeof(float)) {
            s->carry[s->carried++] = *bytes++;
            count--;
            if (s->carried < sizeof(float))
                continue;
            s->carried = 0;
            memcpy(s->values, s->carry, sizeof(float));
            rd_status status = hand_out(s, s->values, 1, err);
            if (status != RD_OK)
                return status;
            continue;
        }
        bool aligned = (uintptr_t)bytes % sizeof(float) == 0;
        size_t n = count / sizeof(float);
        const float *values = (const float *)(const void *)bytes;
        if (!aligned) {
            n = n < STAGE ? n : STAGE;
            memcpy(s->values, bytes, n * sizeof(float));
            values = s->values;
        }
        rd_status status = hand_out(s, values, n, err);
        if (status != RD_OK)
            return status;
        bytes += n * sizeof(float);
        count -= n * sizeof(float);
    }
    return RD_OK;
}

/* Copies what is still missing of a stage of `whole` bytes; true when it is complete. */
static bool fill(rd_tensor_stream *s, void *into, uint64_t whole, const uint8_t **bytes, size_t *count)
{
    size_t n = whole - s->got < *count ? (size_t)(whole - s->got) : *count;
    memcpy((uint8_t *)into + s->got, *bytes, n);
    s->got += n;
    *bytes += n;
    *count -= n;
    return s->got == whole;
}

rd_status rd_tensor_stream_feed(rd_tensor_stream *s, const void *bytes, size_t count, rd_error *err)
{
    const uint8_t *p = bytes;
    rd_status status = RD_OK;
    if (s->stage == STAGE_LENGTH && fill(s, s->length_bytes, sizeof s->length_bytes, &p, &count))
        status = length_complete(s, err);
    if (status == RD_OK && s->stage == STAGE_HEADER && fill(s, s->header, s->header_size, &p, &count))
        status = header_complete(s, err);
    if (status == RD_OK && s->stage == STAGE_DATA)
        status = feed_data(s, p, count, err);
    if (status != RD_OK)
        rd_foreign_plain(err->message); /* it may quote the body, and ends up in logs */
    return status;
}

rd_status rd_tensor_stream_finish(const rd_tensor_stream *s, rd_error *err)
{
    if (s->stage != STAGE_DATA)
        return rd_fail(err, RD_ERR_FORMAT, "the body ends within its header");
    if (s->got != s->file.data_size)
        return rd_fail(err, RD_ERR_FORMAT, "the body ends after %" PRIu64 " of %" PRIu64 " bytes of data",
                       s->got + s->carried, s->file.data_size);
    return RD_OK;
}

void rd_tensor_stream_free(rd_tensor_stream *s)
{
    if (s == NULL)
        return;
    free(s->header);
    free(s->destination);
    rd_safetensors_free(&s->file);
    free(s);
}
