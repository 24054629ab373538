/* "Range" and "If-None-Match" of a model's download: the first byte says how large the file is and which of the two
 * headers the rest is. Whatever is answered lies within the file. */
#include <stdlib.h>
#include <string.h>

#include "https/server.h"
#include "memory_file.h"
#include "model_reply.h"

#define TAG "\"run-1-00\""

struct rd_exchange {
    const char *range, *known;
    uint64_t size;
    int answers;
};

static void check(int holds)
{
    if (!holds)
        abort();
}

/* What model_reply.c asks of the server. */
const char *rd_exchange_header(const rd_exchange *x, const char *name)
{
    return strcmp(name, "Range") == 0 ? x->range : x->known;
}

void rd_exchange_reply(rd_exchange *x, int status, const char *content_type, const char *headers, const void *body,
                       size_t count)
{
    check(status == 304 && content_type == NULL && body == NULL && count == 0 && strcmp(x->known, TAG) == 0);
    check(strstr(headers, "ETag: " TAG "\r\n") != NULL);
    x->answers++;
}

bool rd_exchange_reply_file(rd_exchange *x, int status, const char *content_type, const char *headers, int fd,
                            uint64_t offset, uint64_t count)
{
    (void)fd;
    check(content_type != NULL && strstr(headers, "ETag: " TAG "\r\n") != NULL);
    check(status == 200 ? offset == 0 && count == x->size : status == 206);
    check(count > 0 && offset < x->size && count <= x->size - offset);
    check((status == 206) == (strstr(headers, "Content-Range: ") != NULL));
    x->answers++;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const uint8_t content[128];
    char path[64];
    rd_error err = {RD_OK, ""};
    if (count < 1)
        return 0;
    char *field = calloc(count, 1);
    check(field != NULL);
    memcpy(field, bytes + 1, count - 1);
    rd_exchange x = {.size = 1 + bytes[0] / 2u};
    *(bytes[0] % 2 == 0 ? &x.range : &x.known) = field;
    int fd = memory_file(content, x.size, path);
    rd_status status = rd_model_reply(&x, path, TAG, &err);
    check(status == RD_OK ? x.answers == 1 : x.answers == 0 && status == RD_ERR_RANGE && err.message[0] != '\0');
    close(fd);
    free(field);
    return 0;
}
