/* step.h: what a client does when it is asked in a step of a round: one function for each, in a file of its own, and a
 * line in the list below. */
#ifndef RONDO_CLIENT_STEP_H
#define RONDO_CLIENT_STEP_H

#include <stdbool.h>

#include "codec/messages.h"
#include "core/error.h"
#include "participant.h"

/* *taken: the aggregator has what it asked for; else the task may come again, and will hardly go better at once. */
typedef rd_status (*rd_client_step)(rd_participant *p, const rd_task *task, bool *taken, rd_error *err);

/* The name of the task, and of its function rd_step_NAME_answer. */
#define RD_CLIENT_STEPS(X)  \
    X("train", train)       \
    X("measure-1", measure) \
    X("measure-2", measure)
#define RD_DECLARE(task, name)                                                                             \
    rd_status rd_step_##name##_answer(rd_participant *p, const rd_task *asked, bool *taken, rd_error *err) \
        RD_MUST_CHECK;
RD_CLIENT_STEPS(RD_DECLARE)
#undef RD_DECLARE

#endif
