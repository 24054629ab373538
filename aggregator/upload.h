/* upload.h: one update on its way in. Bytes are decoded and checked as they arrive and laid down (staging.h)
 * as plain float32 in the model's order; only when all of it is there and right is it added to the sum. Of a
 * client that goes away in the middle nothing is added. */
#ifndef RONDO_AGGREGATOR_UPLOAD_H
#define RONDO_AGGREGATOR_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "run/aggregate.h"
#include "staging.h"
#include "train/local_round.h"

typedef struct rd_upload rd_upload;

/* budget, folder: see staging.h. digest: the value of the request's Content-Digest field, or NULL;
 * RD_ERR_FORMAT where it holds no well-formed sha-256. */
rd_status rd_upload_create(rd_tensor_table tensors, rd_staging_budget *budget, const char *folder, uint64_t round,
                           const char *digest, rd_upload **out, rd_error *err) RD_MUST_CHECK;
/* Before the first of its bytes: they are also written to this file, as they come; until it counts its name ends with
 * ".part". RD_ERR_IO: it cannot be made. */
rd_status rd_upload_keep(rd_upload *u, const char *path, rd_error *err) RD_MUST_CHECK;
/* It counts: the file gets its name. Else it is gone with the upload. */
rd_status rd_upload_settle(rd_upload *u, rd_error *err) RD_MUST_CHECK;
/* The next bytes of the body. RD_ERR_FORMAT, RD_ERR_RANGE, RD_ERR_STATE: see codec/update.h; RD_ERR_IO: no
 * room. */
rd_status rd_upload_feed(rd_upload *u, const void *bytes, size_t count, rd_error *err) RD_MUST_CHECK;
/* The body is over: is it whole, and does its digest agree? */
rd_status rd_upload_finish(rd_upload *u, rd_report *report, rd_error *err) RD_MUST_CHECK;
/* Adds it to the updates of the round. RD_ERR_RANGE, RD_ERR_DATA: as a whole it cannot be used, and nothing of it is in
 * the sum. Any other failure leaves the sum useless: part of the update may be in it. */
rd_status rd_upload_add_to(rd_upload *u, rd_aggregate *updates, rd_admission *in, rd_error *err) RD_MUST_CHECK;
float rd_upload_largest(const rd_upload *u); /* magnitude of its values so far */
uint64_t rd_upload_size(const rd_upload *u); /* bytes of body so far */
/* Of all its bytes, as 64 hexadecimal digits, once it is finished; empty: the client sent no Content-Digest, and it is
 * not kept. */
const char *rd_upload_sha256(const rd_upload *u);
/* Is there a digest by which the whole is checked, whoever sends its parts? */
bool rd_upload_has_digest(const rd_upload *u);
void rd_upload_free(rd_upload *u);

#endif
