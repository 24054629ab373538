/* gate.h: who may come in at this moment. Three things are asked, at the handshake and again at every request: the list of the
 * authority's revoked certificates (--crl), what happened here (members.h), and at requests also the list of names (--allow),
 * whose refusal is a sentence that a client can read. The lists are read again while clients ask, so they stand behind a lock;
 * one that cannot be read leaves the old one in force. */
#ifndef RONDO_AGGREGATOR_GATE_H
#define RONDO_AGGREGATOR_GATE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"
#include "members.h"

typedef struct rd_gate rd_gate;

typedef struct rd_gate_files {
    const char *allow; /* NULL: every name */
    const char *crl;   /* NULL: nothing is revoked by the authority */
    const char *ca;    /* which has signed the CRL */
} rd_gate_files;

/* files and members stay the caller's, and outlive the gate. */
rd_status rd_gate_open(const rd_gate_files *files, rd_members *members, rd_gate **out, rd_error *err) RD_MUST_CHECK;
void rd_gate_close(rd_gate *g); /* NULL: nothing */

/* At the handshake. own: the certificate is the client's, and no authority's behind it. */
bool rd_gate_is_revoked(rd_gate *g, const rd_peer *peer, bool own);
/* At a request. NULL, or why not, in words; they are static. */
const char *rd_gate_refuse(rd_gate *g, const rd_peer *peer);

typedef void (*rd_gate_listener)(void *user, bool good, const char *line);
/* Reads both files again, and tells of each in a line what is in force now. */
void rd_gate_reload(rd_gate *g, rd_gate_listener listener, void *user);
/* When a newer CRL is due, in seconds since 1970; 0: never. */
double rd_gate_crl_ends(rd_gate *g);

#endif
