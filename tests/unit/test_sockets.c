/* The server's sockets as the system sees them: what they are allowed to wait for, who inherits them, how silence is found
 * out; and what is counted of the bytes that pass. */
#include <netinet/tcp.h>

#include "toy_files.h"

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    cr_assert_eq(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

/* Descriptors of this process whose socket has the server's port on its own side: the listener, and what it accepted. */
static size_t sockets_of(const toy *t, int fds[8])
{
    size_t count = 0;
    for (int fd = 3; fd < 1024 && count < 8; fd++) {
        struct sockaddr_in address = {0};
        socklen_t size = sizeof address;
        if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 && address.sin_family == AF_INET &&
            ntohs(address.sin_port) == rd_server_port(t->server))
            fds[count++] = fd;
    }
    return count;
}

Test(sockets, none_blocks_or_goes_on_to_other_programs)
{
    toy t;
    int fds[8], listeners = 0, accepted = 0;
    toy_start(&t, NULL);
    CURL *one = toy_raw(&t), *two = toy_raw(&t);
    const size_t count = sockets_of(&t, fds);
    cr_assert_eq(count, 3);
    for (size_t i = 0; i < count; i++) {
        cr_expect((fcntl(fds[i], F_GETFL) & O_NONBLOCK) != 0);
        cr_expect((fcntl(fds[i], F_GETFD) & FD_CLOEXEC) != 0);
        if (option(fds[i], SOL_SOCKET, SO_ACCEPTCONN) != 0) {
            listeners++;
            cr_expect(option(fds[i], SOL_SOCKET, SO_REUSEADDR) != 0, "a restart does not wait for old connections");
            continue;
        }
        accepted++;
        cr_expect(option(fds[i], IPPROTO_TCP, TCP_NODELAY) != 0);
        cr_expect(option(fds[i], SOL_SOCKET, SO_KEEPALIVE) != 0);
        cr_expect_eq(option(fds[i], IPPROTO_TCP, TCP_KEEPIDLE), 15, "a machine that is gone is noticed after 15 s ...");
        cr_expect_eq(option(fds[i], IPPROTO_TCP, TCP_KEEPINTVL), 5, "... and three questions");
        cr_expect_eq(option(fds[i], IPPROTO_TCP, TCP_KEEPCNT), 3);
    }
    cr_expect(listeners == 1 && accepted == 2);
    curl_easy_cleanup(one);
    curl_easy_cleanup(two);
    toy_stop(&t);
}

Test(sockets, bodies_are_counted_to_the_byte)
{
    toy t;
    uint64_t in = 99, out = 99;
    toy_start(&t, NULL);
    rd_server_traffic(t.server, &in, &out);
    cr_expect(in == 0 && out == 0);
    CURL *curl = toy_client(&t, "alice");
    static char body[5003];
    memset(body, 'x', sizeof body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)sizeof body);
    const toy_reply up = toy_do(curl, "/count");
    cr_assert_eq(up.status, 200);
    rd_server_traffic(t.server, &in, &out);
    cr_expect_eq(in, sizeof body);
    cr_expect_eq(out, up.size);
    curl_easy_cleanup(curl);
    const toy_reply down = toy_get(&t, "bob", "/file?5,70001");
    cr_assert_eq(down.size, 70001);
    rd_server_traffic(t.server, &in, &out);
    cr_expect_eq(in, sizeof body);
    cr_expect_eq(out, up.size + 70001);
    toy_stop(&t);
}
