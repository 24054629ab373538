/* model_reply.h: GET /v1/model/{version}: a model file as it lies in the state directory, with ETag and
 * Range. */
#ifndef RONDO_AGGREGATOR_MODEL_REPLY_H
#define RONDO_AGGREGATOR_MODEL_REPLY_H

#include <stdint.h>

#include "core/error.h"
#include "server.h"
#include "store/store.h"

/* Answers 200, 206 or 304. RD_ERR_STATE where that version is not kept, RD_ERR_RANGE where the Range cannot
 * be satisfied: then nothing was answered. */
rd_status rd_model_reply(rd_exchange *x, const rd_store *store, uint64_t version,
                         rd_error *err) RD_MUST_CHECK;

#endif
