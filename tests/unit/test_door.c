/* Who is let in by counting, and what the log says of the others; time is what the test says it is. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "https/door.h"

static char said[4096];
static unsigned lines;

static void say(const char *peer, const char *what, void *user)
{
    (void)user;
    size_t used = strlen(said);
    snprintf(said + used, sizeof said - used, "%s: %s\n", peer, what);
    lines++;
}

static rd_door *door_of(unsigned per_address, unsigned per_client, unsigned rate)
{
    const rd_door_limits limits = {per_address, per_client, rate};
    rd_door *d;
    rd_error err;
    said[0] = '\0';
    lines = 0;
    cr_assert_eq(rd_door_create(&limits, say, NULL, &d, &err), RD_OK);
    return d;
}

static struct sockaddr_storage address_of(const char *text)
{
    struct sockaddr_storage a = {.ss_family = strchr(text, ':') == NULL ? AF_INET : AF_INET6};
    void *at = a.ss_family == AF_INET ? (void *)&((struct sockaddr_in *)&a)->sin_addr
                                      : (void *)&((struct sockaddr_in6 *)&a)->sin6_addr;
    cr_assert_eq(inet_pton(a.ss_family, text, at), 1);
    return a;
}

static rd_door_refusal enter(rd_door *d, const char *from, uint64_t now, uint32_t *place)
{
    struct sockaddr_storage address = address_of(from);
    return rd_door_enter(d, &address, now, place);
}

Test(door, counts_what_an_address_has_open)
{
    rd_door *d = door_of(2, 1, 1000);
    uint32_t first, second, other;
    cr_expect_eq(enter(d, "192.0.2.1", 0, &first), RD_DOOR_NONE);
    cr_expect_eq(enter(d, "::ffff:192.0.2.1", 0, &second), RD_DOOR_NONE);
    cr_expect_eq(enter(d, "192.0.2.1", 0, &other), RD_DOOR_ADDRESS_FULL);
    cr_expect_eq(enter(d, "192.0.2.2", 0, &other), RD_DOOR_NONE);
    rd_door_leave(d, first);
    cr_expect_eq(enter(d, "192.0.2.1", 0, &first), RD_DOOR_NONE);
    rd_door_free(d);
}

Test(door, takes_a_network_of_ipv6_for_one_address)
{
    rd_door *d = door_of(1, 1, 1000);
    uint32_t place;
    cr_expect_eq(enter(d, "2001:db8:0:1::1", 0, &place), RD_DOOR_NONE);
    cr_expect_eq(enter(d, "2001:db8:0:1:ffff::2", 0, &place), RD_DOOR_ADDRESS_FULL);
    cr_expect_eq(enter(d, "2001:db8:0:2::1", 0, &place), RD_DOOR_NONE);
    rd_door_free(d);
}

Test(door, counts_how_often_an_address_comes)
{
    rd_door *d = door_of(1000, 1, 2);
    uint32_t place;
    for (unsigned i = 0; i < 2 * RD_DOOR_BURST; i++)
        cr_expect_eq(enter(d, "192.0.2.1", 5000, &place), RD_DOOR_NONE);
    cr_expect_eq(enter(d, "192.0.2.1", 5000, &place), RD_DOOR_ADDRESS_FAST);
    cr_expect_eq(enter(d, "192.0.2.1", 5499, &place), RD_DOOR_ADDRESS_FAST);
    cr_expect_eq(enter(d, "192.0.2.1", 5500, &place), RD_DOOR_NONE);
    cr_expect_eq(enter(d, "192.0.2.1", 5500, &place), RD_DOOR_ADDRESS_FAST);
    cr_expect_eq(enter(d, "192.0.2.9", 5500, &place), RD_DOOR_NONE);
    rd_door_free(d);
}

static int compare(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static size_t count_different(uint32_t *places, size_t count)
{
    size_t different = 1;
    qsort(places, count, sizeof *places, compare);
    for (size_t i = 1; i < count; i++)
        different += places[i] != places[i - 1];
    return different;
}

/* A thousand at random in 2^16 places are at 992 of them, give or take 3: neighbours do not share one, and where they are
 * nobody knows who has not read this process's memory. */
Test(door, neighbours_are_in_different_places_that_nobody_can_compute)
{
    enum { COUNT = 1000 };
    static uint32_t addresses[2][COUNT], networks[2][COUNT], names[2][COUNT];
    for (int which = 0; which < 2; which++) {
        rd_door *d = door_of(1000, 1000, 1000);
        for (unsigned i = 0; i < COUNT; i++) {
            char text[64];
            snprintf(text, sizeof text, "198.18.%u.%u", i / 250, i % 250);
            cr_assert_eq(enter(d, text, 1000, &addresses[which][i]), RD_DOOR_NONE);
            snprintf(text, sizeof text, "2001:db8:0:%x::1", i);
            cr_assert_eq(enter(d, text, 1000, &networks[which][i]), RD_DOOR_NONE);
            snprintf(text, sizeof text, "client-%u", i);
            cr_assert_eq(rd_door_enter_client(d, text, &names[which][i]), RD_DOOR_NONE);
        }
        rd_door_free(d);
    }
    size_t same = 0;
    for (size_t i = 0; i < COUNT; i++)
        same +=
            (addresses[0][i] == addresses[1][i]) + (networks[0][i] == networks[1][i]) + (names[0][i] == names[1][i]);
    cr_expect_leq(same, 5, "%zu of 3000 places are the same in two processes", same);
    cr_expect_geq(count_different(addresses[0], COUNT), 970);
    cr_expect_geq(count_different(networks[0], COUNT), 970);
    cr_expect_geq(count_different(names[0], COUNT), 970);
}

Test(door, counts_what_a_certificate_has_open)
{
    rd_door *d = door_of(1, 2, 1);
    uint32_t place, other;
    cr_expect_eq(rd_door_enter_client(d, "alice", &place), RD_DOOR_NONE);
    cr_expect_eq(rd_door_enter_client(d, "alice", &place), RD_DOOR_NONE);
    cr_expect_eq(rd_door_enter_client(d, "alice", &other), RD_DOOR_CLIENT_FULL);
    cr_expect_eq(rd_door_enter_client(d, "bob", &other), RD_DOOR_NONE);
    rd_door_leave_client(d, place);
    cr_expect_eq(rd_door_enter_client(d, "alice", &other), RD_DOOR_NONE);
    rd_door_free(d);
}

Test(door, says_little_however_many_come)
{
    rd_door *d = door_of(1, 1, 1);
    rd_door_report(d, 1000);
    cr_expect_str_eq(said, "");
    for (uint64_t now = 10000; now < 12000; now++) {
        rd_door_tell(d, "192.0.2.1:9", "no", now);
        rd_door_count(d, RD_DOOR_CROWDED);
        rd_door_count(d, RD_DOOR_ADDRESS_FAST);
        rd_door_report(d, now);
    }
    cr_expect_eq(lines, 2 * RD_DOOR_LINES + 2, "%u lines", lines);
    rd_door_report(d, 20000);
    cr_expect_not_null(strstr(said, "listener: closed: 999 of addresses that come too often (--rate-per-address), "
                                    "999 of too many in the handshake (--max-handshakes); not shown: 980 lines"),
                       "%s", said);
    rd_door_free(d);
}
