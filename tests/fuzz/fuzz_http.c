/* The HTTP parser on any bytes: it stays within what it is given, and what it reports does not depend on how
 * the network cuts the stream. The first byte of an input says into pieces of what size it is cut. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "https/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void check(int condition)
{
    if (!condition)
        abort();
}

/* FNV-1a over all that happens; bodies by their bytes, not by the pieces they come in. */
static void note(uint64_t *story, const void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        *story = (*story ^ ((const uint8_t *)bytes)[i]) * UINT64_C(1099511628211);
}

static void note_head(uint64_t *story, const rd_http *h)
{
    const rd_http_request *r = rd_http_request_of(h);
    const char *header = rd_http_header(h, "Content-Type");
    check(r->path[0] != '\0' && r->content_length >= -1);
    check(r->complete == (!r->chunked && r->content_length <= 0));
    note(story, r->method, strlen(r->method) + 1);
    note(story, r->path, strlen(r->path) + 1);
    note(story, r->query, strlen(r->query) + 1);
    note(story, &r->content_length, sizeof r->content_length);
    if (header != NULL)
        note(story, header, strlen(header) + 1);
}

static uint64_t read_all(const uint8_t *bytes, size_t count, size_t piece)
{
    uint64_t story = UINT64_C(14695981039346656037), body = 0;
    rd_http *h = rd_http_create();
    check(h != NULL);
    const rd_http_request *r = rd_http_request_of(h);
    rd_http_event event = RD_HTTP_MORE;
    for (size_t at = 0, used; at < count && event != RD_HTTP_BAD; at += used) {
        size_t size = count - at < piece ? count - at : piece;
        event = rd_http_feed(h, bytes + at, size, &used);
        check(used <= size && (event != RD_HTTP_MORE || used > 0));
        if (event == RD_HTTP_REQUEST) {
            note_head(&story, h);
            body = 0;
        } else if (event == RD_HTTP_BODY) {
            check(r->body >= bytes + at && r->body + r->body_count <= bytes + at + size);
            note(&story, r->body, r->body_count);
            body += r->body_count;
            check(r->chunked || body + r->body_left == (uint64_t)r->content_length);
        } else if (event == RD_HTTP_END) {
            check(r->complete && (r->chunked || body == (uint64_t)r->content_length));
            note(&story, "end", 3);
        } else if (event == RD_HTTP_BAD) {
            check(r->status >= 400 && r->reason != NULL && !r->keep_alive);
            note(&story, &r->status, sizeof r->status);
        }
    }
    rd_http_free(h);
    return story;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count < 1)
        return 0;
    size_t piece = 1 + bytes[0] % 32u;
    uint64_t whole = read_all(bytes + 1, count - 1, SIZE_MAX);
    check(read_all(bytes + 1, count - 1, piece) == whole);
    return 0;
}
