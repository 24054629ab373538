/* http.c: see http.h.
 *
 * http-parser calls back; we want to be called. So each callback that matters notes its event and pauses the
 * parser, and rd_http_feed returns what was noted. The strings of a head are kept one after the other, each
 * with its '\0', in one block: target, name, value, name, value, ... The block grows to RD_HTTP_HEAD_MAX at
 * most, because no more bytes than that are ever fed to the parser before the head is complete.
 *
 * http-parser sees only bytes that http_framing.c has found to have one meaning. */
#include "https/http.h"

#include <http_parser.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/grow.h"
#include "https/http_framing.h"

/* A '\0' per string comes on top of the bytes on the wire, but each string has at least one separator there.
 */
#define BLOCK_FIRST 1024

typedef enum piece { PIECE_NONE, PIECE_TARGET, PIECE_NAME, PIECE_VALUE } piece;

struct rd_http {
    http_parser parser;
    rd_framing framing; /* of all bytes that the parser has taken */
    rd_http_request request;
    rd_http_event event;
    bool head_complete;
    bool out_of_memory;
    size_t head_bytes; /* of the head under way, so far */
    piece last;        /* what the last bytes in the block belong to */
    size_t headers;    /* where in the block the first name begins */
    size_t used, capacity;
    char *block;
};

static int append(rd_http *h, const char *bytes, size_t count)
{
    rd_error ignored;
    const size_t needed = h->used + count;
    if (rd_grow(&h->block, &h->capacity, needed < BLOCK_FIRST ? BLOCK_FIRST : needed, 1, "bytes", &ignored) != RD_OK) {
        h->out_of_memory = true;
        return -1;
    }
    memcpy(h->block + h->used, bytes, count);
    h->used += count;
    return 0;
}

/* Ends the string under way, without the white space that may follow a value. */
static int end_string(rd_http *h)
{
    if (h->last == PIECE_VALUE)
        while (h->block[h->used - 1] == ' ' || h->block[h->used - 1] == '\t')
            h->used--;
    if (append(h, "", 1) != 0)
        return -1;
    if (h->last == PIECE_TARGET)
        h->headers = h->used;
    return 0;
}

/* Adds bytes to the string under way, which is ended first when a string of another kind begins. */
static int collect(http_parser *p, piece kind, const char *bytes, size_t count)
{
    rd_http *h = p->data;
    if (h->head_complete)
        return 0; /* trailers behind a chunked body: nobody asks for them */
    if (h->last != kind) {
        if (h->last != PIECE_NONE && end_string(h) != 0)
            return -1;
        h->last = kind;
    }
    return append(h, bytes, count);
}

static int on_message_begin(http_parser *p)
{
    rd_http *h = p->data;
    memset(&h->request, 0, sizeof h->request);
    h->head_complete = false;
    h->last = PIECE_NONE;
    h->used = 0;
    return 0;
}

static int on_url(http_parser *p, const char *bytes, size_t count)
{
    return collect(p, PIECE_TARGET, bytes, count);
}

static int on_header_field(http_parser *p, const char *bytes, size_t count)
{
    return collect(p, PIECE_NAME, bytes, count);
}

static int on_header_value(http_parser *p, const char *bytes, size_t count)
{
    return collect(p, PIECE_VALUE, bytes, count);
}

static rd_http_event bad(rd_http *h, int status, const char *reason)
{
    h->request.status = status;
    h->request.reason = reason;
    h->request.keep_alive = false;
    return h->event = RD_HTTP_BAD;
}

/* What follows the scheme and the host of "https://host/path"; NULL: the target begins in no such way. */
static char *behind_authority(char *target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        const size_t length = strlen(schemes[i]);
        if (strncasecmp(target, schemes[i], length) != 0)
            continue;
        char *authority = target + length, *end = authority + strcspn(authority, "/?");
        return end == authority || memchr(authority, '@', (size_t)(end - authority)) != NULL ? NULL : end;
    }
    return NULL;
}

/* Cuts "/path?query" into its two parts, and takes "https://host" off in front of it, which a server has to accept (RFC
 * 9112, 3.2.2). False: it is no such target. */
static bool split_target(rd_http *h, bool is_options)
{
    char *target = h->block;
    if (target[0] != '/' && !(is_options && strcmp(target, "*") == 0))
        target = behind_authority(target);
    if (target == NULL || strchr(target, '#') != NULL)
        return false;
    char *query = target + strcspn(target, "?");
    if (*query == '?')
        *query++ = '\0';
    h->request.path = *target == '\0' ? "/" : target;
    h->request.query = query;
    return true;
}

/* The value of the first header of this name behind another one's value; after NULL: of all. */
static const char *next_header(const rd_http *h, const char *after, const char *name)
{
    const char *end = h->block + h->used;
    const char *at = after == NULL ? h->block + h->headers : after + strlen(after) + 1;
    while (at < end) {
        const char *value = at + strlen(at) + 1;
        if (value >= end)
            break;
        if (strcasecmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

/* A body in another coding, or in one named twice, ends where nobody else would look for its end. */
static bool coding_is_fit(const rd_http *h, const http_parser *p)
{
    static const char name[] = "Transfer-Encoding";
    const char *coding = next_header(h, NULL, name);
    return coding == NULL ||
           (p->http_minor > 0 && strcasecmp(coding, "chunked") == 0 && next_header(h, coding, name) == NULL);
}

static void check_head(rd_http *h, const http_parser *p)
{
    rd_http_request *r = &h->request;
    const char *expect = rd_http_header(h, "Expect");
    r->expects_continue = expect != NULL && strcasecmp(expect, "100-continue") == 0 && !r->complete;
    if (p->http_major != 1)
        (void)bad(h, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    else if (p->method == HTTP_CONNECT)
        (void)bad(h, 405, "CONNECT is for proxies, and this is none");
    else if (!coding_is_fit(h, p))
        (void)bad(h, 400, "the only Transfer-Encoding understood is chunked, once, in HTTP/1.1");
    else if (expect != NULL && strcasecmp(expect, "100-continue") != 0)
        (void)bad(h, 417, "the only expectation understood is 100-continue");
    else if (!r->chunked && p->content_length != UINT64_MAX && p->content_length > INT64_MAX)
        (void)bad(h, 413, "Content-Length is beyond all bounds");
}

static int on_headers_complete(http_parser *p)
{
    rd_http *h = p->data;
    rd_http_request *r = &h->request;
    if (end_string(h) != 0)
        return -1;
    h->head_complete = true;
    h->event = RD_HTTP_REQUEST;
    p->upgrade = 0; /* an offer that a server is free to ignore */
    const bool has_target = split_target(h, p->method == HTTP_OPTIONS);
    r->method = http_method_str((enum http_method)p->method);
    r->chunked = (p->flags & F_CHUNKED) != 0;
    r->keep_alive = http_should_keep_alive(p) != 0 && p->http_minor > 0;
    bool has_length = !r->chunked && p->content_length != UINT64_MAX;
    r->content_length = has_length ? (int64_t)p->content_length : -1;
    r->body_left = has_length ? p->content_length : 0;
    r->complete = !r->chunked && r->body_left == 0;
    check_head(h, p);
    if (!has_target && h->event != RD_HTTP_BAD)
        (void)bad(h, 400, "the target is neither a path nor the URL of one, without user and fragment");
    /* Without a body the parser goes on to the end of the message at once, and pauses there. */
    if (!r->complete || h->event == RD_HTTP_BAD)
        http_parser_pause(p, 1);
    return 0;
}

static int on_body(http_parser *p, const char *bytes, size_t count)
{
    rd_http *h = p->data;
    h->event = RD_HTTP_BODY;
    h->request.body = (const uint8_t *)bytes;
    h->request.body_count = count;
    if (!h->request.chunked)
        h->request.body_left -= count;
    http_parser_pause(p, 1);
    return 0;
}

static int on_message_complete(http_parser *p)
{
    rd_http *h = p->data;
    if (!h->request.complete)
        h->event = RD_HTTP_END;
    h->request.complete = true;
    h->head_bytes = 0;
    http_parser_pause(p, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

rd_http *rd_http_create(void)
{
    rd_http *h = calloc(1, sizeof *h);
    if (h == NULL)
        return NULL;
    http_parser_init(&h->parser, HTTP_REQUEST);
    h->parser.data = h;
    h->request.complete = true;
    h->head_complete = true;
    return h;
}

void rd_http_free(rd_http *h)
{
    if (h == NULL)
        return;
    free(h->block);
    free(h);
}

/* What the parser and we say to the next bytes, all of one part of the request. */
static rd_http_event feed_part(rd_http *h, const uint8_t *bytes, size_t count, size_t *used)
{
    const char *fault;
    rd_framing ahead = h->framing;
    bool in_head = h->request.complete || !h->head_complete;
    *used = 0;
    if (in_head && count > RD_HTTP_HEAD_MAX - h->head_bytes)
        count = RD_HTTP_HEAD_MAX - h->head_bytes;
    count = rd_framing_take(&ahead, bytes, count, &fault);
    if (count == 0)
        return bad(h, 400, fault);
    http_parser_pause(&h->parser, 0);
    *used = http_parser_execute(&h->parser, &settings, (const char *)bytes, count);
    enum http_errno error = HTTP_PARSER_ERRNO(&h->parser);
    if (h->event == RD_HTTP_BAD)
        return RD_HTTP_BAD;
    if (h->out_of_memory)
        return bad(h, 503, "the server is short of memory");
    if (error != HPE_OK && error != HPE_PAUSED)
        return bad(h, 400, http_errno_description(error));
    (void)rd_framing_take(&h->framing, bytes, *used, &fault);
    if (h->framing.place == RD_FRAMING_HEAD_END)
        rd_framing_begin_body(&h->framing, h->request.chunked, h->request.body_left);
    if (in_head && h->event == RD_HTTP_MORE) {
        h->head_bytes += *used;
        if (h->head_bytes >= RD_HTTP_HEAD_MAX)
            return bad(h, 431, "request line and headers are longer than 16 KB");
    }
    return h->event;
}

rd_http_event rd_http_feed(rd_http *h, const uint8_t *bytes, size_t count, size_t *used)
{
    *used = 0;
    if (h->event == RD_HTTP_BAD)
        return RD_HTTP_BAD;
    h->event = RD_HTTP_MORE;
    while (h->event == RD_HTTP_MORE && *used < count) {
        size_t taken;
        h->event = feed_part(h, bytes + *used, count - *used, &taken);
        *used += taken;
    }
    return h->event;
}

const rd_http_request *rd_http_request_of(const rd_http *h)
{
    return &h->request;
}

bool rd_http_in_request(const rd_http *h)
{
    return !h->request.complete || h->head_bytes > 0;
}

const char *rd_http_header(const rd_http *h, const char *name)
{
    return h->head_complete && h->block != NULL ? next_header(h, NULL, name) : NULL;
}

const char *rd_http_status_text(int status)
{
    switch (status) {
#define NAME_STATUS(number, name, text) \
    case number:                        \
        return #text;
        HTTP_STATUS_MAP(NAME_STATUS)
#undef NAME_STATUS
    default:
        return "Unknown";
    }
}
