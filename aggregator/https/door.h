/* door.h: who may come in, as far as that can be decided by counting: connections by address and by certificate, new ones
 * a second, and lines of the log about those who stay out.
 *
 * Counts are kept in tables of a fixed size, by a hash with a secret that changes with each start: memory does not grow
 * with the number of strangers, and nobody can aim at another's place. Two who share a place by chance share its limit.
 * An address is all of an IPv4 address, and of an IPv6 address the first half, which is what one network is given.
 *
 * For the acceptor and all workers: everything is done under the door's own lock, and none of it waits. */
#ifndef RONDO_HTTPS_DOOR_H
#define RONDO_HTTPS_DOOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/error.h"

#define RD_DOOR_LINES 20 /* a second that strangers can put into the log; more are counted */
#define RD_DOOR_BURST 10 /* seconds' worth of new connections that an address may bring at once */

typedef struct rd_door_limits {
    unsigned per_address; /* open connections of one address */
    unsigned per_client;  /* open connections with one certificate's name */
    unsigned rate;        /* new connections of one address a second */
} rd_door_limits;

/* Why a connection was closed before anything was answered on it. */
typedef enum rd_door_refusal {
    RD_DOOR_NONE,
    RD_DOOR_ADDRESS_FULL,
    RD_DOOR_ADDRESS_FAST,
    RD_DOOR_CLIENT_FULL,
    RD_DOOR_CROWDED, /* too many handshakes at a time: the oldest made room, or the newest was not let in */
    RD_DOOR_GUESTS,  /* too many that are of no use to the application: the oldest made room */
    RD_DOOR_REFUSALS,
} rd_door_refusal;

typedef struct rd_door rd_door;
typedef void rd_door_say(const char *peer, const char *what, void *user);

rd_status rd_door_create(const rd_door_limits *limits, rd_door_say *say, void *user, rd_door **out,
                         rd_error *err) RD_MUST_CHECK;
void rd_door_free(rd_door *d); /* NULL: nothing */

/* A connection from this address at this moment (ms on any clock that only runs forwards). *place: what rd_door_leave
 * wants back; only after RD_DOOR_NONE. */
rd_door_refusal rd_door_enter(rd_door *d, const struct sockaddr_storage *address, uint64_t now, uint32_t *place);
void rd_door_leave(rd_door *d, uint32_t place);
/* It has shown this certificate; the same for its name. */
rd_door_refusal rd_door_enter_client(rd_door *d, const char *name, uint32_t *place);
void rd_door_leave_client(rd_door *d, uint32_t place);

/* Counts one that was closed. */
void rd_door_count(rd_door *d, rd_door_refusal why);
/* Says what is to be said about a connection, or counts it where enough was said in this second. */
void rd_door_tell(rd_door *d, const char *peer, const char *what, uint64_t now);
/* Says in one line what was counted since the last such line, at most once a second. */
void rd_door_report(rd_door *d, uint64_t now);

#endif
