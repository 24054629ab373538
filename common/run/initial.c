/* initial.c: see initial.h. */
#include "run/initial.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/exact_sum.h"
#include "core/file.h"
#include "format/safetensors.h"

#define NAMES_LISTED 8 /* of a list of tensors in the report */

typedef struct reading {
    const rd_initial_config *config;
    const char *path;
    const rd_tensor *tensors; /* (count) the model's */
    size_t count;
    const rd_st_tensor **origin; /* (count) in the file; NULL: not there */
    rd_safetensors file;
    int fd;
} reading;

/* ---- which tensor is which ---- */

/* Does an entry of the map speak of the file's tensor `name`? */
static bool speaks_of(const cJSON *entry, const char *name)
{
    return strcmp(entry->string, name) == 0 || (cJSON_IsNull(entry) && fnmatch(entry->string, name, 0) == 0);
}

/* What the map says of a tensor; NULL: nothing. */
static const cJSON *entry_of(const cJSON *map, const char *name)
{
    const cJSON *entry, *pattern = NULL;
    cJSON_ArrayForEach(entry, map)
    {
        if (strcmp(entry->string, name) == 0)
            return entry;
        if (pattern == NULL && speaks_of(entry, name))
            pattern = entry;
    }
    return pattern;
}

static bool is_left_out(const reading *r, const rd_st_tensor *s)
{
    const cJSON *entry = entry_of(r->config->map, s->name);
    return entry != NULL && cJSON_IsNull(entry);
}

/* A slip of the finger in the map would leave a tensor at random. */
static rd_status check_map(const reading *r, rd_error *err)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, r->config->map)
    {
        bool used = false;
        for (size_t i = 0; i < r->file.tensor_count && !used; i++)
            used = speaks_of(entry, r->file.tensors[i].name);
        bool pattern = !cJSON_IsNull(entry) && strpbrk(entry->string, "*?") != NULL;
        if (!used)
            return rd_fail(err, RD_ERR_DATA, "%s: has no tensor '%.100s', of which initial.map speaks%s", r->path,
                           entry->string, pattern ? "; a key with * or ? can only be null" : "");
    }
    return RD_OK;
}

static rd_status find_tensor(const reading *r, const rd_st_tensor *s, size_t *number, rd_error *err)
{
    const cJSON *entry = entry_of(r->config->map, s->name);
    const char *name = entry != NULL ? entry->valuestring : s->name;
    for (*number = 0; *number < r->count; ++*number)
        if (strcmp(r->tensors[*number].name, name) == 0)
            return RD_OK;
    if (entry != NULL)
        return rd_fail(err, RD_ERR_DATA,
                       "%s: initial.map: '%.100s' cannot become '%.100s': the model has no such tensor", r->path,
                       s->name, name);
    return rd_fail(err, RD_ERR_DATA,
                   "%s: tensor '%.100s' is not one of the model's; initial.map can say which it is, or null", r->path,
                   name);
}

static void write_shape(int rank, const uint64_t *shape, char text[96])
{
    size_t at = (size_t)snprintf(text, 96, "[");
    for (int k = 0; k < rank && at < 96; k++)
        at += (size_t)snprintf(text + at, 96 - at, "%s%llu", k > 0 ? ", " : "", (unsigned long long)shape[k]);
    if (at < 96)
        (void)snprintf(text + at, 96 - at, "]");
}

static rd_status check_shape(const reading *r, const rd_st_tensor *s, const rd_tensor *t, rd_error *err)
{
    uint64_t wanted[RD_TENSOR_MAX_RANK] = {0};
    char expected[96], found[96];
    bool same = t->rank == s->rank, turned = t->rank == 2 && s->rank == 2;
    for (int k = 0; k < t->rank; k++) {
        wanted[k] = t->shape[k];
        same = same && s->shape[k] == wanted[k];
        turned = turned && s->shape[1 - k] == wanted[k];
    }
    if (same)
        return RD_OK;
    write_shape(t->rank, wanted, expected);
    write_shape(s->rank, s->shape, found);
    return rd_fail(err, RD_ERR_DATA,
                   "%s: tensor '%.100s' has shape %s, but the model's '%s' has %s%s; null in initial.map leaves it out",
                   r->path, s->name, found, t->name, expected, turned ? " (is it transposed?)" : "");
}

/* ---- numbers ---- */

static rd_status read_values(const reading *r, const rd_st_tensor *s, const rd_tensor *t, float *values, rd_error *err)
{
    off_t at = (off_t)(r->file.data_start + s->begin);
    size_t size = (size_t)(s->end - s->begin);
    rd_status status = RD_OK;
    char *bytes = NULL;
    if (!rd_dtype_is_float(s->dtype))
        return rd_fail(err, RD_ERR_DATA, "%s: tensor '%.100s' is %s; F32, F64, F16 or BF16 was expected", r->path,
                       s->name, rd_st_dtype_name(s));
    RD_TRY(check_shape(r, s, t, err));
    if (s->dtype == RD_DTYPE_F32) {
        RD_TRY(rd_fd_pread_all(r->fd, values, size, at, r->path, err));
    } else {
        bytes = malloc(size);
        if (bytes == NULL)
            RD_THROW(RD_ERR_MEMORY, "%s: no memory for tensor '%.100s'", r->path, s->name);
        RD_TRY(rd_fd_pread_all(r->fd, bytes, size, at, r->path, err));
        /* What does not fit float is beyond the range of parameters, too, and will be found there. */
        size_t narrow = rd_dtype_narrow(s->dtype, bytes, t->count, values);
        if (narrow < t->count)
            values[narrow] = NAN;
    }
    size_t unfit = rd_exact_find_unfit(values, t->count);
    if (unfit < t->count) {
        double value =
            bytes == NULL ? (double)values[unfit] : rd_dtype_value(s->dtype, bytes + unfit * rd_dtype_size(s->dtype));
        status = rd_fail(err, RD_ERR_DATA, "%s: tensor '%.100s': element %zu is %s; parameters are numbers below 2^23",
                         r->path, s->name, unfit, rd_exact_unfit_word(value));
    }
cleanup:
    free(bytes);
    return status;
}

static rd_status take_tensor(const reading *r, const rd_st_tensor *s, float *parameters, rd_error *err)
{
    size_t number;
    rd_status status = find_tensor(r, s, &number, err);
    if (status != RD_OK)
        return status;
    if (r->origin[number] != NULL)
        return rd_fail(
            err, RD_ERR_DATA,
            "%s: tensors '%.100s' and '%.100s' are both for the model's '%s'; null in initial.map leaves one "
            "out",
            r->path, r->origin[number]->name, s->name, r->tensors[number].name);
    r->origin[number] = s;
    return read_values(r, s, &r->tensors[number], parameters + r->tensors[number].offset, err);
}

static rd_status check_complete(const reading *r, rd_error *err)
{
    size_t missing = 0, first = 0;
    for (size_t i = 0; i < r->count; i++) {
        const rd_tensor *t = &r->tensors[i];
        if (r->origin[i] != NULL || rd_tensor_is_lora(t))
            continue;
        if (t->role == RD_TENSOR_FROZEN)
            return rd_fail(err, RD_ERR_DATA, "%s: has no tensor '%s', which the model holds frozen", r->path, t->name);
        first = missing++ == 0 ? i : first;
    }
    if (missing == 0 || r->config->partial)
        return RD_OK;
    return rd_fail(err, RD_ERR_DATA,
                   "%s: %zu of the model's tensors %s taken from it, beginning with '%s'; with \"partial\": true in "
                   "initial they start at random",
                   r->path, missing, missing == 1 ? "is not" : "are not", r->tensors[first].name);
}

/* ---- the report ---- */

typedef struct list {
    char text[400];
    size_t count;
} list;

static void list_add(list *l, const char *name)
{
    size_t used = strlen(l->text);
    if (l->count++ < NAMES_LISTED)
        (void)snprintf(l->text + used, sizeof l->text - used, "%s%.40s", l->count > 1 ? ", " : "", name);
}

static void list_end(list *l)
{
    size_t used = strlen(l->text);
    if (l->count > NAMES_LISTED)
        (void)snprintf(l->text + used, sizeof l->text - used, " and %zu more", l->count - NAMES_LISTED);
}

static void write_report(const reading *r, char report[RD_INITIAL_REPORT_MAX])
{
    list random = {"", 0}, left = {"", 0};
    size_t taken = 0;
    for (size_t i = 0; i < r->count; i++) {
        taken += r->origin[i] != NULL;
        if (r->origin[i] == NULL)
            list_add(&random, r->tensors[i].name);
    }
    for (size_t i = 0; i < r->file.tensor_count; i++)
        if (is_left_out(r, &r->file.tensors[i]))
            list_add(&left, r->file.tensors[i].name);
    list_end(&random);
    list_end(&left);
    (void)snprintf(report, RD_INITIAL_REPORT_MAX, "%zu tensor%s taken from %s%s%s%s%s", taken, taken == 1 ? "" : "s",
                   r->path, random.count > 0 ? "; at random: " : "", random.text, left.count > 0 ? "; left out: " : "",
                   left.text);
}

rd_status rd_initial_load(const rd_initial_config *config, const rd_model *m, float *parameters,
                          char report[RD_INITIAL_REPORT_MAX], rd_error *err)
{
    rd_status status = RD_OK;
    reading r = {.config = config, .path = config->path, .fd = -1};
    size_t used = 0;
    report[0] = '\0';
    if (r.path[0] == '\0')
        return RD_OK;
    r.tensors = rd_model_tensors(m, RD_TENSORS_ALL).tensors;
    r.count = rd_model_tensors(m, RD_TENSORS_ALL).count;
    r.origin = calloc(r.count, sizeof(rd_st_tensor *));
    if (r.origin == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for a table of %zu tensors", r.path, r.count);
    RD_TRY(rd_safetensors_open(r.path, &r.file, &r.fd, err));
    RD_TRY(check_map(&r, err));
    for (size_t i = 0; i < r.file.tensor_count; i++)
        if (!is_left_out(&r, &r.file.tensors[i])) {
            RD_TRY(take_tensor(&r, &r.file.tensors[i], parameters, err));
            used++;
        }
    if (used == 0)
        RD_THROW(RD_ERR_DATA, "%s: %s", r.path,
                 r.file.tensor_count == 0 ? "it holds no tensor" : "initial.map leaves out every tensor");
    RD_TRY(check_complete(&r, err));
    write_report(&r, report);
cleanup:
    if (r.fd >= 0)
        close(r.fd);
    rd_safetensors_free(&r.file);
    free(r.origin);
    return status;
}
