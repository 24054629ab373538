/* global_model.h: the global model as this client holds it: fetched by version, unpacked where it is pruned, once only
 * where it is frozen. */
#ifndef RONDO_CLIENT_GLOBAL_MODEL_H
#define RONDO_CLIENT_GLOBAL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "model/model.h"
#include "model/packing.h"
#include "request.h"
#include "round/strategy.h"

#define RD_NO_VERSION UINT64_MAX

typedef struct rd_global_model {
    rd_requester *requester; /* not owned */
    bool quiet;
    rd_tensor_table travelling, staying; /* not owned */
    rd_tensor_table down, up; /* what is fetched, and what an update holds, with companions; none: `travelling` alone */

    uint64_t version;                           /* RD_NO_VERSION: none is held */
    char name[RD_ETAG_MAX];                     /* of that version, as the aggregator says it: its update repeats it */
    float *parameters;                          /* (travelling + staying) */
    float *fetched;                             /* (down) of that version; NULL where no companions come */
    const float *companions[RD_COMPANIONS_MAX]; /* (travelling) those that come, in it */
    rd_packing *packing;                        /* of that version; NULL: it has not been pruned */
    bool has_staying;                           /* what does not travel has come */
} rd_global_model;

/* strategy: its companions travel, too. RD_ERR_MEMORY; RD_ERR_CONFIG: a name becomes too long. */
rd_status rd_global_model_open(rd_requester *r, rd_tensor_table travelling, rd_tensor_table staying,
                               const rd_strategy *strategy, rd_global_model *out, rd_error *err) RD_MUST_CHECK;
void rd_global_model_close(rd_global_model *g);

/* Leaves this version in g->parameters. remaining: so many of its parameters are left, 0: all. *bytes is what came over
 * the network: 0 where it was there already. Where the aggregator does not have it any more, because rounds went on
 * without this client, that is said and g->version stays RD_NO_VERSION. */
rd_status rd_global_model_fetch(rd_global_model *g, uint64_t version, uint64_t remaining, uint64_t *bytes,
                                rd_error *err) RD_MUST_CHECK;
/* A restarted aggregator may hold other parameters under the same version. */
void rd_global_model_forget(rd_global_model *g);
/* What an update of the version that is held consists of. */
rd_tensor_table rd_global_model_update_tensors(const rd_global_model *g);

#endif
