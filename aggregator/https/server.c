/* server.c: the threads. One accepts and hands each new connection to the worker that has the fewest; the
 * workers run a libuv loop each and share nothing but counters.
 *
 * The only things that come to a worker from outside are new sockets, work that is back from the background, "wake" and
 * "stop"; each is noted under the worker's lock or in a flag, and uv_async_send makes the worker look. */
#include "https/server.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/grow.h"
#include "core/number.h"
#include "https/background.h"
#include "https/connection.h"

#define BACKLOG 1024
#define ACCEPT_PAUSE_MS 100 /* without free descriptors there is no point in asking again at once */
#define DEFAULT_CONNECTIONS 10000u
#define DEFAULT_IDLE_SECONDS 30u
#define DEFAULT_KEEP_ALIVE_SECONDS 300u
#define DEFAULT_HANDSHAKES 1000u
#define DEFAULT_PER_CLIENT 16u
#define DEFAULT_RATE 100u
#define LEAST_PART 16u /* of a worker: a few clients that come at the same moment are not in each other's way */
#define REPORT_MS 1000

/* Accepted, and counted at the door. */
typedef struct newcomer {
    int fd;
    uint32_t place;
} newcomer;

typedef struct worker_thread {
    rd_worker worker; /* the first member */
    pthread_t thread;
    bool running;   /* thread exists */
    bool loop_open; /* worker.loop and lock exist */
    uv_async_t async;
    uv_timer_t grace;
    atomic_bool wake, stop, crowded;
    uint64_t grace_ms; /* written before stop is set */
    pthread_mutex_t lock;
    rd_tls *renewed;     /* not yet taken over; NULL: none; under lock */
    newcomer *newcomers; /* not yet taken over; under lock */
    size_t newcomer_count, newcomer_capacity;
    rd_work *worked; /* back from the background; under lock */
} worker_thread;
_Static_assert(offsetof(worker_thread, worker) == 0, "a worker is taken for its thread");

struct rd_server {
    rd_server_app app;
    rd_credential_files files; /* the strings are the caller's */
    double not_after;
    bool strangers;
    rd_door *door;
    unsigned max_connections;
    unsigned worker_count;
    worker_thread *workers;
    atomic_uint connections;
    int listener;
    int stop_event; /* eventfd: the acceptor is to end */
    unsigned port;
    rd_background *background;
    rd_ticket_keys *ticket_keys;
    pthread_t acceptor;
    bool accepting; /* the acceptor's thread exists */
};

/* ---- workers ---- */

static void end_loop(rd_worker *w)
{
    worker_thread *t = (worker_thread *)w;
    if (uv_is_closing((uv_handle_t *)&t->async) || w->works > 0)
        return;
    uv_close((uv_handle_t *)&t->async, NULL);
    uv_close((uv_handle_t *)&t->grace, NULL);
    rd_worker_end(w);
}

static void on_grace_over(uv_timer_t *timer)
{
    rd_worker_close_all(timer->data);
}

static bool take_newcomer(rd_worker *w)
{
    worker_thread *t = (worker_thread *)w;
    newcomer first = {-1, 0};
    pthread_mutex_lock(&t->lock);
    if (t->newcomer_count > 0) {
        first = t->newcomers[0];
        memmove(t->newcomers, t->newcomers + 1, --t->newcomer_count * sizeof *t->newcomers);
    }
    pthread_mutex_unlock(&t->lock);
    if (first.fd >= 0)
        rd_connection_open(w, first.fd, first.place);
    return first.fd >= 0;
}

/* The background's thread looks at nothing of the worker once the lock is free: the worker may be gone then. */
static void hand_back(rd_work *work)
{
    worker_thread *t = (worker_thread *)work->worker;
    pthread_mutex_lock(&t->lock);
    work->next = t->worked;
    t->worked = work;
    (void)uv_async_send(&t->async);
    pthread_mutex_unlock(&t->lock);
}

static void take_back(worker_thread *t)
{
    pthread_mutex_lock(&t->lock);
    rd_work *work = t->worked;
    t->worked = NULL;
    pthread_mutex_unlock(&t->lock);
    while (work != NULL) {
        rd_work *next = work->next;
        rd_worker_worked(&t->worker, work);
        work = next;
    }
}

/* New connections get the new certificate; those that are open hold on to the old one. */
static void take_renewed(worker_thread *t)
{
    pthread_mutex_lock(&t->lock);
    rd_tls *renewed = t->renewed;
    t->renewed = NULL;
    pthread_mutex_unlock(&t->lock);
    if (renewed == NULL)
        return;
    rd_tls_free(t->worker.tls);
    t->worker.tls = renewed;
}

static void on_async(uv_async_t *async)
{
    worker_thread *t = async->data;
    rd_worker *w = &t->worker;
    take_back(t);
    take_renewed(t);
    if (atomic_exchange(&t->wake, false))
        rd_worker_wake(w);
    if (atomic_exchange(&t->crowded, false))
        rd_worker_make_room(w);
    if (w->stopping && w->all.next == &w->all)
        end_loop(w);
    if (!atomic_load(&t->stop) || w->stopping)
        return;
    w->stopping = true;
    rd_worker_retire(w);
    if (w->all.next == &w->all)
        end_loop(w);
    else
        (void)uv_timer_start(&t->grace, on_grace_over, t->grace_ms, 0);
}

static void *work(void *user)
{
    worker_thread *t = user;
    (void)uv_run(&t->worker.loop, UV_RUN_DEFAULT);
    return NULL;
}

static rd_status make_tls(const rd_server *s, rd_tls **out, rd_error *err)
{
    rd_status status = rd_tls_create(&s->files, out, err);
    if (status != RD_OK)
        return status;
    rd_tls_set_gate(*out, &(rd_tls_gate){s->app.is_revoked, s->app.app});
    rd_tls_use_tickets(*out, s->ticket_keys);
    if (s->strangers)
        rd_tls_admit_strangers(*out);
    return RD_OK;
}

/* A worker's part of what all of them may have of something. */
static unsigned part_of(const rd_server *s, unsigned most)
{
    return most / s->worker_count > LEAST_PART ? most / s->worker_count : LEAST_PART;
}

static rd_status start_worker(rd_server *s, worker_thread *t, const rd_server_options *o, rd_error *err)
{
    rd_worker *w = &t->worker;
    w->app = &s->app;
    w->total = &s->connections;
    w->idle_seconds = o->idle_seconds == 0 ? DEFAULT_IDLE_SECONDS : o->idle_seconds;
    w->keep_alive_seconds = o->keep_alive_seconds == 0 ? DEFAULT_KEEP_ALIVE_SECONDS : o->keep_alive_seconds;
    w->on_empty = end_loop;
    w->take_newcomer = take_newcomer;
    w->door = s->door;
    w->background = s->background;
    w->hand_back = hand_back;
    unsigned handshakes = o->max_handshakes != 0 ? o->max_handshakes : s->max_connections / 4;
    if (o->max_handshakes == 0 && handshakes > DEFAULT_HANDSHAKES)
        handshakes = DEFAULT_HANDSHAKES;
    w->handshakes.most = part_of(s, handshakes);
    w->guests.most = part_of(s, s->max_connections / 4);
    w->most = s->max_connections;
    rd_status status = make_tls(s, &w->tls, err);
    if (status != RD_OK)
        return status;
    s->not_after = rd_tls_not_after(w->tls);
    int code = uv_loop_init(&w->loop);
    if (code != 0)
        return rd_fail(err, RD_ERR_IO, "event loop: %s", uv_strerror(code));
    t->loop_open = true;
    t->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    (void)uv_timer_init(&w->loop, &t->grace); /* a timer always can be */
    rd_worker_begin(w);
    code = uv_async_init(&w->loop, &t->async, on_async);
    if (code != 0) {
        uv_close((uv_handle_t *)&t->grace, NULL);
        rd_worker_end(w);
        (void)uv_run(&w->loop, UV_RUN_DEFAULT);
        return rd_fail(err, RD_ERR_IO, "event loop: %s", uv_strerror(code));
    }
    t->async.data = t;
    t->grace.data = w;
    code = pthread_create(&t->thread, NULL, work, t);
    if (code != 0) {
        end_loop(w);
        (void)uv_run(&w->loop, UV_RUN_DEFAULT);
        return rd_fail(err, RD_ERR_IO, "worker thread: %s", strerror(code));
    }
    t->running = true;
    return RD_OK;
}

static void stop_workers(rd_server *s, double grace_seconds)
{
    uint64_t grace_ms = grace_seconds > 0 ? (uint64_t)(1000 * grace_seconds) : 0;
    for (unsigned i = 0; i < s->worker_count; i++) {
        worker_thread *t = &s->workers[i];
        if (!t->running)
            continue;
        t->grace_ms = grace_ms;
        atomic_store(&t->stop, true);
        (void)uv_async_send(&t->async);
    }
    for (unsigned i = 0; i < s->worker_count; i++) {
        worker_thread *t = &s->workers[i];
        if (t->running)
            (void)pthread_join(t->thread, NULL);
        if (t->loop_open) {
            (void)uv_loop_close(&t->worker.loop);
            (void)pthread_mutex_destroy(&t->lock);
        }
        for (size_t k = 0; k < t->newcomer_count; k++)
            close(t->newcomers[k].fd);
        free(t->newcomers);
        rd_tls_free(t->renewed);
        rd_tls_free(t->worker.tls);
    }
}

/* ---- the acceptor ---- */

/* The worker with the fewest connections, so that ten clients on two workers are five and five. */
static worker_thread *choose_worker(rd_server *s)
{
    worker_thread *best = &s->workers[0];
    for (unsigned i = 1; i < s->worker_count; i++)
        if (atomic_load(&s->workers[i].worker.load) < atomic_load(&best->worker.load))
            best = &s->workers[i];
    return best;
}

/* Those who wait for a worker are as many as may be in a handshake with it. */
static void hand_over(rd_server *s, newcomer n)
{
    worker_thread *t = choose_worker(s);
    rd_error ignored;
    pthread_mutex_lock(&t->lock);
    bool room = t->newcomer_count < t->worker.handshakes.most &&
                rd_grow(&t->newcomers, &t->newcomer_capacity, t->newcomer_count + 1, sizeof *t->newcomers, "sockets",
                        &ignored) == RD_OK;
    if (room) {
        t->newcomers[t->newcomer_count++] = n;
        (void)atomic_fetch_add(&t->worker.load, 1);
        (void)atomic_fetch_add(&s->connections, 1);
    }
    pthread_mutex_unlock(&t->lock);
    if (room) {
        (void)uv_async_send(&t->async);
        return;
    }
    rd_door_count(s->door, RD_DOOR_CROWDED);
    rd_door_leave(s->door, n.place);
    close(n.fd);
}

/* A trouble is reported when it begins, not for every connection it concerns. */
typedef enum shortage { SHORTAGE_NONE, SHORTAGE_DESCRIPTORS, SHORTAGE_CONNECTIONS } shortage;

static void report_shortage(const rd_server *s, shortage *last, shortage now, const char *what)
{
    if (*last != now && now != SHORTAGE_NONE)
        s->app.on_trouble("listener", what, s->app.app);
    *last = now;
}

static void ask_for_room(rd_server *s)
{
    for (unsigned i = 0; i < s->worker_count; i++) {
        atomic_store(&s->workers[i].crowded, true);
        (void)uv_async_send(&s->workers[i].async);
    }
}

static void let_in(rd_server *s, int fd, const struct sockaddr_storage *address)
{
    newcomer n = {.fd = fd};
    rd_door_refusal refusal = rd_door_enter(s->door, address, uv_hrtime() / 1000000, &n.place);
    if (refusal == RD_DOOR_NONE) {
        hand_over(s, n);
        return;
    }
    rd_door_count(s->door, refusal);
    close(fd);
}

/* Accepts what is waiting. Returns for how many milliseconds the listener is better left alone (-1: not). */
static int accept_waiting(rd_server *s, shortage *last)
{
    for (;;) {
        struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
        socklen_t length = sizeof address;
        int fd = accept4(s->listener, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
                return -1;
            char what[160];
            (void)snprintf(what, sizeof what, "new connections have to wait: %s (see ulimit -n)", strerror(errno));
            report_shortage(s, last, SHORTAGE_DESCRIPTORS, what);
            return ACCEPT_PAUSE_MS;
        }
        if (atomic_load(&s->connections) < s->max_connections) {
            report_shortage(s, last, SHORTAGE_NONE, "");
            let_in(s, fd, &address);
        } else {
            close(fd);
            ask_for_room(s);
            report_shortage(s, last, SHORTAGE_CONNECTIONS, "too many connections: new ones are closed");
        }
    }
}

static void rotate_ticket_keys(const rd_server *s)
{
    rd_error err;
    if (rd_ticket_keys_rotate(s->ticket_keys, (uint64_t)time(NULL), &err) != RD_OK)
        s->app.on_trouble("listener", err.message, s->app.app);
}

static void *accept_all(void *user)
{
    rd_server *s = user;
    shortage last = SHORTAGE_NONE;
    int pause = -1;
    for (;;) {
        struct pollfd wait[2] = {{.fd = s->stop_event, .events = POLLIN},
                                 {.fd = pause > 0 ? -1 : s->listener, .events = POLLIN}};
        int n = poll(wait, 2, pause > 0 ? pause : REPORT_MS);
        rd_door_report(s->door, uv_hrtime() / 1000000);
        rotate_ticket_keys(s);
        if (wait[0].revents != 0)
            return NULL;
        if (n == 0 || wait[1].revents != 0)
            pause = accept_waiting(s, &last);
    }
}

/* ---- start and stop ---- */

/* "127.0.0.1:8443", "[::]:8443" -> host and port. */
static rd_status split_address(const char *listen_at, char *host, size_t size, const char **port, rd_error *err)
{
    const char *colon = listen_at == NULL ? NULL : strrchr(listen_at, ':');
    size_t length = colon == NULL ? 0 : (size_t)(colon - listen_at);
    const char *begin = listen_at;
    if (length >= 2 && begin[0] == '[' && begin[length - 1] == ']') {
        begin++;
        length -= 2;
    } else if (colon != NULL && memchr(listen_at, ':', length) != NULL) {
        length = 0;
    }
    uint64_t number = 0;
    bool is_port = colon != NULL && rd_number_count(colon + 1, strlen(colon + 1), &number) && number <= 65535;
    if (length == 0 || length >= size || !is_port)
        return rd_fail(err, RD_ERR_USAGE,
                       "--listen: expected ADDRESS:PORT, such as 0.0.0.0:8443 or [::]:8443, found '%s'",
                       listen_at == NULL ? "" : listen_at);
    memcpy(host, begin, length);
    host[length] = '\0';
    *port = colon + 1;
    return RD_OK;
}

static rd_status open_listener(rd_server *s, const char *listen_at, rd_error *err)
{
    char host[256];
    const char *port = NULL;
    rd_status status = split_address(listen_at, host, sizeof host, &port, err);
    if (status != RD_OK)
        return status;
    struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int code = getaddrinfo(host, port, &hints, &found);
    if (code != 0)
        return rd_fail(err, RD_ERR_IO, "--listen %s: %s", listen_at, gai_strerror(code));
    int on = 1, off = 0;
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    s->listener = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool ok = s->listener >= 0;
    if (ok) {
        (void)setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (found->ai_family == AF_INET6)
            (void)setsockopt(s->listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        ok = bind(s->listener, found->ai_addr, found->ai_addrlen) == 0 && listen(s->listener, BACKLOG) == 0 &&
             getsockname(s->listener, (struct sockaddr *)&bound, &length) == 0;
    }
    int reason = errno;
    freeaddrinfo(found);
    if (!ok && reason == EADDRINUSE)
        return rd_fail(err, RD_ERR_IO, "%s: address already in use; is another aggregator running?", listen_at);
    if (!ok)
        return rd_fail(err, RD_ERR_IO, "%s: cannot listen: %s", listen_at, strerror(reason));
    s->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                : ((struct sockaddr_in *)&bound)->sin_port);
    return RD_OK;
}

static unsigned count_cores(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : (unsigned)cores;
}

static rd_status open_door(rd_server *s, const rd_door_limits *given, rd_error *err)
{
    rd_door_limits limits = *given;
    if (limits.per_address == 0)
        limits.per_address = s->max_connections / 2 > 16 ? s->max_connections / 2 : 16;
    if (limits.per_client == 0)
        limits.per_client = DEFAULT_PER_CLIENT;
    if (limits.rate == 0)
        limits.rate = DEFAULT_RATE;
    return rd_door_create(&limits, s->app.on_trouble, s->app.app, &s->door, err);
}

static rd_status open_ticket_keys(rd_server *s, const char *path, rd_error *err)
{
    char note[512];
    rd_status status = rd_ticket_keys_open(path, (uint64_t)time(NULL), &s->ticket_keys, note, sizeof note, err);
    if (note[0] != '\0')
        s->app.on_trouble("listener", note, s->app.app);
    return status;
}

rd_status rd_server_start(const rd_server_options *o, const rd_server_app *app, rd_server **out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_server *s = calloc(1, sizeof *s);
    if (s == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the server");
    s->app = *app;
    s->files = o->files;
    s->strangers = o->strangers;
    s->listener = s->stop_event = -1;
    s->max_connections = o->max_connections == 0 ? DEFAULT_CONNECTIONS : o->max_connections;
    s->worker_count = o->workers == 0 ? count_cores() : o->workers;
    RD_TRY(open_door(s, &o->door, err));
    s->workers = calloc(s->worker_count, sizeof *s->workers);
    if (s->workers == NULL) {
        s->worker_count = 0;
        RD_THROW(RD_ERR_MEMORY, "no memory for the server");
    }
    RD_TRY(open_listener(s, o->listen, err));
    s->stop_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->stop_event < 0)
        RD_THROW(RD_ERR_IO, "eventfd: %s", strerror(errno));
    RD_TRY(open_ticket_keys(s, o->ticket_keys, err));
    RD_TRY(rd_background_start(&s->background, err));
    for (unsigned i = 0; i < s->worker_count; i++)
        RD_TRY(start_worker(s, &s->workers[i], o, err));
    int code = pthread_create(&s->acceptor, NULL, accept_all, s);
    if (code != 0)
        RD_THROW(RD_ERR_IO, "acceptor thread: %s", strerror(code));
    s->accepting = true;
    *out = s;
    s = NULL;
cleanup:
    rd_server_stop(s, 0);
    return status;
}

rd_status rd_server_reload(rd_server *s, double *not_after, rd_error *err)
{
    rd_status status = RD_OK;
    rd_tls **renewed = calloc(s->worker_count, sizeof(rd_tls *));
    if (renewed == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for certificates");
    for (unsigned i = 0; i < s->worker_count; i++)
        RD_TRY(make_tls(s, &renewed[i], err));
    *not_after = s->not_after = rd_tls_not_after(renewed[0]);
    for (unsigned i = 0; i < s->worker_count; i++) {
        worker_thread *t = &s->workers[i];
        pthread_mutex_lock(&t->lock);
        rd_tls *before = t->renewed;
        t->renewed = renewed[i];
        pthread_mutex_unlock(&t->lock);
        rd_tls_free(before);
        renewed[i] = NULL;
        (void)uv_async_send(&t->async);
    }
cleanup:
    for (unsigned i = 0; i < s->worker_count; i++)
        rd_tls_free(renewed[i]);
    free(renewed);
    return status;
}

double rd_server_not_after(const rd_server *s)
{
    return s->not_after;
}

unsigned rd_server_port(const rd_server *s)
{
    return s->port;
}

void rd_server_wake(rd_server *s)
{
    for (unsigned i = 0; i < s->worker_count; i++) {
        atomic_store(&s->workers[i].wake, true);
        (void)uv_async_send(&s->workers[i].async);
    }
}

void rd_server_stop(rd_server *s, double grace_seconds)
{
    if (s == NULL)
        return;
    if (s->accepting) {
        (void)eventfd_write(s->stop_event, 1);
        (void)pthread_join(s->acceptor, NULL);
    }
    if (s->listener >= 0)
        close(s->listener);
    stop_workers(s, grace_seconds);
    rd_background_stop(s->background);
    rd_ticket_keys_close(s->ticket_keys);
    if (s->stop_event >= 0)
        close(s->stop_event);
    free(s->workers);
    rd_door_free(s->door);
    free(s);
}

void rd_server_traffic(const rd_server *s, uint64_t *bytes_in, uint64_t *bytes_out)
{
    *bytes_in = *bytes_out = 0;
    for (unsigned i = 0; i < s->worker_count; i++) {
        *bytes_in += atomic_load_explicit(&s->workers[i].worker.bytes_in, memory_order_relaxed);
        *bytes_out += atomic_load_explicit(&s->workers[i].worker.bytes_out, memory_order_relaxed);
    }
}
