/* door.c: see door.h. */
#include "https/door.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define PLACES (UINT32_C(1) << 16)
#define REPORT_MS 1000u

typedef struct address_place {
    uint32_t open;
    /* The moment, in microseconds, up to which this address has used its share of new connections. */
    uint64_t used_until;
} address_place;

struct rd_door {
    rd_door_limits limits;
    rd_door_say *say;
    void *user;
    uint64_t secret[2];
    pthread_mutex_t lock; /* guards what follows */
    address_place addresses[PLACES];
    uint32_t clients[PLACES]; /* open connections */
    uint64_t refused[RD_DOOR_REFUSALS], untold;
    uint64_t second_began; /* of the lines that are counted in `lines` */
    unsigned lines;
    uint64_t reported;
};

static const char *const reasons[RD_DOOR_REFUSALS] = {
    [RD_DOOR_ADDRESS_FULL] = "of addresses with too many open (--connections-per-address)",
    [RD_DOOR_ADDRESS_FAST] = "of addresses that come too often (--rate-per-address)",
    [RD_DOOR_CLIENT_FULL] = "of clients with too many open (--connections-per-client)",
    [RD_DOOR_CROWDED] = "of too many in the handshake (--max-handshakes)",
    [RD_DOOR_GUESTS] = "of too many that have not joined (a quarter of --max-connections)",
};

rd_status rd_door_create(const rd_door_limits *limits, rd_door_say *say, void *user, rd_door **out, rd_error *err)
{
    *out = NULL;
    rd_door *d = calloc(1, sizeof *d);
    if (d == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the counts of connections");
    if (getrandom(d->secret, sizeof d->secret, 0) != (ssize_t)sizeof d->secret) {
        free(d);
        return rd_fail(err, RD_ERR_IO, "getrandom: %s", strerror(errno));
    }
    d->limits = *limits;
    d->say = say;
    d->user = user;
    d->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    *out = d;
    return RD_OK;
}

void rd_door_free(rd_door *d)
{
    if (d == NULL)
        return;
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
}

/* ---- places ---- */

/* The finalizer of MurmurHash3, keyed before and after. */
static uint64_t mix(const rd_door *d, uint64_t x)
{
    x ^= d->secret[0];
    x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
    x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return (x ^ x >> 33) + d->secret[1];
}

static uint32_t place_of_address(const rd_door *d, const struct sockaddr_storage *address)
{
    uint64_t half = 0;
    uint32_t four = 0;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;
    if (address->ss_family == AF_INET)
        memcpy(&four, &((const struct sockaddr_in *)address)->sin_addr, sizeof four);
    else if (IN6_IS_ADDR_V4MAPPED(six)) /* how IPv4 looks on a socket for both */
        memcpy(&four, six->s6_addr + 12, sizeof four);
    else
        memcpy(&half, six->s6_addr, sizeof half);
    return (uint32_t)(mix(d, half != 0 ? half : four) % PLACES);
}

static uint32_t place_of_name(const rd_door *d, const char *name)
{
    uint64_t hash = 0;
    for (; *name != '\0'; name++)
        hash = mix(d, hash + (uint8_t)*name);
    return (uint32_t)(hash % PLACES);
}

rd_door_refusal rd_door_enter(rd_door *d, const struct sockaddr_storage *address, uint64_t now, uint32_t *place)
{
    rd_door_refusal refusal = RD_DOOR_NONE;
    const uint64_t now_us = 1000 * now, step = 1000000u / d->limits.rate;
    *place = place_of_address(d, address);
    address_place *p = &d->addresses[*place];
    pthread_mutex_lock(&d->lock);
    if (p->used_until < now_us)
        p->used_until = now_us;
    if (p->open >= d->limits.per_address)
        refusal = RD_DOOR_ADDRESS_FULL;
    else if (p->used_until - now_us + step > RD_DOOR_BURST * UINT64_C(1000000))
        refusal = RD_DOOR_ADDRESS_FAST;
    if (refusal == RD_DOOR_NONE) {
        p->open++;
        p->used_until += step;
    }
    pthread_mutex_unlock(&d->lock);
    return refusal;
}

void rd_door_leave(rd_door *d, uint32_t place)
{
    pthread_mutex_lock(&d->lock);
    d->addresses[place].open--;
    pthread_mutex_unlock(&d->lock);
}

rd_door_refusal rd_door_enter_client(rd_door *d, const char *name, uint32_t *place)
{
    *place = place_of_name(d, name);
    pthread_mutex_lock(&d->lock);
    bool full = d->clients[*place] >= d->limits.per_client;
    if (!full)
        d->clients[*place]++;
    pthread_mutex_unlock(&d->lock);
    return full ? RD_DOOR_CLIENT_FULL : RD_DOOR_NONE;
}

void rd_door_leave_client(rd_door *d, uint32_t place)
{
    pthread_mutex_lock(&d->lock);
    d->clients[place]--;
    pthread_mutex_unlock(&d->lock);
}

/* ---- the log ---- */

void rd_door_count(rd_door *d, rd_door_refusal why)
{
    pthread_mutex_lock(&d->lock);
    d->refused[why]++;
    pthread_mutex_unlock(&d->lock);
}

void rd_door_tell(rd_door *d, const char *peer, const char *what, uint64_t now)
{
    pthread_mutex_lock(&d->lock);
    if (now >= d->second_began + REPORT_MS) {
        d->second_began = now;
        d->lines = 0;
    }
    bool tell = d->lines < RD_DOOR_LINES;
    if (tell)
        d->lines++;
    else
        d->untold++;
    pthread_mutex_unlock(&d->lock);
    if (tell)
        d->say(peer, what, d->user);
}

/* With the lock held: the line, and the counts begin anew. */
static void describe(rd_door *d, char *line, size_t size)
{
    size_t at = 0;
    const char *before = "closed: ";
    for (size_t i = RD_DOOR_NONE + 1; i < RD_DOOR_REFUSALS; i++) {
        if (d->refused[i] == 0)
            continue;
        at +=
            (size_t)snprintf(line + at, size - at, "%s%llu %s", before, (unsigned long long)d->refused[i], reasons[i]);
        before = ", ";
        d->refused[i] = 0;
    }
    if (d->untold > 0)
        (void)snprintf(line + at, size - at, "%s%llu lines like those above",
                       at > 0 ? "; not shown: " : "not shown: ", (unsigned long long)d->untold);
    d->untold = 0;
}

void rd_door_report(rd_door *d, uint64_t now)
{
    char line[640];
    pthread_mutex_lock(&d->lock);
    uint64_t waiting = d->untold;
    for (size_t i = 0; i < RD_DOOR_REFUSALS; i++)
        waiting += d->refused[i];
    bool due = waiting > 0 && now >= d->reported + REPORT_MS;
    if (due) {
        d->reported = now;
        describe(d, line, sizeof line);
    }
    pthread_mutex_unlock(&d->lock);
    if (due)
        d->say("listener", line, d->user);
}
