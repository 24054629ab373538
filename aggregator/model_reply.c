/* model_reply.c: see model_reply.h. */
#include "model_reply.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/number.h"

#define TYPE "application/octet-stream"

/* Reads "bytes=A-B", "bytes=A-" and "bytes=-N" (RFC 9110, 14.1.2) into [*first, *last]. Anything else,
 * several ranges included, is to be ignored: *given stays false. */
static rd_status parse_range(const char *field, uint64_t size, bool *given, uint64_t *first, uint64_t *last,
                             rd_error *err)
{
    *given = false;
    if (field == NULL || strncmp(field, "bytes=", 6) != 0 || strchr(field, ',') != NULL)
        return RD_OK;
    const char *dash = strchr(field, '-');
    if (dash == NULL)
        return RD_OK;
    bool has_first = dash > field + 6, has_last = dash[1] != '\0';
    if (!has_first && !has_last)
        return RD_OK;
    uint64_t a = 0, b = size - 1;
    if ((has_first && !rd_number_count(field + 6, (size_t)(dash - field - 6), &a)) ||
        (has_last && !rd_number_count(dash + 1, strlen(dash + 1), &b)))
        return RD_OK;
    if (!has_first) { /* the last b bytes */
        a = b < size ? size - b : 0;
        b = size - 1;
    }
    if (b >= size)
        b = size - 1;
    if (a > b)
        return rd_fail(err, RD_ERR_RANGE, "Range '%s' does not meet the %" PRIu64 " bytes of the model", field, size);
    *given = true;
    *first = a;
    *last = b;
    return RD_OK;
}

rd_status rd_model_reply(rd_exchange *x, const char *path, const char *tag, rd_error *err)
{
    rd_status status = RD_OK;
    char headers[256];
    struct stat info;
    uint64_t first = 0, last = 0;
    bool partial = false, kept;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
        RD_THROW(RD_ERR_MEMORY, "it cannot be opened now: %s", strerror(errno));
    if (fd < 0 || fstat(fd, &info) != 0)
        RD_THROW(RD_ERR_STATE, "it is not kept here");
    uint64_t size = (uint64_t)info.st_size;
    const char *known = rd_exchange_header(x, "If-None-Match");
    if (known != NULL && strcmp(known, tag) == 0) {
        (void)snprintf(headers, sizeof headers, "ETag: %s\r\n", tag);
        rd_exchange_reply(x, 304, NULL, headers, NULL, 0);
        goto cleanup;
    }
    /* The rest of another model is of no use to whoever has the beginning of one. */
    const char *only_of = rd_exchange_header(x, "If-Range");
    if (only_of == NULL || strcmp(only_of, tag) == 0)
        RD_TRY(parse_range(rd_exchange_header(x, "Range"), size, &partial, &first, &last, err));
    if (partial) {
        (void)snprintf(headers, sizeof headers,
                       "ETag: %s\r\nContent-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", tag, first, last,
                       size);
        kept = rd_exchange_reply_file(x, 206, TYPE, headers, fd, first, last - first + 1);
    } else {
        (void)snprintf(headers, sizeof headers, "ETag: %s\r\nAccept-Ranges: bytes\r\n", tag);
        kept = rd_exchange_reply_file(x, 200, TYPE, headers, fd, 0, size);
    }
    if (!kept)
        RD_THROW(RD_ERR_MEMORY, "it cannot be sent now: too many files are open");
cleanup:
    if (fd >= 0)
        close(fd);
    return status;
}
