/* connection.c: the state machine of one connection.
 *
 *     handshake -> receive <-> send        a request comes in, its answer goes out, again and again
 *                     |  ^      ^
 *                     v  |      |
 *                    parked ----'          a long poll waits to be woken
 *     (any) -> linger -> closed            after an error the client still has to read what was wrong
 *
 * Each state is a function that does as much as the socket allows and says what to wait for; rd_run calls
 * them one after the other until one has to wait. No callback of the application is called from within
 * another one: answering or parking only notes what is wanted, and the state machine acts on it when the
 * callback is back. A connection that has ended stays in memory until libuv has let go of its handles.
 *
 * Fairness: a connection handles at most RECORDS_PER_TURN records before the others get their turn. uv_poll
 * is level-triggered, so what is left in the socket wakes us again at once; and because a read takes a whole
 * record, nothing ever stays behind inside mbedTLS where no poll would see it.
 *
 * Memory: the 16 KB buffers for input and output exist only while there is something in them, so a waiting
 * client costs its TLS context and little more.
 *
 * Time: one libuv timer per connection. Progress only moves the deadline, which costs nothing; the timer
 * looks at the deadline when it fires and sleeps on if it has moved. */
#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connection_state.h"
#include "rondo/version.h"

#define RECORDS_PER_TURN 64 /* 1 MB */
#define LINGER_MS 2000
/* A machine that lost its power or its network says nothing: after 15 s of silence the system asks it three times, and
 * after 30 s in all the connection is closed. */
#define KEEPALIVE_IDLE 15
#define KEEPALIVE_INTERVAL 5
#define KEEPALIVE_COUNT 3

/* What a state asks for. */
typedef enum step {
    STEP_AGAIN, /* run the state that is now current */
    STEP_READABLE,
    STEP_WRITABLE,
    STEP_HANGUP, /* nothing but the end of the connection */
    STEP_CLOSE,
} step;

static void run(rd_connection *c);

/* ---- rings ---- */

void rd_link_init(rd_link *l)
{
    l->next = l->previous = l;
}

static void link_append(rd_link *ring, rd_link *l)
{
    l->previous = ring->previous;
    l->next = ring;
    ring->previous->next = l;
    ring->previous = l;
}

static void link_remove(rd_link *l)
{
    l->previous->next = l->next;
    l->next->previous = l->previous;
    rd_link_init(l);
}

static rd_connection *from_all(rd_link *l)
{
    return (rd_connection *)(void *)((char *)l - offsetof(rd_connection, in_all));
}

static rd_connection *from_parked(rd_link *l)
{
    return (rd_connection *)(void *)((char *)l - offsetof(rd_connection, in_parked));
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer);

static void arm_timer(rd_connection *c, uint64_t ms)
{
    c->timer_due = uv_now(&c->worker->loop) + ms;
    (void)uv_timer_start(&c->timer, on_timer, ms, 0);
}

static void set_deadline(rd_connection *c, uint64_t ms)
{
    c->deadline = uv_now(&c->worker->loop) + ms;
    if (!uv_is_active((uv_handle_t *)&c->timer) || c->deadline < c->timer_due)
        arm_timer(c, ms);
}

static bool in_request(const rd_connection *c)
{
    return c->exchange.open || rd_http_in_request(c->http);
}

/* Something has moved: the client is alive. */
static void touch(rd_connection *c)
{
    bool busy = c->phase == PHASE_SEND || in_request(c);
    set_deadline(c, 1000u * (uint64_t)(busy ? c->worker->idle_seconds : c->worker->keep_seconds));
}

void rd_connection_trouble(rd_connection *c, const char *format, ...)
{
    char what[RD_ERROR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    c->worker->app->on_trouble(c->peer, what, c->worker->app->app);
}

/* ---- the end of an exchange, and of a connection ---- */

static void release_input(rd_connection *c)
{
    free(c->in);
    c->in = NULL;
    c->in_begin = c->in_end = 0;
}

static void finish_exchange(rd_connection *c)
{
    link_remove(&c->in_parked);
    rd_output_release(c);
    if (!c->exchange.open)
        return;
    c->exchange.open = false;
    c->worker->app->on_close(&c->exchange, c->worker->app->app);
    c->exchange.user = NULL;
}

static void on_handle_closed(uv_handle_t *handle)
{
    rd_connection *c = handle->data;
    if (--c->handles > 0)
        return;
    close(c->fd);
    rd_tls_session_close(&c->tls);
    rd_http_free(c->http);
    free(c);
}

static void close_connection(rd_connection *c)
{
    if (c->closing)
        return;
    c->closing = true;
    finish_exchange(c);
    if (c->tag != 0)
        c->worker->app->on_disconnect(c->tag, c->worker->app->app);
    release_input(c);
    if (c->established)
        rd_tls_say_goodbye(&c->tls);
    link_remove(&c->in_all);
    rd_worker *w = c->worker;
    (void)atomic_fetch_sub(&w->load, 1);
    (void)atomic_fetch_sub(w->total, 1);
    uv_close((uv_handle_t *)&c->poll, on_handle_closed);
    uv_close((uv_handle_t *)&c->timer, on_handle_closed);
    if (w->stopping && w->all.next == &w->all)
        w->on_empty(w);
}

/* Closes in such a way that the client can still read what we said last: closing a socket with unread input
 * makes the kernel send a reset, which may overtake our words. */
static step start_linger(rd_connection *c)
{
    finish_exchange(c);
    release_input(c);
    if (c->established)
        rd_tls_say_goodbye(&c->tls);
    c->established = false;
    (void)shutdown(c->fd, SHUT_WR);
    c->phase = PHASE_LINGER;
    set_deadline(c, LINGER_MS);
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

static step handshake_step(rd_connection *c)
{
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
    }
    rd_error err = {.message = ""};
    rd_tls_result result = rd_tls_handshake(&c->tls, &err);
    if (result == RD_TLS_OK) {
        c->established = true;
        c->phase = PHASE_RECEIVE;
        touch(c);
        return STEP_AGAIN;
    }
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
    rd_output_put(c, status, "application/json", "", body, (size_t)n);
    c->phase = PHASE_SEND;
    touch(c);
    return c->broken ? STEP_CLOSE : STEP_AGAIN;
}

/* All is sent: an answer, or only "100 Continue". */
static step sent(rd_connection *c)
{
    const rd_http_request *r = rd_http_request_of(c->http);
    c->phase = PHASE_RECEIVE;
    if (!c->exchange.answered) {
        rd_output_release(c);
        return STEP_AGAIN;
    }
    finish_exchange(c);
    touch(c);
    c->draining = c->keep && !r->complete;
    if (c->draining || (c->keep && !c->worker->stopping))
        return STEP_AGAIN;
    bool all_read = r->complete && r->status == 0 && c->in_begin == c->in_end;
    return all_read ? STEP_CLOSE : start_linger(c);
}

static step send_step(rd_connection *c)
{
    for (;;) {
        if (c->file_left > 0 && c->out_begin == 0 && c->out_end < RD_TLS_RECORD && !rd_output_refill(c))
            return STEP_CLOSE;
        if (c->out_begin == c->out_end)
            return sent(c);
        if (c->budget <= 0)
            return STEP_WRITABLE;
        size_t count;
        rd_tls_result result = rd_tls_write(&c->tls, c->out + c->out_begin, c->out_end - c->out_begin, &count);
        if (result != RD_TLS_OK)
            return step_of(result);
        c->budget--;
        c->out_begin += count;
        if (c->out_begin == c->out_end && c->file_left > 0)
            c->out_begin = c->out_end = 0;
        touch(c);
    }
}

/* ---- requests ---- */

/* Where the connection goes after the application was asked something. */
static step after_callback(rd_connection *c)
{
    rd_exchange *x = &c->exchange;
    const rd_http_request *r = rd_http_request_of(c->http);
    if (c->broken)
        return STEP_CLOSE;
    if (x->answered) {
        c->phase = PHASE_SEND;
        touch(c);
        return STEP_AGAIN;
    }
    if (x->parked) {
        c->phase = PHASE_PARKED;
        link_append(&c->worker->parked, &c->in_parked);
        return STEP_AGAIN;
    }
    if (r->complete && !x->completed) {
        x->completed = true;
        c->worker->app->on_complete(x, c->worker->app->app);
        return after_callback(c);
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
    c->worker->app->on_request(&c->exchange, c->worker->app->app);
    step next = after_callback(c);
    if (next != STEP_AGAIN || c->phase != PHASE_RECEIVE || !r->expects_continue)
        return next;
    c->continued = true;
    /* Only for those who really wait: where the body has begun, the client went ahead by itself. (One byte,
     * the last one of the head, is left by the parser.) */
    if (c->in_end - c->in_begin <= 1) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        c->out = malloc(sizeof go_on);
        if (c->out == NULL)
            return STEP_CLOSE;
        memcpy(c->out, go_on, sizeof go_on);
        c->out_begin = 0;
        c->out_end = sizeof go_on - 1;
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
    return after_callback(c);
}

static step bad_request(rd_connection *c)
{
    const rd_http_request *r = rd_http_request_of(c->http);
    rd_connection_trouble(c, "'%s' sent a request that cannot be taken: %s", c->tls.client, r->reason);
    if (c->draining)
        return start_linger(c);
    return refuse(c, r->status, "format", r->reason);
}

static step read_record(rd_connection *c)
{
    if (c->budget <= 0 && !rd_tls_pending(&c->tls))
        return STEP_READABLE;
    if (c->in == NULL && (c->in = malloc(RD_TLS_RECORD)) == NULL)
        return STEP_CLOSE;
    size_t count;
    rd_tls_result result = rd_tls_read(&c->tls, c->in, RD_TLS_RECORD, &count);
    if (result != RD_TLS_OK) {
        release_input(c);
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
        if (c->worker->stopping && !in_request(c))
            return STEP_CLOSE;
        step next = read_record(c);
        if (next != STEP_AGAIN)
            return next;
    }
    size_t used;
    rd_http_event event = rd_http_feed(c->http, c->in + c->in_begin, c->in_end - c->in_begin, &used);
    c->in_begin += used;
    touch(c);
    switch (event) {
    case RD_HTTP_REQUEST:
        return begin_request(c);
    case RD_HTTP_BODY:
        return take_body(c);
    case RD_HTTP_END:
        c->draining = false;
        return c->exchange.open ? after_callback(c) : STEP_AGAIN;
    case RD_HTTP_BAD:
        return bad_request(c);
    case RD_HTTP_MORE:
        break;
    }
    return STEP_AGAIN;
}

/* ---- parked ---- */

/* Reads, only to notice when the client goes away; what it sends meanwhile waits for its turn. */
static step parked_step(rd_connection *c)
{
    if (c->in_begin < c->in_end)
        return STEP_HANGUP;
    step next = read_record(c);
    return next == STEP_AGAIN ? STEP_HANGUP : next;
}

void rd_exchange_park(rd_exchange *x, unsigned milliseconds)
{
    x->parked = true;
    x->park_ms = milliseconds;
    uv_update_time(&x->connection->worker->loop);
    set_deadline(x->connection, milliseconds);
}

static void wake(rd_connection *c, bool timed_out)
{
    rd_exchange *x = &c->exchange;
    uv_update_time(&c->worker->loop);
    if (timed_out) /* one that gives no answer even now stays for as long again */
        set_deadline(c, x->park_ms);
    c->worker->app->on_wake(x, timed_out, c->worker->app->app);
    if (!x->answered)
        return;
    link_remove(&c->in_parked);
    if (after_callback(c) == STEP_CLOSE)
        close_connection(c);
    else
        run(c);
}

void rd_worker_wake(rd_worker *w)
{
    rd_link ring;
    rd_link_init(&ring);
    while (w->parked.next != &w->parked) { /* those who park meanwhile have seen the news already */
        rd_link *l = w->parked.next;
        link_remove(l);
        link_append(&ring, l);
    }
    while (ring.next != &ring) {
        rd_link *l = ring.next;
        link_remove(l);
        link_append(&w->parked, l);
        wake(from_parked(l), false);
    }
}

/* ---- events ---- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    rd_connection *c = poll->data;
    bool lost = status < 0 || (c->watched == UV_DISCONNECT && (events & UV_DISCONNECT) != 0);
    if (!lost || c->phase == PHASE_HANDSHAKE) /* why the client went away may still be there to be read */
        run(c);
    if (lost)
        close_connection(c);
}

static void watch(rd_connection *c, int events)
{
    if (c->watched == events)
        return;
    c->watched = events;
    if (uv_poll_start(&c->poll, events, on_poll) != 0)
        close_connection(c);
}

static void run(rd_connection *c)
{
    step next = STEP_AGAIN;
    c->budget = RECORDS_PER_TURN;
    while (next == STEP_AGAIN) {
        switch (c->phase) {
        case PHASE_HANDSHAKE:
            next = handshake_step(c);
            break;
        case PHASE_RECEIVE:
            next = receive_step(c);
            break;
        case PHASE_PARKED:
            next = parked_step(c);
            break;
        case PHASE_SEND:
            next = send_step(c);
            break;
        case PHASE_LINGER:
            next = linger_step(c);
            break;
        }
    }
    if (next == STEP_CLOSE)
        close_connection(c);
    else
        watch(c, next == STEP_READABLE ? UV_READABLE : next == STEP_WRITABLE ? UV_WRITABLE : UV_DISCONNECT);
}

static void on_timer(uv_timer_t *timer)
{
    rd_connection *c = timer->data;
    uint64_t now = uv_now(&c->worker->loop);
    if (now < c->deadline) {
        arm_timer(c, c->deadline - now);
        return;
    }
    if (c->phase == PHASE_PARKED) {
        wake(c, true);
        return;
    }
    if (c->phase == PHASE_HANDSHAKE)
        rd_connection_trouble(c, "no complete TLS handshake within %u s", c->worker->idle_seconds);
    else if (c->phase == PHASE_SEND)
        rd_connection_trouble(c, "'%s' took nothing of its answer for %u s", c->tls.client, c->worker->idle_seconds);
    else if (c->phase == PHASE_RECEIVE && in_request(c))
        rd_connection_trouble(c, "'%s' sent nothing for %u s in the middle of a request", c->tls.client,
                              c->worker->idle_seconds);
    close_connection(c);
}

static void name_peer(int fd, char *text, size_t size)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char host[INET6_ADDRSTRLEN] = "?";
    unsigned port = 0;
    if (getpeername(fd, (struct sockaddr *)&address, &length) == 0) {
        if (address.ss_family == AF_INET) {
            (void)uv_ip4_name((const struct sockaddr_in *)&address, host, sizeof host);
            port = ntohs(((const struct sockaddr_in *)&address)->sin_port);
        } else if (address.ss_family == AF_INET6) {
            (void)uv_ip6_name((const struct sockaddr_in6 *)&address, host, sizeof host);
            port = ntohs(((const struct sockaddr_in6 *)&address)->sin6_port);
        }
    }
    (void)snprintf(text, size, strchr(host, ':') == NULL ? "%s:%u" : "[%s]:%u", host, port);
}

void rd_connection_open(rd_worker *w, int fd)
{
    static const int on = 1, idle = KEEPALIVE_IDLE, interval = KEEPALIVE_INTERVAL, count = KEEPALIVE_COUNT;
    rd_error err;
    rd_connection *c = calloc(1, sizeof *c);
    if (c == NULL || (c->http = rd_http_create()) == NULL || uv_poll_init(&w->loop, &c->poll, fd) != 0)
        goto refused;
    c->worker = w;
    c->fd = fd;
    c->file = -1;
    c->exchange.connection = c;
    rd_link_init(&c->in_parked);
    link_append(&w->all, &c->in_all);
    (void)uv_timer_init(&w->loop, &c->timer);
    c->handles = 2;
    c->poll.data = c->timer.data = c;
    name_peer(fd, c->peer, sizeof c->peer);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    set_deadline(c, 1000u * (uint64_t)w->idle_seconds);
    if (rd_tls_session_open(&c->tls, w->tls, fd, &err) != RD_OK) {
        rd_connection_trouble(c, "%s", err.message);
        close_connection(c);
    } else {
        run(c);
    }
    return;
refused:
    if (c != NULL)
        rd_http_free(c->http);
    free(c);
    close(fd);
    (void)atomic_fetch_sub(&w->load, 1);
    (void)atomic_fetch_sub(w->total, 1);
}

void rd_worker_retire(rd_worker *w)
{
    rd_link *next;
    for (rd_link *l = w->all.next; l != &w->all; l = next) {
        rd_connection *c = from_all(l);
        next = l->next;
        if (c->phase == PHASE_PARKED)
            wake(c, true);
        bool busy = c->phase == PHASE_SEND || c->phase == PHASE_LINGER || (c->phase == PHASE_RECEIVE && in_request(c));
        if (!busy)
            close_connection(c);
    }
}

void rd_worker_close_all(rd_worker *w)
{
    while (w->all.next != &w->all)
        close_connection(from_all(w->all.next));
}
