/* step.h: what a client does when it is asked in a step of a round: one function for each, in a file of its own, and a
 * line in session.c. */
#ifndef RONDO_CLIENT_STEP_H
#define RONDO_CLIENT_STEP_H

#include <stdbool.h>

#include "codec/messages.h"
#include "core/error.h"
#include "participant.h"

/* *taken: the aggregator has what it asked for; else the task may come again, and will hardly go better at once. */
typedef rd_status (*rd_client_step)(rd_participant *p, const rd_task *task, bool *taken, rd_error *err);

/* Fetches the model, trains, delivers. */
rd_status rd_step_train_answer(rd_participant *p, const rd_task *task, bool *taken, rd_error *err) RD_MUST_CHECK;
/* Before the first round: sums over this client's table. */
rd_status rd_step_measure_answer(rd_participant *p, const rd_task *task, bool *taken, rd_error *err) RD_MUST_CHECK;

#endif
