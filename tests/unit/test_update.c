/* Updates on the wire: every way to cut them into pieces gives the same floats, and every way to get them
 * wrong is named. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/update.h"

static const float values[9] = {0.5f, -1.25f, 3e-20f, -8388607.5f, 0.0f, 1e-45f, 7.0f, 1.0f / 3.0f, -0.0f};

static rd_model *make_model(void)
{
    /* fc1.weight (2,3), fc1.bias (2) and nothing else would be 8: one more output makes 3 x 2 + 3 = 9. */
    cJSON *section = cJSON_Parse("{\"preset\": \"softmax-regression\", \"input\": 2, \"classes\": 3}");
    rd_model *m;
    rd_error err;
    cr_assert_eq(rd_model_create(section, &m, &err), RD_OK);
    cr_assert_eq(rd_model_parameter_count(m), 9);
    cJSON_Delete(section);
    return m;
}

static rd_status keep(void *user, size_t first, const float *v, size_t count, rd_error *err)
{
    float *into = user;
    (void)err;
    cr_assert(first + count <= 9);
    memcpy(into + first, v, count * sizeof *v);
    return RD_OK;
}

/* Feeds the body in pieces of the given sizes (the second one takes the rest). */
static rd_status receive(const rd_model *m, const char *body, size_t size, size_t cut, size_t step, float *got,
                         rd_report *report, rd_error *err)
{
    rd_update_decoder *d;
    rd_status status = rd_update_decoder_create(rd_model_tensors(m, RD_TENSORS_TRAVELLING), 3, keep, got, &d, err);
    cr_assert_eq(status, RD_OK);
    for (size_t at = 0; at < size && status == RD_OK;) {
        size_t n = at < cut ? cut - at : step;
        if (n > size - at)
            n = size - at;
        char *piece = malloc(n); /* of its own, so that a sanitizer sees every byte too far */
        memcpy(piece, body + at, n);
        status = rd_update_decoder_feed(d, piece, n, err);
        free(piece);
        at += n;
    }
    if (status == RD_OK)
        status = rd_update_decoder_finish(d, report, err);
    rd_update_decoder_free(d);
    return status;
}

static char *make_body(const rd_model *m, const rd_report *report, size_t *size)
{
    char *header, *body;
    size_t header_size;
    rd_error err;
    cr_assert_eq(rd_update_header(rd_model_tensors(m, RD_TENSORS_TRAVELLING), 3, report, &header, &header_size, &err),
                 RD_OK);
    *size = header_size + sizeof values;
    body = malloc(*size);
    memcpy(body, header, header_size);
    memcpy(body + header_size, values, sizeof values);
    free(header);
    cr_assert(*size <= rd_update_max_size(rd_model_tensors(m, RD_TENSORS_TRAVELLING)));
    return body;
}

Test(update, any_pieces_give_the_same)
{
    rd_model *m = make_model();
    rd_report sent = {.samples = 600,
                      .running_loss = 1.0 / 3.0,
                      .before = {600, 0.1234567890123456789, 0.75},
                      .holdout = {60, 2.5, NAN},
                      .personal = {59, 1.5, 0.25},
                      .steps = 12,
                      .delta_norm = 1e-300,
                      .seconds = 0.25};
    size_t size;
    char *body = make_body(m, &sent, &size);
    for (size_t cut = 0; cut <= size; cut++) {
        for (size_t step = 1; step <= size; step = step * 3 + 2) {
            float got[9] = {0};
            rd_report report;
            rd_error err = {0};
            cr_assert(receive(m, body, size, cut, step, got, &report, &err) == RD_OK, "%s", err.message);
            cr_assert_eq(memcmp(got, values, sizeof values), 0);
            cr_assert(report.samples == 600 && report.running_loss == sent.running_loss &&
                      report.before.loss == sent.before.loss);
            cr_assert(report.before.accuracy == 0.75 && report.before.samples == 600 && report.holdout.samples == 60);
            cr_assert(isnan(report.holdout.accuracy) && report.holdout.loss == 2.5 && report.delta_norm == 1e-300);
            cr_assert(report.personal.samples == 59 && report.personal.loss == 1.5 && report.personal.accuracy == 0.25);
            cr_assert(report.steps == 12 && report.seconds == 0.25);
        }
    }
    free(body);
    rd_model_free(m);
}

/* A body by hand: header text and floats. */
static rd_status by_hand(const char *header, const float *v, size_t count, float *got, rd_error *err)
{
    rd_model *m = make_model();
    char body[4096];
    uint64_t length = strlen(header);
    rd_report report;
    memcpy(body, &length, 8);
    memcpy(body + 8, header, length);
    memcpy(body + 8 + length, v, count * sizeof *v);
    rd_status status = receive(m, body, 8 + length + count * sizeof *v, 5, 11, got, &report, err);
    rd_model_free(m);
    return status;
}

#define W(begin, end) "\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[" begin "," end "]}"
#define B(begin, end) "\"fc1.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[" begin "," end "]}"
#define META "\"__metadata__\":{\"round\":\"3\",\"samples\":\"5\"}"

Test(update, tensors_may_come_in_any_order)
{
    float got[9] = {0};
    rd_error err = {0};
    const float wire[9] = {7, 8, 9, 1, 2, 3, 4, 5, 6};
    cr_assert(by_hand("{" B("0", "12") "," W("12", "36") "," META "}", wire, 9, got, &err) == RD_OK, "%s", err.message);
    for (int i = 0; i < 9; i++)
        cr_assert_eq(got[i], i + 1);
}

static void refuse(const char *header, const float *v, size_t count, rd_status expected, const char *words)
{
    float got[9];
    rd_error err = {0};
    rd_status status = by_hand(header, v, count, got, &err);
    cr_assert_eq(status, expected, "%s: %s", rd_status_name(status), err.message);
    cr_assert(strstr(err.message, words) != NULL, "'%s' is not in '%s'", words, err.message);
}

#define GOOD "{" META "," W("0", "24") "," B("24", "36") "}"

Test(update, wrong_values_are_named)
{
    float v[9];
    memcpy(v, values, sizeof v);
    v[4] = NAN;
    refuse(GOOD, v, 9, RD_ERR_RANGE, "tensor 'fc1.weight': element 4 is NaN");
    v[4] = 0.0f;
    v[8] = -INFINITY;
    refuse(GOOD, v, 9, RD_ERR_RANGE, "tensor 'fc1.bias': element 2 is infinite");
    v[8] = 8388608.0f;
    refuse(GOOD, v, 9, RD_ERR_RANGE, "tensor 'fc1.bias': element 2 is 2^23 or more");
}

Test(update, wrong_bodies_are_named)
{
    refuse(GOOD, values, 8, RD_ERR_FORMAT, "ends after 32 of 36 bytes");
    refuse("{" META "," W("0", "24") "}", values, 6, RD_ERR_FORMAT, "tensor 'fc1.bias' is missing");
    refuse("{" META "," W("0", "24") ",\"x\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[24,36]}}", values, 9,
           RD_ERR_FORMAT, "tensor 'x' is not one of the model's");
    refuse("{" META ",\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}," B("24", "36") "}",
           values, 9, RD_ERR_FORMAT, "expected shape [3, 2], found [2, 3]");
    refuse("{" META ",\"fc1.weight\":{\"dtype\":\"I32\",\"shape\":[3,2],\"data_offsets\":[0,24]}," B("24", "36") "}",
           values, 9, RD_ERR_FORMAT, "expected dtype F32, found I32");
    refuse("{" META
           "," W("0", "24") "," B("24", "36") ",\"y\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[36,40]}}",
           values, 9, RD_ERR_FORMAT, "tensor 'y' is not one of the model's");
    const float more[10] = {0};
    refuse(GOOD, more, 10, RD_ERR_FORMAT, "longer than its header says");
}

Test(update, wrong_metadata_is_named)
{
#define WITH(meta) "{\"__metadata__\":{" meta "}," W("0", "24") "," B("24", "36") "}"
    refuse("{" W("0", "24") "," B("24", "36") "}", values, 9, RD_ERR_FORMAT, "metadata 'round' is missing");
    refuse(WITH("\"round\":\"4\",\"samples\":\"5\""), values, 9, RD_ERR_STATE, "'round' is 4, but this is round 3");
    refuse(WITH("\"round\":\"three\",\"samples\":\"5\""), values, 9, RD_ERR_RANGE,
           "expected a whole number, found 'three'");
    refuse(WITH("\"round\":\"3\""), values, 9, RD_ERR_RANGE, "'samples': expected 1 to 2147483647, found 'nothing'");
    refuse(WITH("\"round\":\"3\",\"samples\":\"0\""), values, 9, RD_ERR_RANGE, "found '0'");
    refuse(WITH("\"round\":\"3\",\"samples\":\"2147483648\""), values, 9, RD_ERR_RANGE, "found '2147483648'");
    refuse(WITH("\"round\":\"3\",\"samples\":\"1\",\"loss\":\"nan\""), values, 9, RD_ERR_RANGE, "metadata 'loss'");
    refuse(WITH("\"round\":\"3\",\"samples\":\"1\",\"loss\":\"-1\""), values, 9, RD_ERR_RANGE, "metadata 'loss'");
    refuse(WITH("\"round\":\"3\",\"samples\":\"1\",\"holdout_samples\":\"4\""), values, 9, RD_ERR_RANGE,
           "'holdout_loss' is missing");
    /* a client must not use up the weight of the round's means */
    refuse(WITH("\"round\":\"3\",\"samples\":\"1\",\"before_samples\":\"1099511627776\",\"before_loss\":\"1\""), values,
           9, RD_ERR_RANGE, "'before_samples': expected at most 2147483647, found 1099511627776");
    refuse(WITH("\"round\":\"3\",\"samples\":\"1\",\"before_accuracy\":\"1.01\""), values, 9, RD_ERR_RANGE,
           "'before_accuracy': expected a number from 0 to 1, found '1.01'");
    refuse(WITH("\"round\":\"3\",\"samples\":\"1\",\"seconds\":\"1e13\""), values, 9, RD_ERR_RANGE,
           "'seconds': expected a number from 0 to 1e+12, found '1e13'");
    refuse(WITH("\"round\":\"3\",\"samples\":\"1\",\"seconds\":\"1 s\""), values, 9, RD_ERR_RANGE, "found '1 s'");
    static const char *const counts[] = {"+1", "0x1", "1e0", "1.0", " 1", "1 ", ""};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        char header[512];
        snprintf(header, sizeof header, WITH("\"round\":\"3\",\"samples\":\"%s\""), counts[i]);
        refuse(header, values, 9, RD_ERR_RANGE, "metadata 'samples': expected a whole number");
    }
    static const char *const reals[] = {"+1", "-0", "0x1p3", ".5", " 1", "inf", ""};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        char header[512];
        snprintf(header, sizeof header, WITH("\"round\":\"3\",\"samples\":\"1\",\"loss\":\"%s\""), reals[i]);
        refuse(header, values, 9, RD_ERR_RANGE, "metadata 'loss': expected a number from 0 to 1e+12");
    }
    /* the message ends up in a log: no client may begin a line there */
    refuse(WITH("\"round\":\"3\",\"samples\":\"1\\nround 9 \\u001b[31mdone\""), values, 9, RD_ERR_RANGE,
           "found '1?round 9 ?[31mdone'");
    refuse(WITH("\"round\":\"3\",\"samples\":\"1\\u0000\""), values, 9, RD_ERR_FORMAT, "\\u0000 would end");
    refuse(WITH("\"round\":\"3\",\"samples\":\"-1\""), values, 9, RD_ERR_RANGE, "found '-1'");
    refuse(WITH("\"round\":\"3\",\"samples\":\"1\",\"colour\":\"red\",\"round\":\"4\""), values, 9, RD_ERR_FORMAT,
           "__metadata__.round is there twice");
}

/* The bounds themselves are within them. */
Test(update, the_least_and_the_most_of_metadata_is_taken)
{
    static const struct {
        const char *header;
        uint64_t samples;
        double loss, seconds;
    } cases[] = {
        {WITH("\"round\":\"3\",\"samples\":\"1\",\"loss\":\"0\",\"seconds\":\"0.0\""), 1, 0, 0},
        {WITH("\"round\":\"3\",\"samples\":\"2147483647\",\"loss\":\"1e12\",\"seconds\":\"1e12\""), 2147483647, 1e12,
         1e12},
    };
    rd_model *m = make_model();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[1024] = {0};
        float got[9];
        rd_report report;
        rd_error err;
        const size_t length = strlen(cases[i].header);
        body[0] = (char)(length & 0xff);
        body[1] = (char)(length >> 8);
        memcpy(body + 8, cases[i].header, length);
        memcpy(body + 8 + length, values, sizeof values);
        cr_assert_eq(receive(m, body, 8 + length + sizeof values, 0, 64, got, &report, &err), RD_OK, "%s", err.message);
        cr_expect_eq(report.samples, cases[i].samples);
        cr_expect_eq(report.running_loss, cases[i].loss);
        cr_expect_eq(report.seconds, cases[i].seconds);
    }
    rd_model_free(m);
}

Test(update, absurd_lengths_are_refused_at_once)
{
    rd_model *m = make_model();
    rd_update_decoder *d;
    rd_error err = {0};
    cr_assert_eq(rd_update_decoder_create(rd_model_tensors(m, RD_TENSORS_TRAVELLING), 3, keep, NULL, &d, &err), RD_OK);
    cr_assert_eq(rd_update_decoder_feed(d, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, &err), RD_ERR_FORMAT);
    cr_assert_not_null(strstr(err.message, "a header of 18446744073709551615 bytes"));
    rd_update_decoder_free(d);
    cr_assert_eq(rd_update_decoder_create(rd_model_tensors(m, RD_TENSORS_TRAVELLING), 3, keep, NULL, &d, &err), RD_OK);
    rd_report report;
    cr_assert_eq(rd_update_decoder_finish(d, &report, &err), RD_ERR_FORMAT);
    rd_update_decoder_free(d);
    rd_model_free(m);
}
