/* staging.c: see staging.h. */
#include "staging.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/assert.h"
#include "core/file.h"

struct rd_staging {
    rd_staging_budget *budget;
    size_t size;
    uint8_t *memory; /* (size), or NULL: the file holds them */
    int fd;
};

/* Takes size bytes out of the budget, if it has them. */
static bool reserve(rd_staging_budget *budget, size_t size)
{
    size_t left = atomic_load(&budget->left);
    while (size < RD_STAGING_LARGE && size <= left)
        if (atomic_compare_exchange_weak(&budget->left, &left, left - size))
            return true;
    return false;
}

/* A file without a name: it is gone when it is closed, however the process ends. */
static rd_status open_nameless(const char *folder, int *fd, rd_error *err)
{
    *fd = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (*fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) { /* file systems without O_TMPFILE */
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/upload-XXXXXX", folder);
        *fd = mkostemp(path, O_CLOEXEC);
        if (*fd >= 0)
            unlink(path);
    }
    return *fd < 0 ? rd_fail(err, RD_ERR_IO, "%s: no room for an upload: %s", folder, strerror(errno)) : RD_OK;
}

rd_status rd_staging_create(rd_staging_budget *budget, const char *folder, size_t size, rd_staging **out, rd_error *err)
{
    rd_staging *s = calloc(1, sizeof *s);
    if (s == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for an upload");
    s->budget = budget;
    s->size = size;
    s->fd = -1;
    if (reserve(budget, size)) {
        s->memory = malloc(size);
        if (s->memory == NULL)
            atomic_fetch_add(&budget->left, size);
    }
    rd_status status = s->memory != NULL ? RD_OK : open_nameless(folder, &s->fd, err);
    if (status == RD_OK)
        *out = s;
    else
        free(s);
    return status;
}

rd_status rd_staging_write(rd_staging *s, size_t offset, const void *bytes, size_t count, rd_error *err)
{
    RD_ASSERT(offset <= s->size && count <= s->size - offset);
    if (s->memory == NULL)
        return rd_fd_pwrite_all(s->fd, bytes, count, (off_t)offset, "upload", err);
    memcpy(s->memory + offset, bytes, count);
    return RD_OK;
}

rd_status rd_staging_read(rd_staging *s, size_t offset, void *buffer, size_t count, const void **bytes, rd_error *err)
{
    RD_ASSERT(offset <= s->size && count <= s->size - offset);
    *bytes = s->memory != NULL ? s->memory + offset : buffer;
    return s->memory != NULL ? RD_OK : rd_fd_pread_all(s->fd, buffer, count, (off_t)offset, "upload", err);
}

void rd_staging_free(rd_staging *s)
{
    if (s == NULL)
        return;
    if (s->memory != NULL)
        atomic_fetch_add(&s->budget->left, s->size);
    free(s->memory);
    if (s->fd >= 0)
        close(s->fd);
    free(s);
}
