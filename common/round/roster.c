/* roster.c: see roster.h. */
#include "round/roster.h"

#include <stdlib.h>
#include <string.h>

#include "core/grow.h"
#include "core/random.h"

/* The slot that holds the name, or the empty one where it would go. slot_count > count, so one is empty. */
static size_t find_slot(const rd_roster *r, const char *name, uint64_t key)
{
    size_t mask = r->slot_count - 1, slot = (size_t)key & mask;
    while (r->slots[slot] != 0) {
        const rd_roster_client *c = &r->clients[r->slots[slot] - 1];
        if (c->key == key && strcmp(c->name, name) == 0)
            break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

static rd_status grow(rd_roster *r, rd_error *err)
{
    size_t capacity = r->capacity; /* a power of two, as it grows one by one */
    rd_status status = rd_grow(&r->clients, &capacity, r->count + 1, sizeof *r->clients, "clients", err);
    if (status != RD_OK)
        return status;
    uint32_t *slots = calloc(2 * capacity, sizeof *slots);
    if (slots == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %zu clients", capacity);
    free(r->slots);
    r->slots = slots;
    r->slot_count = 2 * capacity;
    r->capacity = capacity; /* last: there is room only where there are slots, too */
    for (size_t i = 0; i < r->count; i++)
        slots[find_slot(r, r->clients[i].name, r->clients[i].key)] = (uint32_t)i + 1;
    return RD_OK;
}

size_t rd_roster_find(const rd_roster *r, const char *name)
{
    if (r->slot_count == 0)
        return SIZE_MAX;
    uint32_t found = r->slots[find_slot(r, name, rd_client_key(name))];
    return found == 0 ? SIZE_MAX : found - 1;
}

rd_status rd_roster_add(rd_roster *r, const char *name, size_t *client, rd_error *err)
{
    size_t known = rd_roster_find(r, name);
    if (known != SIZE_MAX) {
        *client = known;
        return RD_OK;
    }
    if (r->count == r->capacity) {
        rd_status status = grow(r, err);
        if (status != RD_OK)
            return status;
    }
    rd_roster_client added = {.name = strdup(name), .key = rd_client_key(name)};
    if (added.name == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for client '%s'", name);
    r->slots[find_slot(r, name, added.key)] = (uint32_t)r->count + 1;
    r->clients[r->count] = added;
    *client = r->count++;
    return RD_OK;
}

void rd_roster_set_available(rd_roster *r, size_t client, bool available)
{
    rd_roster_client *c = &r->clients[client];
    if (c->available != available)
        r->available = available ? r->available + 1 : r->available - 1;
    c->available = available;
}

void rd_roster_free(rd_roster *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->clients[i].name);
    free(r->clients);
    free(r->slots);
    memset(r, 0, sizeof *r);
}
