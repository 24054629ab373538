/* output.c: see output.h. */
#include "https/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "https/tls.h"

bool rd_output_reserve(rd_output *o, size_t count)
{
    o->bytes = malloc(count);
    o->begin = o->end = 0;
    return o->bytes != NULL;
}

bool rd_output_attach(rd_output *o, int fd, uint64_t at, uint64_t count)
{
    o->file = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    o->file_at = at;
    o->file_left = count;
    return o->file >= 0;
}

bool rd_output_wants_file(const rd_output *o)
{
    return o->file_left > 0 && o->begin == 0 && o->end < RD_TLS_RECORD;
}

const char *rd_output_refill(rd_output *o, uint64_t *count)
{
    size_t room = RD_TLS_RECORD - o->end;
    *count = 0;
    if (room > o->file_left)
        room = (size_t)o->file_left;
    while (room > 0) {
        ssize_t n = pread(o->file, o->bytes + o->end, room, (off_t)o->file_at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? strerror(errno) : "no more bytes";
        room -= (size_t)n;
        o->end += (size_t)n;
        o->file_at += (uint64_t)n;
        o->file_left -= (uint64_t)n;
        *count += (uint64_t)n;
    }
    return NULL;
}

void rd_output_release(rd_output *o)
{
    free(o->bytes);
    if (o->file >= 0)
        close(o->file);
    *o = (rd_output){.file = -1};
}
