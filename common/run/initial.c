/* initial.c: see initial.h. */
#include "run/initial.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "format/safetensors.h"

/* The name under which the model should have the file's tensor; NULL: it is left out. */
static const char *model_name(const cJSON *map, const char *name)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, map)
    {
        if (cJSON_IsString(item) && strcmp(item->string, name) == 0)
            return item->valuestring;
        if (cJSON_IsNull(item) && fnmatch(item->string, name, 0) == 0)
            return NULL;
    }
    return name;
}

static const rd_tensor *find_tensor(const rd_model *m, const char *name)
{
    size_t count;
    const rd_tensor *t = rd_model_tensors(m, RD_TENSORS_ALL, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(t[i].name, name) == 0)
            return &t[i];
    return NULL;
}

static void write_shape(int rank, const uint64_t *shape, char text[96])
{
    size_t at = (size_t)snprintf(text, 96, "[");
    for (int k = 0; k < rank && at < 96; k++)
        at += (size_t)snprintf(text + at, 96 - at, "%s%llu", k > 0 ? ", " : "", (unsigned long long)shape[k]);
    if (at < 96)
        (void)snprintf(text + at, 96 - at, "]");
}

static rd_status check_shape(const rd_tensor *t, const rd_st_tensor *s, const char *path, rd_error *err)
{
    uint64_t wanted[RD_TENSOR_MAX_RANK] = {0};
    char expected[96], found[96];
    bool same = t->rank == s->rank;
    for (int k = 0; k < t->rank; k++) {
        wanted[k] = t->shape[k];
        same = same && s->shape[k] == wanted[k];
    }
    if (same)
        return RD_OK;
    write_shape(t->rank, wanted, expected);
    write_shape(s->rank, s->shape, found);
    return rd_fail(
        err, RD_ERR_DATA,
        "%s: tensor '%s' has shape %s, but the model's '%s' has %s; null in initial.map leaves it out", path,
        s->name, found, t->name, expected);
}

static rd_status read_one(int fd, const rd_safetensors *file, const rd_st_tensor *s, const rd_tensor *t,
                          const char *path, float *parameters, rd_error *err)
{
    rd_status status = check_shape(t, s, path, err);
    const size_t size = t->count * rd_dtype_size(s->dtype);
    off_t at = (off_t)(file->data_start + s->begin);
    if (status != RD_OK)
        return status;
    if (!rd_dtype_is_float(s->dtype))
        return rd_fail(err, RD_ERR_DATA, "%s: tensor '%s' is %s; F32, F64, F16 or BF16 was expected", path,
                       s->name, rd_dtype_name(s->dtype));
    if (s->dtype == RD_DTYPE_F32)
        return rd_fd_pread_all(fd, parameters + t->offset, size, at, path, err);
    void *bytes = malloc(size);
    if (bytes == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for tensor '%s'", path, s->name);
    status = rd_fd_pread_all(fd, bytes, size, at, path, err);
    size_t converted =
        status == RD_OK ? rd_dtype_narrow(s->dtype, bytes, t->count, parameters + t->offset) : 0;
    if (status == RD_OK && converted < t->count)
        status = rd_fail(err, RD_ERR_DATA, "%s: tensor '%s': element %zu is not finite in single precision",
                         path, s->name, converted);
    free(bytes);
    return status;
}

static rd_status check_complete(const rd_model *m, const bool *found, const char *path, rd_error *err)
{
    size_t count;
    const rd_tensor *t = rd_model_tensors(m, RD_TENSORS_ALL, &count);
    for (size_t i = 0; i < count; i++)
        if (!found[i] && t[i].role == RD_TENSOR_FROZEN)
            return rd_fail(err, RD_ERR_DATA, "%s: has no tensor '%s', which the model holds frozen", path,
                           t[i].name);
    return RD_OK;
}

rd_status rd_initial_load(const rd_initial_config *config, const rd_model *m, float *parameters,
                          rd_error *err)
{
    rd_status status = RD_OK;
    rd_safetensors file = {0};
    const char *path = config->path;
    int fd = -1;
    size_t count, used = 0;
    const rd_tensor *first = rd_model_tensors(m, RD_TENSORS_ALL, &count);
    if (path[0] == '\0')
        return RD_OK;
    bool *found = calloc(count, sizeof *found);
    if (found == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for a table of %zu tensors", path, count);
    RD_TRY(rd_safetensors_open(path, &file, &fd, err));
    for (size_t i = 0; i < file.tensor_count; i++) {
        const rd_st_tensor *s = &file.tensors[i];
        const char *name = model_name(config->map, s->name);
        if (name == NULL)
            continue;
        const rd_tensor *t = find_tensor(m, name);
        if (t == NULL) {
            status =
                rd_fail(err, RD_ERR_DATA,
                        "%s: tensor '%s' is not one of the model's; initial.map can say which it is, or null",
                        path, name);
            goto cleanup;
        }
        RD_TRY(read_one(fd, &file, s, t, path, parameters, err));
        found[t - first] = true;
        used++;
    }
    if (used == 0)
        RD_TRY(rd_fail(err, RD_ERR_DATA, "%s: initial.map leaves out every tensor", path));
    RD_TRY(check_complete(m, found, path, err));
cleanup:
    if (fd >= 0)
        close(fd);
    rd_safetensors_free(&file);
    free(found);
    return status;
}
