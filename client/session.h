/* session.h: a client's life in a run: join, wait, train, deliver, until the run is finished. */
#ifndef RONDO_CLIENT_SESSION_H
#define RONDO_CLIENT_SESSION_H

#include <stdbool.h>

#include "core/error.h"
#include "data/source.h"
#include "learner.h"
#include "policy.h"
#include "transport.h"

typedef struct rd_session_options {
    rd_transport_options transport;
    rd_source data;
    const char *keep;     /* file for what the client keeps between rounds; NULL: it is kept in memory */
    rd_policy policy;
    double retry_seconds; /* give up after so long without an answer; 0: at the first failure */
    bool quiet;
} rd_session_options;

/* Returns RD_OK when the run is finished, or when a signal arrived (the aggregator is then
 * told). RD_ERR_DATA, RD_ERR_CONFIG, RD_ERR_REFUSED, RD_ERR_NETWORK say why else it ended. */
rd_status rd_session_run(const rd_session_options *options, const rd_learner_type *learner,
                         rd_error *err) RD_MUST_CHECK;

#endif
