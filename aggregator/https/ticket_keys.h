/* ticket_keys.h: the keys of session tickets, for any TLS library.
 *
 * A ticket is a session that the client keeps for us, sealed with a key of ours: whoever comes back with one needs no
 * signature, on either side, which is most of what a handshake costs. The keys lie in a file, so that after a restart ten
 * thousand clients come back for a fraction of it.
 *
 * A key seals for RD_TICKET_SECONDS and opens for as long again, so that every ticket is good for its whole life; then it
 * is gone. Whoever steals the file can read what was said on resumed connections in that time, so it is its owner's alone.
 * Which sessions are worth a ticket, and who may come back with one, is the library's file's affair. */
#ifndef RONDO_HTTPS_TICKET_KEYS_H
#define RONDO_HTTPS_TICKET_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define RD_TICKET_SECONDS 43200u /* a ticket's life: half a day */
#define RD_TICKET_NAME_BYTES 16
#define RD_TICKET_KEY_BYTES 32

typedef struct rd_ticket_key {
    uint8_t name[RD_TICKET_NAME_BYTES]; /* in clear in each ticket */
    uint8_t secret[RD_TICKET_KEY_BYTES];
    uint64_t since; /* Unix seconds */
} rd_ticket_key;

typedef struct rd_ticket_keys rd_ticket_keys;

/* Takes the keys out of the file, or makes new ones where there is no file or none that can be trusted; note says why then
 * ("": there was no reason to say anything), or why they cannot be written. path: stays the caller's; NULL: they last as
 * long as this process. now: Unix seconds. RD_ERR_IO: there are no random numbers. */
rd_status rd_ticket_keys_open(const char *path, uint64_t now, rd_ticket_keys **out, char *note, size_t size,
                              rd_error *err) RD_MUST_CHECK;
void rd_ticket_keys_close(rd_ticket_keys *k); /* NULL: nothing */

/* From any thread. To be called now and then: a key whose time is over is replaced. RD_ERR_IO: it was, but the file could
 * not be written, and after a restart all have to shake hands in full. */
rd_status rd_ticket_keys_rotate(rd_ticket_keys *k, uint64_t now, rd_error *err) RD_MUST_CHECK;
/* The key to seal with. */
void rd_ticket_keys_newest(rd_ticket_keys *k, rd_ticket_key *out);
/* The key of that name, to open with; false: it is not ours, or not any more. */
bool rd_ticket_keys_find(rd_ticket_keys *k, const uint8_t name[RD_TICKET_NAME_BYTES], rd_ticket_key *out);

#endif
