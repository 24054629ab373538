/* replay.h: a round computed once more, from the model before it and the updates that were kept, by the code that
 * computed it: the same gate, the same sum, the same strategy. */
#ifndef RONDO_RUN_REPLAY_H
#define RONDO_RUN_REPLAY_H

#include "run/run.h"

/* What of a round is to be computed. */
typedef struct rd_replay_round {
    uint64_t round;
    uint64_t before;       /* version of the model that its clients trained from */
    uint64_t clients;      /* of the whole run when it closed */
    uint64_t weight_limit; /* as in its record */
} rd_replay_round;

/* An update that counted. */
typedef struct rd_replay_update {
    const char *client, *path;
    uint32_t weight; /* in the sum, as it was recorded */
} rd_replay_update;

/* The run of a state directory as it was before the round: a run without a store of its own. store: a reader's, which
 * is only read while this runs. */
rd_status rd_replay_open(rd_store *store, const rd_config *config, const rd_replay_round *r, rd_run **out,
                         rd_error *err) RD_MUST_CHECK;
/* Takes one of its updates in, in any order. RD_ERR_FORMAT: it would count with another weight than it did. */
rd_status rd_replay_add(rd_run *run, const rd_replay_round *r, const rd_replay_update *u, rd_error *err) RD_MUST_CHECK;
/* Averages; the parameters are the round's. sha256: of those that travel, as in the record. RD_ERR_DATA: the round
 * would have been abandoned. */
rd_status rd_replay_finish(rd_run *run, const rd_replay_round *r, char sha256[RD_SHA256_HEX],
                           rd_error *err) RD_MUST_CHECK;

#endif
