/* update.c: see update.h. The decoder is a small state machine: the 8 bytes of the header's length, the
 * header, then floats. Tensors may come in any order, so for each piece of data it knows where in the
 * parameter vector it belongs. */
#include "codec/update.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/model_header.h"
#include "core/exact_sum.h"
#include "format/safetensors.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error \
    "updates are little-endian on the wire and are handed out as they come; this host would need to swap bytes"
#endif

#define METADATA_ROOM 65536u /* bytes of header that strangers may use beyond what the tensors need */
#define BYTES_PER_TENSOR 512u
#define STAGE 4096u /* floats copied at a time where the caller's bytes are not aligned */

typedef enum stage { STAGE_LENGTH, STAGE_HEADER, STAGE_DATA } stage;

struct rd_update_decoder {
    const rd_model *model;
    uint64_t round;
    rd_update_sink sink;
    void *user;

    stage stage;
    uint8_t length_bytes[8];
    char *header; /* (header_size) */
    uint64_t header_size;
    uint64_t got;        /* bytes of the current stage */
    rd_safetensors file; /* from STAGE_DATA on */
    size_t *destination; /* (tensor_count) offset in the parameter vector of each tensor of the file */
    size_t tensor;       /* of the file, being received */
    rd_report report;

    uint8_t carry[4]; /* the first bytes of a float that is cut in two */
    size_t carried;
    float values[STAGE];
};

static uint64_t max_header(const rd_model *m)
{
    size_t count;
    rd_model_tensors(m, &count);
    return METADATA_ROOM + BYTES_PER_TENSOR * (uint64_t)count;
}

uint64_t rd_update_max_size(const rd_model *m)
{
    return 8 + max_header(m) + sizeof(float) * (uint64_t)rd_model_parameter_count(m);
}

/* ---- writing ---- */

typedef struct pairs {
    rd_st_pair pair[16];
    char text[16][32];
    size_t count;
} pairs;

static void add_whole(pairs *p, char *key, uint64_t value)
{
    (void)snprintf(p->text[p->count], sizeof p->text[0], "%" PRIu64, value);
    p->pair[p->count] = (rd_st_pair){key, p->text[p->count]};
    p->count++;
}

/* 17 digits give back the same double. */
static void add_real(pairs *p, char *key, double value)
{
    if (!isfinite(value))
        return;
    (void)snprintf(p->text[p->count], sizeof p->text[0], "%.17g", value);
    p->pair[p->count] = (rd_st_pair){key, p->text[p->count]};
    p->count++;
}

rd_status rd_update_header(const rd_model *m, uint64_t round, const rd_report *report, char **bytes,
                           size_t *size, rd_error *err)
{
    pairs p = {.count = 0};
    add_whole(&p, "round", round);
    add_whole(&p, "samples", report->samples);
    add_real(&p, "loss", report->running_loss);
    if (report->before.samples > 0) {
        add_real(&p, "before_loss", report->before.loss);
        add_real(&p, "before_accuracy", report->before.accuracy);
        add_whole(&p, "before_samples", report->before.samples);
    }
    if (report->holdout.samples > 0) {
        add_real(&p, "holdout_loss", report->holdout.loss);
        add_real(&p, "holdout_accuracy", report->holdout.accuracy);
        add_whole(&p, "holdout_samples", report->holdout.samples);
    }
    add_real(&p, "delta_norm", report->delta_norm);
    add_real(&p, "seconds", report->seconds);
    return rd_model_header(m, p.pair, p.count, bytes, size, err);
}

/* ---- metadata ---- */

static rd_status read_whole(const rd_safetensors *file, const char *key, uint64_t *out, rd_error *err)
{
    const char *text = rd_safetensors_metadata(file, key);
    if (text == NULL)
        return RD_OK;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18 || text[digits] != '\0')
        return rd_fail(err, RD_ERR_RANGE, "metadata '%s': expected a whole number, found '%.40s'", key, text);
    *out = strtoull(text, NULL, 10);
    return RD_OK;
}

static rd_status read_real(const rd_safetensors *file, const char *key, double min, double *out,
                           rd_error *err)
{
    const char *text = rd_safetensors_metadata(file, key);
    char *end;
    if (text == NULL)
        return RD_OK;
    double x = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(x) || x < min || x >= 0x1p40)
        return rd_fail(err, RD_ERR_RANGE, "metadata '%s': expected a number from %g to 2^40, found '%.40s'",
                       key, min, text);
    *out = x;
    return RD_OK;
}

static rd_status read_metrics(const rd_safetensors *file, const char *const keys[3], rd_metrics *m,
                              rd_error *err)
{
    rd_status status = RD_OK;
    m->loss = m->accuracy = NAN;
    RD_TRY(read_whole(file, keys[0], &m->samples, err));
    RD_TRY(read_real(file, keys[1], 0.0, &m->loss, err));
    RD_TRY(read_real(file, keys[2], 0.0, &m->accuracy, err));
    if (m->samples > 0 && isnan(m->loss))
        status = rd_fail(err, RD_ERR_RANGE, "metadata '%s' is there, '%s' is missing", keys[0], keys[1]);
cleanup:
    return status;
}

static rd_status read_report(rd_update_decoder *d, rd_error *err)
{
    static const char *const before[] = {"before_samples", "before_loss", "before_accuracy"};
    static const char *const holdout[] = {"holdout_samples", "holdout_loss", "holdout_accuracy"};
    rd_status status = RD_OK;
    rd_report *r = &d->report;
    uint64_t round = UINT64_MAX;
    r->running_loss = NAN;
    RD_TRY(read_whole(&d->file, "round", &round, err));
    RD_TRY(read_whole(&d->file, "samples", &r->samples, err));
    if (round == UINT64_MAX) {
        status = rd_fail(err, RD_ERR_FORMAT, "metadata 'round' is missing");
    } else if (round != d->round) {
        status = rd_fail(err, RD_ERR_STATE, "metadata 'round' is %" PRIu64 ", but this is round %" PRIu64,
                         round, d->round);
    } else if (r->samples == 0 || r->samples >= RD_EXACT_MAX_TERM_WEIGHT) {
        status = rd_fail(err, RD_ERR_RANGE, "metadata 'samples': expected 1 to %u, found '%s'",
                         RD_EXACT_MAX_TERM_WEIGHT - 1,
                         rd_safetensors_metadata(&d->file, "samples") != NULL
                             ? rd_safetensors_metadata(&d->file, "samples")
                             : "nothing");
    }
    RD_TRY(status);
    RD_TRY(read_real(&d->file, "loss", 0.0, &r->running_loss, err));
    RD_TRY(read_metrics(&d->file, before, &r->before, err));
    RD_TRY(read_metrics(&d->file, holdout, &r->holdout, err));
    RD_TRY(read_real(&d->file, "delta_norm", 0.0, &r->delta_norm, err));
    RD_TRY(read_real(&d->file, "seconds", 0.0, &r->seconds, err));
cleanup:
    return status;
}

/* ---- receiving ---- */

rd_status rd_update_decoder_create(const rd_model *m, uint64_t round, rd_update_sink sink, void *user,
                                   rd_update_decoder **out, rd_error *err)
{
    rd_update_decoder *d = calloc(1, sizeof *d);
    if (d == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for an update decoder");
    d->model = m;
    d->round = round;
    d->sink = sink;
    d->user = user;
    *out = d;
    return RD_OK;
}

static rd_status length_complete(rd_update_decoder *d, rd_error *err)
{
    d->header_size = 0;
    for (int i = 7; i >= 0; i--)
        d->header_size = d->header_size << 8 | d->length_bytes[i];
    if (d->header_size < 2 || d->header_size > max_header(d->model))
        return rd_fail(err, RD_ERR_FORMAT,
                       "not a safetensors update: a header of %" PRIu64 " bytes, at most %" PRIu64
                       " are expected",
                       d->header_size, max_header(d->model));
    d->header = malloc((size_t)d->header_size);
    if (d->header == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a header of %" PRIu64 " bytes", d->header_size);
    d->stage = STAGE_HEADER;
    d->got = 0;
    return RD_OK;
}

static rd_status header_complete(rd_update_decoder *d, rd_error *err)
{
    rd_status status = RD_OK;
    size_t count;
    size_t *origin = NULL;
    const rd_tensor *tensors = rd_model_tensors(d->model, &count);
    RD_TRY(rd_safetensors_parse(d->header, (size_t)d->header_size, "update", &d->file, err));
    origin = calloc(count, sizeof *origin);
    d->destination = calloc(count, sizeof *d->destination);
    if (origin == NULL || d->destination == NULL) {
        status = rd_fail(err, RD_ERR_MEMORY, "no memory for the table of %zu tensors", count);
        goto cleanup;
    }
    RD_TRY(rd_model_header_match(d->model, &d->file, "update", origin, err));
    for (size_t i = 0; i < count; i++)
        d->destination[origin[i]] = tensors[i].offset;
    RD_TRY(read_report(d, err));
    d->stage = STAGE_DATA;
    d->got = 0;
cleanup:
    free(origin);
    free(d->header);
    d->header = NULL;
    return status;
}

/* Hands out whole floats that begin at byte d->got of the data; they may belong to several tensors. */
static rd_status hand_out(rd_update_decoder *d, const float *values, size_t count, rd_error *err)
{
    while (count > 0) {
        const rd_st_tensor *t = &d->file.tensors[d->tensor];
        size_t within = (size_t)(d->got - t->begin) / sizeof(float);
        size_t n = (size_t)t->count - within < count ? (size_t)t->count - within : count;
        size_t unfit = rd_exact_find_unfit(values, n);
        if (unfit < n) {
            const char *what = isnan(values[unfit])   ? "NaN"
                               : isinf(values[unfit]) ? "infinite"
                                                      : "2^23 or more";
            return rd_fail(err, RD_ERR_RANGE, "tensor '%s': element %zu is %s", t->name, within + unfit,
                           what);
        }
        if (n > 0) {
            rd_status status = d->sink(d->user, d->destination[d->tensor] + within, values, n, err);
            if (status != RD_OK)
                return status;
        }
        d->got += n * sizeof(float);
        values += n;
        count -= n;
        while (d->tensor < d->file.tensor_count && d->file.tensors[d->tensor].end <= d->got)
            d->tensor++;
    }
    return RD_OK;
}

static rd_status feed_data(rd_update_decoder *d, const uint8_t *bytes, size_t count, rd_error *err)
{
    if (count > d->file.data_size - d->got - d->carried)
        return rd_fail(err, RD_ERR_FORMAT, "the body is longer than its header says");
    while (count > 0) {
        if (d->carried > 0 || count < sizeof(float)) {
            d->carry[d->carried++] = *bytes++;
            count--;
            if (d->carried < sizeof(float))
                continue;
            d->carried = 0;
            memcpy(d->values, d->carry, sizeof(float));
            rd_status status = hand_out(d, d->values, 1, err);
            if (status != RD_OK)
                return status;
            continue;
        }
        bool aligned = (uintptr_t)bytes % sizeof(float) == 0;
        size_t n = count / sizeof(float);
        const float *values = (const float *)(const void *)bytes;
        if (!aligned) {
            n = n < STAGE ? n : STAGE;
            memcpy(d->values, bytes, n * sizeof(float));
            values = d->values;
        }
        rd_status status = hand_out(d, values, n, err);
        if (status != RD_OK)
            return status;
        bytes += n * sizeof(float);
        count -= n * sizeof(float);
    }
    return RD_OK;
}

/* Copies what is still missing of a stage of `whole` bytes; true when it is complete. */
static bool fill(rd_update_decoder *d, void *into, uint64_t whole, const uint8_t **bytes, size_t *count)
{
    size_t n = whole - d->got < *count ? (size_t)(whole - d->got) : *count;
    memcpy((uint8_t *)into + d->got, *bytes, n);
    d->got += n;
    *bytes += n;
    *count -= n;
    return d->got == whole;
}

rd_status rd_update_decoder_feed(rd_update_decoder *d, const void *bytes, size_t count, rd_error *err)
{
    const uint8_t *p = bytes;
    rd_status status = RD_OK;
    if (d->stage == STAGE_LENGTH && fill(d, d->length_bytes, sizeof d->length_bytes, &p, &count))
        status = length_complete(d, err);
    if (status == RD_OK && d->stage == STAGE_HEADER && fill(d, d->header, d->header_size, &p, &count))
        status = header_complete(d, err);
    if (status == RD_OK && d->stage == STAGE_DATA)
        status = feed_data(d, p, count, err);
    return status;
}

rd_status rd_update_decoder_finish(rd_update_decoder *d, rd_report *report, rd_error *err)
{
    if (d->stage != STAGE_DATA)
        return rd_fail(err, RD_ERR_FORMAT, "the body ends within its header");
    if (d->got != d->file.data_size)
        return rd_fail(err, RD_ERR_FORMAT, "the body ends after %" PRIu64 " of %" PRIu64 " bytes of data",
                       d->got + d->carried, d->file.data_size);
    *report = d->report;
    return RD_OK;
}

void rd_update_decoder_free(rd_update_decoder *d)
{
    if (d == NULL)
        return;
    free(d->header);
    free(d->destination);
    rd_safetensors_free(&d->file);
    free(d);
}
