/* input.c: see input.h. zlib reads plain and gzipped files through the same calls. */
#include "data/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* No byte of a deflate stream can stand for more than this many bytes: 258 bytes cost at least two bits
 * (zlib's technical notes give 1032:1). */
#define DEFLATE_MOST 1032u
#define PIECE ((size_t)1 << 30) /* gzread counts in int */

rd_status rd_input_open(rd_input *in, const char *path, rd_error *err)
{
    struct stat info;
    memset(in, 0, sizeof *in);
    in->name = path;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return rd_fail(err, RD_ERR_DATA, "%s: %s", path, strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return rd_fail(err, RD_ERR_DATA, "%s: is not a regular file", path);
    }
    in->file = gzdopen(fd, "rb"); /* takes fd over */
    if (in->file == NULL) {
        close(fd);
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory to open it", path);
    }
    (void)gzbuffer(in->file, 1u << 17);
    in->most = (uint64_t)info.st_size;
    if (!gzdirect(in->file))
        in->most *= DEFLATE_MOST;
    return RD_OK;
}

rd_input rd_input_memory(const char *name, const void *bytes, size_t size)
{
    return (rd_input){.name = name, .memory = bytes, .most = size};
}

static rd_status read_file(rd_input *in, uint8_t *into, size_t count, size_t *got, rd_error *err)
{
    while (*got < count) {
        size_t piece = count - *got < PIECE ? count - *got : PIECE;
        int n = gzread(in->file, into + *got, (unsigned)piece);
        if (n > 0)
            *got += (size_t)n;
        if (n < (int)piece) {
            int code = Z_OK;
            const char *what = gzerror(in->file, &code);
            if (code == Z_ERRNO)
                return rd_fail(err, RD_ERR_IO, "%s: cannot read: %s", in->name, strerror(errno));
            if (code == Z_BUF_ERROR)
                return rd_fail(err, RD_ERR_DATA, "%s: the gzip stream is cut off after %zu bytes of content", in->name,
                               *got);
            if (code != Z_OK && code != Z_STREAM_END)
                return rd_fail(err, RD_ERR_DATA, "%s: damaged gzip file: %s", in->name, what);
            break;
        }
    }
    return RD_OK;
}

rd_status rd_input_read(rd_input *in, void *into, size_t count, size_t *got, rd_error *err)
{
    *got = 0;
    if (in->file != NULL) {
        rd_status status = read_file(in, into, count, got, err);
        in->most -= *got < in->most ? *got : in->most;
        return status;
    }
    *got = count < in->most ? count : (size_t)in->most;
    if (*got > 0)
        memcpy(into, in->memory, *got);
    in->memory += *got;
    in->most -= *got;
    return RD_OK;
}

rd_status rd_input_read_all(rd_input *in, char **bytes, size_t *size, rd_error *err)
{
    rd_status status = RD_OK;
    /* The right size at once for plain files; gzipped ones start small and double. */
    size_t capacity = in->file != NULL && !gzdirect(in->file) ? (size_t)1 << 20 : (size_t)in->most;
    size_t used = 0, got = 0;
    char *buffer = malloc(capacity + 1);
    while (buffer != NULL) {
        RD_TRY(rd_input_read(in, buffer + used, capacity - used, &got, err));
        used += got;
        if (used < capacity || in->file == NULL || gzdirect(in->file))
            break;
        char *larger = capacity < SIZE_MAX / 4 ? realloc(buffer, capacity * 2 + 1) : NULL;
        if (larger == NULL) {
            free(buffer);
            buffer = NULL;
            break;
        }
        buffer = larger;
        capacity *= 2;
    }
    if (buffer == NULL) {
        status = rd_fail(err, RD_ERR_MEMORY, "%s: no memory for its %zu bytes", in->name, capacity);
        goto cleanup;
    }
    buffer[used] = '\0';
    *bytes = buffer;
    *size = used;
    buffer = NULL;
cleanup:
    free(buffer);
    return status;
}

void rd_input_close(rd_input *in)
{
    if (in->file != NULL)
        (void)gzclose_r(in->file);
    in->file = NULL;
    in->memory = NULL;
    in->most = 0;
}
