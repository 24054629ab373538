/* input.c: see input.h. zlib reads plain and gzipped files through the same calls. */
#include "data/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/grow.h"

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
    const bool unpacked = in->file != NULL && !gzdirect(in->file);
    /* The right size at once for plain files; gzipped ones start small and double. */
    size_t room = (unpacked ? (size_t)1 << 20 : (size_t)in->most) + 1, capacity = 0, used = 0, got = 0;
    char *buffer = NULL;
    do {
        RD_TRY(rd_grow(&buffer, &capacity, room, 1, "bytes of a file", err));
        RD_TRY(rd_input_read(in, buffer + used, capacity - 1 - used, &got, err)); /* the last is for the '\0' */
        used += got;
        room = capacity + 1;
    } while (unpacked && used == capacity - 1);
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
