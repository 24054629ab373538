/* connection.c: what happens to a connection: it is accepted, readable or writable, woken, too late, closed.
 *
 * Each phase (phases.h) does as much as the socket allows and says what to wait for; run() goes from one to the next
 * until one has to wait. A connection that has ended stays in memory until libuv has let go of its handles.
 *
 * Fairness: a connection handles at most RECORDS_PER_TURN records before the others are served. uv_poll is
 * level-triggered, so what is left in the socket wakes us again at once; and because a read takes a whole record,
 * nothing ever stays behind inside the TLS library where no poll would see it.
 *
 * Strangers: a handshake is what costs most, and anyone can begin one. Whoever has sent a piece of one waits in a queue that
 * is served when all others have had their turn, and for half of the time at most; a connection that sends nothing has no
 * TLS context. Beyond handshakes.most the oldest are closed, so that those who say nothing keep nobody out; and beyond
 * guests.most the oldest of those with a certificate whom the application has not given a tag, so that half of the room is
 * left to those who have one. Where all places are taken, whoever has none makes room for the next who comes.
 *
 * Memory: the 16 KB buffers for input and output exist only while there is something in them, so a waiting client costs
 * its TLS context and little more.
 *
 * Time: silence ends a connection, and so does a rate below RD_LEAST_RATE, or one byte now and then would keep it for ever.
 * One libuv timer per connection. Progress only moves the deadline, which costs nothing; the timer looks at the
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

#define HANDSHAKE_SHARE 2             /* one part in so many of the time is spent on handshakes, at most ... */
#define HANDSHAKE_AT_ONCE_NS 20000000 /* ... in the long run; after a pause so much at once ... */
#define HANDSHAKE_TURN_NS 4000000     /* ... and in one turn no more is begun after this */

static void run(rd_connection *c);

static rd_connection *from_all(rd_link *l)
{
    return (rd_connection *)(void *)((char *)l - offsetof(rd_connection, in_all));
}

static rd_connection *from_parked(rd_link *l)
{
    return (rd_connection *)(void *)((char *)l - offsetof(rd_connection, in_parked));
}

static rd_connection *from_handshakes(rd_link *l)
{
    return (rd_connection *)(void *)((char *)l - offsetof(rd_connection, in_handshakes));
}

static rd_connection *from_guests(rd_link *l)
{
    return (rd_connection *)(void *)((char *)l - offsetof(rd_connection, in_guests));
}

static rd_connection *from_ready(rd_link *l)
{
    return (rd_connection *)(void *)((char *)l - offsetof(rd_connection, in_ready));
}

/* The connection does not count any more. */
static void leave(rd_worker *w, uint32_t place)
{
    (void)atomic_fetch_sub(&w->load, 1);
    (void)atomic_fetch_sub(w->total, 1);
    rd_door_leave(w->door, place);
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
    rd_link_remove(&c->in_ready);
    rd_worker *w = c->worker;
    if (!rd_link_alone(&c->in_handshakes)) {
        rd_link_remove(&c->in_handshakes);
        w->handshakes.count--;
    }
    rd_connection_leave_guests(c);
    if (c->client_counted)
        rd_door_leave_client(w->door, c->client_place);
    leave(w, c->place);
    uv_close((uv_handle_t *)&c->poll, on_handle_closed);
    uv_close((uv_handle_t *)&c->timer, on_handle_closed);
    if (w->stopping && w->all.next == &w->all)
        w->on_empty(w);
}

static void close_oldest_handshake(rd_worker *w)
{
    rd_door_count(w->door, RD_DOOR_CROWDED);
    close_connection(from_handshakes(w->handshakes.all.next));
}

static void close_oldest_guest(rd_worker *w)
{
    rd_door_count(w->door, RD_DOOR_GUESTS);
    close_connection(from_guests(w->guests.all.next));
}

void rd_worker_make_room(rd_worker *w)
{
    if (atomic_load(w->total) < w->most)
        return;
    if (w->guests.count > 0 && w->guests.count >= w->handshakes.count)
        close_oldest_guest(w);
    else if (w->handshakes.count > 0)
        close_oldest_handshake(w);
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

void rd_worker_worked(rd_worker *w, rd_work *work)
{
    rd_connection *c = work->connection;
    w->works--;
    uv_update_time(&w->loop);
    if (c != NULL)
        c->exchange.work = NULL;
    work->done(c != NULL ? &c->exchange : NULL, work->user);
    free(work);
    if (c == NULL)
        return;
    if (rd_connection_after_callback(c) == STEP_CLOSE)
        close_connection(c);
    else
        run(c);
}

/* ---- events ---- */

/* It has its turn when the others have had theirs, and is not listened to until then. */
static void queue_handshake(rd_connection *c)
{
    (void)uv_poll_stop(&c->poll);
    c->watched = 0;
    rd_link_append(&c->worker->handshakes.ready, &c->in_ready);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    rd_connection *c = poll->data;
    if (c->phase == PHASE_HANDSHAKE) { /* lost or not: why the client went away may still be there to be read */
        queue_handshake(c);
        return;
    }
    bool lost = status < 0 || (c->watched == UV_DISCONNECT && (events & UV_DISCONNECT) != 0);
    if (!lost)
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
    if (rd_connection_answer_moves(c))
        rd_connection_touch(c);
    if (now < c->deadline) {
        rd_connection_arm_timer(c, c->deadline - now);
        return;
    }
    if (c->ends_at != 0 && now >= c->ends_at) {
        if (rd_tls_session_peer(c->tls)->name[0] != '\0')
            rd_connection_trouble(c, "the certificate of '%s' has ended, and its connection with it",
                                  rd_tls_session_peer(c->tls)->name);
        else
            rd_connection_trouble(c, "a stranger has not said within %u s what it wants", c->worker->idle_seconds);
        close_connection(c);
        return;
    }
    if (c->phase == PHASE_PARKED) {
        wake(c, true);
        return;
    }
    if (c->phase == PHASE_HANDSHAKE)
        rd_connection_trouble(c, "no complete TLS handshake within %u s", c->worker->idle_seconds);
    else if (c->slow && rd_connection_in_request(c))
        rd_connection_trouble(
            c, "'%s' is too slow in the middle of a request: a head has %u s, a body or an answer %d bytes/s",
            rd_tls_session_peer(c->tls)->name, c->worker->idle_seconds, RD_LEAST_RATE);
    else if (c->phase == PHASE_SEND)
        rd_connection_trouble(c, "'%s' took nothing of its answer for %u s", rd_tls_session_peer(c->tls)->name,
                              c->worker->idle_seconds);
    else if (c->phase == PHASE_RECEIVE && rd_connection_in_request(c))
        rd_connection_trouble(c, "'%s' sent nothing for %u s in the middle of a request", rd_tls_session_peer(c->tls)->name,
                              c->worker->idle_seconds);
    close_connection(c);
}

/* ---- handshakes ---- */

static void on_pause_over(uv_timer_t *timer);

static void serve_handshakes(rd_worker *w)
{
    rd_handshakes *h = &w->handshakes;
    if (w->stopping)
        return;
    uint64_t begin = uv_hrtime(), now = begin;
    h->allowance += (int64_t)(now - h->counted_at) / HANDSHAKE_SHARE;
    h->counted_at = now;
    if (h->allowance > HANDSHAKE_AT_ONCE_NS)
        h->allowance = HANDSHAKE_AT_ONCE_NS;
    while (h->allowance > 0 && now - begin < HANDSHAKE_TURN_NS) {
        const bool took = w->take_newcomer(w);
        if (!rd_link_alone(&h->ready)) {
            rd_connection *c = from_ready(h->ready.next);
            rd_link_remove(&c->in_ready);
            run(c);
            while (w->guests.count > w->guests.most)
                close_oldest_guest(w);
        } else if (!took) {
            return;
        }
        const uint64_t after = uv_hrtime();
        h->allowance -= (int64_t)(after - now);
        now = after;
    }
    const int64_t owed = h->allowance > 0 ? 0 : -h->allowance * HANDSHAKE_SHARE;
    (void)uv_timer_start(&h->pause, on_pause_over, owed == 0 ? 0 : (uint64_t)owed / 1000000 + 1, 0);
}

/* All who were established have been served in this turn. */
static void on_turn(uv_check_t *check)
{
    serve_handshakes(check->data);
}

/* Timers come before the loop waits for events, so that the end of this turn may be far away. */
static void on_pause_over(uv_timer_t *timer)
{
    serve_handshakes(timer->data);
}

void rd_worker_begin(rd_worker *w)
{
    rd_handshakes *h = &w->handshakes;
    rd_link_init(&w->all);
    rd_link_init(&w->parked);
    rd_link_init(&h->all);
    rd_link_init(&h->ready);
    rd_link_init(&w->guests.all);
    h->counted_at = uv_hrtime();
    (void)uv_check_init(&w->loop, &h->check); /* both always can be */
    (void)uv_timer_init(&w->loop, &h->pause);
    h->check.data = h->pause.data = w;
    (void)uv_check_start(&h->check, on_turn);
}

void rd_worker_end(rd_worker *w)
{
    uv_close((uv_handle_t *)&w->handshakes.check, NULL);
    uv_close((uv_handle_t *)&w->handshakes.pause, NULL);
}

/* ---- the first moment ---- */

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

void rd_connection_open(rd_worker *w, int fd, uint32_t place)
{
    static const int on = 1, idle = KEEPALIVE_IDLE, interval = KEEPALIVE_INTERVAL, count = KEEPALIVE_COUNT;
    rd_handshakes *h = &w->handshakes;
    if (h->count >= h->most)
        close_oldest_handshake(w);
    rd_connection *c = calloc(1, sizeof *c);
    if (c == NULL || (c->http = rd_http_create()) == NULL || uv_poll_init(&w->loop, &c->poll, fd) != 0)
        goto refused;
    c->worker = w;
    c->fd = fd;
    c->place = place;
    c->output.file = -1;
    c->on_timer = on_timer;
    c->exchange.connection = c;
    rd_link_init(&c->in_parked);
    rd_link_init(&c->in_ready);
    rd_link_init(&c->in_guests);
    rd_link_append(&w->all, &c->in_all);
    rd_link_append(&h->all, &c->in_handshakes);
    h->count++;
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
    watch(c, UV_READABLE);
    return;
refused:
    if (c != NULL)
        rd_http_free(c->http);
    free(c);
    close(fd);
    leave(w, place);
}

void rd_worker_retire(rd_worker *w)
{
    rd_link *next;
    for (rd_link *l = w->all.next; l != &w->all; l = next) {
        rd_connection *c = from_all(l);
        next = l->next;
        if (c->phase == PHASE_PARKED)
            wake(c, true);
        bool busy = c->phase == PHASE_WORK || c->phase == PHASE_SEND || c->phase == PHASE_LINGER ||
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
