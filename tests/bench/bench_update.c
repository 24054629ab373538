/* What checking an update costs: a body of 100 MB goes through the decoder in the pieces in which TLS records
 * come, beside memcpy of the same bytes in the same pieces. The sink adds nothing: bench_exact_sum has that
 * figure.
 *
 * Aligned: the floats lie at multiples of 4 in the pieces, as where the header of the request has a lucky
 * length. Unaligned: they do not, and pass through a small buffer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "codec/update.h"

enum { PIECE = 16384, RUNS = 7 };

static rd_status take(void *user, size_t first, const float *values, size_t count, rd_error *err)
{
    size_t *got = user;
    (void)first;
    (void)values;
    (void)err;
    *got += count;
    return RD_OK;
}

/* Seconds of one pass of the body through a decoder; negative: it failed. */
static double decode(const rd_model *m, const char *body, size_t size, rd_error *err)
{
    rd_update_decoder *d = NULL;
    rd_report report;
    size_t got = 0;
    double start = now();
    rd_status status = rd_update_decoder_create(rd_model_tensors(m, RD_TENSORS_TRAVELLING), 1, take, &got, &d, err);
    for (size_t at = 0; at < size && status == RD_OK; at += PIECE)
        status = rd_update_decoder_feed(d, body + at, size - at < PIECE ? size - at : PIECE, err);
    if (status == RD_OK)
        status = rd_update_decoder_finish(d, &report, err);
    double seconds = now() - start;
    rd_update_decoder_free(d);
    return status == RD_OK && got == rd_model_parameter_count(m) ? seconds : -1.0;
}

/* Into one buffer of a piece's size, as the decoder's own copy would be. */
static double copy(const char *body, size_t size)
{
    static char into[PIECE];
    volatile char kept = 0;
    double start = now();
    for (size_t at = 0; at < size; at += PIECE) {
        size_t n = size - at < PIECE ? size - at : PIECE;
        memcpy(into, body + at, n);
        kept = (char)(kept + into[n / 2]);
    }
    return now() - start;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

int main(void)
{
    static const char layout[] = "{\"preset\": \"softmax-regression\", \"input\": 24999, \"classes\": 1000}";
    rd_error err = {RD_OK, ""};
    rd_model *m = NULL;
    char *header = NULL, *memory = NULL;
    size_t header_size = 0;
    int failed = 1;
    cJSON *section = cJSON_Parse(layout);
    rd_report report = {.samples = 600, .running_loss = 0.5};
    if (section == NULL || rd_model_create(section, &m, &err) != RD_OK ||
        rd_update_header(rd_model_tensors(m, RD_TENSORS_TRAVELLING), 1, &report, &header, &header_size, &err) != RD_OK)
        goto cleanup;
    size_t count = rd_model_parameter_count(m), size = header_size + count * sizeof(float);
    memory = malloc(size + 8);
    if (memory == NULL)
        goto cleanup;
    printf("GB/s of a body of %.0f MB in pieces of %d bytes; best of %d runs\n", 1e-6 * (double)size, PIECE, RUNS);
    for (size_t shift = 0; shift < 2; shift++) {
        char *body = memory + shift;
        double best = 1e30, best_copy = 1e30;
        memcpy(body, header, header_size);
        for (size_t i = 0; i < count; i++) {
            float x = (float)(i % 2001) * 1e-5f - 0.01f;
            memcpy(body + header_size + i * sizeof x, &x, sizeof x);
        }
        for (int run = 0; run < RUNS; run++) {
            double seconds = decode(m, body, size, &err);
            if (seconds < 0.0)
                goto cleanup;
            best = least(best, seconds);
            best_copy = least(best_copy, copy(body, size));
        }
        printf("%-10s decoder %6.2f   memcpy %6.2f   decoder to memcpy %.2f\n", shift == 0 ? "aligned" : "unaligned",
               1e-9 * (double)size / best, 1e-9 * (double)size / best_copy, best_copy / best);
    }
    failed = 0;
cleanup:
    if (failed)
        fprintf(stderr, "bench_update: %s\n", err.message[0] != '\0' ? err.message : "no memory");
    free(memory);
    free(header);
    rd_model_free(m);
    cJSON_Delete(section);
    return failed;
}
