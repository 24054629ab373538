/* sessions.h: which of several programs with the same certificate is the client.
 *
 * A program draws a random word when it starts and sends it with each request (Rondo-Session): its session. Whoever
 * joins first is the client. Another one is refused as long as the first has a connection open, and takes its place
 * once that is gone; then the first is told so when it comes back. So a client that crashed gets in again at once (the
 * system closes its connections), two copies of a certificate do not take turns, and a client that starts again by
 * itself cannot push another one out.
 *
 * Programs that send no word cannot be told from one another: they are one session, the one without a name.
 *
 * Pure: no socket, no lock; the caller (driver.c) holds one. Clients are the round core's numbers. */
#ifndef RONDO_AGGREGATOR_SESSIONS_H
#define RONDO_AGGREGATOR_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define RD_SESSION_MAX 65 /* a session's name and the end of the string */

typedef struct rd_sessions rd_sessions;

/* Who asks. */
typedef struct rd_caller {
    const char *session; /* "" where none was sent */
    const char *address; /* "192.168.1.7:40112" */
    uint64_t *tag;       /* of the connection; 0 at first, and then ours */
} rd_caller;

rd_status rd_sessions_create(rd_sessions **out, rd_error *err) RD_MUST_CHECK;
void rd_sessions_free(rd_sessions *s);

/* RD_ERR_REFUSED: another session is there. err says from where. *first: the caller has not been refused before. */
rd_status rd_sessions_join(rd_sessions *s, size_t client, const rd_caller *caller, bool *first,
                           rd_error *err) RD_MUST_CHECK;
/* A request of the client. RD_ERR_REFUSED: of a session that was replaced. */
rd_status rd_sessions_request(rd_sessions *s, size_t client, const rd_caller *caller, rd_error *err) RD_MUST_CHECK;
/* The connection with this tag is closed. */
void rd_sessions_closed(rd_sessions *s, uint64_t tag);
/* How many clients have joined and have a connection open. */
size_t rd_sessions_present(const rd_sessions *s);

#endif
