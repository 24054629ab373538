/* What the server adds to TLS itself: file answers and uploads through it, against a bare mbedTLS loop that
 * does nothing else, on the same suite, sockets and libcurl clients. Ratios near 1 mean that the time goes
 * into encryption, and that is the only part worth making faster. */
#include <curl/curl.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit/tls_files.h"
#include "bench.h"
#include "https/server.h"
#include "https/tls.h"

#define BODY ((size_t)100 << 20)
#define MOST_CLIENTS 2
#define RUNS 3
#define HANDSHAKES 200

static void demand(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "bench_tls: %s\n", what);
        abort();
    }
}

/* ---- the bare loop: one blocking thread per connection ---- */

typedef struct bare {
    int listener;
    unsigned port;
    int file;
} bare;

static const char answer_head[] = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n";

static void bare_send(rd_tls_session *s, const char *bytes, size_t count)
{
    for (size_t sent = 0, n; sent < count; sent += n)
        demand(rd_tls_write(s, bytes + sent, count - sent, &n) == RD_TLS_OK, "bare write");
}

static void *bare_serve(void *user)
{
    bare *b = user;
    rd_error err;
    rd_tls *tls;
    rd_tls_session *s;
    char *buffer = malloc(RD_TLS_RECORD + 1);
    int on = 1, fd = accept(b->listener, NULL, NULL);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    demand(
        rd_tls_create(&(rd_credential_files){tls_file("ca.pem"), tls_file("server.pem"), tls_file("server.key"), NULL},
                      &tls, &err) == RD_OK,
        err.message);
    demand(rd_tls_session_open(tls, fd, &s, &err) == RD_OK, err.message);
    demand(rd_tls_handshake(s, &err) == RD_TLS_OK, err.message);
    size_t n = 0;
    demand(rd_tls_read(s, buffer, RD_TLS_RECORD, &n) == RD_TLS_OK, "bare read");
    buffer[n] = '\0';
    if (buffer[0] == 'G') {
        bare_send(s, buffer, (size_t)snprintf(buffer, RD_TLS_RECORD, answer_head, BODY));
        for (size_t sent = 0; sent < BODY; sent += n) {
            n = (size_t)pread(b->file, buffer, RD_TLS_RECORD, (off_t)sent);
            bare_send(s, buffer, n);
        }
    } else {
        char *body = strstr(buffer, "\r\n\r\n");
        demand(body != NULL, "bare head");
        for (size_t got = n - (size_t)(body + 4 - buffer); got < BODY; got += n)
            demand(rd_tls_read(s, buffer, RD_TLS_RECORD, &n) == RD_TLS_OK, "bare read");
        bare_send(s, buffer, (size_t)snprintf(buffer, RD_TLS_RECORD, answer_head, (size_t)0));
    }
    rd_tls_say_goodbye(s);
    rd_tls_session_close(s);
    rd_tls_free(tls);
    close(fd);
    free(buffer);
    return NULL;
}

static void bare_open(bare *b)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    b->listener = socket(AF_INET, SOCK_STREAM, 0);
    demand(bind(b->listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(b->listener, 8) == 0,
           "listen");
    getsockname(b->listener, (struct sockaddr *)&address, &length);
    b->port = ntohs(address.sin_port);
}

/* ---- the server with the least of applications ---- */

static void on_request(rd_exchange *x, void *app)
{
    const bare *b = app;
    if (strcmp(rd_exchange_path(x), "/hello") == 0)
        rd_exchange_reply(x, 200, "text/plain", "", "hello", 5);
    else if (rd_exchange_method(x)[0] == 'G')
        demand(rd_exchange_reply_file(x, 200, "application/octet-stream", "", b->file, 0, BODY), "a descriptor");
}

static void on_body(rd_exchange *x, const uint8_t *bytes, size_t count, void *app)
{
    (void)x, (void)bytes, (void)count, (void)app;
}

static void on_complete(rd_exchange *x, void *app)
{
    (void)app;
    rd_exchange_reply(x, 200, "text/plain", "", "", 0);
}

static void on_wake(rd_exchange *x, bool timed_out, void *app)
{
    (void)x, (void)timed_out, (void)app; /* nothing parks here */
}

static void on_close(rd_exchange *x, void *app)
{
    (void)x, (void)app;
}

static void on_disconnect(uint64_t tag, void *app)
{
    (void)tag;
    (void)app;
}

static void on_trouble(const char *peer, const char *what, void *app)
{
    (void)app;
    fprintf(stderr, "%s: %s\n", peer, what);
}

/* ---- clients ---- */

typedef struct client {
    unsigned port;
    const char *path;
    bool upload;
    size_t left; /* to be sent */
    size_t got;
    unsigned repeat;
    bool fresh; /* a connection for each request */
} client;

static size_t take(char *bytes, size_t one, size_t count, void *user)
{
    client *c = user;
    (void)bytes, (void)one;
    c->got += count;
    return count;
}

static size_t give(char *bytes, size_t one, size_t count, void *user)
{
    client *c = user;
    (void)one;
    size_t n = count < c->left ? count : c->left;
    memset(bytes, 7, n);
    c->left -= n;
    return n;
}

static void *run_client(void *user)
{
    client *c = user;
    char url[128];
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    snprintf(url, sizeof url, "https://127.0.0.1:%u%s", c->port, c->path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CAINFO, tls_file("ca.pem"));
    curl_easy_setopt(curl, CURLOPT_SSLCERT, tls_file("alice.pem"));
    curl_easy_setopt(curl, CURLOPT_SSLKEY, tls_file("alice.key"));
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 131072L);
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 131072L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, c->fresh ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    if (c->upload) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, give);
        curl_easy_setopt(curl, CURLOPT_READDATA, c);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)BODY);
    }
    for (unsigned i = 0; i < c->repeat; i++) {
        c->left = BODY;
        CURLcode code = curl_easy_perform(curl);
        demand(code == CURLE_OK, curl_easy_strerror(code));
    }
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    return NULL;
}

/* Seconds until all of count clients have done what model says. */
static double time_clients(const client *model, int count)
{
    pthread_t threads[MOST_CLIENTS];
    client clients[MOST_CLIENTS];
    double begin = now();
    for (int i = 0; i < count; i++) {
        clients[i] = *model;
        pthread_create(&threads[i], NULL, run_client, &clients[i]);
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return now() - begin;
}

static double time_bare(bare *b, const client *model, int count)
{
    pthread_t threads[MOST_CLIENTS];
    for (int i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, bare_serve, b);
    double seconds = time_clients(model, count);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return seconds;
}

/* Best of some runs, the two kinds by turns, so that a noisy moment hits both. */
static void compare(bare *b, unsigned server_port, bool upload, int clients)
{
    double best_bare = 1e9, best_server = 1e9;
    client to_bare = {.port = b->port, .path = "/", .upload = upload, .repeat = 1};
    client to_server = to_bare;
    to_server.port = server_port;
    for (int i = 0; i < RUNS; i++) {
        double bare_seconds = time_bare(b, &to_bare, clients);
        double server_seconds = time_clients(&to_server, clients);
        best_bare = bare_seconds < best_bare ? bare_seconds : best_bare;
        best_server = server_seconds < best_server ? server_seconds : best_server;
    }
    double megabytes = (double)clients * (double)BODY / 1e6;
    printf("%-12s %d client%s  bare mbedTLS %5.0f MB/s   server %5.0f MB/s   ratio %.2f\n",
           upload ? "upload" : "file answer", clients, clients == 1 ? " " : "s", megabytes / best_bare,
           megabytes / best_server, best_bare / best_server);
}

int main(void)
{
    bare b = {.listener = -1};
    rd_server *server;
    rd_error err;
    curl_global_init(CURL_GLOBAL_ALL);
    demand(tls_files_make() == 0, "certificates");
    char path[] = "/tmp/rondo-bench-XXXXXX";
    b.file = mkstemp(path);
    unlink(path);
    char *block = calloc(1, 1 << 20);
    for (size_t i = 0; i < BODY >> 20; i++)
        demand(write(b.file, block, 1 << 20) == 1 << 20, "temporary file");
    free(block);
    bare_open(&b);
    rd_server_app app = {on_request, on_body, on_complete, on_wake, on_close, on_disconnect, on_trouble, NULL, &b};
    rd_server_options options = {.listen = "127.0.0.1:0",
                                 .files.ca = tls_file("ca.pem"),
                                 .files.cert = tls_file("server.pem"),
                                 .files.key = tls_file("server.key"),
                                 .workers = 2};
    demand(rd_server_start(&options, &app, &server, &err) == RD_OK, err.message);

    for (int clients = 1; clients <= MOST_CLIENTS; clients++) {
        compare(&b, rd_server_port(server), false, clients);
        compare(&b, rd_server_port(server), true, clients);
    }
    client hello = {.port = rd_server_port(server), .path = "/hello", .repeat = HANDSHAKES, .fresh = true};
    double seconds = time_clients(&hello, MOST_CLIENTS);
    printf("connections  %.0f a second with a full handshake each\n", MOST_CLIENTS * HANDSHAKES / seconds);
    hello.fresh = false;
    hello.repeat = 20 * HANDSHAKES;
    seconds = time_clients(&hello, MOST_CLIENTS);
    printf("requests     %.0f a second on %d kept connections\n", MOST_CLIENTS * hello.repeat / seconds, MOST_CLIENTS);

    rd_server_stop(server, 1);
    close(b.listener);
    close(b.file);
    tls_files_remove();
    curl_global_cleanup();
    return 0;
}
