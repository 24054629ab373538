/* phases.c: see phases.h. */
#include "https/phases.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "https/exchange.h"
#include "rondo/version.h"

#define LINGER_MS 2000

typedef rd_connection_step step;

/* Closes in such a way that the client can still read what we said last: closing a socket with unread input
 * makes the kernel send a reset, which may overtake our words. */
static step start_linger(rd_connection *c)
{
    rd_connection_finish_exchange(c);
    rd_connection_release_input(c);
    if (c->established)
        rd_tls_say_goodbye(c->tls);
    c->established = false;
    (void)shutdown(c->fd, SHUT_WR);
    c->phase = PHASE_LINGER;
    rd_connection_set_deadline(c, LINGER_MS);
    return STEP_AGAIN;
}

static step linger_step(rd_connection *c)
{
    char dropped[RD_TLS_RECORD];
    while (c->budget-- > 0) {
        ssize_t n = recv(c->fd, dropped, sizeof dropped, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return STEP_READABLE;
        if (n <= 0)
            return STEP_CLOSE;
    }
    return STEP_READABLE;
}

static step step_of(rd_tls_result result)
{
    switch (result) {
    case RD_TLS_OK:
        return STEP_AGAIN;
    case RD_TLS_WANT_READ:
        return STEP_READABLE;
    case RD_TLS_WANT_WRITE:
        return STEP_WRITABLE;
    default:
        return STEP_CLOSE;
    }
}

/* ---- handshake ---- */

static step answer_plain(rd_connection *c)
{
    static const char text[] = "This port speaks HTTPS, and only to clients with a certificate.\n";
    char answer[512];
    int n = snprintf(answer, sizeof answer,
                     "HTTP/1.1 400 Bad Request\r\nServer: rondo/" RONDO_VERSION
                     "\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                     sizeof text - 1, text);
    (void)send(c->fd, answer, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    rd_connection_trouble(c, "plain HTTP (or something else that is not TLS) on the HTTPS port");
    return start_linger(c);
}

/* A connection lives no longer than the certificate that opened it, whose last second is a part of its life. */
static uint64_t end_of(rd_connection *c, const rd_peer *peer)
{
    const double left = peer->not_after + 1.0 - rd_clock_unix();
    uv_update_time(&c->worker->loop);
    return uv_now(&c->worker->loop) + (left > 0.0 ? (uint64_t)(1000.0 * left) : 0) + 1;
}

/* Nobody knows who that is: it stays one of those who are closed where there are too many, the oldest first, and says in so
 * short a time what it has to say. */
static step enter_stranger(rd_connection *c)
{
    uv_update_time(&c->worker->loop);
    c->ends_at = uv_now(&c->worker->loop) + 1000u * (uint64_t)c->worker->idle_seconds;
    c->last = true;
    rd_connection_touch(c);
    return STEP_AGAIN;
}

/* The handshake is done. */
static step enter(rd_connection *c)
{
    rd_worker *w = c->worker;
    c->established = true;
    c->phase = PHASE_RECEIVE;
    if (rd_tls_session_peer(c->tls)->name[0] == '\0')
        return enter_stranger(c);
    c->ends_at = end_of(c, rd_tls_session_peer(c->tls));
    rd_link_remove(&c->in_handshakes);
    w->handshakes.count--;
    rd_door_refusal refusal = rd_door_enter_client(w->door, rd_tls_session_peer(c->tls)->name, &c->client_place);
    c->client_counted = refusal == RD_DOOR_NONE;
    if (!c->client_counted) {
        rd_door_count(w->door, refusal);
        return STEP_CLOSE;
    }
    rd_connection_enter_guests(c);
    rd_connection_touch(c);
    return STEP_AGAIN;
}

static step handshake_step(rd_connection *c)
{
    rd_error err = {.message = ""};
    if (!c->first_seen) {
        uint8_t first;
        ssize_t n = recv(c->fd, &first, 1, MSG_PEEK);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            return STEP_READABLE;
        if (n <= 0)
            return STEP_CLOSE;
        if (first != RD_TLS_FIRST_BYTE)
            return answer_plain(c);
        c->first_seen = true;
        if (rd_tls_session_open(c->worker->tls, c->fd, &c->tls, &err) != RD_OK) {
            rd_connection_trouble(c, "%s", err.message);
            return STEP_CLOSE;
        }
    }
    rd_tls_result result = rd_tls_handshake(c->tls, &err);
    if (result == RD_TLS_OK)
        return enter(c);
    if (result == RD_TLS_FAILED || result == RD_TLS_CLOSED) {
        rd_connection_trouble(c, "%s", err.message);
        return start_linger(c);
    }
    return step_of(result);
}

/* ---- answers ---- */

/* An answer of the server's own making, in the form of all the others. */
static step refuse(rd_connection *c, int status, const char *kind, const char *message)
{
    char body[256];
    int n = snprintf(body, sizeof body, "{\"error\": \"%s\", \"message\": \"%s\"}", kind, message);
    rd_exchange_put(c, status, "application/json", "", body, (size_t)n);
    c->phase = PHASE_SEND;
    rd_connection_begin_stretch(c);
    rd_connection_touch(c);
    return c->broken ? STEP_CLOSE : STEP_AGAIN;
}

/* All is sent: an answer, or only "100 Continue". */
static step sent(rd_connection *c)
{
    const rd_http_request *r = rd_http_request_of(c->http);
    c->phase = PHASE_RECEIVE;
    rd_connection_begin_stretch(c); /* of the rest of the body */
    if (!c->exchange.answered) {
        rd_output_release(&c->output);
        return STEP_AGAIN;
    }
    rd_connection_finish_exchange(c);
    rd_connection_touch(c);
    c->draining = c->keep_alive && !r->complete;
    if (c->draining || (c->keep_alive && !c->worker->stopping))
        return STEP_AGAIN;
    bool all_read = r->complete && r->status == 0 && c->in_begin == c->in_end;
    return all_read ? STEP_CLOSE : start_linger(c);
}

static bool refill(rd_connection *c)
{
    uint64_t count;
    const char *wrong = rd_output_refill(&c->output, &count);
    (void)atomic_fetch_add(&c->worker->bytes_out, count);
    if (wrong != NULL)
        rd_connection_trouble(c, "the file of an answer to '%s' ended early or cannot be read: %s",
                              rd_tls_session_peer(c->tls)->name, wrong);
    return wrong == NULL;
}

static step send_step(rd_connection *c)
{
    rd_output *o = &c->output;
    for (;;) {
        if (rd_output_wants_file(o) && !refill(c))
            return STEP_CLOSE;
        if (o->begin == o->end)
            return sent(c);
        if (c->budget <= 0)
            return STEP_WRITABLE;
        size_t count;
        rd_tls_result result = rd_tls_write(c->tls, o->bytes + o->begin, o->end - o->begin, &count);
        if (result != RD_TLS_OK)
            return step_of(result);
        c->budget--;
        o->begin += count;
        if (o->begin == o->end && o->file_left > 0)
            o->begin = o->end = 0;
        rd_connection_touch(c);
    }
}

/* ---- requests ---- */

step rd_connection_after_callback(rd_connection *c)
{
    rd_exchange *x = &c->exchange;
    const rd_http_request *r = rd_http_request_of(c->http);
    if (c->tag != 0)
        rd_connection_leave_guests(c);
    if (c->broken)
        return STEP_CLOSE;
    if (x->answered) {
        c->phase = PHASE_SEND;
        rd_connection_begin_stretch(c);
        rd_connection_touch(c);
        return STEP_AGAIN;
    }
    if (x->work != NULL) { /* it takes as long as it takes */
        c->phase = PHASE_WORK;
        (void)uv_timer_stop(&c->timer);
        return STEP_AGAIN;
    }
    if (x->parked) {
        rd_connection_apply_parking(c);
        c->phase = PHASE_PARKED;
        rd_link_append(&c->worker->parked, &c->in_parked);
        return STEP_AGAIN;
    }
    if (r->complete && !x->completed) {
        x->completed = true;
        c->worker->app->on_complete(x, c->worker->app->app);
        return rd_connection_after_callback(c);
    }
    if (r->complete) {
        rd_connection_trouble(c, "the application had no answer to %s %s", r->method, r->path);
        return refuse(c, 500, "internal", "the request was left without an answer");
    }
    c->phase = PHASE_RECEIVE;
    return STEP_AGAIN;
}

static step begin_request(rd_connection *c)
{
    const rd_http_request *r = rd_http_request_of(c->http);
    c->exchange = (rd_exchange){.connection = c, .open = true};
    c->continued = false;
    rd_connection_begin_stretch(c);
    c->worker->app->on_request(&c->exchange, c->worker->app->app);
    step next = rd_connection_after_callback(c);
    if (next != STEP_AGAIN || c->phase != PHASE_RECEIVE || !r->expects_continue)
        return next;
    c->continued = true;
    /* Only for those who really wait: where the body has begun, the client went ahead by itself. (One byte,
     * the last one of the head, is left by the parser.) */
    if (c->in_end - c->in_begin <= 1) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        if (!rd_output_reserve(&c->output, sizeof go_on))
            return STEP_CLOSE;
        memcpy(c->output.bytes, go_on, sizeof go_on);
        c->output.end = sizeof go_on - 1;
        c->phase = PHASE_SEND;
    }
    return next;
}

static step take_body(rd_connection *c)
{
    const rd_http_request *r = rd_http_request_of(c->http);
    (void)atomic_fetch_add(&c->worker->bytes_in, r->body_count);
    if (!c->exchange.open)
        return STEP_AGAIN; /* answered already: dropped */
    c->worker->app->on_body(&c->exchange, r->body, r->body_count, c->worker->app->app);
    return rd_connection_after_callback(c);
}

static step bad_request(rd_connection *c)
{
    const rd_http_request *r = rd_http_request_of(c->http);
    rd_connection_trouble(c, "'%s' sent a request that cannot be taken: %s", rd_tls_session_peer(c->tls)->name, r->reason);
    if (c->draining)
        return start_linger(c);
    return refuse(c, r->status, "format", r->reason);
}

static step read_record(rd_connection *c)
{
    if (c->budget <= 0 && !rd_tls_pending(c->tls))
        return STEP_READABLE;
    if (c->in == NULL && (c->in = malloc(RD_TLS_RECORD)) == NULL)
        return STEP_CLOSE;
    size_t count;
    rd_tls_result result = rd_tls_read(c->tls, c->in, RD_TLS_RECORD, &count);
    if (result != RD_TLS_OK) {
        rd_connection_release_input(c);
        return step_of(result);
    }
    c->budget--;
    c->in_begin = 0;
    c->in_end = count;
    return STEP_AGAIN;
}

static step receive_step(rd_connection *c)
{
    if (c->in_begin == c->in_end) {
        if (c->worker->stopping && !rd_connection_in_request(c))
            return STEP_CLOSE;
        step next = read_record(c);
        if (next != STEP_AGAIN)
            return next;
    }
    if (!rd_connection_in_request(c))
        rd_connection_begin_stretch(c);
    size_t used;
    rd_http_event event = rd_http_feed(c->http, c->in + c->in_begin, c->in_end - c->in_begin, &used);
    c->in_begin += used;
    if (event == RD_HTTP_BODY)
        c->stretch_bytes += rd_http_request_of(c->http)->body_count;
    rd_connection_touch(c);
    switch (event) {
    case RD_HTTP_REQUEST:
        return begin_request(c);
    case RD_HTTP_BODY:
        return take_body(c);
    case RD_HTTP_END:
        c->draining = false;
        return c->exchange.open ? rd_connection_after_callback(c) : STEP_AGAIN;
    case RD_HTTP_BAD:
        return bad_request(c);
    case RD_HTTP_MORE:
        break;
    }
    return STEP_AGAIN;
}

/* ---- parked, or in the background ---- */

/* Reads, only to notice when the client goes away; what it sends meanwhile waits for its turn. */
static step parked_step(rd_connection *c)
{
    if (c->in_begin < c->in_end)
        return STEP_HANGUP;
    step next = read_record(c);
    return next == STEP_AGAIN ? STEP_HANGUP : next;
}

/* ---- all of them ---- */

step rd_connection_advance(rd_connection *c)
{
    switch (c->phase) {
    case PHASE_HANDSHAKE:
        return handshake_step(c);
    case PHASE_RECEIVE:
        return receive_step(c);
    case PHASE_PARKED:
    case PHASE_WORK:
        return parked_step(c);
    case PHASE_SEND:
        return send_step(c);
    case PHASE_LINGER:
        return linger_step(c);
    }
    return STEP_CLOSE;
}
