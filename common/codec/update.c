/* update.c: see update.h. The floats pass through tensor_stream.c; what is an update's own is the report. */
#include "codec/update.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/tensor_header.h"
#include "codec/tensor_stream.h"
#include "core/exact_sum.h"
#include "core/number.h"

#define MAX_REAL 1e12 /* of a loss, a norm, a time; within what rd_exact_scalar_add takes */

struct rd_update_decoder {
    rd_tensor_stream *stream;
    uint64_t round;
    rd_update_sink sink;
    void *user;
    rd_report report;
};

uint64_t rd_update_max_size(rd_tensor_table t)
{
    return rd_tensor_stream_max_size(t);
}

/* ---- writing ---- */

enum { PAIRS = 24 };

typedef struct pairs {
    rd_st_pair pair[PAIRS];
    char text[PAIRS][32];
    size_t count; /* beyond PAIRS: so many were wanted */
} pairs;

static void add_text(pairs *p, char *key, const char *text)
{
    if (p->count < PAIRS) {
        (void)snprintf(p->text[p->count], sizeof p->text[0], "%s", text);
        p->pair[p->count] = (rd_st_pair){key, p->text[p->count]};
    }
    p->count++;
}

static void add_whole(pairs *p, char *key, uint64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    add_text(p, key, text);
}

/* 17 digits give back the same double. */
static void add_real(pairs *p, char *key, double value)
{
    char text[32];
    if (!isfinite(value))
        return;
    (void)snprintf(text, sizeof text, "%.17g", value);
    add_text(p, key, text);
}

rd_status rd_update_header(rd_tensor_table t, uint64_t round, const rd_report *report, char **bytes, size_t *size,
                           rd_error *err)
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
    if (report->personal.samples > 0) {
        add_real(&p, "personal_loss", report->personal.loss);
        add_real(&p, "personal_accuracy", report->personal.accuracy);
        add_whole(&p, "personal_samples", report->personal.samples);
    }
    if (report->steps > 0)
        add_whole(&p, "steps", report->steps);
    add_real(&p, "delta_norm", report->delta_norm);
    add_real(&p, "seconds", report->seconds);
    if (p.count > PAIRS)
        return rd_fail(err, RD_ERR_INTERNAL, "an update's header has room for %d values, not %zu", PAIRS, p.count);
    return rd_tensor_header(t, p.pair, p.count, bytes, size, err);
}

/* ---- metadata ---- */

static rd_status read_whole(const rd_safetensors *file, const char *key, uint64_t *out, rd_error *err)
{
    const char *text = rd_safetensors_metadata(file, key);
    if (text == NULL)
        return RD_OK;
    if (!rd_number_count(text, strlen(text), out) || *out > INT64_MAX)
        return rd_fail(err, RD_ERR_RANGE, "metadata '%s': expected a whole number, found '%.40s'", key, text);
    return RD_OK;
}

/* Whoever tells a larger count than could be trained on would use up the weight that a round's means have. */
static rd_status read_samples(const rd_safetensors *file, const char *key, uint64_t *out, rd_error *err)
{
    rd_status status = read_whole(file, key, out, err);
    if (status == RD_OK && *out >= RD_EXACT_MAX_TERM_WEIGHT)
        status = rd_fail(err, RD_ERR_RANGE, "metadata '%s': expected at most %u, found %" PRIu64, key,
                         RD_EXACT_MAX_TERM_WEIGHT - 1, *out);
    return status;
}

static rd_status read_real(const rd_safetensors *file, const char *key, double max, double *out, rd_error *err)
{
    const char *text = rd_safetensors_metadata(file, key);
    double x;
    if (text == NULL)
        return RD_OK;
    rd_number_kind kind = rd_number_read(text, strlen(text), &x); /* what is too near to 0 is 0 */
    if (text[0] < '0' || text[0] > '9' || kind == RD_NUMBER_NONE || !(x >= 0.0 && x <= max))
        return rd_fail(err, RD_ERR_RANGE, "metadata '%s': expected a number from 0 to %.7g, found '%.40s'", key, max,
                       text);
    *out = x;
    return RD_OK;
}

static rd_status read_metrics(const rd_safetensors *file, const char *const keys[3], rd_metrics *m, rd_error *err)
{
    rd_status status = RD_OK;
    m->loss = m->accuracy = NAN;
    RD_TRY(read_samples(file, keys[0], &m->samples, err));
    RD_TRY(read_real(file, keys[1], MAX_REAL, &m->loss, err));
    RD_TRY(read_real(file, keys[2], 1.0, &m->accuracy, err));
    if (m->samples > 0 && isnan(m->loss))
        status = rd_fail(err, RD_ERR_RANGE, "metadata '%s' is there, '%s' is missing", keys[0], keys[1]);
cleanup:
    return status;
}

static rd_status read_report(void *user, const rd_safetensors *file, rd_error *err)
{
    static const char *const before[] = {"before_samples", "before_loss", "before_accuracy"};
    static const char *const holdout[] = {"holdout_samples", "holdout_loss", "holdout_accuracy"};
    static const char *const personal[] = {"personal_samples", "personal_loss", "personal_accuracy"};
    rd_status status = RD_OK;
    rd_update_decoder *d = user;
    rd_report *r = &d->report;
    uint64_t round = UINT64_MAX;
    r->running_loss = NAN;
    RD_TRY(read_whole(file, "round", &round, err));
    RD_TRY(read_whole(file, "samples", &r->samples, err));
    if (round == UINT64_MAX) {
        status = rd_fail(err, RD_ERR_FORMAT, "metadata 'round' is missing");
    } else if (round != d->round) {
        status =
            rd_fail(err, RD_ERR_STATE, "metadata 'round' is %" PRIu64 ", but this is round %" PRIu64, round, d->round);
    } else if (r->samples == 0 || r->samples >= RD_EXACT_MAX_TERM_WEIGHT) {
        status = rd_fail(
            err, RD_ERR_RANGE, "metadata 'samples': expected 1 to %u, found '%s'", RD_EXACT_MAX_TERM_WEIGHT - 1,
            rd_safetensors_metadata(file, "samples") != NULL ? rd_safetensors_metadata(file, "samples") : "nothing");
    }
    RD_TRY(status);
    RD_TRY(read_real(file, "loss", MAX_REAL, &r->running_loss, err));
    RD_TRY(read_metrics(file, before, &r->before, err));
    RD_TRY(read_metrics(file, holdout, &r->holdout, err));
    RD_TRY(read_metrics(file, personal, &r->personal, err));
    RD_TRY(read_samples(file, "steps", &r->steps, err));
    RD_TRY(read_real(file, "delta_norm", MAX_REAL, &r->delta_norm, err));
    RD_TRY(read_real(file, "seconds", MAX_REAL, &r->seconds, err));
cleanup:
    return status;
}

/* ---- receiving ---- */

static rd_status pass_on(void *user, size_t first, const float *values, size_t count, rd_error *err)
{
    rd_update_decoder *d = user;
    return d->sink(d->user, first, values, count, err);
}

rd_status rd_update_decoder_create(rd_tensor_table t, uint64_t round, rd_update_sink sink, void *user,
                                   rd_update_decoder **out, rd_error *err)
{
    rd_update_decoder *d = calloc(1, sizeof *d);
    if (d == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for an update decoder");
    d->round = round;
    d->sink = sink;
    d->user = user;
    rd_tensor_sink inner = {.on_header = read_report, .on_values = pass_on, .user = d};
    rd_status status = rd_tensor_stream_create(t, &inner, &d->stream, err);
    if (status == RD_OK)
        *out = d;
    else
        rd_update_decoder_free(d);
    return status;
}

rd_status rd_update_decoder_feed(rd_update_decoder *d, const void *bytes, size_t count, rd_error *err)
{
    return rd_tensor_stream_feed(d->stream, bytes, count, err);
}

rd_status rd_update_decoder_finish(rd_update_decoder *d, rd_report *report, rd_error *err)
{
    *report = d->report;
    return rd_tensor_stream_finish(d->stream, err);
}

void rd_update_decoder_free(rd_update_decoder *d)
{
    if (d == NULL)
        return;
    rd_tensor_stream_free(d->stream);
    free(d);
}
