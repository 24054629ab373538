/* idx.c: the format in which MNIST and its relatives are published, plain or gzipped.
 *
 * An IDX file is an array with a short header, all numbers big-endian: two zero bytes, one byte for the type
 * of the elements (0x08 = unsigned byte), one for the number of dimensions, then each dimension as four
 * bytes, then the elements, last dimension fastest. Images have the dimensions (N, rows, columns), labels
 * (N). Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database", section "The IDX file format"
 * (yann.lecun.com/exdb/mnist).
 *
 * Everything a header says is checked against the bytes that are there, before memory is asked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/kind.h"
#include "data/parse.h"

#define TYPE_UNSIGNED_BYTE 0x08
#define MAX_DIMENSIONS 4 /* rows, and up to three of a sample */

typedef struct idx_header {
    int rank;
    size_t dim[MAX_DIMENSIONS];
    size_t total; /* elements, which are bytes */
} idx_header;

static rd_status read_exactly(rd_input *in, void *into, size_t count, const char *what, rd_error *err)
{
    size_t got = 0;
    rd_status status = rd_input_read(in, into, count, &got, err);
    if (status == RD_OK && got != count)
        status = rd_fail(err, RD_ERR_DATA, "%s: ends after %zu of the %zu bytes of its %s", in->name, got, count, what);
    return status;
}

static rd_status read_dimensions(rd_input *in, idx_header *h, rd_error *err)
{
    rd_status status = RD_OK;
    uint8_t raw[4 * MAX_DIMENSIONS];
    RD_TRY(read_exactly(in, raw, 4 * (size_t)h->rank, "dimensions", err));
    h->total = 1;
    for (int i = 0; i < h->rank; i++) {
        const uint8_t *p = raw + 4 * i;
        h->dim[i] = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        if (h->dim[i] == 0)
            return rd_fail(err, RD_ERR_DATA, "%s: dimension %d of %d is 0, so there are no samples", in->name, i + 1,
                           h->rank);
        if (__builtin_mul_overflow(h->total, h->dim[i], &h->total))
            return rd_fail(err, RD_ERR_DATA, "%s: its dimensions multiply to more than 2^64", in->name);
    }
    if (h->total > in->most)
        return rd_fail(err, RD_ERR_DATA,
                       "%s: its header announces %zu bytes of data, but the file has no more than %llu", in->name,
                       h->total, (unsigned long long)in->most);
cleanup:
    return status;
}

static rd_status read_header(rd_input *in, const char *what, int least, int most, idx_header *h, rd_error *err)
{
    rd_status status = RD_OK;
    uint8_t magic[4];
    RD_TRY(read_exactly(in, magic, sizeof magic, "magic number", err));
    if (magic[0] != 0 || magic[1] != 0 || magic[2] != TYPE_UNSIGNED_BYTE)
        return rd_fail(err, RD_ERR_DATA,
                       "%s: begins with %02x %02x %02x %02x; an IDX file of unsigned bytes begins with 00 00 08",
                       in->name, magic[0], magic[1], magic[2], magic[3]);
    h->rank = magic[3];
    if (h->rank < least || h->rank > most)
        return rd_fail(err, RD_ERR_DATA, "%s: has %d dimensions; %s have %d%s", in->name, h->rank, what, least,
                       most > least ? " to 4" : "");
    RD_TRY(read_dimensions(in, h, err));
cleanup:
    return status;
}

static rd_status read_elements(rd_input *in, const idx_header *h, uint8_t **out, rd_error *err)
{
    rd_status status = RD_OK;
    uint8_t beyond;
    size_t got = 0;
    uint8_t *bytes = malloc(h->total);
    if (bytes == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for its %zu bytes", in->name, h->total);
    RD_TRY(read_exactly(in, bytes, h->total, "data", err));
    RD_TRY(rd_input_read(in, &beyond, 1, &got, err));
    if (got != 0)
        RD_THROW(RD_ERR_DATA, "%s: goes on after the %zu bytes of data that its header announces", in->name, h->total);
    *out = bytes;
    bytes = NULL;
cleanup:
    free(bytes);
    return status;
}

/* Labels are bytes in the file; datasets hold int32. */
static rd_status widen_labels(const uint8_t *raw, rd_dataset *d, rd_error *err)
{
    uint8_t largest = 0;
    d->label_count = 1;
    d->labels = malloc(d->rows * sizeof *d->labels);
    if (d->labels == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %zu labels", d->rows);
    for (size_t i = 0; i < d->rows; i++) {
        d->labels[i] = raw[i];
        if (raw[i] > largest)
            largest = raw[i];
    }
    d->classes = (size_t)largest + 1;
    return RD_OK;
}

rd_status rd_idx_read(rd_input *images, rd_input *labels, rd_dataset *out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_dataset d = {0};
    idx_header x = {0}, y = {0};
    uint8_t *raw = NULL;
    memset(out, 0, sizeof *out);
    RD_TRY(read_header(images, "images", 2, MAX_DIMENSIONS, &x, err));
    if (labels != NULL) {
        RD_TRY(read_header(labels, "labels", 1, 1, &y, err));
        if (x.dim[0] != y.dim[0])
            RD_THROW(RD_ERR_DATA, "%s: %zu labels for the %zu images in %s", labels->name, y.dim[0], x.dim[0],
                     images->name);
        RD_TRY(read_elements(labels, &y, &raw, err));
    }
    RD_TRY(read_elements(images, &x, &d.x_u8, err));
    d.rows = x.dim[0];
    d.features = x.total / x.dim[0];
    d.rank = x.rank - 1;
    memcpy(d.shape, x.dim + 1, (size_t)d.rank * sizeof d.shape[0]);
    if (raw != NULL)
        RD_TRY(widen_labels(raw, &d, err));
    *out = d;
    memset(&d, 0, sizeof d);
cleanup:
    free(raw);
    rd_dataset_free(&d);
    return status;
}

rd_status rd_idx_labels_path(const char *images_path, char *out, size_t size, rd_error *err)
{
    const char *slash = strrchr(images_path, '/');
    const char *base = slash != NULL ? slash + 1 : images_path, *found = NULL;
    for (const char *p = base; (p = strstr(p, "images")) != NULL; p++)
        found = p;
    if (found == NULL)
        return rd_fail(err, RD_ERR_DATA,
                       "%s: there is no 'images' in its name to make the name of the labels' file from; name that file",
                       images_path);
    if (snprintf(out, size, "%.*slabels%s", (int)(found - images_path), images_path, found + 6) >= (int)size)
        return rd_fail(err, RD_ERR_DATA, "%s: path longer than %zu characters", images_path, size - 1);
    char *digit = strstr(out + (found - images_path), "idx");
    if (digit != NULL && digit[3] >= '2' && digit[3] <= '4')
        digit[3] = '1';
    return RD_OK;
}

/* Opens the file of the labels; *there is false where none is named, none is found and none is needed. */
static rd_status open_labels(const rd_source *source, bool optional, rd_input *labels, bool *there, rd_error *err)
{
    char derived[RD_SOURCE_PATH_MAX];
    const char *path = source->labels_path;
    rd_status status = RD_OK;
    *there = true;
    if (path[0] == '\0') {
        status = rd_idx_labels_path(source->path, derived, sizeof derived, err);
        path = derived;
        *there = !optional || (status == RD_OK && access(path, F_OK) == 0);
        if (!*there)
            return RD_OK;
    }
    RD_TRY(status);
    RD_TRY(rd_kind_check(path, RD_SOURCE_IDX, err));
    RD_TRY(rd_input_open(labels, path, err));
cleanup:
    return status;
}

rd_status rd_idx_load(const rd_source *source, bool optional_label, rd_dataset *out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_input images = {0}, labels = {0};
    bool labelled;
    memset(out, 0, sizeof *out);
    RD_TRY(rd_kind_check(source->path, RD_SOURCE_IDX, err));
    RD_TRY(rd_input_open(&images, source->path, err));
    RD_TRY(open_labels(source, optional_label, &labels, &labelled, err));
    RD_TRY(rd_idx_read(&images, labelled ? &labels : NULL, out, err));
cleanup:
    rd_input_close(&images);
    rd_input_close(&labels);
    return status;
}
