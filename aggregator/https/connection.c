/* connection.c: what happens to a connection: it is accepted, readable or writable, woken, too late, closed.
 *
 * Each phase (phases.h) does as much as the socket allows and says what to wait for; run() goes from one to the next
 * until one has to wait. A connection that has ended stays in memory until libuv has let go of its handles.
 *
 * Fairness: a connection handles at most RECORDS_PER_TURN records before the others are served. uv_poll is
 * level-triggered, so what is left in the socket wakes us again at once; and because a read takes a whole record,
 * nothing ever stays behind inside the TLS library where no poll would see it.
 *
 * Memory: the 16 KB buffers for input and output exist only while there is something in them, so a waiting client costs
 * its TLS context and little more.
 *
 * Time: one libuv timer per connection. Progress only moves the deadline, which costs nothing; the timer looks at the
 * deadline when it fires and sleeps on if it has moved. */
#include "https/connection.h"

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

#include "https/phases.h"

#define RECORDS_PER_TURN 64 /* 1 MB */
/* A machine that lost its power or its network says nothing: after 15 s of silence the system asks it three times, and
 * after 30 s in all the connection is closed. */
#define KEEPALIVE_IDLE 15
#define KEEPALIVE_INTERVAL 5
#define KEEPALIVE_COUNT 3

static void run(rd_connection *c);

static rd_connection *from_all(rd_link *l)
{
    return (rd_connection *)(void *)((char *)l - offsetof(rd_connection, in_all));
}

static rd_connection *from_parked(rd_link *l)
{
    return (rd_connection *)(void *)((char *)l - offsetof(rd_connection, in_parked));
}

static void on_handle_closed(uv_handle_t *handle)
{
    rd_connection *c = handle->data;
    if (--c->handles > 0)
        return;
    close(c->fd);
    rd_tls_session_close(c->tls);
    rd_http_free(c->http);
    free(c);
}

static void close_connection(rd_connection *c)
{
    if (c->closing)
        return;
    c->closing = true;
    rd_connection_finish_exchange(c);
    if (c->tag != 0)
        c->worker->app->on_disconnect(c->tag, c->worker->app->app);
    rd_connection_release_input(c);
    if (c->established)
        rd_tls_say_goodbye(c->tls);
    rd_link_remove(&c->in_all);
    rd_worker *w = c->worker;
    (void)atomic_fetch_sub(&w->load, 1);
    (void)atomic_fetch_sub(w->total, 1);
    uv_close((uv_handle_t *)&c->poll, on_handle_closed);
    uv_close((uv_handle_t *)&c->timer, on_handle_closed);
    if (w->stopping && w->all.next == &w->all)
        w->on_empty(w);
}

static void wake(rd_connection *c, bool timed_out)
{
    rd_exchange *x = &c->exchange;
    uv_update_time(&c->worker->loop);
    if (timed_out) /* one that gives no answer even now stays for as long again */
        rd_connection_set_deadline(c, x->park_ms);
    c->worker->app->on_wake(x, timed_out, c->worker->app->app);
    rd_connection_apply_parking(c);
    if (!x->answered)
        return;
    rd_link_remove(&c->in_parked);
    if (rd_connection_after_callback(c) == STEP_CLOSE)
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
        rd_link_remove(l);
        rd_link_append(&ring, l);
    }
    while (ring.next != &ring) {
        rd_link *l = ring.next;
        rd_link_remove(l);
        rd_link_append(&w->parked, l);
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
    rd_connection_step next;
    c->budget = RECORDS_PER_TURN;
    do
        next = rd_connection_advance(c);
    while (next == STEP_AGAIN);
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
        rd_connection_arm_timer(c, c->deadline - now);
        return;
    }
    if (c->phase == PHASE_PARKED) {
        wake(c, true);
        return;
    }
    if (c->phase == PHASE_HANDSHAKE)
        rd_connection_trouble(c, "no complete TLS handshake within %u s", c->worker->idle_seconds);
    else if (c->phase == PHASE_SEND)
        rd_connection_trouble(c, "'%s' took nothing of its answer for %u s", rd_tls_session_client(c->tls),
                              c->worker->idle_seconds);
    else if (c->phase == PHASE_RECEIVE && rd_connection_in_request(c))
        rd_connection_trouble(c, "'%s' sent nothing for %u s in the middle of a request", rd_tls_session_client(c->tls),
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
    c->output.file = -1;
    c->on_timer = on_timer;
    c->exchange.connection = c;
    rd_link_init(&c->in_parked);
    rd_link_append(&w->all, &c->in_all);
    (void)uv_timer_init(&w->loop, &c->timer);
    c->handles = 2;
    c->poll.data = c->timer.data = c;
    name_peer(fd, c->peer, sizeof c->peer);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    rd_connection_set_deadline(c, 1000u * (uint64_t)w->idle_seconds);
    if (rd_tls_session_open(w->tls, fd, &c->tls, &err) != RD_OK) {
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
        bool busy = c->phase == PHASE_SEND || c->phase == PHASE_LINGER ||
                    (c->phase == PHASE_RECEIVE && rd_connection_in_request(c));
        if (!busy)
            close_connection(c);
    }
}

void rd_worker_close_all(rd_worker *w)
{
    while (w->all.next != &w->all)
        close_connection(from_all(w->all.next));
}
