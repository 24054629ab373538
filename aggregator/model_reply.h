/* model_reply.h: GET /v1/model/{version} and /v1/frozen: a file as it lies in the state directory, with ETag
 * and Range. */
#ifndef RONDO_AGGREGATOR_MODEL_REPLY_H
#define RONDO_AGGREGATOR_MODEL_REPLY_H

#include "core/error.h"
#include "https/server.h"

/* Answers 200, 206 or 304; tag is the ETag, quotes included. RD_ERR_STATE where there is no such file,
 * RD_ERR_RANGE where the Range cannot be satisfied: then nothing was answered. */
rd_status rd_model_reply(rd_exchange *x, const char *path, const char *tag, rd_error *err) RD_MUST_CHECK;

#endif
