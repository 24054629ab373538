/* tensor_file.c: see tensor_file.h. */
#include "codec/tensor_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/tensor_header.h"
#include "core/exact_sum.h"
#include "core/file.h"
#include "format/safetensors.h"

rd_status rd_tensor_file_write(rd_tensor_table t, const float *vector, uint64_t round, const char *path, rd_error *err)
{
    rd_status status = RD_OK;
    char temporary[4096], text[24];
    char *header = NULL;
    size_t header_size;
    int fd = -1;
    if (snprintf(temporary, sizeof temporary, "%s.tmp", path) >= (int)sizeof temporary)
        return rd_fail(err, RD_ERR_IO, "%s: path too long", path);
    (void)snprintf(text, sizeof text, "%" PRIu64, round);
    RD_TRY(rd_tensor_header(t, &(rd_st_pair){"round", text}, 1, &header, &header_size, err));
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        RD_THROW(RD_ERR_IO, "%s: %s", temporary, strerror(errno));
    RD_TRY(rd_fd_write_all(fd, header, header_size, temporary, err));
    RD_TRY(rd_fd_write_all(fd, vector + t.first, t.elements * sizeof *vector, temporary, err));
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

static rd_status check_finite(const rd_tensor *t, const float *vector, const char *path, rd_error *err)
{
    for (size_t i = 0; i < t->count; i++)
        if (!isfinite(vector[t->offset + i]))
            return rd_fail(err, RD_ERR_FORMAT, "%s: tensor '%s': element %zu is %s", path, t->name, i,
                           rd_exact_unfit_word((double)vector[t->offset + i]));
    return RD_OK;
}

rd_status rd_tensor_file_read(rd_tensor_table t, const char *path, float *vector, rd_error *err)
{
    rd_status status = RD_OK;
    rd_safetensors file = {0};
    int fd = -1;
    size_t *origin = NULL;
    const size_t count = t.count;
    const rd_tensor *tensors = t.tensors;
    RD_TRY(rd_safetensors_open(path, &file, &fd, err));
    origin = calloc(count, sizeof *origin);
    if (origin == NULL)
        RD_THROW(RD_ERR_MEMORY, "%s: no memory for the table of %zu tensors", path, count);
    RD_TRY(rd_tensor_header_match(t, &file, path, origin, err));
    for (size_t i = 0; i < count; i++) {
        RD_TRY(rd_fd_pread_all(fd, vector + tensors[i].offset, tensors[i].count * sizeof *vector,
                               (off_t)(file.data_start + file.tensors[origin[i]].begin), path, err));
        RD_TRY(check_finite(&tensors[i], vector, path, err));
    }
cleanup:
    if (fd >= 0)
        close(fd);
    rd_safetensors_free(&file);
    free(origin);
    return status;
}
