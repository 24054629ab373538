/* Requests and answers over real TLS on loopback; handshakes are in test_tls.c. */
#include <sys/resource.h>

#include "toy_files.h"

/* At least so long, and not much longer; a busy machine must not fail the test. */
static void expect_seconds(double begin, double least)
{
    double seconds = toy_now() - begin;
    cr_expect(seconds >= least && seconds < least + 20, "%g s instead of %g s", seconds, least);
}

/* toy_on_body's sum over count bytes that are all 'x'. */
static void describe_upload(uint64_t count, char *text, size_t size)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++)
        sum = sum * 31 + 'x';
    snprintf(text, size, "%llu %llu", (unsigned long long)count, (unsigned long long)sum);
}

static size_t give_x(char *bytes, size_t one, size_t count, void *user)
{
    uint64_t *left = user;
    (void)one;
    if (count > *left)
        count = *left;
    memset(bytes, 'x', count);
    *left -= count;
    return count;
}

/* Posts count bytes; chunked: without saying how many they will be. */
static toy_reply post(CURL *curl, const char *path, uint64_t count, bool chunked)
{
    uint64_t left = count;
    struct curl_slist *headers = chunked ? curl_slist_append(NULL, "Transfer-Encoding: chunked") : NULL;
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_x);
    curl_easy_setopt(curl, CURLOPT_READDATA, &left);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, chunked ? (curl_off_t)-1 : (curl_off_t)count);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    toy_reply r = toy_do(curl, path);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    curl_slist_free_all(headers);
    return r;
}

Test(server, answers_and_keeps_the_connection)
{
    toy t;
    toy_start(&t, NULL);
    CURL *alice = toy_client(&t, "alice");
    long connections = -1;
    for (int i = 0; i < 3; i++) {
        toy_reply r = toy_do(alice, "/hello?a=b#c");
        cr_assert_eq(r.code, CURLE_OK);
        cr_expect_eq(r.status, 200);
        cr_expect_str_eq(r.text, "GET alice a=b");
        curl_easy_getinfo(alice, CURLINFO_NUM_CONNECTS, &connections);
        cr_expect_eq(connections, i == 0 ? 1 : 0);
    }
    cr_expect_eq(toy_do(alice, "/nothing").status, 204);
    cr_expect_eq(toy_do(alice, "/forgotten").status, 500);
    curl_easy_setopt(alice, CURLOPT_NOBODY, 1L);
    toy_reply r = toy_do(alice, "/hello");
    cr_expect_eq(r.status, 200);
    cr_expect_eq(r.size, 0);
    curl_easy_cleanup(alice);
    toy_stop(&t);
}

Test(server, sends_files_and_long_answers_byte_for_byte)
{
    static const struct {
        const char *path;
        uint64_t first, size;
    } cases[] = {{"/file", 0, TOY_FILE_SIZE},   {"/big", 0, TOY_FILE_SIZE},     {"/file?0,1", 0, 1},
                 {"/file?5,0", 5, 0},           {"/file?1,16384", 1, 16384},    {"/file?16384,16300", 16384, 16300},
                 {"/file?999999,4", 999999, 4}, {"/file?77,500000", 77, 500000}};
    toy t;
    toy_start(&t, NULL);
    CURL *alice = toy_client(&t, "alice");
    uint64_t total = 0, in, out;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char url[128];
        toy_reply r = {.as_filed = true, .first = cases[i].first};
        snprintf(url, sizeof url, "https://127.0.0.1%s", cases[i].path);
        curl_easy_setopt(alice, CURLOPT_URL, url);
        curl_easy_setopt(alice, CURLOPT_WRITEFUNCTION, toy_take);
        curl_easy_setopt(alice, CURLOPT_WRITEDATA, &r);
        cr_assert_eq(curl_easy_perform(alice), CURLE_OK, "%s", cases[i].path);
        cr_expect_eq(r.size, cases[i].size, "%s", cases[i].path);
        cr_expect(r.as_filed, "%s", cases[i].path);
        total += cases[i].size;
    }
    rd_server_traffic(t.server, &in, &out);
    cr_expect_eq(in, 0);
    cr_expect_eq(out, total);
    /* A file shorter than promised: the client must not take it for a whole answer. */
    cr_expect_eq(toy_do(alice, "/file?900000,200000").code, CURLE_PARTIAL_FILE);
    cr_expect(toy_heard(&t, "ended early"));
    curl_easy_cleanup(alice);
    toy_stop(&t);
}

Test(server, takes_bodies_of_both_kinds)
{
    static const uint64_t sizes[] = {1, 1000, 16384, 16385, 1048577, 5000001};
    toy t;
    toy_start(&t, NULL);
    CURL *alice = toy_client(&t, "alice");
    uint64_t total = 0, in, out;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char expected[64];
        describe_upload(sizes[i], expected, sizeof expected);
        toy_reply plain = post(alice, "/sum", sizes[i], false), chunked = post(alice, "/sum", sizes[i], true);
        cr_expect_str_eq(plain.text, expected);
        cr_expect_str_eq(chunked.text, expected);
        total += 2 * sizes[i];
    }
    rd_server_traffic(t.server, &in, &out);
    cr_expect_eq(in, total);
    curl_easy_cleanup(alice);
    toy_stop(&t);
}

static size_t resident_bytes(void)
{
    size_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    cr_assert_eq(fscanf(f, "%*s %zu", &pages), 1);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

Test(server, large_uploads_need_no_memory)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    cr_skip_test("sanitizers keep freed memory");
#endif
    toy t;
    toy_start(&t, NULL);
    CURL *alice = toy_client(&t, "alice");
    cr_assert_eq(post(alice, "/sum", 1000000, false).status, 200);
    size_t before = resident_bytes();
    cr_assert_eq(post(alice, "/sum", 100000000, false).status, 200);
    cr_expect_lt(resident_bytes(), before + 2000000);
    curl_easy_cleanup(alice);
    toy_stop(&t);
}

Test(server, early_answers_reach_the_client)
{
    toy t;
    toy_start(&t, NULL);
    CURL *alice = toy_client(&t, "alice");
    /* Small: the rest is dropped and the connection kept. Large: closed, but the answer is read first. */
    toy_reply r = post(alice, "/early", 500000, false);
    cr_expect_eq(r.status, 413);
    cr_expect_str_eq(r.text, "too large");
    cr_expect_eq(post(alice, "/early", 3000000, true).status, 413);
    cr_expect_eq(post(alice, "/midway", 20000000, false).status, 422);
    cr_expect_eq(post(alice, "/midway", 20000000, true).status, 422);
    cr_expect_eq(post(alice, "/midway", 120000, false).status, 422);
    cr_expect_eq(toy_do(alice, "/hello").status, 200);
    curl_easy_cleanup(alice);

    /* One that hears nothing before it has said all: the answer has to survive 8 MB of unwanted body. */
    CURL *deaf = toy_raw(&t);
    char text[1024], *body = calloc(1, 8000000);
    const char *head = "POST /early HTTP/1.1\r\nContent-Length: 8000000\r\n\r\n";
    toy_tell(deaf, head);
    cr_expect_eq(toy_send(deaf, body, 8000000), 8000000);
    toy_receive(deaf, text, sizeof text, NULL);
    cr_expect_not_null(strstr(text, "413 Payload Too Large"), "%s", text);
    cr_expect_not_null(strstr(text, "Connection: close"));
    curl_easy_cleanup(deaf);
    free(body);
    toy_stop(&t);
}

Test(server, says_continue_only_to_those_who_wait_for_it)
{
    static const char head[] = "POST %s HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n%s";
    char text[1024], request[256];
    toy t;
    toy_start(&t, NULL);
    CURL *c = toy_raw(&t);
    snprintf(request, sizeof request, head, "/sum", "");
    toy_tell(c, request);
    cr_expect_str_eq(toy_receive(c, text, sizeof text, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    toy_tell(c, "xxx");
    toy_receive(c, text, sizeof text, "3 ");
    cr_expect_not_null(strstr(text, "HTTP/1.1 200 OK\r\nServer: rondo/1.0.0\r\n"), "%s", text);
    snprintf(request, sizeof request, head, "/sum", "xxx");
    toy_tell(c, request);
    cr_expect_null(strstr(toy_receive(c, text, sizeof text, "3 "), "100 Continue"));
    snprintf(request, sizeof request, head, "/early", "");
    toy_tell(c, request);
    toy_receive(c, text, sizeof text, NULL);
    cr_expect_null(strstr(text, "100 Continue"));
    cr_expect_not_null(strstr(text, "413 "));
    cr_expect_not_null(strstr(text, "Connection: close"), "nobody could tell the body from a request");
    curl_easy_cleanup(c);
    toy_stop(&t);
}

Test(server, pipelined_requests_are_answered_in_order)
{
    static const char requests[] = "GET /hello?1 HTTP/1.1\r\n\r\nGET /park?150 HTTP/1.1\r\n\r\n"
                                   "POST /sum HTTP/1.1\r\nContent-Length: 2\r\n\r\nxx"
                                   "GET /file?0,40000 HTTP/1.1\r\n\r\n"
                                   "POST /early HTTP/1.1\r\nContent-Length: 4\r\n\r\nxxxx"
                                   "GET /hello?2 HTTP/1.1\r\nConnection: close\r\n\r\nGET /hello?3 HTTP/1.1\r\n\r\n";
    static const char *const in_order[] = {"GET alice 1",           "timed out", "2 3840",
                                           "Content-Length: 40000", "too large", "GET alice 2"};
    static char text[65536];
    toy t;
    toy_start(&t, NULL);
    CURL *c = toy_raw(&t);
    toy_send(c, requests, sizeof requests - 1);
    size_t size = sizeof text - 1, count = 0, n;
    for (CURLcode code = CURLE_OK; (code == CURLE_OK && (count == 0 || n > 0)) || code == CURLE_AGAIN; count += n) {
        n = 0;
        if (code == CURLE_AGAIN)
            poll(&(struct pollfd){.fd = toy_socket(c), .events = POLLIN}, 1, 1000);
        code = curl_easy_recv(c, text + count, size - count, &n);
    }
    size_t at = 0;
    for (size_t i = 0; i < sizeof in_order / sizeof in_order[0]; i++) {
        const char *found = memmem(text + at, count - at, in_order[i], strlen(in_order[i]));
        cr_assert_not_null(found, "%s", in_order[i]);
        at = (size_t)(found - text);
    }
    cr_expect_null(memmem(text, count, "alice 3", 7));
    curl_easy_cleanup(c);
    toy_stop(&t);
}

Test(server, parked_requests_are_woken_or_timed_out)
{
    toy t;
    toy_start(&t, NULL);
    double begin = toy_now();
    toy_reply late = toy_get(&t, "alice", "/park?200");
    cr_expect_eq(late.status, 408);
    expect_seconds(begin, 0.2);

    CURL *one = toy_raw(&t), *two = toy_raw(&t), *three = toy_raw(&t);
    char text[512];
    toy_tell(one, "GET /park?60000 HTTP/1.1\r\n\r\n");
    toy_tell(two, "POST /park-late HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
    toy_tell(three, "GET /park?500&stubborn HTTP/1.1\r\n\r\n");
    toy_wait_for(t.parked == 3);
    rd_server_wake(t.server);
    cr_expect_not_null(strstr(toy_receive(one, text, sizeof text, "woken"), "200 OK"));
    cr_expect_not_null(strstr(toy_receive(two, text, sizeof text, "woken"), "200 OK"));
    cr_expect_not_null(strstr(toy_receive(three, text, sizeof text, "timed out"), "408 "));
    curl_easy_cleanup(one);
    curl_easy_cleanup(two);
    curl_easy_cleanup(three);
    toy_stop(&t);
}

Test(server, notices_when_clients_vanish)
{
    static char junk[300000];
    toy t;
    toy_start(&t, NULL);
    /* While parked: politely, without a word, and with something said too early. */
    CURL *c = toy_raw(&t);
    toy_tell(c, "GET /park?60000 HTTP/1.1\r\n\r\n");
    toy_wait_for(t.opened == 1);
    curl_easy_cleanup(c);
    toy_wait_for(t.closed == 1);
    c = toy_raw(&t);
    toy_tell(c, "GET /park?60000 HTTP/1.1\r\n\r\n");
    toy_wait_for(t.opened == 2);
    toy_vanish(c);
    toy_wait_for(t.closed == 2);
    c = toy_raw(&t);
    toy_tell(c, "GET /park?60000 HTTP/1.1\r\n\r\nGET /hello HTTP/1.1\r\n\r\n");
    toy_wait_for(t.opened == 3);
    toy_vanish(c);
    toy_wait_for(t.closed == 3);
    /* In the middle of an upload, and of a download that nobody takes. */
    c = toy_raw(&t);
    toy_tell(c, "POST /sum HTTP/1.1\r\nContent-Length: 400000\r\n\r\n");
    toy_send(c, junk, sizeof junk);
    toy_wait_for(t.body_bytes == sizeof junk);
    toy_vanish(c);
    toy_wait_for(t.closed == 4);
    cr_expect_eq(t.completed, 0);
    c = toy_raw(&t);
    for (int i = 0; i < 40; i++)
        toy_tell(c, "GET /file HTTP/1.1\r\n\r\n");
    toy_wait_for(t.opened >= 5);
    usleep(100000);
    cr_expect_lt(t.opened, 40, "the answers were meant to be too many for the socket's buffers");
    toy_vanish(c);
    toy_wait_for(t.closed == t.opened);
    toy_stop(&t);
}

Test(server, refuses_what_is_not_http)
{
    static const struct {
        const char *request, *status;
    } cases[] = {{"NONSENSE / HTTP/1.1\r\n\r\n", "400 Bad Request"},
                 {"GET / HTTP/2.0\r\n\r\n", "505 HTTP Version Not Supported"},
                 {"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", "400 Bad Request"},
                 {"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400 Bad Request"},
                 {"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400 Bad Request"},
                 {"POST /sum HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400 Bad Request"},
                 {"POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: wonders\r\n\r\n", "417 Expectation Failed"},
                 {"CONNECT a:1 HTTP/1.1\r\n\r\n", "405 Method Not Allowed"}};
    char text[1024];
    toy t;
    toy_start(&t, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CURL *c = toy_raw(&t);
        toy_tell(c, cases[i].request);
        toy_receive(c, text, sizeof text, NULL);
        cr_expect_not_null(strstr(text, cases[i].status), "%s -> %s", cases[i].request, text);
        cr_expect_not_null(strstr(text, "{\"error\": \"format\", \"message\": "), "%s", text);
        curl_easy_cleanup(c);
    }
    CURL *c = toy_raw(&t);
    char *head = malloc(20000);
    int n = snprintf(head, 20000, "GET /header HTTP/1.1\r\nX-Test: %016000d\r\n", 7);
    toy_send(c, head, (size_t)n);
    toy_tell(c, "\r\n");
    toy_receive(c, text, sizeof text, "00");
    cr_expect_not_null(strstr(text, "200 OK"), "%s", text);
    curl_easy_cleanup(c);
    c = toy_raw(&t);
    memset(head, 'a', 20000);
    memcpy(head, "GET /", 5);
    toy_send(c, head, 20000);
    toy_receive(c, text, sizeof text, NULL);
    cr_expect_not_null(strstr(text, "431 Request Header Fields Too Large"), "%s", text);
    free(head);
    curl_easy_cleanup(c);
    cr_expect(toy_heard(&t, "'alice' sent a request that cannot be taken"));
    toy_stop(&t);
}

Test(server, closes_the_slow_and_the_silent)
{
    char text[256];
    toy t;
    rd_server_options options = toy_options();
    options.idle_seconds = 1;
    options.keep_alive_seconds = 2;
    toy_start(&t, &options);
    double begin = toy_now(); /* before the first is silent: handshakes take their time, too */
    CURL *slow_head = toy_raw(&t), *slow_body = toy_raw(&t), *silent = toy_raw(&t), *deaf = toy_raw(&t);
    toy_tell(slow_head, "GET /hel");
    toy_tell(slow_body, "POST /sum HTTP/1.1\r\nContent-Length: 9\r\n\r\nxx");
    for (int i = 0; i < 20; i++)
        toy_tell(deaf, "GET /file HTTP/1.1\r\n\r\n");
    cr_expect_str_eq(toy_receive(slow_head, text, sizeof text, NULL), "");
    cr_expect_str_eq(toy_receive(slow_body, text, sizeof text, NULL), "");
    expect_seconds(begin, 0.7);
    cr_expect_str_eq(toy_receive(silent, text, sizeof text, NULL), "");
    expect_seconds(begin, 1.7);
    cr_expect(toy_heard(&t, "'alice' sent nothing for 1 s in the middle of a request"));
    toy_wait_for(toy_heard(&t, "'alice' took nothing of its answer for 1 s"));
    curl_easy_cleanup(slow_head);
    curl_easy_cleanup(slow_body);
    curl_easy_cleanup(silent);
    curl_easy_cleanup(deaf);
    toy_stop(&t);
}

/* Says the text a byte at a time. False: the server closed the connection before the end. */
static bool dribble(CURL *c, const char *text, unsigned pause_us)
{
    char heard[64];
    size_t n;
    for (; *text != '\0'; text++) {
        if (toy_send(c, text, 1) < 1)
            return false;
        usleep(pause_us);
        if (curl_easy_recv(c, heard, sizeof heard, &n) != CURLE_AGAIN)
            return n > 0;
    }
    return true;
}

/* A byte every 0.2 s is never silent for a second; four seconds of it are too long for a head, and for so few bytes. */
Test(server, closes_who_is_never_silent_and_never_done)
{
    static const struct {
        const char *begin, *rest;
    } cases[] = {{"", "GET /hello?0123456789"},
                 {"POST /sum HTTP/1.1\r\nContent-Length: 99\r\n\r\n", "xxxxxxxxxxxxxxxxxxxx"},
                 {"POST /sum HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X-Trailer: 0123456789"}};
    toy t;
    rd_server_options options = toy_options();
    options.idle_seconds = 1;
    toy_start(&t, &options);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CURL *c = toy_raw(&t);
        toy_tell(c, cases[i].begin);
        cr_expect_not(dribble(c, cases[i].rest, 200000), "%s", cases[i].begin);
        toy_wait_for(toy_heard(&t, "'alice' is too slow in the middle of a request"));
        t.troubles[0] = '\0';
        curl_easy_cleanup(c);
    }
    toy_stop(&t);
}

/* 1 KB/s both ways, for longer than a head may take. */
Test(server, bears_with_slow_links)
{
    char text[512], kilobyte[1024];
    toy t;
    rd_server_options options = toy_options();
    options.idle_seconds = 2;
    toy_start(&t, &options);
    CURL *c = toy_raw(&t);
    memset(kilobyte, 'x', sizeof kilobyte);
    toy_tell(c, "POST /sum HTTP/1.1\r\nContent-Length: 5120\r\n\r\n");
    for (int i = 0; i < 5; i++) {
        usleep(900000);
        cr_expect_eq(toy_send(c, kilobyte, sizeof kilobyte), sizeof kilobyte);
    }
    toy_receive(c, text, sizeof text, "\r\n\r\n5120 ");
    cr_expect_not_null(strstr(text, "200 OK"), "%s", text);
    cr_expect_str_eq(t.troubles, "");
    curl_easy_cleanup(c);
    toy_stop(&t);
}

/* The system takes more of a long answer only when a third of its buffers is empty, and this link needs longer for that
 * than silence may last. */
Test(server, hears_a_slow_link_emptying_the_buffers)
{
    static char piece[50000];
    toy t;
    rd_server_options options = toy_options();
    options.idle_seconds = 3;
    toy_start(&t, &options);
    CURL *c = toy_raw(&t);
    /* A large window would be opened again only when much of it is free, as it would not be on a slow link. */
    setsockopt(toy_socket(c), SOL_SOCKET, SO_RCVBUF, &(int){65536}, sizeof(int));
    for (int i = 0; i < 40; i++)
        toy_tell(c, "GET /file HTTP/1.1\r\n\r\n");
    for (double end = toy_now() + 7; toy_now() < end;) {
        for (size_t left = sizeof piece, n = 0; left > 0; left -= n)
            if (curl_easy_recv(c, piece, left, &n) != CURLE_OK || n == 0)
                break;
        usleep(500000);
    }
    cr_expect_str_eq(t.troubles, "");
    curl_easy_cleanup(c);
    toy_wait_for(t.opened == t.closed);
    toy_stop(&t);
}

Test(server, serves_two_hundred_at_once_and_shares_them_out)
{
    enum { CLIENTS = 200 };
    static CURL *clients[CLIENTS];
    char text[512];
    toy t;
    toy_start(&t, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = toy_raw(&t);
        toy_send(clients[i], "GET /park?60000 HTTP/1.1\r\n\r\n", 28);
        if (i == 9)
            toy_wait_for(toy_requests_of_worker(&t, 0) == 5 && toy_requests_of_worker(&t, 1) == 5);
    }
    toy_wait_for(t.parked == CLIENTS);
    cr_expect_eq(toy_requests_of_worker(&t, 0), CLIENTS / 2);
    for (int round = 0; round < 3; round++) {
        rd_server_wake(t.server);
        for (int i = 0; i < CLIENTS; i++)
            cr_expect_not_null(strstr(toy_receive(clients[i], text, sizeof text, "woken"), "200 OK"));
        for (int i = 0; i < CLIENTS; i++)
            toy_send(clients[i], "GET /park?60000 HTTP/1.1\r\n\r\n", 28);
        toy_wait_for(t.parked == CLIENTS);
    }
    for (int i = 0; i < CLIENTS; i++)
        curl_easy_cleanup(clients[i]);
    toy_wait_for(t.opened == t.closed);
    toy_stop(&t);
}

static void *upload_and_download(void *user)
{
    toy *t = user;
    char expected[64];
    describe_upload(300000, expected, sizeof expected);
    CURL *curl = toy_client(t, "bob");
    for (int i = 0; i < 5; i++) {
        toy_reply up = post(curl, "/sum", 300000, i % 2 == 0), down = toy_do(curl, "/file");
        cr_expect_str_eq(up.text, expected);
        cr_expect(down.code == CURLE_OK && down.size == TOY_FILE_SIZE && down.as_filed);
    }
    curl_easy_cleanup(curl);
    return NULL;
}

Test(server, serves_threads_of_clients)
{
    enum { THREADS = 16 };
    pthread_t threads[THREADS];
    toy t;
    toy_start(&t, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, upload_and_download, &t);
    for (int i = 0; i < 20; i++, usleep(10000))
        rd_server_wake(t.server);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_expect_eq(t.opened, THREADS * 10);
    toy_stop(&t);
}

static void *stop_server(void *user)
{
    toy *t = user;
    rd_server_stop(t->server, 5.0);
    return NULL;
}

Test(server, stop_finishes_what_is_under_way)
{
    char text[512];
    pthread_t stopper;
    toy t;
    toy_start(&t, NULL);
    CURL *idle = toy_raw(&t), *parked = toy_raw(&t), *sending = toy_raw(&t);
    toy_tell(parked, "GET /park?60000&stubborn HTTP/1.1\r\n\r\n");
    toy_tell(sending, "POST /sum HTTP/1.1\r\nContent-Length: 3\r\n\r\nxx");
    toy_wait_for(t.opened == 2);
    double begin = toy_now();
    pthread_create(&stopper, NULL, stop_server, &t);
    cr_expect_not_null(strstr(toy_receive(parked, text, sizeof text, NULL), "timed out"));
    cr_expect_str_eq(toy_receive(idle, text, sizeof text, NULL), "");
    usleep(100000);
    toy_tell(sending, "x");
    toy_receive(sending, text, sizeof text, NULL);
    cr_expect_not_null(strstr(text, "200 OK"));
    cr_expect_not_null(strstr(text, "Connection: close"));
    pthread_join(stopper, NULL);
    cr_expect_lt(toy_now() - begin, 4.5);
    cr_expect_eq(t.opened, t.closed);
    curl_easy_cleanup(idle);
    curl_easy_cleanup(parked);
    curl_easy_cleanup(sending);
    close(t.file);
}

Test(server, stop_waits_no_longer_than_its_grace)
{
    toy t;
    toy_start(&t, NULL);
    CURL *sending = toy_raw(&t);
    toy_tell(sending, "POST /sum HTTP/1.1\r\nContent-Length: 3\r\n\r\nxx");
    toy_wait_for(t.opened == 1);
    double begin = toy_now();
    rd_server_stop(t.server, 0.3);
    expect_seconds(begin, 0.3);
    cr_expect_eq(t.closed, 1);
    curl_easy_cleanup(sending);
    close(t.file);
}

/* The client's connection is there already; it is the file of the answer that has no descriptor. */
Test(server, says_when_a_file_cannot_be_sent_now)
{
    toy t;
    struct rlimit limit, none;
    toy_start(&t, NULL);
    CURL *alice = toy_client(&t, "alice");
    cr_expect_eq(toy_do(alice, "/hello").status, 200);
    getrlimit(RLIMIT_NOFILE, &limit);
    none = limit;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    toy_reply r = toy_do(alice, "/file");
    setrlimit(RLIMIT_NOFILE, &limit);
    cr_expect_eq(r.status, 503);
    cr_expect_str_eq(r.text, "no descriptor", "the application has its say");
    r = toy_do(alice, "/file");
    cr_expect_eq(r.status, 200);
    cr_expect_eq(r.size, TOY_FILE_SIZE);
    curl_easy_cleanup(alice);
    toy_stop(&t);
}

static const char hello[] = "GET /hello HTTP/1.1\r\n\r\n", join[] = "GET /join HTTP/1.1\r\n\r\n";

/* A connection on which this was asked and answered; NULL: it was closed. */
static CURL *asked(toy *t, const char *request)
{
    char text[512];
    CURL *c = toy_raw_where(t);
    if (c == NULL || toy_send(c, request, strlen(request)) != strlen(request) ||
        strstr(toy_receive(c, text, sizeof text, request == join ? "joined" : "alice"), "200 OK") == NULL) {
        curl_easy_cleanup(c);
        return NULL;
    }
    return c;
}

/* Ten have joined. Then others with certificates come, and stay: a quarter of all places is theirs, but at least 16. */
Test(server, keeps_room_for_those_who_have_joined)
{
    enum { JOINED = 10, GUESTS = 60 };
    CURL *joined[JOINED], *guests[GUESTS];
    char text[512];
    toy t;
    rd_server_options options = toy_options();
    options.workers = 1;
    options.max_connections = 40;
    options.door.per_address = 1000;
    toy_start(&t, &options);
    for (int i = 0; i < JOINED; i++)
        cr_assert_not_null(joined[i] = asked(&t, join));
    for (int i = 0; i < GUESTS; i++)
        cr_assert_not_null(guests[i] = asked(&t, hello), "guest %d", i);
    for (int i = 0; i < JOINED; i++) {
        toy_tell(joined[i], hello);
        cr_expect_not_null(strstr(toy_receive(joined[i], text, sizeof text, "alice"), "200 OK"), "joined %d", i);
    }
    cr_expect_str_eq(toy_receive(guests[0], text, sizeof text, NULL), "", "the oldest was closed");
    toy_tell(guests[GUESTS - 16], hello);
    cr_expect_not_null(strstr(toy_receive(guests[GUESTS - 16], text, sizeof text, "alice"), "200 OK"));
    cr_expect_str_eq(toy_receive(guests[GUESTS - 17], text, sizeof text, NULL), "", "16 have a place");
    toy_wait_for(toy_heard(&t, " of too many that have not joined (a quarter of --max-connections)"));
    for (int i = 0; i < JOINED; i++)
        curl_easy_cleanup(joined[i]);
    for (int i = 0; i < GUESTS; i++)
        curl_easy_cleanup(guests[i]);
    toy_stop(&t);
}

/* All places are taken, one of them by a guest: who comes then is closed, and has its place at another try. */
Test(server, makes_room_where_all_places_are_taken)
{
    enum { PLACES = 3 };
    CURL *held[PLACES], *more = NULL;
    char text[512];
    toy t;
    rd_server_options options = toy_options();
    options.max_connections = PLACES;
    toy_start(&t, &options);
    for (int i = 0; i < PLACES; i++)
        cr_assert_not_null(held[i] = asked(&t, i == 0 ? hello : join));
    toy_wait_for((more = asked(&t, join)) != NULL);
    cr_expect_str_eq(toy_receive(held[0], text, sizeof text, NULL), "", "the guest has made room");
    for (int i = 0; i < 3; i++)
        cr_expect_null(asked(&t, join), "nobody makes room who has joined");
    for (int i = 1; i < PLACES; i++) {
        toy_tell(held[i], hello);
        cr_expect_not_null(strstr(toy_receive(held[i], text, sizeof text, "alice"), "200 OK"));
    }
    for (int i = 0; i < PLACES; i++)
        curl_easy_cleanup(held[i]);
    curl_easy_cleanup(more);
    toy_stop(&t);
}

Test(server, limits_connections_and_survives_a_lack_of_descriptors)
{
    toy t;
    rd_server_options options = toy_options();
    options.max_connections = 2;
    toy_start(&t, &options);
    CURL *one = toy_raw(&t), *two = toy_raw(&t);
    cr_expect_neq(toy_get(&t, "alice", "/hello").code, CURLE_OK);
    cr_expect(toy_heard(&t, "too many connections"));
    curl_easy_cleanup(one);
    usleep(100000);
    /* The client's socket takes the last descriptor; the server has to wait for one, without spinning. */
    struct rlimit limit, tight;
    getrlimit(RLIMIT_NOFILE, &limit);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    tight = limit;
    tight.rlim_cur = (rlim_t)fd + 1;
    setrlimit(RLIMIT_NOFILE, &tight);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)rd_server_port(t.server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    clock_t before = clock();
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    toy_wait_for(toy_heard(&t, "new connections have to wait: Too many open files"));
    usleep(500000);
    cr_expect_lt(clock() - before, CLOCKS_PER_SEC / 4);
    setrlimit(RLIMIT_NOFILE, &limit);
    close(fd);
    toy_wait_for(toy_get(&t, "alice", "/hello").status == 200);
    curl_easy_cleanup(two);
    toy_stop(&t);
}
