/* attendance.c: see attendance.h. */
#include "attendance.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/assert.h"
#include "core/grow.h"
#include "format/foreign.h"

rd_status rd_attendance_reserve(rd_attendance *a, size_t clients, rd_error *err)
{
    const size_t before = a->capacity;
    rd_status status = rd_grow(&a->clients, &a->capacity, clients, sizeof *a->clients, "clients", err);
    for (size_t i = before; status == RD_OK && i < a->capacity; i++)
        a->clients[i] = (rd_attendant){0};
    return status;
}

void rd_attendance_clear(rd_attendance *a)
{
    for (size_t i = 0; i < a->capacity; i++)
        a->clients[i].has_part = false;
    a->part_count = 0;
}

rd_participation_record *rd_attendance_part(rd_attendance *a, const rd_rounds *rounds, size_t client)
{
    rd_error ignored;
    RD_ASSERT(client < a->capacity); /* rd_attendance_reserve comes first */
    rd_attendant *c = &a->clients[client];
    if (c->has_part)
        return &a->parts[c->part];
    if (rd_grow(&a->parts, &a->part_capacity, a->part_count + 1, sizeof *a->parts, "records", &ignored) != RD_OK)
        return NULL;
    c->has_part = true;
    c->part = a->part_count++;
    rd_participation_record *part = &a->parts[c->part];
    *part = (rd_participation_record){.round = rd_rounds_current(rounds)};
    (void)snprintf(part->client, sizeof part->client, "%s", rd_rounds_client_name(rounds, client));
    return part;
}

void rd_attendance_say_why(rd_participation_record *part, const char *reason)
{
    (void)snprintf(part->reason, sizeof part->reason, "%s", reason);
    rd_foreign_plain(part->reason); /* cut within a character, perhaps */
}

bool rd_attendance_all_know_end(const rd_attendance *a, size_t clients)
{
    bool all = true;
    for (size_t i = 0; i < clients; i++)
        all = all && a->clients[i].knows_end;
    return all;
}

void rd_attendance_free(rd_attendance *a)
{
    free(a->clients);
    free(a->parts);
}
