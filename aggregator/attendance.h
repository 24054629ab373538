/* attendance.h: what the aggregator notes of each client beside the round core: its participation in the round that is
 * open, the model of its last task, and whether it knows that the run is over. Clients are the core's numbers. Not
 * thread-safe. */
#ifndef RONDO_AGGREGATOR_ATTENDANCE_H
#define RONDO_AGGREGATOR_ATTENDANCE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"
#include "published.h"
#include "round/round.h"
#include "store/store.h"

typedef struct rd_attendant {
    rd_published_model given; /* with its last task */
    rd_join join;             /* what it last said of itself */
    bool join_waits;          /* to be written to the store */
    double join_written;      /* rd_clock_seconds; 0: never */
    bool uploads;             /* an update of it is under way */
    bool knows_end;           /* has been told that the run is over, or has left: nobody to wait for */
    bool has_part;
    size_t part; /* of parts, where it has one */
} rd_attendant;

typedef struct rd_attendance {
    rd_attendant *clients; /* (capacity) */
    size_t capacity;
    rd_participation_record *parts; /* (part_count) of the open round */
    size_t part_count, part_capacity;
} rd_attendance;

/* Room for so many clients: new ones have no part and know of nothing. */
rd_status rd_attendance_reserve(rd_attendance *a, size_t clients, rd_error *err) RD_MUST_CHECK;
/* A round opens: nobody has a part. */
void rd_attendance_clear(rd_attendance *a);
/* The client's record of the open round, new where it has none yet; valid until the next one. NULL: no memory. */
rd_participation_record *rd_attendance_part(rd_attendance *a, const rd_rounds *rounds, size_t client);
/* Why it failed, which may quote the client: fit for logs and exports. */
void rd_attendance_say_why(rd_participation_record *part, const char *reason);
/* Does every one of so many know that the run is over? */
bool rd_attendance_all_know_end(const rd_attendance *a, size_t clients);
void rd_attendance_free(rd_attendance *a);

#endif
