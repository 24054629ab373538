/* gate.h: who may take part at this moment. The list (serve --allow) is read again while clients ask, so it stands behind a
 * lock; one that cannot be read leaves the old one in force. */
#ifndef RONDO_AGGREGATOR_GATE_H
#define RONDO_AGGREGATOR_GATE_H

#include <pthread.h>
#include <stdbool.h>

#include "allow.h"

typedef struct rd_gate {
    const char *path; /* NULL: every client with a certificate of the CA */
    pthread_rwlock_t lock;
    rd_allow list;
} rd_gate;

rd_status rd_gate_open(rd_gate *g, const char *path, rd_error *err) RD_MUST_CHECK;
void rd_gate_close(rd_gate *g);
bool rd_gate_admits(rd_gate *g, const char *client);
/* *count = names that are in force now. */
rd_status rd_gate_reload(rd_gate *g, size_t *count, rd_error *err) RD_MUST_CHECK;

#endif
