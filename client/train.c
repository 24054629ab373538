/* train.c: the step "train", see step.h: fetch the model (global_model.c), train (learner.h), deliver (delivery.c). */
#include <inttypes.h>
#include <stdio.h>

#include "delivery.h"
#include "say.h"
#include "step.h"
#include "train/continual.h"

/* There is work: what columns mean is settled by now. */
static rd_status prepare_for_work(rd_participant *p, rd_error *err)
{
    rd_status status = RD_OK;
    RD_TRY(rd_membership_ask(&p->membership, err));
    if (!rd_membership_can_settle(&p->membership))
        RD_THROW(RD_ERR_FORMAT, "the aggregator asks to train, but has not said what the columns mean");
    RD_TRY(rd_participant_prepare(p, err));
cleanup:
    return status;
}

static void say_trained(const rd_participant *p, uint64_t round, uint64_t bytes, const rd_report *report)
{
    char before[64] = "";
    if (report->before.samples > 0)
        (void)snprintf(before, sizeof before, "loss before %.4f, ", report->before.loss);
    rd_say(p->quiet,
           "round %" PRIu64 ": fetched %" PRIu64 " bytes; trained on %" PRIu64 " samples in %.3f s: %sloss %.4f", round,
           bytes, report->samples, report->seconds, before, report->running_loss);
}

/* Training has failed: why this round has to do without this client, which stays; NULL: it does not stay. */
static const char *why_pass(const rd_participant *p, rd_status status)
{
    if (status == RD_ERR_RANGE)
        return "training diverged";
    if (status == RD_ERR_DATA)
        return "its samples cannot be trained on";
    if (status == RD_ERR_MEMORY)
        return "it has no memory to train";
    if (status == RD_ERR_STATE && !rd_requester_stopped(p->requester))
        return "it may not train for so long";
    return NULL;
}

rd_status rd_step_train_answer(rd_participant *p, const rd_task *task, bool *taken, rd_error *err)
{
    rd_report report;
    uint64_t bytes;
    float *delta;
    rd_leave why = {.idle = false};
    const char *reason;
    rd_status status = RD_OK;
    *taken = false;
    if (!p->membership.fixed)
        RD_TRY(prepare_for_work(p, err));
    RD_TRY(rd_global_model_fetch(&p->global, task->model, task->remaining, &bytes, err));
    if (p->global.version != task->model)
        return RD_OK;
    status = p->type->train(p->learner, task, &p->global, &delta, &report, err);
    if (status == RD_OK && report.samples == 0) {
        why = (rd_leave){.reason = RD_CONTINUAL_IDLE, .idle = true};
        rd_say(p->quiet, "round %" PRIu64 ": %s", task->round, why.reason);
        return rd_membership_pass(&p->membership, &why, err);
    }
    reason = why_pass(p, status);
    if (reason != NULL) {
        rd_say(p->quiet, "round %" PRIu64 ": %s: %s", task->round, reason, err->message);
        (void)snprintf(why.reason, sizeof why.reason, "%s", reason);
        return rd_membership_pass(&p->membership, &why, err);
    }
    RD_TRY(status);
    say_trained(p, task->round, bytes, &report);
    RD_TRY(rd_deliver(&p->global, task, delta, &report, taken, err));
    if (*taken)
        status = p->type->delivered(p->learner, task, err);
cleanup:
    return status;
}
