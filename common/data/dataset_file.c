/* dataset_file.c: one client's private data as one safetensors file, which Python reads with one line.
 *
 *   "x"  U8 or F32, (rows, ...) with one to three dimensions a sample; a byte b is the feature b / 255
 *   "y"  I32 (rows): classes; or F32 (rows) or (rows, T): targets of a regression
 *   metadata "schema": the settled schema through which a table became these numbers (data/schema.h)
 *   metadata "classes": how many classes there are, also where this client has not seen them all */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "core/file.h"
#include "data/parse.h"
#include "format/safetensors.h"

/* The format is little-endian; numbers go to and from memory as they are. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors data need swapping on this machine");

/* ---- reading ---- */

static rd_status find_tensor(const rd_safetensors *s, const char *name, const char *path,
                             const rd_st_tensor **out, rd_error *err)
{
    *out = rd_safetensors_find(s, name);
    if (*out == NULL)
        return rd_fail(err, RD_ERR_DATA, "%s: has no tensor '%s'; a data file holds 'x' and 'y'", path, name);
    return RD_OK;
}

static rd_status check_shapes(const rd_st_tensor *x, const rd_st_tensor *y, const char *path, rd_error *err)
{
    if (x->dtype != RD_DTYPE_U8 && x->dtype != RD_DTYPE_F32)
        return rd_fail(err, RD_ERR_DATA, "%s: 'x' is %s; U8 or F32 was expected", path,
                       rd_dtype_name(x->dtype));
    if (y->dtype != RD_DTYPE_I32 && y->dtype != RD_DTYPE_F32)
        return rd_fail(err, RD_ERR_DATA, "%s: 'y' is %s; I32 (classes) or F32 (targets) was expected", path,
                       rd_dtype_name(y->dtype));
    if (x->rank < 2 || x->rank > 4)
        return rd_fail(err, RD_ERR_DATA, "%s: 'x' has %d dimensions; (rows, ...) with 2 to 4 was expected",
                       path, x->rank);
    if (y->rank < 1 || y->rank > 2)
        return rd_fail(err, RD_ERR_DATA, "%s: 'y' has %d dimensions; (rows)%s was expected", path, y->rank,
                       y->dtype == RD_DTYPE_F32 ? " or (rows, targets)" : " or (rows, positions)");
    if (x->shape[0] != y->shape[0])
        return rd_fail(err, RD_ERR_DATA, "%s: 'x' has %" PRIu64 " rows, but 'y' has %" PRIu64, path,
                       x->shape[0], y->shape[0]);
    if (x->count == 0 || y->count == 0 || x->shape[0] > UINT32_MAX)
        return rd_fail(err, RD_ERR_DATA,
                       "%s: %" PRIu64 " rows of %" PRIu64 " features; 1 to 2^32 - 1 rows were expected", path,
                       x->shape[0], x->shape[0] == 0 ? 0 : x->count / x->shape[0]);
    return RD_OK;
}

static rd_status read_tensor(int fd, const rd_safetensors *s, const rd_st_tensor *t, const char *path,
                             void **out, rd_error *err)
{
    const size_t bytes = (size_t)(t->end - t->begin);
    *out = malloc(bytes);
    if (*out == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for the %zu bytes of '%s'", path, bytes, t->name);
    return rd_fd_pread_all(fd, *out, bytes, (off_t)(s->data_start + t->begin), path, err);
}

static rd_status check_finite(const float *values, size_t rows, size_t columns, const char *name,
                              const char *path, rd_error *err)
{
    for (size_t i = 0; i < rows * columns; i++)
        if (!isfinite(values[i]))
            return rd_fail(err, RD_ERR_DATA, "%s: '%s': row %zu, column %zu is not a finite number", path,
                           name, i / columns, i % columns);
    return RD_OK;
}

static rd_status settle_classes(rd_dataset *d, const char *declared, const char *path, rd_error *err)
{
    size_t classes = RD_MAX_CLASSES, largest = 0;
    if (declared != NULL) {
        char *end;
        long long n = strtoll(declared, &end, 10);
        if (end == declared || *end != '\0' || n < 1 || n > RD_MAX_CLASSES)
            return rd_fail(err, RD_ERR_DATA,
                           "%s: metadata 'classes' is '%.40s'; a whole number from 1 to %d was expected",
                           path, declared, RD_MAX_CLASSES);
        classes = (size_t)n;
    }
    for (size_t i = 0; i < d->rows * d->label_count; i++) {
        if (d->labels[i] < (d->label_count > 1 ? -1 : 0) ||
            (d->labels[i] >= 0 && (size_t)d->labels[i] >= classes))
            return rd_fail(err, RD_ERR_DATA, "%s: 'y': row %zu is class %" PRId32 "; 0 to %zu was expected",
                           path, i / d->label_count, d->labels[i], classes - 1);
        if (d->labels[i] >= 0 && (size_t)d->labels[i] > largest)
            largest = (size_t)d->labels[i];
    }
    d->classes = declared != NULL ? classes : largest + 1;
    return RD_OK;
}

static rd_status read_dataset(int fd, const rd_safetensors *s, const char *path, rd_dataset *d, rd_error *err)
{
    rd_status status = RD_OK;
    const rd_st_tensor *x, *y;
    RD_TRY(find_tensor(s, "x", path, &x, err));
    RD_TRY(find_tensor(s, "y", path, &y, err));
    RD_TRY(check_shapes(x, y, path, err));
    d->rows = (size_t)x->shape[0];
    d->features = (size_t)(x->count / x->shape[0]);
    d->rank = x->rank - 1;
    for (int i = 0; i < d->rank; i++)
        d->shape[i] = (size_t)x->shape[i + 1];
    if (x->dtype == RD_DTYPE_U8) {
        RD_TRY(read_tensor(fd, s, x, path, (void **)&d->x_u8, err));
    } else {
        RD_TRY(read_tensor(fd, s, x, path, (void **)&d->x_f32, err));
        RD_TRY(check_finite(d->x_f32, d->rows, d->features, "x", path, err));
    }
    d->tokens = rd_safetensors_metadata(s, "tokens") != NULL;
    const char *schema = rd_safetensors_metadata(s, "schema");
    if (schema != NULL && (d->schema = strdup(schema)) == NULL)
        RD_TRY(rd_fail(err, RD_ERR_MEMORY, "%s: no memory for its schema", path));
    if (y->dtype == RD_DTYPE_I32) {
        d->label_count = y->rank == 2 ? (size_t)y->shape[1] : 1;
        RD_TRY(read_tensor(fd, s, y, path, (void **)&d->labels, err));
        RD_TRY(settle_classes(d, rd_safetensors_metadata(s, "classes"), path, err));
    } else {
        d->target_count = y->rank == 2 ? (size_t)y->shape[1] : 1;
        RD_TRY(read_tensor(fd, s, y, path, (void **)&d->targets, err));
        RD_TRY(check_finite(d->targets, d->rows, d->target_count, "y", path, err));
    }
cleanup:
    return status;
}

rd_status rd_dataset_file_load(const rd_source *source, rd_dataset *out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_dataset d = {0};
    rd_safetensors s = {0};
    int fd = -1;
    memset(out, 0, sizeof *out);
    if (access(source->path, R_OK) != 0)
        return rd_fail(err, RD_ERR_DATA, "%s: %s", source->path, strerror(errno));
    RD_TRY(rd_safetensors_open(source->path, &s, &fd, err));
    RD_TRY(read_dataset(fd, &s, source->path, &d, err));
    *out = d;
    memset(&d, 0, sizeof d);
cleanup:
    if (fd >= 0)
        close(fd);
    rd_safetensors_free(&s);
    rd_dataset_free(&d);
    return status;
}

/* ---- writing ---- */

static void describe(const rd_dataset *d, rd_rows rows, rd_st_tensor tensors[2])
{
    /* "y" goes first: behind an odd number of bytes its numbers would stand unaligned, which PyTorch's reader
     * refuses. */
    rd_st_tensor *y = &tensors[0], *x = &tensors[1];
    memset(tensors, 0, 2 * sizeof *tensors);
    strcpy(x->name, "x");
    x->dtype = d->x_u8 != NULL ? RD_DTYPE_U8 : RD_DTYPE_F32;
    x->rank = d->rank + 1;
    x->shape[0] = rows.count;
    for (int i = 0; i < d->rank; i++)
        x->shape[i + 1] = d->shape[i];
    x->count = (uint64_t)rows.count * d->features;

    strcpy(y->name, "y");
    y->dtype = d->labels != NULL ? RD_DTYPE_I32 : RD_DTYPE_F32;
    y->rank = d->labels != NULL && d->label_count == 1 ? 1 : 2;
    y->shape[0] = rows.count;
    y->shape[1] = d->labels != NULL ? d->label_count : d->target_count;
    y->count = (uint64_t)rows.count * (d->labels != NULL ? d->label_count : d->target_count);
}

/* Copies the rows of one array, each `width` bytes, and returns where the next array begins. */
static char *copy_rows(char *to, const void *array, size_t width, rd_rows rows)
{
    for (size_t i = 0; i < rows.count; i++, to += width)
        memcpy(to, (const char *)array + (rows.index != NULL ? rows.index[i] : i) * width, width);
    return to;
}

rd_status rd_dataset_file_save(const rd_dataset *d, rd_rows rows, const char *path, rd_error *err)
{
    rd_status status = RD_OK;
    rd_st_tensor tensors[2];
    char classes[24], *header = NULL, *file = NULL;
    size_t header_size = 0, data_size;
    const size_t x_width = d->features * (d->x_u8 != NULL ? 1 : sizeof(float));
    const size_t y_width =
        d->labels != NULL ? d->label_count * sizeof(int32_t) : d->target_count * sizeof(float);
    if (rows.count == 0)
        return rd_fail(err, RD_ERR_DATA, "%s: no rows to write", path);
    describe(d, rows, tensors);
    (void)snprintf(classes, sizeof classes, "%zu", d->classes);
    rd_st_pair pairs[3];
    size_t pair_count = 0;
    if (d->tokens)
        pairs[pair_count++] = (rd_st_pair){.key = "tokens", .value = "true"};
    if (d->labels != NULL)
        pairs[pair_count++] = (rd_st_pair){.key = "classes", .value = classes};
    if (d->schema != NULL)
        pairs[pair_count++] = (rd_st_pair){.key = "schema", .value = d->schema};
    RD_TRY(rd_safetensors_header(tensors, 2, pairs, pair_count, &header, &header_size, err));
    data_size = rows.count * (x_width + y_width);
    file = malloc(header_size + data_size);
    if (file == NULL) {
        status =
            rd_fail(err, RD_ERR_MEMORY, "%s: no memory for its %zu bytes", path, header_size + data_size);
        goto cleanup;
    }
    memcpy(file, header, header_size);
    char *at = file + header_size;
    at = d->labels != NULL ? copy_rows(at, d->labels, y_width, rows)
                           : copy_rows(at, d->targets, y_width, rows);
    (void)(d->x_u8 != NULL ? copy_rows(at, d->x_u8, x_width, rows) : copy_rows(at, d->x_f32, x_width, rows));
    RD_TRY(rd_file_write(path, file, header_size + data_size, err));
cleanup:
    free(header);
    free(file);
    return status;
}
