/* The pull parser: every request is fed whole, byte by byte, and in two pieces cut at every place; what comes
 * out must be the same, and what RFC 9112 says. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "https/http.h"

/* Writes down all that happens as text: "POST /a?b [5] <hello> end " ... */
typedef struct story {
    rd_http *http;
    char text[4096];
    char body[2048];
} story;

static void tell(story *s, const char *text)
{
    size_t used = strlen(s->text);
    snprintf(s->text + used, sizeof s->text - used, "%s", text);
}

static void tell_end(story *s)
{
    if (s->body[0] != '\0') {
        tell(s, "<");
        tell(s, s->body);
        tell(s, "> ");
        s->body[0] = '\0';
    }
    tell(s, "end ");
}

/* Feeds all the bytes, which lie at the end of a block of their own so that a sanitizer sees an overrun. */
static void feed(story *s, const char *bytes, size_t count)
{
    uint8_t *copy = malloc(count);
    memcpy(copy, bytes, count);
    const rd_http_request *r = rd_http_request_of(s->http);
    char line[512];
    size_t at = 0;
    while (at < count) {
        size_t used;
        rd_http_event event = rd_http_feed(s->http, copy + at, count - at, &used);
        cr_assert_leq(used, count - at);
        at += used;
        if (event == RD_HTTP_REQUEST) {
            snprintf(line, sizeof line, "%s %s?%s [%lld%s%s%s] ", r->method, r->path, r->query,
                     (long long)r->content_length, r->chunked ? " chunked" : "", r->expects_continue ? " expects" : "",
                     r->keep_alive ? "" : " last");
            tell(s, line);
            if (r->complete)
                tell_end(s);
        } else if (event == RD_HTTP_BODY) {
            strncat(s->body, (const char *)r->body, r->body_count);
        } else if (event == RD_HTTP_END) {
            tell_end(s);
        } else if (event == RD_HTTP_BAD) {
            snprintf(line, sizeof line, "bad %d", r->status);
            if (strstr(s->text, "bad") == NULL)
                tell(s, line);
            break;
        } else {
            cr_assert_eq(used, count - at + used, "RD_HTTP_MORE has to take everything");
        }
    }
    free(copy);
}

static void begin(story *s)
{
    memset(s, 0, sizeof *s);
    s->http = rd_http_create();
    cr_assert_not_null(s->http);
}

static void expect(const char *bytes, const char *expected)
{
    size_t count = strlen(bytes);
    story s;
    for (size_t cut = 0; cut <= count; cut++) {
        begin(&s);
        feed(&s, bytes, cut);
        feed(&s, bytes + cut, count - cut);
        cr_expect_str_eq(s.text, expected, "cut at %zu: %s", cut, s.text);
        rd_http_free(s.http);
    }
    begin(&s);
    for (size_t i = 0; i < count; i++)
        feed(&s, bytes + i, 1);
    cr_expect_str_eq(s.text, expected, "byte by byte: %s", s.text);
    rd_http_free(s.http);
}

Test(http, requests_without_a_body)
{
    expect("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /? [-1] end ");
    expect("GET /v1/task?wait=30&x=%20 HTTP/1.1\r\n\r\n", "GET /v1/task?wait=30&x=%20 [-1] end ");
    expect("GET /a#b HTTP/1.1\r\n\r\n", "GET /a? [-1] end ");
    expect("OPTIONS * HTTP/1.1\r\n\r\n", "OPTIONS *? [-1] end ");
    expect("POST /a HTTP/1.1\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n", "POST /a? [0] end ");
    /* RFC 9112, 3.2.2: a server has to accept the absolute form. */
    expect("GET http://example.org/a/b?c HTTP/1.1\r\n\r\n", "GET /a/b?c [-1] end ");
    expect("GET https://example.org HTTP/1.1\r\n\r\n", "GET /? [-1] end ");
}

Test(http, bodies)
{
    expect("POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "POST /a? [5] <hello> end ");
    expect("PUT /a HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx", "PUT /a? [1 expects] <x> end ");
    /* The example of RFC 9112, 7.1, with an extension and a trailer. */
    expect("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
           "4;quality=best\r\nWiki\r\n5\r\npedia\r\nE\r\n in\r\n\r\nchunks.\r\n0\r\nX-After: 1\r\n\r\n",
           "POST /a? [-1 chunked] <Wikipedia in\r\n\r\nchunks.> end ");
}

Test(http, several_requests_and_who_stays)
{
    expect("GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nab\r\nGET /3 "
           "HTTP/1.1\r\nConnection: "
           "close\r\n\r\n",
           "GET /1? [-1] end POST /2? [2] <ab> end GET /3? [-1 last] end ");
    expect("GET /1 HTTP/1.0\r\n\r\n", "GET /1? [-1 last] end ");
    expect("GET /1 HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /2 HTTP/1.1\r\n\r\n",
           "GET /1? [-1] end GET /2? [-1] end ");
}

Test(http, what_is_not_a_request)
{
    expect("hello\r\n\r\n", "bad 400");
    expect("GET /\r\n\r\n", "bad 505"); /* HTTP/0.9 */
    expect("GET / HTTP/2.0\r\n\r\n", "bad 505");
    expect("GET / HTTP/1.1\r\nA\001B: c\r\n\r\n", "bad 400");
    expect("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "bad 400");
    expect("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", "bad 400");
    expect("POST / HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n\r\n", "bad 413");
    /* What request smuggling is made of (RFC 9112, 6.3). */
    expect("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "bad 400");
    expect("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "bad 400");
    expect("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", "bad 400");
    expect("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "POST /? [-1 chunked] bad 400");
    expect("POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: rain\r\n\r\n", "bad 417");
    expect("CONNECT a:1 HTTP/1.1\r\n\r\n", "bad 405");
}

Test(http, headers_are_found_in_any_case)
{
    static const char request[] = "GET / HTTP/1.1\r\nIf-None-Match: \"7\"\r\nEmpty:\r\nRANGE:   bytes=0-1  \r\n"
                                  "Folded: a\r\n b\r\nRange: again\r\nLast: z\r\n\r\n";
    for (size_t cut = 0; cut < sizeof request; cut++) {
        story s;
        begin(&s);
        feed(&s, request, cut);
        feed(&s, request + cut, sizeof request - 1 - cut);
        cr_expect_str_eq(rd_http_header(s.http, "if-none-match"), "\"7\"");
        cr_expect_str_eq(rd_http_header(s.http, "Empty"), "");
        cr_expect_str_eq(rd_http_header(s.http, "range"), "bytes=0-1");
        cr_expect_str_eq(rd_http_header(s.http, "LAST"), "z");
        cr_expect_null(rd_http_header(s.http, "bytes=0-1"), "a value is not a name");
        cr_expect_null(rd_http_header(s.http, ""));
        rd_http_free(s.http);
        if (cut == sizeof request - 1)
            break;
    }
}

Test(http, heads_end_at_16_kb)
{
    for (int extra = 0; extra <= 1; extra++) {
        static char request[RD_HTTP_HEAD_MAX + 64];
        story s;
        begin(&s);
        int n = snprintf(request, sizeof request, "GET / HTTP/1.1\r\nA: ");
        memset(request + n, 'x', sizeof request - (size_t)n);
        memcpy(request + RD_HTTP_HEAD_MAX - 4 + extra, "\r\n\r\n", 4);
        feed(&s, request, RD_HTTP_HEAD_MAX + (size_t)extra);
        cr_expect_str_eq(s.text, extra == 0 ? "GET /? [-1] end " : "bad 431");
        rd_http_free(s.http);
    }
    /* Empty lines before a request are skipped, but not for ever. */
    story s;
    begin(&s);
    for (int i = 0; i < RD_HTTP_HEAD_MAX / 2 + 1; i++)
        feed(&s, "\r\n", 2);
    cr_expect_str_eq(s.text, "bad 431");
    rd_http_free(s.http);
}

Test(http, tells_whether_a_request_is_under_way)
{
    size_t used;
    rd_http *h = rd_http_create();
    cr_expect_not(rd_http_in_request(h));
    (void)rd_http_feed(h, (const uint8_t *)"GE", 2, &used);
    cr_expect(rd_http_in_request(h));
    cr_expect_eq(rd_http_feed(h, (const uint8_t *)"T / HTTP/1.1\r\n\r\n", 16, &used), RD_HTTP_REQUEST);
    cr_expect_eq(used, 16);
    cr_expect_not(rd_http_in_request(h));
    rd_http_free(h);
}

Test(http, status_texts)
{
    cr_expect_str_eq(rd_http_status_text(200), "OK");
    cr_expect_str_eq(rd_http_status_text(404), "Not Found");
    cr_expect_str_eq(rd_http_status_text(431), "Request Header Fields Too Large");
    cr_expect_str_eq(rd_http_status_text(799), "Unknown");
}
