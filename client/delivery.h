/* delivery.h: an update on its way to the aggregator. */
#ifndef RONDO_CLIENT_DELIVERY_H
#define RONDO_CLIENT_DELIVERY_H

#include "codec/messages.h"
#include "core/error.h"
#include "global_model.h"
#include "train/local_round.h"

/* Answers the task with the delta (of which a pruned model's is packed, in place). What the aggregator does not want is said and not
 * repeated (*taken = false): the next task decides what follows; where it holds another model than g, g forgets. */
rd_status rd_deliver(rd_global_model *g, const rd_task *task, float *delta, const rd_report *report, bool *taken,
                     rd_error *err) RD_MUST_CHECK;

#endif
