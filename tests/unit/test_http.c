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
    expect("OPTIONS * HTTP/1.1\r\n\r\n", "OPTIONS *? [-1] end ");
    expect("POST /a HTTP/1.1\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n", "POST /a? [0] end ");
    /* RFC 9112, 3.2.2: a server has to accept the absolute form. */
    expect("GET http://example.org/a/b?c HTTP/1.1\r\n\r\n", "GET /a/b?c [-1] end ");
    expect("GET https://example.org HTTP/1.1\r\n\r\n", "GET /? [-1] end ");
    expect("GET HTTPS://example.org?c/d HTTP/1.1\r\n\r\n", "GET /?c/d [-1] end ");
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
    expect("GET /\r\n\r\n", "bad 400"); /* HTTP/0.9 */
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

/* RFC 9112, 2.2: a bare LF or CR, and 5.1, 5.2: a blank before the colon, a line that goes on in the next. What one
 * program reads another way than the next one lets a request hide in another. */
Test(http, lines_have_one_meaning)
{
    expect("GET / HTTP/1.1\r\nName : value\r\n\r\n", "bad 400");
    expect("GET / HTTP/1.1\r\nName\t: value\r\n\r\n", "bad 400");
    expect("POST / HTTP/1.1\r\nContent-Length : 1\r\n\r\nx", "bad 400");
    expect("GET / HTTP/1.1\r\nA b: c\r\n\r\n", "bad 400");
    expect("GET / HTTP/1.1\r\n: c\r\n\r\n", "bad 400");
    expect("GET / HTTP/1.1\r\nName\r\n\r\n", "bad 400");
    expect("GET / HTTP/1.1\r\nFolded: a\r\n b\r\n\r\n", "bad 400");
    expect("GET / HTTP/1.1\r\nFolded: a\r\n\tb: c\r\n\r\n", "bad 400");
    expect("GET / HTTP/1.1\r\n Before: a\r\n\r\n", "bad 400");
    expect("GET / HTTP/1.1\nA: b\r\n\r\n", "bad 400");
    expect("GET / HTTP/1.1\r\nA: b\n\r\n", "bad 400");
    expect("GET / HTTP/1.1\r\nA: b\r\n\n", "bad 400");
    expect("GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n", "bad 400");
    expect("GET / HTTP/1.1\r\r\n\r\n", "bad 400");
    expect("\nGET / HTTP/1.1\r\n\r\n", "bad 400");
    expect("GET / HTTP/1.1\r\nA: b\177c\r\n\r\n", "bad 400");
    expect("GET / HTTP/1.1\r\nA: b\033[2Jc\r\n\r\n", "bad 400");
    /* A tab between words is a blank, and bytes beyond ASCII are somebody's text. */
    expect("GET / HTTP/1.1\r\nA: b\tc \303\274\r\n\r\n", "GET /? [-1] end ");
}

Test(http, no_zero_byte_stands_in_a_head)
{
    static const struct {
        const char *bytes;
        size_t count;
    } heads[] = {
#define HEAD(text) {text, sizeof text - 1}
        HEAD("GET /a\0b HTTP/1.1\r\n\r\n"),        HEAD("GET / HTTP/1.1\r\nA\0: b\r\n\r\n"),
        HEAD("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n"), HEAD("GET / HTTP/1.1\r\n\0\r\n\r\n"),
        HEAD("\0GET / HTTP/1.1\r\n\r\n"),          HEAD("GET / HTTP/1.1\0\r\n\r\n"),
#undef HEAD
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        story s;
        begin(&s);
        feed(&s, heads[i].bytes, heads[i].count);
        cr_expect_str_eq(s.text, "bad 400", "head %zu: %s", i, s.text);
        rd_http_free(s.http);
    }
}

Test(http, the_first_line_has_three_words)
{
    expect("GET  / HTTP/1.1\r\n\r\n", "bad 400");
    expect("GET /  HTTP/1.1\r\n\r\n", "bad 400");
    expect("GET / HTTP/1.1 \r\n\r\n", "bad 400");
    expect(" GET / HTTP/1.1\r\n\r\n", "bad 400");
    expect("GET / HTTP/1.1 x\r\n\r\n", "bad 400");
    expect("GET\t/ HTTP/1.1\r\n\r\n", "bad 400");
    expect("GET /\303\274 HTTP/1.1\r\n\r\n", "bad 400");
    expect("get / HTTP/1.1\r\n\r\n", "bad 400");
    expect("GET / http/1.1\r\n\r\n", "bad 400");
    expect("GET / HTTP/1.1.1\r\n\r\n", "bad 400");
}

Test(http, targets_that_are_none)
{
    expect("GET /a#b HTTP/1.1\r\n\r\n", "bad 400");
    expect("GET /a?b#c HTTP/1.1\r\n\r\n", "bad 400");
    expect("GET * HTTP/1.1\r\n\r\n", "bad 400");
    expect("OPTIONS ** HTTP/1.1\r\n\r\n", "bad 400");
    expect("GET a/b HTTP/1.1\r\n\r\n", "bad 400");
    expect("GET ?a HTTP/1.1\r\n\r\n", "bad 400");
    expect("GET example.org:443 HTTP/1.1\r\n\r\n", "bad 400");
    expect("GET ftp://example.org/ HTTP/1.1\r\n\r\n", "bad 400");
    expect("GET http:///v1/run HTTP/1.1\r\n\r\n", "bad 400");
    expect("GET http://?a HTTP/1.1\r\n\r\n", "bad 400");
    expect("GET https://alice@example.org/ HTTP/1.1\r\n\r\n", "bad 400");
    expect("POST * HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", "bad 400");
    expect("GET https://example.org/@a HTTP/1.1\r\n\r\n", "GET /@a? [-1] end ");
}

Test(http, a_length_is_given_once_and_in_digits)
{
    static const char *const lengths[] = {
        "+1", "-1", "0x1", "1e0", "1.0", "1, 1", "1 1", "1;", "\"1\"", "", "18446744073709551616"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char request[128];
        snprintf(request, sizeof request, "POST / HTTP/1.1\r\nContent-Length: %s\r\n\r\nx", lengths[i]);
        expect(request, "bad 400");
    }
    expect("POST / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\n", "POST /? [9223372036854775807] ");
    expect("POST / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\n", "bad 413");
    expect("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "bad 400");
    expect("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", "bad 400");
}

Test(http, chunked_is_the_only_coding)
{
    expect("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "bad 400");
    expect("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "bad 400");
    expect("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "bad 400");
    expect("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "bad 400");
    expect("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "bad 400");
    expect("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", "bad 400");
    expect("POST / HTTP/1.1\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", "bad 400");
    expect("POST / HTTP/1.1\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", "bad 400");
    expect("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "bad 400");
    expect("POST / HTTP/1.1\r\nTRANSFER-ENCODING: Chunked\r\n\r\n0\r\n\r\n", "POST /? [-1 chunked] end ");
}

/* Feeds one chunked request behind the head of which the given bytes stand, and tells what comes of it. */
static void expect_chunks(const char *bytes, const char *expected)
{
    char request[512], whole[256];
    snprintf(request, sizeof request, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%s", bytes);
    snprintf(whole, sizeof whole, "POST /? [-1 chunked] %s", expected);
    expect(request, whole);
}

Test(http, chunks_end_where_their_size_says)
{
    expect_chunks("2\r\nab\r\n00\r\n\r\n", "<ab> end ");
    expect_chunks("00000000000000A\r\n0123456789\r\n0;last=\"1\"\r\nA: b\r\nC:\r\n\r\n", "<0123456789> end ");
    expect_chunks("2\r\nabXY0\r\n\r\n", "bad 400");
    expect_chunks("2\r\nab\rY0\r\n\r\n", "bad 400");
    expect_chunks("2\r\nab\n0\r\n\r\n", "bad 400");
    expect_chunks("2\r\nabc\r\n0\r\n\r\n", "bad 400");
    expect_chunks("2\rXab\r\n0\r\n\r\n", "bad 400");
    expect_chunks("2\nab\r\n0\r\n\r\n", "bad 400");
    expect_chunks("2 \r\nab\r\n0\r\n\r\n", "bad 400");
    expect_chunks("2;a\nb\r\nab\r\n0\r\n\r\n", "bad 400");
    expect_chunks("2;\001\r\nab\r\n0\r\n\r\n", "bad 400");
    expect_chunks("0x2\r\nab\r\n0\r\n\r\n", "bad 400");
    expect_chunks("+2\r\nab\r\n0\r\n\r\n", "bad 400");
    expect_chunks(";a\r\nab\r\n0\r\n\r\n", "bad 400");
    expect_chunks("\r\nab\r\n0\r\n\r\n", "bad 400");
    expect_chunks("10000000000000002\r\nab\r\n0\r\n\r\n", "bad 400");
    expect_chunks("0\r\nA : b\r\n\r\n", "bad 400");
    expect_chunks("0\r\nA: b\r\n c\r\n\r\n", "bad 400");
    expect_chunks("0\r\nA: b\n\r\n", "bad 400");
    expect_chunks("0\r\n\rX", "bad 400");
    /* The next request begins right behind: with its own lines, not as a trailer. */
    expect("POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\nGET /2 HTTP/1.1\r\n\r\n",
           "POST /1? [-1 chunked] <x> end GET /2? [-1] end ");
}

/* What comes of a chunked request with so many bytes in front of one chunk, or behind the last. */
static void expect_padded(const char *before, size_t padding, const char *after, const char *expected)
{
    static char request[20000];
    story s;
    begin(&s);
    int n = snprintf(request, sizeof request, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%s", before);
    memset(request + n, 'x', padding);
    int m = snprintf(request + (size_t)n + padding, sizeof request - (size_t)n - padding, "%s", after);
    feed(&s, request, (size_t)n + padding + (size_t)m);
    cr_expect_str_eq(s.text, expected, "%zu: %s", padding, s.text);
    rd_http_free(s.http);
}

Test(http, what_surrounds_chunks_is_bounded)
{
    expect_padded("1;", 254, "\r\na\r\n0\r\n\r\n", "POST /? [-1 chunked] <a> end ");
    expect_padded("1;", 255, "\r\na\r\n0\r\n\r\n", "POST /? [-1 chunked] bad 400");
    expect_padded("1\r\na\r\n0;", 254, "\r\n\r\n", "POST /? [-1 chunked] <a> end ");
    expect_padded("1\r\na\r\n0;", 255, "\r\n\r\n", "POST /? [-1 chunked] bad 400");
    /* "A:" and both CRs are counted, the LFs behind them are not. */
    expect_padded("0\r\nA:", 16380, "\r\n\r\n", "POST /? [-1 chunked] end ");
    expect_padded("0\r\nA:", 16381, "\r\n\r\n", "POST /? [-1 chunked] bad 400");
    expect_padded("0\r\nA:", 16384, "\r\n\r\n", "POST /? [-1 chunked] bad 400");
}

Test(http, headers_are_found_in_any_case)
{
    static const char request[] = "GET / HTTP/1.1\r\nIf-None-Match: \"7\"\r\nEmpty:\r\nRANGE:   bytes=0-1 \t \r\n"
                                  "Range: again\r\nLast: z\r\n\r\n";
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
