/* enrol.h: how a client gets its certificate over the wire, where `serve` was given something to sign with: /v1/ca and
 * /v1/enrol, the two paths that are open to who has none, and /v1/renew for who has one that is past the half of its life. See
 * PROTOCOL.md. */
#ifndef RONDO_AGGREGATOR_ENROL_H
#define RONDO_AGGREGATOR_ENROL_H

#include <pthread.h>

#include "attempts.h"
#include "call.h"
#include "members.h"
#include "signer.h"

typedef struct rd_enrolment {
    const rd_signer *signer; /* NULL: nobody is enrolled here */
    rd_members *members;
    pthread_mutex_t lock;            /* guards what follows */
    rd_attempts attempts;            /* that failed, by address */
    rd_attempts renewals;            /* by name: each is a line in the journal */
} rd_enrolment;

/* What each of the three answers. */
void rd_enrol_ca(rd_call *c);
void rd_enrol_complete(rd_call *c);
void rd_renew_complete(rd_call *c);

#endif
