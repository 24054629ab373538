/* toy_server.h: a server with an application for tests, and clients to talk to it: libcurl for whole
 * requests, libcurl's TLS with bytes of our own for everything that a well-behaved client does not do. */
#ifndef RONDO_TESTS_TOY_SERVER_H
#define RONDO_TESTS_TOY_SERVER_H

#include <criterion/criterion.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "https/server.h"
#include "tls_files.h"

#define TOY_FILE_SIZE 1000003u /* no multiple of anything */

typedef struct toy {
    rd_server *server;
    int file;                     /* TOY_FILE_SIZE bytes of toy_byte */
    atomic_int opened, closed;    /* on_request and on_close */
    atomic_int parked, completed; /* now; so far */
    atomic_ullong body_bytes;
    pthread_mutex_t lock;
    pthread_t workers[8]; /* (worker_count) threads that have served, and how many requests each */
    int requests_of_worker[8], worker_count;
    char troubles[8192]; /* one a line */
} toy;

/* What belongs to one exchange: a leak checker sees it when on_close is missing. */
typedef struct toy_exchange {
    uint64_t count, sum;
} toy_exchange;

static inline uint8_t toy_byte(uint64_t i)
{
    return (uint8_t)((i * 2654435761u) >> 13);
}

static inline void toy_say(rd_exchange *x, int status, const char *text)
{
    rd_exchange_reply(x, status, "text/plain", "", text, strlen(text));
}

static inline bool toy_is(const rd_exchange *x, const char *path)
{
    return strcmp(rd_exchange_path(x), path) == 0;
}

static inline void toy_count_request(toy *t)
{
    int i = 0;
    pthread_mutex_lock(&t->lock);
    while (i < t->worker_count && !pthread_equal(t->workers[i], pthread_self()))
        i++;
    if (i == t->worker_count)
        t->workers[t->worker_count++] = pthread_self();
    t->requests_of_worker[i]++;
    pthread_mutex_unlock(&t->lock);
}

static inline int toy_requests_of_worker(toy *t, int worker)
{
    pthread_mutex_lock(&t->lock);
    int requests = t->requests_of_worker[worker];
    pthread_mutex_unlock(&t->lock);
    return requests;
}

static void toy_on_request(rd_exchange *x, void *app)
{
    toy *t = app;
    char text[256];
    atomic_fetch_add(&t->opened, 1);
    toy_count_request(t);
    rd_exchange_set_user(x, calloc(1, sizeof(toy_exchange)));
    if (toy_is(x, "/hello")) {
        snprintf(text, sizeof text, "%s %s %s", rd_exchange_method(x), rd_exchange_client(x), rd_exchange_query(x));
        toy_say(x, 200, text);
    } else if (toy_is(x, "/join")) {
        *rd_exchange_tag(x) = 1;
        toy_say(x, 200, "joined");
    } else if (toy_is(x, "/header")) {
        const char *value = rd_exchange_header(x, "x-test");
        toy_say(x, value == NULL ? 404 : 200, value == NULL ? "" : value);
    } else if (toy_is(x, "/file")) {
        unsigned long long offset = 0, count = TOY_FILE_SIZE;
        sscanf(rd_exchange_query(x), "%llu,%llu", &offset, &count);
        if (!rd_exchange_reply_file(x, 200, "application/octet-stream", "ETag: \"7\"\r\n", t->file, offset, count))
            toy_say(x, 503, "no descriptor");
    } else if (toy_is(x, "/big")) {
        uint8_t *body = malloc(TOY_FILE_SIZE);
        for (size_t i = 0; i < TOY_FILE_SIZE; i++)
            body[i] = toy_byte(i);
        rd_exchange_reply(x, 200, "application/octet-stream", "", body, TOY_FILE_SIZE);
        free(body);
    } else if (toy_is(x, "/nothing")) {
        rd_exchange_reply(x, 204, NULL, "Retry-After: 1\r\n", NULL, 0);
    } else if (toy_is(x, "/park")) {
        atomic_fetch_add(&t->parked, 1);
        rd_exchange_park(x, (unsigned)atoi(rd_exchange_query(x)));
    } else if (toy_is(x, "/early")) {
        toy_say(x, 413, "too large");
    }
}

static void toy_on_body(rd_exchange *x, const uint8_t *bytes, size_t count, void *app)
{
    toy *t = app;
    toy_exchange *e = rd_exchange_user(x);
    for (size_t i = 0; i < count; i++)
        e->sum = e->sum * 31 + bytes[i];
    e->count += count;
    atomic_fetch_add(&t->body_bytes, count);
    if (toy_is(x, "/midway") && e->count >= 100000)
        toy_say(x, 422, "seen enough");
}

static void toy_on_complete(rd_exchange *x, void *app)
{
    toy *t = app;
    const toy_exchange *e = rd_exchange_user(x);
    char text[64];
    atomic_fetch_add(&t->completed, 1);
    if (toy_is(x, "/forgotten"))
        return;
    if (toy_is(x, "/park-late")) {
        atomic_fetch_add(&t->parked, 1);
        rd_exchange_park(x, 10000);
        return;
    }
    snprintf(text, sizeof text, "%llu %llu", (unsigned long long)e->count, (unsigned long long)e->sum);
    toy_say(x, 200, text);
}

static void toy_on_wake(rd_exchange *x, bool timed_out, void *app)
{
    toy *t = app;
    if (strstr(rd_exchange_query(x), "stubborn") != NULL && !timed_out)
        return;
    atomic_fetch_sub(&t->parked, 1);
    rd_exchange_set_user(x, (free(rd_exchange_user(x)), NULL));
    toy_say(x, timed_out ? 408 : 200, timed_out ? "timed out" : "woken");
}

static void toy_on_close(rd_exchange *x, void *app)
{
    toy *t = app;
    free(rd_exchange_user(x));
    atomic_fetch_add(&t->closed, 1);
}

static void toy_on_disconnect(uint64_t tag, void *app)
{
    (void)tag;
    (void)app;
}

static void toy_on_trouble(const char *peer, const char *what, void *app)
{
    toy *t = app;
    pthread_mutex_lock(&t->lock);
    size_t used = strlen(t->troubles);
    snprintf(t->troubles + used, sizeof t->troubles - used, "%s: %s\n", peer, what);
    pthread_mutex_unlock(&t->lock);
}

static inline rd_server_app toy_app(toy *t)
{
    return (rd_server_app){.on_request = toy_on_request,
                           .on_body = toy_on_body,
                           .on_complete = toy_on_complete,
                           .on_wake = toy_on_wake,
                           .on_close = toy_on_close,
                           .on_disconnect = toy_on_disconnect,
                           .on_trouble = toy_on_trouble,
                           .app = t};
}

static inline rd_server_options toy_options(void)
{
    return (rd_server_options){.listen = "127.0.0.1:0",
                               .files.ca = tls_file("ca.pem"),
                               .files.cert = tls_file("server.pem"),
                               .files.key = tls_file("server.key"),
                               .workers = 2,
                               .door.per_client = 1000};
}

static inline void toy_start(toy *t, const rd_server_options *options)
{
    memset(t, 0, sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    char path[] = "/tmp/rondo-test-file-XXXXXX";
    t->file = mkstemp(path);
    unlink(path);
    FILE *f = fdopen(dup(t->file), "w");
    for (size_t i = 0; i < TOY_FILE_SIZE; i++)
        fputc(toy_byte(i), f);
    fclose(f);
    rd_error err = {.message = ""};
    rd_server_app app = toy_app(t);
    rd_server_options defaults = toy_options();
    rd_status status = rd_server_start(options == NULL ? &defaults : options, &app, &t->server, &err);
    cr_assert_eq(status, RD_OK, "%s", err.message);
}

/* Ends the server and checks the one promise that holds whatever happened. */
static inline void toy_stop(toy *t)
{
    rd_server_stop(t->server, 2.0);
    cr_expect_eq(t->opened, t->closed, "%d requests, %d closed", t->opened, t->closed);
    close(t->file);
}

static inline double toy_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#define TOY_PATIENCE 60 /* seconds; sanitizers and busy machines are slow */

/* Waits until the condition holds, at most for TOY_PATIENCE. */
#define toy_wait_for(condition)                                   \
    do {                                                          \
        double toy_end = toy_now() + TOY_PATIENCE;                \
        bool toy_holds;                                           \
        while (!(toy_holds = (condition)) && toy_now() < toy_end) \
            usleep(2000);                                         \
        cr_assert(toy_holds, "waited in vain for " #condition);   \
    } while (0)

static inline bool toy_heard(toy *t, const char *what)
{
    pthread_mutex_lock(&t->lock);
    bool heard = strstr(t->troubles, what) != NULL;
    pthread_mutex_unlock(&t->lock);
    return heard;
}

/* ---- clients ---- */

typedef struct toy_reply {
    CURLcode code;
    long status;
    size_t size;
    char text[2048]; /* the beginning of the body */
    bool as_filed;   /* every byte is toy_byte of its place after first */
    uint64_t first;
} toy_reply;

static size_t toy_take(char *bytes, size_t one, size_t count, void *user)
{
    toy_reply *r = user;
    (void)one;
    for (size_t i = 0; i < count; i++) {
        if (r->size + i < sizeof r->text - 1)
            r->text[r->size + i] = bytes[i];
        if ((uint8_t)bytes[i] != toy_byte(r->first + r->size + i))
            r->as_filed = false;
    }
    r->size += count;
    return count;
}

static inline CURL *toy_client(const toy *t, const char *who)
{
    char name[64];
    CURL *curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_CAINFO, tls_file("ca.pem"));
    if (who != NULL) {
        snprintf(name, sizeof name, "%s.pem", who);
        curl_easy_setopt(curl, CURLOPT_SSLCERT, tls_file(name));
        snprintf(name, sizeof name, "%s.key", who);
        curl_easy_setopt(curl, CURLOPT_SSLKEY, tls_file(name));
    }
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(curl, CURLOPT_PORT, (long)rd_server_port(t->server));
    return curl;
}

static inline toy_reply toy_do(CURL *curl, const char *path)
{
    char url[256];
    toy_reply r = {.as_filed = true};
    snprintf(url, sizeof url, "https://127.0.0.1%s", path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, toy_take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &r);
    r.code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &r.status);
    return r;
}

static inline toy_reply toy_get(const toy *t, const char *who, const char *path)
{
    CURL *curl = toy_client(t, who);
    toy_reply r = toy_do(curl, path);
    curl_easy_cleanup(curl);
    return r;
}

/* A TLS connection on which the test says every byte; NULL where there is none to be had. */
static inline CURL *toy_raw_where(const toy *t)
{
    CURL *curl = toy_client(t, "alice");
    curl_easy_setopt(curl, CURLOPT_URL, "https://127.0.0.1/");
    curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    if (curl_easy_perform(curl) == CURLE_OK)
        return curl;
    curl_easy_cleanup(curl);
    return NULL;
}

static inline CURL *toy_raw(const toy *t)
{
    CURL *curl = toy_raw_where(t);
    cr_assert_not_null(curl);
    return curl;
}

static inline int toy_socket(CURL *curl)
{
    curl_socket_t fd = -1;
    curl_easy_getinfo(curl, CURLINFO_ACTIVESOCKET, &fd);
    return fd;
}

/* Returns the bytes that went out before the server closed the connection. */
static inline size_t toy_send(CURL *curl, const char *bytes, size_t count)
{
    size_t sent = 0;
    while (sent < count) {
        size_t n = 0;
        CURLcode code = curl_easy_send(curl, bytes + sent, count - sent, &n);
        if (code == CURLE_AGAIN)
            poll(&(struct pollfd){.fd = toy_socket(curl), .events = POLLOUT}, 1, 1000);
        else if (code != CURLE_OK)
            break;
        sent += n;
    }
    return sent;
}

static inline void toy_tell(CURL *curl, const char *text)
{
    toy_send(curl, text, strlen(text));
}

/* Receives until the text has appeared (NULL: until the server closes), at most size - 1 bytes and TOY_PATIENCE. */
static inline const char *toy_receive(CURL *curl, char *text, size_t size, const char *until)
{
    size_t count = 0;
    double end = toy_now() + TOY_PATIENCE;
    text[0] = '\0';
    while (count < size - 1 && toy_now() < end && (until == NULL || strstr(text, until) == NULL)) {
        size_t n = 0;
        CURLcode code = curl_easy_recv(curl, text + count, size - 1 - count, &n);
        if (code == CURLE_AGAIN) {
            poll(&(struct pollfd){.fd = toy_socket(curl), .events = POLLIN}, 1, 1000);
            continue;
        }
        if (code != CURLE_OK || n == 0)
            return text;
        count += n;
        text[count] = '\0';
    }
    cr_expect(toy_now() < end, "waited in vain for %s, got: %s", until == NULL ? "the end" : until, text);
    return text;
}

/* Goes away without a word: the kernel sends a reset. */
static inline void toy_vanish(CURL *curl)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int fd = dup(toy_socket(curl));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    connect(fd, &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(struct sockaddr)); /* reset now */
    close(fd);
    curl_easy_cleanup(curl);
}

#endif
