/* interrupted.h: updates whose connection broke in the middle. What has arrived is kept until the round is over, for the
 * session that sent it and for no other, so that the client needs to send only the rest.
 *
 * Of a client at most one is kept, and none is while another one is under way. Safe to call from any thread. */
#ifndef RONDO_AGGREGATOR_INTERRUPTED_H
#define RONDO_AGGREGATOR_INTERRUPTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "sessions.h"
#include "upload.h"

typedef struct rd_interrupted rd_interrupted;

/* Whose update it is, and for which round. */
typedef struct rd_interrupted_key {
    size_t client; /* the round core's number */
    uint64_t round;
    const char *session; /* at most RD_SESSION_MAX - 1 characters */
} rd_interrupted_key;

rd_status rd_interrupted_create(rd_interrupted **out, rd_error *err) RD_MUST_CHECK;
void rd_interrupted_free(rd_interrupted *i);

/* Takes the upload, in place of whatever is kept of this client. Where there is no memory it is freed: the client begins
 * anew. */
void rd_interrupted_keep(rd_interrupted *i, const rd_interrupted_key *key, rd_upload *upload);
/* How many bytes of it are here; 0: none are kept for this key. */
uint64_t rd_interrupted_size(rd_interrupted *i, const rd_interrupted_key *key);
/* Gives the upload back to whoever continues it behind so many bytes. NULL: there is none of this size. */
rd_upload *rd_interrupted_take(rd_interrupted *i, const rd_interrupted_key *key, uint64_t size);
/* A new update of this client begins: frees what is kept of it. */
void rd_interrupted_drop(rd_interrupted *i, size_t client);
/* A round is over: frees those that are not wanted any more. */
void rd_interrupted_sweep(rd_interrupted *i, bool (*wanted)(void *user, size_t client, uint64_t round), void *user);

#endif
