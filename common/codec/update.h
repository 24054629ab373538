/* update.h: an update as it travels: a safetensors body with a table of tensors as F32, holding the delta
 * (local - global), and the client's report as metadata:
 *
 *   "round": "3", "samples": "600", "loss": "0.52",            (loss: running loss; optional)
 *   "before_loss", "before_accuracy", "before_samples",        (optional)
 *   "holdout_loss", "holdout_accuracy", "holdout_samples",     (optional)
 *   "delta_norm", "seconds"                                    (optional)
 *
 * The decoder takes bytes as they come off the socket, in pieces of any size, and hands out floats. It has
 * checked everything about a float by the time it hands it out; memory is the header plus a small constant.
 */
#ifndef RONDO_CODEC_UPDATE_H
#define RONDO_CODEC_UPDATE_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "model/tensors.h"
#include "train/local_round.h"

/* The header (8 + N bytes) that goes in front of the delta's 4 t.elements bytes. The caller frees *bytes. */
rd_status rd_update_header(rd_tensor_table t, uint64_t round, const rd_report *report, char **bytes, size_t *size,
                           rd_error *err) RD_MUST_CHECK;

/* Receives count values that belong at parameters [first, first + count). Failing stops the decoder. */
typedef rd_status (*rd_update_sink)(void *user, size_t first, const float *values, size_t count, rd_error *err);

typedef struct rd_update_decoder rd_update_decoder;
rd_status rd_update_decoder_create(rd_tensor_table t, uint64_t round, rd_update_sink sink, void *user,
                                   rd_update_decoder **out, rd_error *err) RD_MUST_CHECK;
/* Largest body that can be right for these tensors: refuse a Content-Length beyond it at once. */
uint64_t rd_update_max_size(rd_tensor_table t);
/* Takes the next bytes of the body. RD_ERR_FORMAT: not safetensors, wrong names, shapes or dtype, too long;
 * RD_ERR_RANGE: NaN, Inf or too large for the exact sum, samples out of range; RD_ERR_STATE: metadata "round"
 * is not this round. */
rd_status rd_update_decoder_feed(rd_update_decoder *d, const void *bytes, size_t count, rd_error *err) RD_MUST_CHECK;
/* The body has ended: checks that all of it was there and gives the report. */
rd_status rd_update_decoder_finish(rd_update_decoder *d, rd_report *report, rd_error *err) RD_MUST_CHECK;
void rd_update_decoder_free(rd_update_decoder *d);

#endif
