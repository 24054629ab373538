/* session.c: see session.h. A client's life in a run:
 *
 *     open the data -> join -> [ wait for a task -> carry out the step that it names ] ... -> leave
 *
 * membership.c talks about the run; what a step asks for is in step.h, the first of them in train.c. Every
 * request goes through request.h, the one place that knows of lost connections, busy aggregators and restarts. */
#include "session.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "renewal.h"
#include "say.h"
#include "step.h"

#define POLL_SECONDS 30
#define LEAST_POLL 0.2 /* seconds from one question for work to the next where the answer is "nothing" at once */

#define ENTRY(task, name) {task, rd_step_##name##_answer},
static const struct {
    const char *task;
    rd_client_step answer;
} steps[] = {RD_CLIENT_STEPS(ENTRY)};

static void say_line(void *user, const char *line)
{
    const rd_participant *p = user;
    rd_say(p->quiet, "%s", line);
}

static rd_status rejoin(void *user, rd_error *err)
{
    rd_participant *p = user;
    p->membership.joined = false;
    rd_global_model_forget(&p->global);
    return rd_membership_join(&p->membership, err);
}

/* What is wrong with the file by itself is reported before anybody is asked; then the client joins. */
static rd_status enter(rd_participant *p, const rd_source *data, rd_error *err)
{
    rd_status status = RD_OK;
    rd_membership *m = &p->membership;
    if (rd_samples_open(data, &p->samples, err) != RD_OK)
        return rd_fail_as(err, RD_ERR_DATA);
    /* Whoever has a policy tells nothing of the data before the run has been found to be within it. */
    if (rd_samples_ask_first(&p->samples) || p->policy->path != NULL) {
        RD_TRY(rd_membership_ask(m, err));
        RD_TRY(rd_participant_open_learner(p, err));
    }
    if (rd_membership_can_settle(m))
        RD_TRY(rd_samples_settle(&p->samples, &m->welcome.schema,
                                 p->learner != NULL ? p->type->model(p->learner) : NULL, err));
    RD_TRY(rd_membership_join(m, err));
    if (rd_membership_can_settle(m))
        RD_TRY(rd_participant_prepare(p, err));
cleanup:
    return status;
}

static rd_status next_task(rd_participant *p, rd_task *task, bool *some, rd_error *err)
{
    char path[64];
    rd_response response;
    double asked_at = rd_clock_seconds();
    (void)snprintf(path, sizeof path, "/v1/task?wait=%d", POLL_SECONDS);
    rd_request request = {.method = "GET", .path = path, .long_poll_seconds = POLL_SECONDS};
    rd_status status = rd_requester_ask(p->requester, &request, &response, err);
    *some = false;
    if (status != RD_OK)
        return status;
    if (response.status == 204) {
        rd_requester_sleep(p->requester, fmax(rd_requester_asked_pause(p->requester, response.retry_after),
                                              asked_at + LEAST_POLL - rd_clock_seconds()));
        return RD_OK;
    }
    if (response.status != 200)
        return rd_requester_refused(&response, err);
    *some = true;
    return rd_task_parse(response.body, response.size, task, err);
}

static rd_status carry_out(rd_participant *p, const rd_task *task, bool *taken, rd_error *err)
{
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (strcmp(steps[i].task, task->name) == 0)
            return steps[i].answer(p, task, taken, err);
    return rd_fail(err, RD_ERR_FORMAT, "the aggregator asks for '%s', which this client cannot do", task->name);
}

static rd_status take_part(rd_participant *p, rd_error *err)
{
    rd_status status = RD_OK;
    rd_backoff repeat = {0}; /* for a round that comes back although it failed: it will hardly go better at once */
    uint64_t failed_round = 0;
    rd_renewal renewal = {0};
    while (!rd_requester_stopped(p->requester)) {
        rd_task task;
        bool some = false, taken;
        RD_TRY(rd_renewal_look(&renewal, p->requester, p->quiet, err));
        RD_TRY(next_task(p, &task, &some, err));
        if (!some)
            continue;
        if (strcmp(task.name, RD_TASK_FINISHED) == 0) {
            rd_say(p->quiet, "the run is finished after round %" PRIu64, task.round);
            break;
        }
        if (failed_round != 0 && task.round == failed_round)
            rd_requester_sleep(p->requester, rd_requester_next_pause(p->requester, &repeat));
        else
            repeat.most = 0.0;
        RD_TRY(carry_out(p, &task, &taken, err));
        failed_round = taken ? 0 : task.round;
    }
cleanup:
    return status;
}

rd_status rd_session_run(const rd_session_options *options, const rd_learner_type *learner, rd_error *err)
{
    rd_status status = RD_OK;
    bool stopped;
    rd_participant p = {
        .quiet = options->quiet,
        .policy = &options->policy,
        .learning = {.keep = options->keep,
                     .quiet = options->quiet,
                     .signals = options->transport.signals,
                     .most_seconds = options->policy.max_round_seconds},
        .type = learner,
        .global = {.version = RD_NO_VERSION}};
    rd_requester_options requester = {.transport = options->transport,
                                      .retry_seconds = options->retry_seconds,
                                      .rejoin = rejoin,
                                      .say = say_line,
                                      .user = &p};
    RD_TRY(rd_requester_create(&requester, &p.requester, err));
    p.membership = (rd_membership){.requester = p.requester, .samples = &p.samples, .quiet = options->quiet};
    status = enter(&p, &options->data, err);
    if (status == RD_OK)
        status = take_part(&p, err);
    stopped = rd_requester_stopped(p.requester);
    /* Who cannot take part need not be waited for. */
    if (p.membership.joined && (stopped || (status != RD_OK && !p.membership.fixed)))
        rd_membership_leave(&p.membership);
    if (stopped)
        status = RD_OK;
cleanup:
    rd_global_model_close(&p.global);
    p.type->close(p.learner);
    rd_membership_free(&p.membership);
    rd_samples_close(&p.samples);
    rd_requester_free(p.requester);
    return status;
}
