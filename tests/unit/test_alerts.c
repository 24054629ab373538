/* How handshakes end that the client ends: what it says in an alert (RFC 8446, section 6) the operator reads, and one who
 * goes away without a word is let go at once. The ClientHello is one of openssl's; all that follows it is said by hand. */
#include <errno.h>
#include <sys/wait.h>

#include "toy_files.h"

static int connect_to(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    const struct timeval patience = {.tv_sec = TOY_PATIENCE};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

/* What openssl says first to a server: one record. */
static size_t record_hello(uint8_t *hello, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    char where[40];
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 1) == 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    (void)snprintf(where, sizeof where, "127.0.0.1:%u", ntohs(address.sin_port));
    pid_t pid = fork();
    if (pid == 0) {
        dup2(open("/dev/null", O_RDWR), STDIN_FILENO);
        dup2(STDIN_FILENO, STDOUT_FILENO);
        dup2(STDIN_FILENO, STDERR_FILENO);
        execlp("openssl", "openssl", "s_client", "-tls1_2", "-connect", where, (char *)NULL);
        _exit(127);
    }
    int fd = accept(listener, NULL, NULL);
    size_t count = 0, wanted = 5;
    while (count < wanted && wanted <= size) {
        ssize_t n = recv(fd, hello + count, wanted - count, 0);
        cr_assert_gt(n, 0);
        count += (size_t)n;
        if (count == 5)
            wanted = 5 + ((size_t)hello[3] << 8 | hello[4]);
    }
    cr_assert(hello[0] == 0x16 && count == wanted);
    close(fd);
    close(listener);
    waitpid(pid, NULL, 0);
    return count;
}

/* Reads until the server has nothing more to say and has closed; false: it did not within TOY_PATIENCE. */
static bool is_closed(int fd)
{
    char heard[4096];
    ssize_t n;
    do
        n = recv(fd, heard, sizeof heard, 0);
    while (n > 0);
    return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static rd_server_options patient(void)
{
    rd_server_options options = toy_options();
    options.idle_seconds = 20 * TOY_PATIENCE; /* nobody is let go because time has passed */
    return options;
}

Test(alerts, are_told_in_words)
{
    static const struct {
        uint8_t code;
        const char *words;
    } cases[] = {
        {40, "the client ended it with alert 40, handshake_failure\n"},
        {42, "alert 42, bad_certificate: it does not accept this aggregator's certificate\n"},
        {45, "alert 45, certificate_expired: this aggregator's certificate, or the client's clock\n"},
        {46, "alert 46, certificate_unknown: it does not accept this aggregator's certificate\n"},
        {48, "alert 48, unknown_ca: it was given another CA than the one that signed this aggregator's certificate\n"},
        {70, "alert 70, protocol_version\n"},
        {80, "alert 80, internal_error\n"},
        {43, "the client ended it with alert 43\n"}};
    static uint8_t hello[4096];
    rd_server_options options = patient();
    toy t;
    const size_t count = record_hello(hello, sizeof hello);
    toy_start(&t, &options);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint8_t alert[] = {21, 3, 3, 0, 2, 2, cases[i].code};
        int fd = connect_to(rd_server_port(t.server));
        cr_assert_eq(send(fd, hello, count, MSG_NOSIGNAL), (ssize_t)count);
        cr_assert_eq(recv(fd, (char[1]){0}, 1, 0), 1, "the server has answered");
        cr_assert_eq(send(fd, alert, sizeof alert, MSG_NOSIGNAL), (ssize_t)sizeof alert);
        cr_expect(is_closed(fd), "alert %u", cases[i].code);
        close(fd);
        toy_wait_for(toy_heard(&t, cases[i].words));
    }
    cr_expect_eq(t.opened, 0);
    toy_stop(&t);
}

Test(alerts, who_goes_away_is_let_go_at_once)
{
    static uint8_t hello[4096];
    rd_server_options options = patient();
    toy t;
    const size_t count = record_hello(hello, sizeof hello), parts[] = {0, 1, 5, 60, count};
    toy_start(&t, &options);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int fd = connect_to(rd_server_port(t.server));
        cr_assert_eq(send(fd, hello, parts[i], MSG_NOSIGNAL), (ssize_t)parts[i]);
        if (parts[i] == count)
            cr_assert_eq(recv(fd, (char[1]){0}, 1, 0), 1);
        cr_assert_eq(shutdown(fd, SHUT_WR), 0);
        cr_expect(is_closed(fd), "after %zu bytes", parts[i]);
        close(fd);
    }
    toy_stop(&t);
}
