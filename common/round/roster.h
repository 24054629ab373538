/* roster.h: the clients that a run knows, by number and by name. */
#ifndef RONDO_ROUND_ROSTER_H
#define RONDO_ROUND_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "round/round.h"

typedef struct rd_roster_client {
    char *name;
    uint64_t key;          /* rd_client_key(name) */
    uint64_t last_counted; /* the last round that has its update; 0: none */
    uint64_t asked_round;  /* that it has a task for, or had last */
    rd_participation part; /* in the current round */
    uint16_t answered;     /* steps of asked_round */
    bool available;        /* may be selected */
    uint8_t missed;        /* rounds in a row, up to asked_round, that it was late in or failed; at most 255 */
    bool idle;             /* it failed, as it has nothing to do in the current round */
} rd_roster_client;

typedef struct rd_roster {
    rd_roster_client *clients; /* (count) in order of arrival */
    size_t count, capacity;
    size_t available; /* how many are */
    uint32_t *slots;  /* (slot_count, a power of two) open addressing by key: client + 1, or 0 */
    size_t slot_count;
} rd_roster;

/* Number of the name, added where it is new (then unavailable, with no part in the round). */
rd_status rd_roster_add(rd_roster *r, const char *name, size_t *client, rd_error *err) RD_MUST_CHECK;
/* Number of the name, or SIZE_MAX. */
size_t rd_roster_find(const rd_roster *r, const char *name);
void rd_roster_set_available(rd_roster *r, size_t client, bool available);
void rd_roster_free(rd_roster *r);

#endif
