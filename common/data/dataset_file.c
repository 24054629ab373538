/* dataset_file.c: one client's private data as one safetensors file, which Python reads and writes with one line.
 *
 *   "x"  (rows, ...) with none to three dimensions a sample; none: one feature. U8: a byte b is the feature b / 255,
 *        as of a picture (or token b, see below); every other type: the numbers as they are
 *   "y"  integers (rows) or (rows, 1): classes; (rows, T): a class for each of T positions
 *        floats (rows) or (rows, T): targets of a regression
 *   metadata "schema": the settled schema through which a table became these numbers (data/schema.h)
 *   metadata "classes": how many classes there are, also where this client has not seen them all
 *   metadata "tokens": "true" where "x" holds the symbols of a text by their number
 *
 * Other tensors are passed over. Where the model is known, it says what "y" is: integers become targets of a
 * regression, and whole numbers in floats (as NumPy computes them) become classes. What is read is what Rondo holds
 * (bytes, single precision, 32-bit classes); a number that would not survive that is refused with its place. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "core/file.h"
#include "core/number.h"
#include "data/feature.h"
#include "data/parse.h"
#include "format/safetensors.h"

/* The format is little-endian; numbers go to and from memory as they are. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors data need swapping on this machine");

/* ---- reading ---- */

/* 'images', 'labels' and 3 more: what the file has instead. */
static void list_tensors(const rd_safetensors *s, char *text, size_t size)
{
    const size_t shown = s->tensor_count > 4 ? 3 : s->tensor_count;
    size_t used = (size_t)snprintf(text, size, "%s", s->tensor_count == 0 ? "no tensor" : "");
    for (size_t i = 0; i < shown; i++)
        used += (size_t)snprintf(text + used, size - used, "%s'%.40s'", i > 0 ? ", " : "", s->tensors[i].name);
    if (shown < s->tensor_count)
        (void)snprintf(text + used, size - used, " and %zu more", s->tensor_count - shown);
}

static rd_status find_tensor(const rd_safetensors *s, const char *name, const char *path, const rd_st_tensor **out,
                             rd_error *err)
{
    char found[200];
    *out = rd_safetensors_find(s, name);
    if (*out != NULL && (*out)->dtype == RD_DTYPE_OTHER)
        return rd_fail(err, RD_ERR_DATA, "%s: '%s' is of the type %s, which is not read", path, name,
                       rd_st_dtype_name(*out));
    if (*out != NULL)
        return RD_OK;
    list_tensors(s, found, sizeof found);
    return rd_fail(err, RD_ERR_DATA, "%s: has no tensor '%s', but %s; a data file holds 'x' (rows, ...) and 'y' (rows)",
                   path, name, found);
}

static rd_status check_shapes(const rd_st_tensor *x, const rd_st_tensor *y, const char *path, rd_error *err)
{
    if (x->rank < 1 || x->rank > 4)
        return rd_fail(err, RD_ERR_DATA, "%s: 'x' has %d dimensions; (rows, ...) with 1 to 4 was expected", path,
                       x->rank);
    if (x->count == 0 || x->shape[0] > UINT32_MAX)
        return rd_fail(err, RD_ERR_DATA,
                       "%s: %" PRIu64 " rows of %" PRIu64 " features; 1 to 2^32 - 1 rows were expected", path,
                       x->shape[0], x->shape[0] == 0 ? 0 : x->count / x->shape[0]);
    if (y == NULL)
        return RD_OK;
    if (y->rank < 1 || y->rank > 2)
        return rd_fail(err, RD_ERR_DATA, "%s: 'y' has %d dimensions; (rows)%s was expected", path, y->rank,
                       rd_dtype_is_float(y->dtype) ? " or (rows, targets)" : " or (rows, positions)");
    if (x->shape[0] != y->shape[0])
        return rd_fail(err, RD_ERR_DATA, "%s: 'x' has %" PRIu64 " rows, but 'y' has %" PRIu64, path, x->shape[0],
                       y->shape[0]);
    if (y->count == 0)
        return rd_fail(err, RD_ERR_DATA, "%s: 'y' has rows of no number", path);
    return RD_OK;
}

static rd_status read_tensor(int fd, const rd_safetensors *s, const rd_st_tensor *t, const char *path, void **out,
                             rd_error *err)
{
    const size_t bytes = (size_t)(t->end - t->begin);
    *out = malloc(bytes);
    if (*out == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for the %zu bytes of '%s'", path, bytes, t->name);
    return rd_fd_pread_all(fd, *out, bytes, (off_t)(s->data_start + t->begin), path, err);
}

/* Where element i of a tensor stands, for a message: "row 3" or "row 3, column 0". */
static void write_place(const rd_st_tensor *t, size_t i, char text[64])
{
    size_t columns = (size_t)(t->count / t->shape[0]);
    if (t->rank == 1)
        (void)snprintf(text, 64, "row %zu", i);
    else
        (void)snprintf(text, 64, "row %zu, column %zu", i / columns, i % columns);
}

static const char *narrow(rd_dtype d, const void *element, float *out)
{
    int64_t whole;
    if (rd_dtype_is_float(d))
        return rd_feature_narrow(rd_dtype_value(d, element), out);
    /* Beyond 2^53 a double would have rounded already; single precision does so from 2^24 on. */
    if (!rd_dtype_whole(d, element, &whole) || (int64_t)(double)whole != whole)
        return rd_feature_narrow(0x1p53 - 1, out);
    return rd_feature_narrow((double)whole, out);
}

/* Reads a tensor of any type as floats. */
static rd_status read_floats(int fd, const rd_safetensors *s, const rd_st_tensor *t, const char *path, float **out,
                             rd_error *err)
{
    void *raw = NULL;
    const size_t size = rd_dtype_size(t->dtype);
    rd_status status = read_tensor(fd, s, t, path, &raw, err);
    float *values = t->dtype == RD_DTYPE_F32 ? raw : malloc((size_t)t->count * sizeof *values);
    if (status == RD_OK && values == NULL)
        status =
            rd_fail(err, RD_ERR_MEMORY, "%s: no memory for the %" PRIu64 " numbers of '%s'", path, t->count, t->name);
    for (size_t i = 0; i < t->count && status == RD_OK; i++) {
        char place[64];
        /* F32 is taken as it is, but for what is not finite. */
        const char *fault = t->dtype != RD_DTYPE_F32 ? narrow(t->dtype, (char *)raw + i * size, &values[i])
                            : isfinite(values[i])    ? NULL
                                                     : "is not a finite number";
        if (fault == NULL)
            continue;
        write_place(t, i, place);
        status = rd_fail(err, RD_ERR_DATA, "%s: '%s': %s %s", path, t->name, place, fault);
    }
    if (raw != values)
        free(raw);
    if (status == RD_OK)
        *out = values;
    else
        free(values);
    return status;
}

/* Reads a tensor of any type as classes; which there are is checked later. */
static rd_status read_classes(int fd, const rd_safetensors *s, const rd_st_tensor *t, const char *path, int32_t **out,
                              rd_error *err)
{
    void *raw = NULL;
    const size_t size = rd_dtype_size(t->dtype);
    rd_status status = read_tensor(fd, s, t, path, &raw, err);
    int32_t *labels = malloc((size_t)t->count * sizeof *labels);
    if (status == RD_OK && labels == NULL)
        status = rd_fail(err, RD_ERR_MEMORY, "%s: no memory for the %" PRIu64 " labels", path, t->count);
    for (size_t i = 0; i < t->count && status == RD_OK; i++) {
        const void *element = (char *)raw + i * size;
        int64_t whole = 0;
        char place[64];
        double value = rd_dtype_value(t->dtype, element);
        bool is_class = rd_dtype_is_float(t->dtype) ? value == floor(value) && fabs(value) < 0x1p31
                                                    : rd_dtype_whole(t->dtype, element, &whole);
        if (rd_dtype_is_float(t->dtype) && is_class)
            whole = (int64_t)value;
        if (is_class && whole >= INT32_MIN && whole <= INT32_MAX) {
            labels[i] = (int32_t)whole;
            continue;
        }
        write_place(t, i, place);
        status = rd_fail(err, RD_ERR_DATA, "%s: '%s': %s: %.17g is no class; a whole number from 0 to %d was expected",
                         path, t->name, place, value, RD_MAX_CLASSES - 1);
    }
    free(raw);
    if (status == RD_OK)
        *out = labels;
    else
        free(labels);
    return status;
}

static rd_status settle_classes(rd_dataset *d, const char *declared, const char *path, rd_error *err)
{
    size_t classes = RD_MAX_CLASSES, largest = 0;
    if (declared != NULL) {
        uint64_t n;
        if (!rd_number_count(declared, strlen(declared), &n) || n < 1 || n > RD_MAX_CLASSES)
            return rd_fail(err, RD_ERR_DATA,
                           "%s: metadata 'classes' is '%.40s'; a whole number from 1 to %d was expected", path,
                           declared, RD_MAX_CLASSES);
        classes = (size_t)n;
    }
    for (size_t i = 0; i < d->rows * d->label_count; i++) {
        if (d->labels[i] < (d->label_count > 1 ? -1 : 0) || (d->labels[i] >= 0 && (size_t)d->labels[i] >= classes))
            return rd_fail(err, RD_ERR_DATA, "%s: 'y': row %zu is class %" PRId32 "; 0 to %zu was expected", path,
                           i / d->label_count, d->labels[i], classes - 1);
        if (d->labels[i] >= 0 && (size_t)d->labels[i] > largest)
            largest = (size_t)d->labels[i];
    }
    d->classes = declared != NULL ? classes : largest + 1;
    return RD_OK;
}

static rd_status read_features(int fd, const rd_safetensors *s, const rd_st_tensor *x, const char *path, rd_dataset *d,
                               rd_error *err)
{
    const char *tokens = rd_safetensors_metadata(s, "tokens");
    d->tokens = tokens != NULL && strcmp(tokens, "true") == 0;
    if (tokens != NULL && !d->tokens && strcmp(tokens, "false") != 0)
        return rd_fail(err, RD_ERR_DATA, "%s: metadata 'tokens' is '%.40s'; true or false was expected", path, tokens);
    d->rows = (size_t)x->shape[0];
    d->features = (size_t)(x->count / x->shape[0]);
    d->rank = x->rank > 1 ? x->rank - 1 : 1;
    d->shape[0] = 1; /* of rank 1: one feature */
    for (int i = 1; i < x->rank; i++)
        d->shape[i - 1] = (size_t)x->shape[i];
    if (x->dtype == RD_DTYPE_U8)
        return read_tensor(fd, s, x, path, (void **)&d->x_u8, err);
    return read_floats(fd, s, x, path, &d->x_f32, err);
}

/* Classes or targets: as the model wants them, or else as their type says. */
static rd_status read_labels(int fd, const rd_safetensors *s, const rd_st_tensor *y, const rd_model *m,
                             const char *path, rd_dataset *d, rd_error *err)
{
    const bool floats = rd_dtype_is_float(y->dtype);
    const bool classes = m != NULL && rd_model_loss(m) != RD_LOSS_INERTIA ? rd_model_classifies(m) : !floats;
    const size_t columns = y->rank == 2 ? (size_t)y->shape[1] : 1;
    rd_status status = RD_OK;
    if (classes && floats && columns > 1)
        return rd_fail(
            err, RD_ERR_DATA,
            "%s: 'y' is %s (rows, %zu), but the model predicts classes; where it is one-hot, write the place "
            "of the 1 (argmax) as an integer",
            path, rd_dtype_name(y->dtype), columns);
    if (classes) {
        d->label_count = columns;
        RD_TRY(read_classes(fd, s, y, path, &d->labels, err));
        RD_TRY(settle_classes(d, rd_safetensors_metadata(s, "classes"), path, err));
    } else {
        d->target_count = columns;
        RD_TRY(read_floats(fd, s, y, path, &d->targets, err));
    }
cleanup:
    return status;
}

static rd_status read_dataset(int fd, const rd_safetensors *s, const rd_model *m, bool optional_label, const char *path,
                              rd_dataset *d, rd_error *err)
{
    rd_status status = RD_OK;
    const rd_st_tensor *x, *y = NULL;
    RD_TRY(find_tensor(s, "x", path, &x, err));
    if (!optional_label || rd_safetensors_find(s, "y") != NULL)
        RD_TRY(find_tensor(s, "y", path, &y, err));
    RD_TRY(check_shapes(x, y, path, err));
    RD_TRY(read_features(fd, s, x, path, d, err));
    const char *schema = rd_safetensors_metadata(s, "schema");
    if (schema != NULL && (d->schema = strdup(schema)) == NULL)
        RD_THROW(RD_ERR_MEMORY, "%s: no memory for its schema", path);
    if (y != NULL)
        RD_TRY(read_labels(fd, s, y, m, path, d, err));
cleanup:
    return status;
}

rd_status rd_dataset_file_load(const rd_source *source, const rd_model *m, bool optional_label, rd_dataset *out,
                               rd_error *err)
{
    rd_status status = RD_OK;
    rd_dataset d = {0};
    rd_safetensors s = {0};
    int fd = -1;
    memset(out, 0, sizeof *out);
    if (access(source->path, R_OK) != 0)
        return rd_fail(err, RD_ERR_DATA, "%s: %s", source->path, strerror(errno));
    RD_TRY(rd_safetensors_open(source->path, &s, &fd, err));
    RD_TRY(read_dataset(fd, &s, m, optional_label, source->path, &d, err));
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
    x->name = "x";
    x->dtype = d->x_u8 != NULL ? RD_DTYPE_U8 : RD_DTYPE_F32;
    x->rank = d->rank + 1;
    x->shape[0] = rows.count;
    for (int i = 0; i < d->rank; i++)
        x->shape[i + 1] = d->shape[i];
    x->count = (uint64_t)rows.count * d->features;

    y->name = "y";
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
    const size_t y_width = d->labels != NULL ? d->label_count * sizeof(int32_t) : d->target_count * sizeof(float);
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
    if (file == NULL)
        RD_THROW(RD_ERR_MEMORY, "%s: no memory for its %zu bytes", path, header_size + data_size);
    memcpy(file, header, header_size);
    char *at = file + header_size;
    at = d->labels != NULL ? copy_rows(at, d->labels, y_width, rows) : copy_rows(at, d->targets, y_width, rows);
    (void)(d->x_u8 != NULL ? copy_rows(at, d->x_u8, x_width, rows) : copy_rows(at, d->x_f32, x_width, rows));
    RD_TRY(rd_file_write(path, file, header_size + data_size, err));
cleanup:
    free(header);
    free(file);
    return status;
}
