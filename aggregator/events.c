/* events.c: see driver_state.h. Requests come in on many threads; what they mean to the run is told to the round core here,
 * under the driver's lock. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "driver_state.h"
#include "format/foreign.h"
#include "run/claims.h"

void rd_driver_log(rd_driver *d, rd_log_level level, const char *format, ...)
{
    char text[RD_LOG_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    rd_foreign_plain(text); /* names, headers and reasons of clients are quoted in it */
    rd_log_write(d->log, level, text);
}

rd_run *rd_driver_run(rd_driver *d)
{
    return d->run;
}

void rd_driver_wake(rd_driver *d)
{
    uv_async_send(&d->wake);
}

void rd_driver_account(rd_driver *d, const char *event, const char *client, const char *why)
{
    if (rd_account_add(&d->account, rd_clock_seconds(), event, client, why))
        rd_driver_wake(d);
}

/* ---- models ---- */

void rd_driver_note_model(rd_driver *d)
{
    rd_published_add(&d->published,
                     (rd_published_model){rd_run_model_version(d->run), rd_run_model_fingerprint(d->run)});
}

void rd_driver_model_name(rd_driver *d, uint64_t version, char name[RD_MODEL_NAME_MAX])
{
    const char *run_id = rd_store_run_id(rd_run_store(d->run));
    rd_published_model model;
    pthread_mutex_lock(&d->lock);
    const bool known = rd_published_find(&d->published, version, &model);
    pthread_mutex_unlock(&d->lock);
    if (known)
        rd_published_name(&model, run_id, name);
    else
        (void)snprintf(name, RD_MODEL_NAME_MAX, "%s-%" PRIu64, run_id, version);
}

rd_status rd_driver_check_model(rd_driver *d, size_t client, const char *model, rd_error *err)
{
    char expected[RD_MODEL_NAME_MAX];
    if (model == NULL)
        return rd_fail(err, RD_ERR_FORMAT,
                       "the header Rondo-Model is missing: it repeats the ETag of the model that was trained from");
    pthread_mutex_lock(&d->lock);
    /* Rounds that wait for all are trained from the newest model, also by a client that has not asked again since the
     * aggregator was started. */
    const bool waits = !rd_cohort_is_asynchronous(&rd_run_config(d->run)->cohort);
    const rd_published_model wanted = waits ? d->published.models[0] : d->attendance.clients[client].given;
    pthread_mutex_unlock(&d->lock);
    rd_published_name(&wanted, rd_store_run_id(rd_run_store(d->run)), expected);
    if (rd_published_is_named(model, expected))
        return RD_OK;
    return rd_fail(err, RD_ERR_STATE,
                   "the update was trained from model %.120s, and is needed from %s: ask for the task and fetch the "
                   "model again",
                   model, expected);
}

/* ---- clients ---- */

rd_status rd_driver_client(rd_driver *d, const char *name, const rd_caller *caller, size_t *client, rd_error *err)
{
    rd_status status = RD_OK;
    pthread_mutex_lock(&d->lock);
    *client = rd_rounds_find(d->rounds, name);
    if (*client != SIZE_MAX)
        status = rd_sessions_request(d->sessions, *client, caller, err);
    if (*client != SIZE_MAX && status == RD_OK)
        rd_rounds_seen(d->rounds, *client);
    pthread_mutex_unlock(&d->lock);
    return status;
}

void rd_driver_disconnected(rd_driver *d, uint64_t tag)
{
    pthread_mutex_lock(&d->lock);
    rd_sessions_closed(d->sessions, tag);
    pthread_mutex_unlock(&d->lock);
}

size_t rd_driver_present(rd_driver *d)
{
    pthread_mutex_lock(&d->lock);
    const size_t present = rd_sessions_present(d->sessions);
    pthread_mutex_unlock(&d->lock);
    return present;
}

rd_status rd_driver_join(rd_driver *d, const char *name, const rd_caller *caller, const rd_join *join,
                         rd_join_data *data, rd_error *err)
{
    bool news = false;
    rd_status status = rd_claims_check_join(rd_run_config(d->run), join->samples, err);
    if (status != RD_OK)
        return status;
    size_t length = strlen(name) + 1;
    newcomer *n = malloc(sizeof *n + length);
    if (n == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for client '%s'", name);
    n->at = rd_clock_unix();
    memcpy(n->name, name, length);

    pthread_mutex_lock(&d->lock);
    status = rd_attendance_reserve(&d->attendance, rd_rounds_client_count(d->rounds) + 1, err);
    size_t client = rd_rounds_find(d->rounds, name);
    bool is_new = client == SIZE_MAX;
    if (status == RD_OK && !is_new)
        status = rd_sessions_join(d->sessions, client, caller, &news, err);
    if (status == RD_OK)
        status = rd_settling_join(d->settling, name, data, err);
    if (status == RD_OK)
        status = rd_rounds_join(d->rounds, name, &client, err);
    if (status == RD_OK && is_new) {
        const rd_recalled_client missed = rd_recalled_of(&d->missed, name);
        rd_rounds_set_last_counted(d->rounds, client, rd_recalled_of(&d->counted, name).round);
        rd_rounds_set_missed(d->rounds, client, missed.missed, missed.round);
    }
    if (status == RD_OK)
        status = rd_sessions_join(d->sessions, client, caller, &news, err);
    if (status == RD_OK) {
        rd_attendant *a = &d->attendance.clients[client];
        const bool says_more =
            is_new || a->join.samples != join->samples || strcmp(a->join.software, join->software) != 0;
        a->join = *join;
        if (says_more && !a->join_waits) {
            a->join_waits = true;
            n->client = client;
            n->next = d->newcomers;
            d->newcomers = n;
            n = NULL;
        }
    }
    pthread_mutex_unlock(&d->lock);
    free(n);
    if (status == RD_OK)
        rd_driver_wake(d);
    if (news) {
        rd_driver_log(d, RD_LOG_WARNING, "%s from %s refused: %s", name, caller->address, err->message);
        rd_driver_account(d, "refused", name, err->message);
    }
    return status;
}

void rd_driver_leave(rd_driver *d, size_t client, const rd_leave *leave)
{
    const bool idle = leave->idle && rd_run_config(d->run)->continual.task_count > 0;
    pthread_mutex_lock(&d->lock);
    rd_participation_record *part =
        rd_rounds_has_task(d->rounds, client) ? rd_attendance_part(&d->attendance, d->rounds, client) : NULL;
    if (part != NULL)
        rd_attendance_say_why(part, leave->reason);
    if (idle)
        rd_rounds_pass(d->rounds, client, rd_rounds_current(d->rounds));
    rd_rounds_leave(d->rounds, client);
    d->attendance.clients[client].knows_end = true; /* nobody to wait for */
    char *name = strdupa(rd_rounds_client_name(d->rounds, client));
    pthread_mutex_unlock(&d->lock);
    rd_driver_account(d, "left", name, leave->reason);
    rd_settling_leave(d->settling, name);
    rd_driver_wake(d);
}

char *rd_driver_welcome(rd_driver *d, const char *name)
{
    return rd_settling_welcome(d->settling, rd_store_run_id(rd_run_store(d->run)), name);
}

rd_status rd_driver_measured(rd_driver *d, const char *name, uint64_t step, const char *json, size_t size,
                             rd_error *err)
{
    rd_status status = rd_settling_measured(d->settling, name, step, json, size, err);
    rd_driver_wake(d);
    return status;
}

/* Is this client to measure its table? */
static bool measure_task(rd_driver *d, size_t client, rd_task *task)
{
    if (rd_settling_is_done(d->settling)) /* all through the rounds: nobody's name need be looked up */
        return false;
    pthread_mutex_lock(&d->lock);
    const char *name = strdupa(rd_rounds_client_name(d->rounds, client));
    pthread_mutex_unlock(&d->lock);
    int step = rd_settling_asks(d->settling, name);
    *task = (rd_task){.counted = RD_COUNTED_UNKNOWN};
    (void)snprintf(task->name, sizeof task->name, "measure-%d", step);
    return step > 0;
}

bool rd_driver_task(rd_driver *d, size_t client, rd_task *task)
{
    bool something = true, last_word = false;
    if (measure_task(d, client, task))
        return true;
    pthread_mutex_lock(&d->lock);
    d->attendance.clients[client].knows_end = d->attendance.clients[client].knows_end &&
                                              rd_rounds_finished(d->rounds); /* who left and came back wants to know */
    if (rd_rounds_finished(d->rounds)) {
        *task = (rd_task){.name = RD_TASK_FINISHED,
                          .round = rd_rounds_current(d->rounds) - 1,
                          .model = d->published.models[0].version,
                          .counted = RD_COUNTED_UNKNOWN};
        last_word = !d->attendance.clients[client].knows_end;
        d->attendance.clients[client].knows_end = true;
    } else if (rd_rounds_has_task(d->rounds, client)) {
        const rd_packing *packing = rd_run_packing(d->run);
        d->attendance.clients[client].given = d->published.models[0];
        const rd_assignment assigned = rd_rounds_assign(d->rounds, client);
        *task = (rd_task){.round = assigned.round,
                          .model = d->published.models[0].version,
                          .remaining = packing != NULL ? packing->remaining : 0,
                          .counted = d->clients_keep ? rd_rounds_last_counted(d->rounds, client) : RD_COUNTED_UNKNOWN};
        (void)snprintf(task->name, sizeof task->name, "%s", assigned.step->name);
    } else {
        something = false;
    }
    pthread_mutex_unlock(&d->lock);
    if (last_word || !something)
        rd_driver_wake(d); /* a client that is back may be the one that a round waits for */
    return something;
}

rd_verdict rd_driver_may_deliver(rd_driver *d, size_t client, uint64_t round, const rd_step *step)
{
    pthread_mutex_lock(&d->lock);
    rd_verdict verdict = rd_rounds_may_deliver(d->rounds, client, round, rd_rounds_find_step(d->rounds, step->name));
    pthread_mutex_unlock(&d->lock);
    return verdict;
}

bool rd_driver_begin_upload(rd_driver *d, size_t client)
{
    pthread_mutex_lock(&d->lock);
    rd_attendant *a = &d->attendance.clients[client];
    const bool first = !a->uploads;
    a->uploads = true;
    pthread_mutex_unlock(&d->lock);
    return first;
}

void rd_driver_moved(rd_driver *d, size_t bytes)
{
    (void)atomic_fetch_add(&d->moved, bytes);
}

void rd_driver_end_upload(rd_driver *d, size_t client)
{
    pthread_mutex_lock(&d->lock);
    d->attendance.clients[client].uploads = false;
    pthread_mutex_unlock(&d->lock);
}

uint64_t rd_driver_closings(const rd_driver *d)
{
    return atomic_load(&d->closings);
}

uint64_t rd_driver_commits(const rd_driver *d)
{
    return atomic_load(&d->commits);
}

rd_status rd_driver_check_report(rd_driver *d, size_t client, const rd_report *report, rd_error *err)
{
    pthread_mutex_lock(&d->lock);
    const uint64_t joined = d->attendance.clients[client].join.samples;
    pthread_mutex_unlock(&d->lock);
    return rd_claims_check_report(rd_run_config(d->run), joined, report, err);
}

rd_status rd_driver_deliver(rd_driver *d, const rd_delivery *delivery, rd_verdict *verdict, rd_error *err)
{
    const size_t client = delivery->client, step = rd_rounds_find_step(d->rounds, delivery->step->name);
    rd_status status = RD_OK;
    pthread_mutex_lock(&d->lock);
    *verdict = rd_rounds_may_deliver(d->rounds, client, delivery->round, step);
    if (*verdict != RD_VERDICT_ACCEPT)
        goto cleanup;
    /* Its record first: what has been admitted must be taken in. */
    rd_participation_record *part = rd_attendance_part(&d->attendance, d->rounds, client);
    if (part == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for the record of another client");
    RD_TRY(delivery->admit(delivery->user, rd_rounds_client_key(d->rounds, client),
                           rd_rounds_staleness(d->rounds, client), part, err));
    (void)rd_rounds_deliver(d->rounds, client, delivery->round, step); /* ACCEPT again: the lock is held */
    part->bytes_in += delivery->bytes;
    part->seconds = rd_clock_seconds() - d->opened_at;
    part->reason[0] = '\0';
cleanup:
    pthread_mutex_unlock(&d->lock);
    return status;
}

void rd_driver_delivered(rd_driver *d, size_t client, uint32_t weight)
{
    pthread_mutex_lock(&d->lock);
    rd_participation_record *part =
        rd_attendance_part(&d->attendance, d->rounds, client); /* rd_driver_deliver has made it */
    part->weight = weight;
    rd_rounds_delivered(d->rounds, client);
    pthread_mutex_unlock(&d->lock);
    rd_driver_wake(d);
}

void rd_driver_unfit(rd_driver *d, size_t client, const char *reason)
{
    pthread_mutex_lock(&d->lock);
    rd_participation_record *part =
        rd_attendance_part(&d->attendance, d->rounds, client); /* rd_driver_deliver has made it */
    memset(&part->report, 0, sizeof part->report);
    rd_attendance_say_why(part, reason);
    rd_rounds_unfit(d->rounds, client);
    pthread_mutex_unlock(&d->lock);
    rd_driver_wake(d);
}

void rd_driver_refused(rd_driver *d, size_t client, uint64_t round, const char *reason)
{
    pthread_mutex_lock(&d->lock);
    rd_participation_record *part =
        rd_rounds_awaits(d->rounds, client, round) ? rd_attendance_part(&d->attendance, d->rounds, client) : NULL;
    if (part != NULL)
        rd_attendance_say_why(part, reason);
    rd_rounds_fail(d->rounds, client, round);
    pthread_mutex_unlock(&d->lock);
    rd_driver_wake(d);
}

void rd_driver_fatal(rd_driver *d, const rd_error *err)
{
    pthread_mutex_lock(&d->lock);
    if (d->fatal.status == RD_OK)
        d->fatal = *err;
    pthread_mutex_unlock(&d->lock);
    rd_driver_wake(d);
}
