/* exchange.c: see exchange.h and server.h. An answer is one run of bytes, head and body together, or a head and a file. */
#include "https/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rondo/version.h"

/* So much of a body that nobody wants is read and dropped to keep the connection; for more it is closed. */
#define DRAIN_MAX (UINT64_C(1) << 20)

static bool may_keep_alive(const rd_connection *c)
{
    const rd_http_request *r = rd_http_request_of(c->http);
    if (!r->keep_alive || c->worker->stopping || c->last)
        return false;
    if (r->complete)
        return true;
    /* A client that was not told to continue may or may not send the body: nobody could tell what the next
     * bytes are. */
    return !r->chunked && r->body_left <= DRAIN_MAX && (!r->expects_continue || c->continued);
}

/* Puts the head of an answer into the output, with room for extra bytes behind it. */
static bool put_head(rd_connection *c, int status, const char *content_type, const char *headers, uint64_t length,
                     size_t extra)
{
    char type[160] = "", size[64] = "";
    if (content_type != NULL)
        (void)snprintf(type, sizeof type, "Content-Type: %s\r\n", content_type);
    if (status >= 200 && status != 204 && status != 304)
        (void)snprintf(size, sizeof size, "Content-Length: %llu\r\n", (unsigned long long)length);
    c->keep_alive = may_keep_alive(c);
    static const char format[] = "HTTP/1.1 %d %s\r\nServer: rondo/" RONDO_VERSION "\r\n%s%s%s%s\r\n";
    const char *connection = c->keep_alive ? "" : "Connection: close\r\n";
    const char *text = rd_http_status_text(status);
    int n = snprintf(NULL, 0, format, status, text, type, size, headers, connection);
    if (!rd_output_reserve(&c->output, (size_t)n + 1 + extra)) {
        c->broken = true;
        return false;
    }
    (void)snprintf((char *)c->output.bytes, (size_t)n + 1, format, status, text, type, size, headers, connection);
    c->output.end = (size_t)n;
    return true;
}

static bool wants_body(const rd_connection *c, int status)
{
    const char *method = rd_http_request_of(c->http)->method;
    return status != 204 && status != 304 && (method == NULL || strcmp(method, "HEAD") != 0);
}

void rd_exchange_put(rd_connection *c, int status, const char *content_type, const char *headers, const void *body,
                     size_t count)
{
    c->exchange.answered = true;
    size_t shown = wants_body(c, status) ? count : 0;
    if (!put_head(c, status, content_type, headers, count, shown) || shown == 0)
        return;
    memcpy(c->output.bytes + c->output.end, body, shown);
    c->output.end += shown;
    (void)atomic_fetch_add(&c->worker->bytes_out, shown);
}

void rd_exchange_reply(rd_exchange *x, int status, const char *content_type, const char *headers, const void *body,
                       size_t count)
{
    if (!x->answered)
        rd_exchange_put(x->connection, status, content_type, headers, body, count);
}

bool rd_exchange_reply_file(rd_exchange *x, int status, const char *content_type, const char *headers, int fd,
                            uint64_t offset, uint64_t count)
{
    rd_connection *c = x->connection;
    if (x->answered)
        return true;
    x->answered = true;
    uint64_t shown = wants_body(c, status) ? count : 0;
    size_t room = shown < RD_TLS_RECORD ? (size_t)shown : RD_TLS_RECORD;
    if (!put_head(c, status, content_type, headers, count, room) || shown == 0)
        return true;
    if (rd_output_attach(&c->output, fd, offset, shown))
        return true;
    rd_output_release(&c->output);
    x->answered = false;
    return false;
}

void rd_exchange_park(rd_exchange *x, unsigned milliseconds)
{
    x->parked = x->park_anew = true;
    x->park_ms = milliseconds;
}

bool rd_exchange_work(rd_exchange *x, rd_lane lane, void (*work)(void *user), void (*done)(rd_exchange *x, void *user),
                      void *user)
{
    rd_worker *w = x->connection->worker;
    rd_work *k = malloc(sizeof *k);
    if (k == NULL)
        return false;
    *k = (rd_work){.worker = w, .connection = x->connection, .work = work, .done = done, .user = user};
    x->work = k;
    w->works++;
    rd_background_add(w->background, lane, k);
    return true;
}

void rd_exchange_be_last(rd_exchange *x)
{
    x->connection->last = true;
}

/* ---- what the application asks of an exchange ---- */

const char *rd_exchange_client(const rd_exchange *x)
{
    return rd_tls_session_peer(x->connection->tls)->name;
}

const rd_peer *rd_exchange_certificate(const rd_exchange *x)
{
    return rd_tls_session_peer(x->connection->tls);
}

const char *rd_exchange_method(const rd_exchange *x)
{
    return rd_http_request_of(x->connection->http)->method;
}

const char *rd_exchange_path(const rd_exchange *x)
{
    return rd_http_request_of(x->connection->http)->path;
}

const char *rd_exchange_query(const rd_exchange *x)
{
    return rd_http_request_of(x->connection->http)->query;
}

const char *rd_exchange_header(const rd_exchange *x, const char *name)
{
    return rd_http_header(x->connection->http, name);
}

int64_t rd_exchange_content_length(const rd_exchange *x)
{
    return rd_http_request_of(x->connection->http)->content_length;
}

const char *rd_exchange_peer(const rd_exchange *x)
{
    return x->connection->peer;
}

uint64_t *rd_exchange_tag(const rd_exchange *x)
{
    return &x->connection->tag;
}

void rd_exchange_set_user(rd_exchange *x, void *user)
{
    x->user = user;
}

void *rd_exchange_user(const rd_exchange *x)
{
    return x->user;
}
