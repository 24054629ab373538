/* What a server allows when nobody says how much, and what changes while it serves: its certificate. */
#include <errno.h>

#include "toy_files.h"

static int connect_to(const toy *t)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)rd_server_port(t->server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Has the server closed it? Waits for so many milliseconds. */
static bool is_closed(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) == 1 && recv(fd, (char[1]){0}, 1, MSG_DONTWAIT) <= 0;
}

/* Half of all connections are for one address, and 16 at least. */
Test(server_limits, an_address_has_half_of_all)
{
    static const struct {
        unsigned all, one;
    } cases[] = {{40, 20}, {33, 16}, {34, 17}, {20, 16}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fds[32];
        toy t;
        rd_server_options options = toy_options();
        options.max_connections = cases[i].all;
        options.idle_seconds = 20 * TOY_PATIENCE;
        toy_start(&t, &options);
        for (unsigned k = 0; k < cases[i].one; k++)
            fds[k] = connect_to(&t);
        const int more = connect_to(&t);
        cr_expect(is_closed(more, 1000 * TOY_PATIENCE), "of %u the one behind %u", cases[i].all, cases[i].one);
        close(more);
        toy_wait_for(toy_heard(&t, "of addresses with too many open (--connections-per-address)"));
        for (unsigned k = 0; k < cases[i].one; k++) {
            cr_expect_not(is_closed(fds[k], 0), "of %u number %u", cases[i].all, k + 1);
            close(fds[k]);
        }
        toy_stop(&t);
    }
}

/* 16 with one certificate; who is turned away keeps no other out. */
Test(server_limits, a_certificate_has_16)
{
    CURL *open[16];
    toy t;
    rd_server_options options = toy_options();
    options.door.per_client = 0;
    toy_start(&t, &options);
    for (size_t i = 0; i < 16; i++) {
        open[i] = toy_raw(&t);
        char text[512];
        toy_tell(open[i], "GET /hello HTTP/1.1\r\n\r\n");
        cr_assert_not_null(strstr(toy_receive(open[i], text, sizeof text, "GET alice"), "200 OK"), "%zu", i);
    }
    cr_expect_neq(toy_get(&t, "alice", "/hello").code, CURLE_OK);
    toy_wait_for(toy_heard(&t, "of clients with too many open (--connections-per-client)"));
    cr_expect_str_eq(toy_get(&t, "bob", "/hello").text, "GET bob ");
    curl_easy_cleanup(open[0]);
    double end = toy_now() + TOY_PATIENCE; /* the server has to notice that it has gone */
    while (toy_get(&t, "alice", "/hello").status != 200 && toy_now() < end)
        usleep(10000);
    cr_expect_lt(toy_now(), end);
    for (size_t i = 1; i < 16; i++)
        curl_easy_cleanup(open[i]);
    toy_stop(&t);
}

/* ---- another certificate ---- */

static void run(const char *format, const char *a, const char *b)
{
    char command[1024];
    (void)snprintf(command, sizeof command, format, a, b);
    cr_assert_eq(system(command), 0, "%s", command);
}

/* The end of the certificate that a new connection is shown, as openssl prints it. */
static const char *shown(const toy *t, char text[128])
{
    char command[1024];
    (void)snprintf(
        command, sizeof command,
        "openssl s_client -connect 127.0.0.1:%u -cert %s -key %s </dev/null 2>/dev/null | openssl x509 -noout "
        "-enddate",
        rd_server_port(t->server), tls_file("alice.pem"), tls_file("alice.key"));
    FILE *f = popen(command, "r");
    cr_assert_not_null(fgets(text, 128, f));
    pclose(f);
    return text;
}

Test(server_limits, new_connections_get_the_new_certificate_and_old_ones_go_on)
{
    char cert[128], before[128], after[128];
    double not_after = 0;
    toy t;
    rd_error err;
    rd_server_options options = toy_options();
    (void)snprintf(cert, sizeof cert, "%s", tls_file("mine.pem"));
    run("cp %s %s", tls_file("server.pem"), cert);
    options.files.cert = cert;
    toy_start(&t, &options);
    const double first = rd_server_not_after(t.server);
    CURL *open[4];
    for (size_t i = 0; i < 4; i++) { /* on both workers */
        open[i] = toy_client(&t, "alice");
        cr_assert_eq(toy_do(open[i], "/hello").status, 200);
    }
    shown(&t, before);
    run("cd $(dirname %s) && openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 77 -days 20 "
        "-extfile "
        "any.ext -out %s 2>openssl.log",
        cert, cert);
    cr_assert_eq(rd_server_reload(t.server, &not_after, &err), RD_OK, "%s", err.message);
    cr_expect_eq(rd_server_not_after(t.server), not_after);
    cr_expect(not_after > first + 10.9 * 86400 && not_after < first + 11.1 * 86400, "20 days are 11 more than 9");
    double end = toy_now() + TOY_PATIENCE; /* each worker takes it when it has its next turn */
    int new_ones = 0;
    while (new_ones < 4 && toy_now() < end)
        new_ones = strcmp(shown(&t, after), before) != 0 ? new_ones + 1 : 0;
    cr_expect_eq(new_ones, 4);
    for (size_t i = 0; i < 4; i++) {
        long connects = 0;
        cr_expect_eq(toy_do(open[i], "/hello").status, 200);
        curl_easy_getinfo(open[i], CURLINFO_NUM_CONNECTS, &connects);
        cr_expect_eq(connects, 0, "it is the connection that was there");
        curl_easy_cleanup(open[i]);
    }
    run("echo %s >%s", "nothing", cert);
    cr_expect_eq(rd_server_reload(t.server, &not_after, &err), RD_ERR_CONFIG);
    cr_expect_str_eq(shown(&t, before), after, "what cannot be used changes nothing");
    toy_stop(&t);
}
