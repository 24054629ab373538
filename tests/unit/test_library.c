/* What librondo refuses (rondo/weighted_mean.h, rondo/predictor.h); what it computes is held by test_install.py. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rondo/rondo.h"

static rd_error err;

static rd_weighted_mean *mean_of(size_t count)
{
    rd_weighted_mean *m;
    cr_assert(rd_weighted_mean_create(count, &m, &err) == RD_OK, "%s", err.message);
    return m;
}

static void refused(rd_status found, rd_status expected, const char *word)
{
    cr_assert_eq(found, expected, "%s", err.message);
    cr_assert_eq(err.status, expected);
    cr_assert_not_null(strstr(err.message, word), "%s", err.message);
}

Test(library, a_mean_refuses_what_would_spoil_it)
{
    rd_weighted_mean *m = mean_of(2), *other = mean_of(3);
    double read[2];
    refused(rd_weighted_mean_read(m, read, &err), RD_ERR_STATE, "nothing was added");
    refused(rd_weighted_mean_add(m, (float[]){1, NAN}, 1, &err), RD_ERR_RANGE, "element 1 is NaN");
    refused(rd_weighted_mean_add(m, (float[]){INFINITY, 1}, 1, &err), RD_ERR_RANGE, "element 0 is infinite");
    refused(rd_weighted_mean_add(m, (float[]){0x1p23f, 1}, 1, &err), RD_ERR_RANGE, "element 0 is 2^23 or more");
    refused(rd_weighted_mean_add(m, (float[]){1, 1}, 0, &err), RD_ERR_RANGE, "found 0");
    refused(rd_weighted_mean_add(m, (float[]){1, 1}, (UINT32_C(1) << 31) + 1, &err), RD_ERR_RANGE, "found 2147483649");
    refused(rd_weighted_mean_merge(m, other, &err), RD_ERR_RANGE,
            "expected a mean of 2 elements to merge, found one of 3");
    cr_assert_eq(rd_weighted_mean_weight(m), 0);
    rd_weighted_mean_free(m);
    rd_weighted_mean_free(other);
    rd_weighted_mean_free(NULL);
}

Test(library, an_error_object_is_not_needed)
{
    rd_weighted_mean *m = NULL, *other = mean_of(3);
    rd_predictor *p;
    double read[2];
    cr_assert_eq(rd_weighted_mean_create(SIZE_MAX, &m, NULL), RD_ERR_MEMORY);
    cr_assert_eq(rd_weighted_mean_create(2, &m, NULL), RD_OK);
    cr_assert_eq(rd_weighted_mean_add(m, (float[]){1, NAN}, 1, NULL), RD_ERR_RANGE);
    cr_assert_eq(rd_weighted_mean_merge(m, other, NULL), RD_ERR_RANGE);
    cr_assert_eq(rd_weighted_mean_read(m, read, NULL), RD_ERR_STATE);
    cr_assert_eq(rd_predictor_open("/nonexistent", &p, NULL), RD_ERR_IO);
    rd_weighted_mean_free(m);
    rd_weighted_mean_free(other);
}

/* 512 weights of 2^31 are 2^40: the most there is, and still exact. */
Test(library, a_mean_counts_weights_to_the_last)
{
    rd_weighted_mean *m = mean_of(1), *one = mean_of(1);
    double read;
    for (int i = 0; i < 512; i++)
        cr_assert(rd_weighted_mean_add(m, &(float){i % 2 == 0 ? 8388607.0f : 0}, UINT32_C(1) << 31, &err) == RD_OK,
                  "%s", err.message);
    refused(rd_weighted_mean_add(m, &(float){1}, 1, &err), RD_ERR_RANGE, "pass 1099511627776");
    cr_assert(rd_weighted_mean_add(one, &(float){1}, 1, &err) == RD_OK);
    refused(rd_weighted_mean_merge(m, one, &err), RD_ERR_RANGE, "pass 1099511627776");
    cr_assert(rd_weighted_mean_read(m, &read, &err) == RD_OK);
    cr_assert(read == 4194303.5);
    rd_weighted_mean_free(m);
    rd_weighted_mean_free(one);
}

/* Three means in one, in any order: the same bits as of all that was added to one. */
Test(library, merged_means_have_the_bits_of_one)
{
    enum { N = 5 };
    rd_weighted_mean *all = mean_of(N), *into = mean_of(N);
    double a[N], b[N];
    for (int part = 2; part >= 0; part--) {
        rd_weighted_mean *m = mean_of(N);
        for (int k = 0; k < 7; k++) {
            float x[N];
            for (int i = 0; i < N; i++)
                x[i] = ldexpf((float)(k * 31 + i * 17 + part) / 3.0f, (k * 5 + i) % 40 - 25);
            cr_assert(rd_weighted_mean_add(m, x, (uint32_t)(k + 1), &err) == RD_OK);
            cr_assert(rd_weighted_mean_add(all, x, (uint32_t)(k + 1), &err) == RD_OK);
        }
        cr_assert(rd_weighted_mean_merge(into, m, &err) == RD_OK);
        rd_weighted_mean_free(m);
    }
    cr_assert_eq(rd_weighted_mean_weight(into), 3 * 28);
    cr_assert(rd_weighted_mean_read(all, a, &err) == RD_OK && rd_weighted_mean_read(into, b, &err) == RD_OK);
    cr_assert(memcmp(a, b, sizeof a) == 0);
    rd_weighted_mean_free(all);
    rd_weighted_mean_free(into);
}

static void write_model(const char *path, const char *metadata, const char *tensors, const float *data, size_t count)
{
    char header[1024];
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    int length = snprintf(header, sizeof header, "{\"__metadata__\":{%s},%s}", metadata, tensors);
    uint64_t size = (uint64_t)length;
    cr_assert(fwrite(&size, sizeof size, 1, f) == 1 && fwrite(header, size, 1, f) == 1 &&
              fwrite(data, sizeof *data, count, f) == count);
    cr_assert_eq(fclose(f), 0);
}

Test(library, a_predictor_of_a_file_made_by_hand)
{
    static const char *const plan = "\"model\":\"{\\\"preset\\\":\\\"linear-regression\\\",\\\"input\\\":2}\"";
    static const char *const tensors = "\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                                       "\"fc1.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}";
    char path[] = "/tmp/rondo-test-library-XXXXXX";
    rd_predictor *p = NULL;
    float y[300], x[600], *read;
    size_t rows;
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);

    write_model(path, plan, tensors, (float[]){2, -1, 0.5f}, 3);
    cr_assert(rd_predictor_open(path, &p, &err) == RD_OK, "%s", err.message);
    cr_assert_eq(rd_predictor_inputs(p), 2);
    cr_assert_eq(rd_predictor_outputs(p), 1);
    cr_assert_eq(rd_predictor_classes(p), 0);
    for (int i = 0; i < 600; i++)
        x[i] = (float)(i % 7);
    cr_assert(rd_predictor_run(p, x, 300, y, &err) == RD_OK, "%s", err.message);
    for (int i = 0; i < 300; i++)
        cr_assert(y[i] == 2 * x[2 * i] - x[2 * i + 1] + 0.5f, "%d", i);
    x[5] = NAN;
    refused(rd_predictor_run(p, x, 300, y, &err), RD_ERR_DATA, "sample 2: number 1 is not finite");
    cr_assert_eq(rd_predictor_run(p, x, 300, y, NULL), RD_ERR_DATA);
    cr_assert_eq(rd_predictor_read_table(p, "a,b\n1,2\n", 8, &read, &rows, NULL), RD_ERR_STATE);
    refused(rd_predictor_read_table(p, "a,b\n1,2\n", 8, &read, &rows, &err), RD_ERR_STATE, "not trained on tables");
    rd_predictor_close(p);
    rd_predictor_close(NULL);

    write_model(path, plan, tensors, (float[]){2, INFINITY, 0.5f}, 3);
    refused(rd_predictor_open(path, &p, &err), RD_ERR_FORMAT, "infinite");
    write_model(path, "\"model\":\"{\\\"preset\\\":\\\"linear-regression\\\",\\\"input\\\":3}\"", tensors,
                (float[]){2, 1, 0.5f}, 3);
    refused(rd_predictor_open(path, &p, &err), RD_ERR_FORMAT, "fc1.weight");
    write_model(path, "\"model\":\"{\\\"preset\\\":\\\"nonsense\\\"}\"", tensors, (float[]){2, 1, 0.5f}, 3);
    refused(rd_predictor_open(path, &p, &err), RD_ERR_FORMAT, path);
    write_model(path, "\"round\":\"3\"", tensors, (float[]){2, 1, 0.5f}, 3);
    refused(rd_predictor_open(path, &p, &err), RD_ERR_FORMAT, "expected a file of rondo-inspect export");
    unlink(path);
    refused(rd_predictor_open(path, &p, &err), RD_ERR_IO, path);
}

/* A token beyond the vocabulary would be read as an index into the embedding. */
Test(library, a_predictor_refuses_what_is_no_token)
{
    char path[] = "/tmp/rondo-test-library-XXXXXX";
    rd_predictor *p = NULL;
    float y[2];
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
    write_model(path,
                "\"model\":\"{\\\"input\\\":{\\\"tokens\\\":1,\\\"vocabulary\\\":2},\\\"loss\\\":\\\"softmax_"
                "cross_entropy\\\",\\\"layers\\\":["
                "{\\\"type\\\":\\\"embedding\\\",\\\"units\\\":1},{\\\"type\\\":\\\"flatten\\\"},{"
                "\\\"type\\\":\\\"dense\\\",\\\"units\\\":2}]}\"",
                "\"embedding1.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
                "\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[8,16]},"
                "\"fc1.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[16,24]}",
                (float[]){1, 2, 3, 4, 0, 0}, 6);
    cr_assert(rd_predictor_open(path, &p, &err) == RD_OK, "%s", err.message);
    cr_assert(rd_predictor_run(p, (float[]){1}, 1, y, &err) == RD_OK, "%s", err.message);
    cr_assert(y[0] == 6 && y[1] == 8);
    cr_assert_eq(rd_predictor_classes(p), 2);
    cr_assert_eq(rd_predictor_class(p, y), 1);
    refused(rd_predictor_run(p, (float[]){2}, 1, y, &err), RD_ERR_DATA, "expected a token from 0 to 1, found 2");
    refused(rd_predictor_run(p, (float[]){0.5f}, 1, y, &err), RD_ERR_DATA, "found 0.5");
    refused(rd_predictor_run(p, (float[]){-1}, 1, y, &err), RD_ERR_DATA, "found -1");
    rd_predictor_close(p);
    unlink(path);
}
