/* membership.h: this client's place in a run: what the run is, what the aggregator is told of the data, join and leave. */
#ifndef RONDO_CLIENT_MEMBERSHIP_H
#define RONDO_CLIENT_MEMBERSHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/messages.h"
#include "core/error.h"
#include "request.h"
#include "samples.h"

typedef struct rd_membership {
    rd_requester *requester; /* not owned */
    rd_samples *samples;     /* not owned */
    bool quiet;
    rd_welcome welcome; /* owned; run_id empty: nothing has been heard of the run yet */
    bool joined;
    bool fixed; /* the model is planned and the data are samples: what is heard later must not change them */
} rd_membership;
void rd_membership_free(rd_membership *m);

/* Asks what the run is, without joining, or what columns mean by now. RD_ERR_REFUSED: it is another run than before. */
rd_status rd_membership_ask(rd_membership *m, rd_error *err) RD_MUST_CHECK;
/* Is known what is needed to make samples of the data? */
bool rd_membership_can_settle(const rd_membership *m);
/* Joins, for the first time or again. */
rd_status rd_membership_join(rd_membership *m, rd_error *err) RD_MUST_CHECK;
/* This round has to do without this client, which stays. The reason, for the record, says nothing of the data. */
rd_status rd_membership_pass(rd_membership *m, const rd_leave *why, rd_error *err) RD_MUST_CHECK;
/* Leaves the run. It may fail: whoever leaves does not wait. Nothing can be asked afterwards. */
void rd_membership_leave(rd_membership *m);

#endif
