/* model.c: `rondo-inspect model`: what is in a model file (layers.c shows what a run's model is). Any
 * safetensors file will do; its data pass through one buffer, so a file of any size takes the same memory. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "export.h"
#include "format/safetensors.h"
#include "inspect.h"
#include "run_model.h"
#include "table.h"

#define BUFFER 65536 /* bytes; a multiple of every element's size */

typedef struct statistics {
    uint64_t finite, other; /* elements; other: NaN and Inf */
    double min, max, sum;   /* of the finite ones */
} statistics;

static void take_bytes(statistics *s, const uint8_t *bytes, size_t count, rd_dtype dtype)
{
    size_t size = rd_dtype_size(dtype);
    double sum = 0.0; /* of this buffer alone: short sums added up lose less than one long sum */
    for (size_t i = 0; i < count; i += size) {
        double value = rd_dtype_value(dtype, bytes + i);
        if (!isfinite(value)) {
            s->other++;
            continue;
        }
        s->min = s->finite == 0 || value < s->min ? value : s->min;
        s->max = s->finite == 0 || value > s->max ? value : s->max;
        s->finite++;
        sum += value;
    }
    s->sum += sum;
}

static rd_status scan(int fd, const rd_safetensors *file, const rd_st_tensor *t, const char *path, statistics *out,
                      rd_error *err)
{
    static const statistics nothing = {.min = NAN, .max = NAN};
    uint8_t buffer[BUFFER];
    *out = nothing;
    if (t->dtype == RD_DTYPE_OTHER)
        return RD_OK; /* its numbers cannot be read; what the header says of it can */
    for (uint64_t at = t->begin; at < t->end;) {
        size_t count = t->end - at < BUFFER ? (size_t)(t->end - at) : BUFFER;
        rd_status status = rd_fd_pread_all(fd, buffer, count, (off_t)(file->data_start + at), path, err);
        if (status != RD_OK)
            return status;
        take_bytes(out, buffer, count, t->dtype);
        at += count;
    }
    return RD_OK;
}

/* ---- printing ---- */

enum { NAME, DTYPE, SHAPE, COUNT, BYTES, MIN, MEAN, MAX, OTHER, COLUMNS };

static const table_column columns[COLUMNS] = {
    [NAME] = {"tensor", true},       [DTYPE] = {"type", true},   [SHAPE] = {"shape", true},
    [COUNT] = {"parameters", false}, [BYTES] = {"bytes", false}, [MIN] = {"min", false},
    [MEAN] = {"mean", false},        [MAX] = {"max", false},     [OTHER] = {"NaN or Inf", false},
};

static const char *const csv_columns[] = {"tensor", "dtype", "shape", "parameters", "bytes",
                                          "min",    "mean",  "max",   "non_finite", NULL};

static double mean_of(const statistics *s)
{
    return s->finite > 0 ? s->sum / (double)s->finite : NAN;
}

/* "500 x 1,000"; "scalar" for rank 0. */
static void shape_cell(char cell[TABLE_CELL], const rd_st_tensor *t)
{
    size_t at = 0;
    (void)snprintf(cell, TABLE_CELL, "scalar");
    for (int k = 0; k < t->rank && at < TABLE_CELL; k++) {
        char extent[TABLE_CELL];
        table_count(extent, t->shape[k]);
        at += (size_t)snprintf(cell + at, TABLE_CELL - at, "%s%.30s", k > 0 ? " x " : "", extent);
    }
}

static void fill_row(const rd_st_tensor *t, const statistics *s, table_row *row)
{
    memset(row, 0, sizeof *row);
    table_text(row->cell[NAME], t->name);
    table_text(row->cell[DTYPE], rd_st_dtype_name(t));
    shape_cell(row->cell[SHAPE], t);
    table_count(row->cell[COUNT], t->count);
    table_count(row->cell[BYTES], t->end - t->begin);
    table_number(row->cell[MIN], s->min);
    table_number(row->cell[MEAN], mean_of(s));
    table_number(row->cell[MAX], s->max);
    table_count_if_any(row->cell[OTHER], s->other);
}

/* CSV has no lists: the shape is a list in JSON and "500x1000" in CSV. */
static cJSON *tensor_json(export_kind kind, const rd_st_tensor *t, const statistics *s)
{
    char shape[TABLE_CELL] = "";
    size_t at = 0;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "tensor", t->name);
    cJSON_AddStringToObject(object, "dtype", rd_st_dtype_name(t));
    if (kind == EXPORT_JSONL) {
        cJSON *extents = cJSON_AddArrayToObject(object, "shape");
        for (int k = 0; k < t->rank; k++)
            cJSON_AddItemToArray(extents, cJSON_CreateNumber((double)t->shape[k]));
    } else {
        for (int k = 0; k < t->rank; k++)
            at += (size_t)snprintf(shape + at, sizeof shape - at, "%s%" PRIu64, k > 0 ? "x" : "", t->shape[k]);
        cJSON_AddStringToObject(object, "shape", shape);
    }
    cJSON_AddNumberToObject(object, "parameters", (double)t->count);
    cJSON_AddNumberToObject(object, "bytes", (double)(t->end - t->begin));
    export_add_number(object, "min", s->min);
    export_add_number(object, "mean", mean_of(s));
    export_add_number(object, "max", s->max);
    cJSON_AddNumberToObject(object, "non_finite", (double)s->other);
    return object;
}

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), end = strlen(ending);
    return length >= end && strcmp(text + length - end, ending) == 0;
}

static void print_totals(const rd_safetensors *file)
{
    uint64_t all = 0, weights = 0, biases = 0;
    char text[TABLE_CELL], value[TABLE_CELL];
    for (size_t i = 0; i < file->tensor_count; i++) {
        const rd_st_tensor *t = &file->tensors[i];
        all += t->count;
        weights += ends_with(t->name, "weight") ? t->count : 0;
        biases += ends_with(t->name, "bias") ? t->count : 0;
    }
    table_count(text, all);
    (void)printf("\ntotal: %s parameters", text);
    if (biases > 0 && weights + biases == all) {
        table_count(text, weights);
        table_count(value, biases);
        (void)printf(" (%s weights + %s biases)", text, value);
    }
    table_count(text, file->data_size);
    table_count(value, file->data_start + file->data_size);
    (void)printf(", %s bytes in a file of %s\n", text, value);
    for (size_t i = 0; i < file->metadata_count; i++) {
        table_text(text, file->metadata[i].key);
        table_text(value, file->metadata[i].value);
        (void)printf("%s: %s\n", text, value);
    }
}

static rd_status print_tensors(export_kind kind, int fd, const rd_safetensors *file, const char *path, rd_error *err)
{
    rd_status status = RD_OK;
    table t = {.columns = columns, .count = COLUMNS};
    table_row row;
    statistics *all = calloc(file->tensor_count + 1, sizeof *all);
    if (all == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for its %zu tensors", path, file->tensor_count);
    for (size_t i = 0; i < file->tensor_count; i++) {
        RD_TRY(scan(fd, file, &file->tensors[i], path, &all[i], err));
        fill_row(&file->tensors[i], &all[i], &row);
        table_measure(&t, &row);
    }
    if (kind == EXPORT_TABLE && file->tensor_count > 0)
        table_print_heading(&t);
    if (kind == EXPORT_CSV)
        export_csv_heading(csv_columns);
    for (size_t i = 0; i < file->tensor_count; i++) {
        const rd_st_tensor *tensor = &file->tensors[i];
        fill_row(tensor, &all[i], &row);
        if (kind == EXPORT_TABLE) {
            table_print(&t, &row);
        } else if (!export_record(kind, csv_columns, tensor_json(kind, tensor, &all[i]))) {
            RD_THROW(RD_ERR_MEMORY, "%s: no memory to print tensor '%s'", path, tensor->name);
        }
    }
    if (kind == EXPORT_TABLE)
        print_totals(file);
cleanup:
    free(all);
    return status;
}

rd_status inspect_model(int argc, char **argv, rd_error *err)
{
    bool csv = false, jsonl = false;
    const rd_option options[] = {
        {.kind = RD_OPTION_FLAG, .name = "csv", .help = "print CSV, with full precision", .value = &csv},
        {.kind = RD_OPTION_FLAG,
         .name = "jsonl",
         .help = "print JSON Lines, one object a layer or tensor",
         .value = &jsonl},
        {.kind = RD_OPTION_END},
    };
    const rd_command command = {
        .program = "rondo-inspect model",
        .usage = "DIR|FILE [options]",
        .summary = "Of a state directory or a run.json, shows the model layer by layer: what comes out, "
                   "parameters, how many "
                   "of them are trained, floating-point operations and memory a sample.\n"
                   "Of a safetensors file, shows the tensors of a safetensors file: name, type, shape, "
                   "number of parameters, bytes, "
                   "and the "
                   "smallest, mean and largest value. NaN and Inf are counted and left out of the three. The "
                   "model of a "
                   "run after round 7 is DIR/models/000007.safetensors.",
        .options = options,
        .footer = INSPECT_EXIT_CODES,
    };
    const char *path = NULL;
    rd_safetensors file = {0};
    int fd = -1;
    export_kind kind;
    rd_status status = inspect_parse(&command, argc, argv,
                                     "DIR, a state directory, or FILE, a safetensors file or run.json", &path, err);
    if (status != RD_OK || path == NULL)
        return status;
    RD_TRY(export_choose(csv, jsonl, &kind, err));
    if (inspect_names_a_plan(path)) {
        status = inspect_layers(kind, path, err);
        goto cleanup;
    }
    RD_TRY(rd_safetensors_open(path, &file, &fd, err));
    RD_TRY(print_tensors(kind, fd, &file, path, err));
cleanup:
    if (fd >= 0)
        close(fd);
    rd_safetensors_free(&file);
    return status;
}
