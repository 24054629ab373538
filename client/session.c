/* session.c: see session.h. A client's life in a run:
 *
 *     open the data -> join -> (measure) -> [ wait for a task -> fetch the model -> train -> deliver ] ... -> leave
 *
 * membership.c talks about the run, global_model.c fetches, a learner trains (learner.h), delivery.c delivers. Every
 * request goes through request.h, the one place that knows of lost connections, busy aggregators and restarts. */
#include "session.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "core/clock.h"
#include "delivery.h"
#include "global_model.h"
#include "learner.h"
#include "membership.h"
#include "request.h"
#include "samples.h"
#include "say.h"

#define POLL_SECONDS 30
#define LEAST_POLL 0.2 /* seconds from one question for work to the next where the answer is "nothing" at once */

typedef struct session {
    const rd_session_options *options;
    rd_learner_options learning;
    const rd_learner_type *type;
    void *learner; /* NULL: the run is not known yet */
    rd_requester *requester;
    rd_samples samples;
    rd_membership membership;
    rd_global_model global; /* once membership.fixed */
} session;

static void say_line(void *user, const char *line)
{
    const session *s = user;
    rd_say(s->options->quiet, "%s", line);
}

static rd_status rejoin(void *user, rd_error *err)
{
    session *s = user;
    s->membership.joined = false;
    rd_global_model_forget(&s->global);
    return rd_membership_join(&s->membership, err);
}

static rd_status open_learner(session *s, rd_error *err)
{
    return s->learner != NULL ? RD_OK : s->type->open(&s->membership.welcome, &s->learning, &s->learner, err);
}

/* What columns mean is known: from now on the client can train. */
static rd_status prepare(session *s, rd_error *err)
{
    rd_status status = RD_OK;
    RD_TRY(open_learner(s, err));
    RD_TRY(s->type->prepare(s->learner, &s->samples, err));
    RD_TRY(rd_global_model_open(s->requester, s->type->tensors(s->learner, RD_TENSORS_TRAVELLING),
                                s->type->tensors(s->learner, RD_TENSORS_STAYING),
                                &s->membership.welcome.config.strategy, &s->global, err));
    s->global.quiet = s->options->quiet;
    s->membership.fixed = true;
cleanup:
    return status;
}

/* There is work: what columns mean is settled by now. */
static rd_status prepare_for_work(session *s, rd_error *err)
{
    rd_status status = rd_membership_ask(&s->membership, err);
    if (status == RD_OK && !rd_membership_can_settle(&s->membership))
        status = rd_fail(err, RD_ERR_FORMAT, "the aggregator asks to train, but has not said what the columns mean");
    return status == RD_OK ? prepare(s, err) : status;
}

/* What the file says by itself is told before anybody is asked; then the client joins. */
static rd_status enter(session *s, rd_error *err)
{
    rd_status status = RD_OK;
    rd_membership *m = &s->membership;
    if (rd_samples_open(&s->options->data, &s->samples, err) != RD_OK)
        return rd_fail_as(err, RD_ERR_DATA);
    if (rd_samples_ask_first(&s->samples)) {
        RD_TRY(rd_membership_ask(m, err));
        RD_TRY(open_learner(s, err));
    }
    if (rd_membership_can_settle(m))
        RD_TRY(rd_samples_settle(&s->samples, &m->welcome.schema,
                                 s->learner != NULL ? s->type->model(s->learner) : NULL, err));
    RD_TRY(rd_membership_join(m, err));
    if (rd_membership_can_settle(m))
        RD_TRY(prepare(s, err));
cleanup:
    return status;
}

static void say_trained(const session *s, uint64_t round, uint64_t bytes, const rd_report *report)
{
    char before[64] = "";
    if (report->before.samples > 0)
        (void)snprintf(before, sizeof before, "loss before %.4f, ", report->before.loss);
    rd_say(s->options->quiet,
           "round %" PRIu64 ": fetched %" PRIu64 " bytes; trained on %" PRIu64 " samples in %.3f s: %sloss %.4f", round,
           bytes, report->samples, report->seconds, before, report->running_loss);
}

/* *taken: the aggregator has this client's update. */
static rd_status train_and_deliver(session *s, const rd_task *task, bool *taken, rd_error *err)
{
    rd_report report;
    uint64_t bytes;
    float *delta;
    rd_status status = RD_OK;
    *taken = false;
    RD_TRY(rd_global_model_fetch(&s->global, task->model, task->kept, &bytes, err));
    if (s->global.version != task->model)
        return RD_OK;
    status = s->type->train(s->learner, task, &s->global, &delta, &report, err);
    if (status == RD_ERR_RANGE || status == RD_ERR_DATA) {
        rd_say(s->options->quiet, "round %" PRIu64 ": %s", task->round, err->message);
        return rd_membership_pass(
            &s->membership, status == RD_ERR_RANGE ? "training diverged" : "its samples cannot be trained on", err);
    }
    RD_TRY(status);
    say_trained(s, task->round, bytes, &report);
    RD_TRY(rd_deliver(&s->global, task->round, delta, &report, taken, err));
    if (*taken)
        status = s->type->delivered(s->learner, task, err);
cleanup:
    return status;
}

static rd_status next_task(session *s, rd_task *task, bool *some, rd_error *err)
{
    char path[64];
    rd_response response;
    double asked_at = rd_clock_seconds();
    (void)snprintf(path, sizeof path, "/v1/task?wait=%d", POLL_SECONDS);
    rd_request request = {.method = "GET", .path = path, .long_poll_seconds = POLL_SECONDS};
    rd_status status = rd_requester_ask(s->requester, &request, &response, err);
    *some = false;
    if (status != RD_OK)
        return status;
    if (response.status == 204) {
        rd_requester_sleep(s->requester, fmax(response.retry_after, asked_at + LEAST_POLL - rd_clock_seconds()));
        return RD_OK;
    }
    if (response.status != 200)
        return rd_requester_refused(&response, err);
    *some = true;
    return rd_task_parse(response.body, response.size, task, err);
}

static rd_status take_part(session *s, rd_error *err)
{
    rd_status status = RD_OK;
    rd_backoff repeat = {0}; /* for a round that comes back although it failed: it will hardly go better at once */
    uint64_t failed_round = 0;
    while (!rd_requester_stopped(s->requester)) {
        rd_task task;
        bool some = false, taken;
        RD_TRY(next_task(s, &task, &some, err));
        if (!some)
            continue;
        if (task.kind == RD_TASK_FINISHED) {
            rd_say(s->options->quiet, "the run is finished after round %" PRIu64, task.round);
            break;
        }
        if (task.kind == RD_TASK_MEASURE) {
            RD_TRY(rd_membership_measure(&s->membership, task.step, err));
            continue;
        }
        if (!s->membership.fixed)
            RD_TRY(prepare_for_work(s, err));
        if (task.round == failed_round)
            rd_requester_sleep(s->requester, rd_requester_next_pause(s->requester, &repeat));
        else
            repeat.most = 0.0;
        RD_TRY(train_and_deliver(s, &task, &taken, err));
        failed_round = taken ? 0 : task.round;
    }
cleanup:
    return status;
}

rd_status rd_session_run(const rd_session_options *options, const rd_learner_type *learner, rd_error *err)
{
    rd_status status = RD_OK;
    bool stopped;
    session s = {.options = options,
                 .learning = {.keep = options->keep, .quiet = options->quiet},
                 .type = learner,
                 .global = {.version = RD_NO_VERSION}};
    rd_requester_options requester = {.transport = options->transport,
                                      .retry_seconds = options->retry_seconds,
                                      .rejoin = rejoin,
                                      .say = say_line,
                                      .user = &s};
    RD_TRY(rd_requester_create(&requester, &s.requester, err));
    s.membership = (rd_membership){.requester = s.requester, .samples = &s.samples, .quiet = options->quiet};
    status = enter(&s, err);
    if (status == RD_OK)
        status = take_part(&s, err);
    stopped = rd_requester_stopped(s.requester);
    /* Who cannot take part need not be waited for. */
    if (s.membership.joined && (stopped || (status != RD_OK && !s.membership.fixed)))
        rd_membership_leave(&s.membership);
    if (stopped)
        status = RD_OK;
cleanup:
    rd_global_model_close(&s.global);
    s.type->close(s.learner);
    rd_membership_free(&s.membership);
    rd_samples_close(&s.samples);
    rd_requester_free(s.requester);
    return status;
}
