/* model_file.c: see model_file.h. */
#include "run/model_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "format/safetensors.h"

/* The header for the model's tensors, in the order of the parameter vector. */
static rd_status make_header(const rd_model *m, uint64_t round, char **bytes, size_t *size, rd_error *err)
{
    size_t count;
    const rd_tensor *tensors = rd_model_tensors(m, &count);
    rd_st_tensor *entries = calloc(count, sizeof *entries);
    if (entries == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the header of a model file");
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(entries[i].name, sizeof entries[i].name, "%s", tensors[i].name);
        entries[i].dtype = RD_DTYPE_F32;
        entries[i].rank = tensors[i].rank;
        for (int k = 0; k < tensors[i].rank; k++)
            entries[i].shape[k] = tensors[i].shape[k];
    }
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, round);
    rd_st_pair metadata = {.key = "round", .value = text};
    rd_status status = rd_safetensors_header(entries, count, &metadata, 1, bytes, size, err);
    free(entries);
    return status;
}

rd_status rd_model_file_write(const rd_model *m, const float *parameters, uint64_t round, const char *path,
                              rd_error *err)
{
    rd_status status = RD_OK;
    char temporary[4096];
    char *header = NULL;
    size_t header_size;
    int fd = -1;
    if (snprintf(temporary, sizeof temporary, "%s.tmp", path) >= (int)sizeof temporary)
        return rd_fail(err, RD_ERR_IO, "%s: path too long", path);
    RD_TRY(make_header(m, round, &header, &header_size, err));
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        status = rd_fail(err, RD_ERR_IO, "%s: %s", temporary, strerror(errno));
        goto cleanup;
    }
    RD_TRY(rd_fd_write_all(fd, header, header_size, temporary, err));
    RD_TRY(rd_fd_write_all(fd, parameters, rd_model_parameter_count(m) * sizeof *parameters, temporary, err));
    if (rename(temporary, path) != 0)
        status = rd_fail(err, RD_ERR_IO, "%s: cannot take its place: %s", path, strerror(errno));
cleanup:
    if (fd >= 0) {
        close(fd);
        if (status != RD_OK)
            unlink(temporary);
    }
    free(header);
    return status;
}

rd_status rd_model_file_sync(const char *path, rd_error *err)
{
    rd_status status = RD_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
    if (fsync(fd) != 0)
        status = rd_fail(err, RD_ERR_IO, "%s: cannot reach the disk: %s", path, strerror(errno));
    close(fd);
    return status;
}

/* The tensor of the file that the model's tensor t is read from. */
static rd_status match(const rd_safetensors *file, const rd_tensor *t, const char *path,
                       const rd_st_tensor **found, rd_error *err)
{
    const rd_st_tensor *s = rd_safetensors_find(file, t->name);
    if (s == NULL)
        return rd_fail(err, RD_ERR_FORMAT, "%s: has no tensor '%s', which the model needs", path, t->name);
    bool same = s->dtype == RD_DTYPE_F32 && s->rank == t->rank;
    for (int k = 0; same && k < t->rank; k++)
        same = s->shape[k] == t->shape[k];
    if (!same)
        return rd_fail(err, RD_ERR_FORMAT, "%s: tensor '%s' is not F32 of the model's shape (%zu elements)",
                       path, t->name, t->count);
    *found = s;
    return RD_OK;
}

rd_status rd_model_file_read(const rd_model *m, const char *path, float *parameters, rd_error *err)
{
    rd_status status = RD_OK;
    rd_safetensors file = {0};
    int fd = -1;
    size_t count;
    const rd_tensor *tensors = rd_model_tensors(m, &count);
    RD_TRY(rd_safetensors_open(path, &file, &fd, err));
    if (file.tensor_count != count) {
        status = rd_fail(err, RD_ERR_FORMAT, "%s: holds %zu tensors, the model has %zu", path,
                         file.tensor_count, count);
        goto cleanup;
    }
    for (size_t i = 0; i < count; i++) {
        const rd_st_tensor *found = NULL;
        RD_TRY(match(&file, &tensors[i], path, &found, err));
        RD_TRY(rd_fd_pread_all(fd, parameters + tensors[i].offset, tensors[i].count * sizeof *parameters,
                               (off_t)(file.data_start + found->begin), path, err));
    }
cleanup:
    if (fd >= 0)
        close(fd);
    rd_safetensors_free(&file);
    return status;
}
