/* participant.h: a client in a run, and all that its steps (step.h) work with. */
#ifndef RONDO_CLIENT_PARTICIPANT_H
#define RONDO_CLIENT_PARTICIPANT_H

#include <stdbool.h>

#include "core/error.h"
#include "global_model.h"
#include "learner.h"
#include "membership.h"
#include "policy.h"
#include "request.h"
#include "samples.h"

typedef struct rd_participant {
    bool quiet;
    const rd_policy *policy; /* not owned */
    rd_requester *requester;
    rd_samples samples;
    rd_membership membership;
    rd_global_model global; /* once membership.fixed */
    const rd_learner_type *type;
    rd_learner_options learning;
    void *learner; /* NULL: the run is not known yet */
} rd_participant;

/* Opens the learner, where that has not been done, if the policy allows what the run asks for. */
rd_status rd_participant_open_learner(rd_participant *p, rd_error *err) RD_MUST_CHECK;
/* What columns mean is known: from now on the client can train. */
rd_status rd_participant_prepare(rd_participant *p, rd_error *err) RD_MUST_CHECK;

#endif
