/* decisions.c: see driver_state.h. The path of a round: the core says what is to be done next (step), it opens, clients are
 * asked, it closes, is published, and is committed while they train for the next. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/grow.h"
#include "core/signals.h"
#include "driver_state.h"
#include "run/record_line.h"

#define RETRY_MILLISECONDS 2000 /* between attempts to write when the disk is full */
#define JOIN_SECONDS 10.0       /* between two writes of what one client says of itself */

static void stop_with(rd_driver *d, const rd_error *err)
{
    d->failure = *err;
    uv_stop(&d->loop);
}

/* With the lock held: the first client of the open round whose update is under way; SIZE_MAX: there is none. */
static size_t find_arriving(const rd_driver *d)
{
    for (size_t i = 0; i < rd_rounds_client_count(d->rounds); i++)
        if (d->attendance.clients[i].uploads && rd_rounds_has_task(d->rounds, i))
            return i;
    return SIZE_MAX;
}

/* With the lock held: seconds for which the deadline of the open step is put off; 0: it has passed. */
static double put_off(rd_driver *d)
{
    const size_t arriving = find_arriving(d);
    const bool first = d->grace.given == 0;
    const double most = d->grace.left, more = rd_grace_more(&d->grace, arriving != SIZE_MAX, atomic_load(&d->moved));
    if (first && more > 0)
        rd_driver_log(
            d, RD_LOG_INFO, "round %llu: the deadline is put off by at most %g s, as the update of %s is arriving",
            (unsigned long long)rd_rounds_current(d->rounds), most, rd_rounds_client_name(d->rounds, arriving));
    return more;
}

static void on_deadline(uv_timer_t *timer)
{
    rd_driver *d = timer->data;
    if (!d->settled) {
        char missing[400];
        rd_settling_deadline(d->settling, missing, sizeof missing);
        if (missing[0] != '\0')
            rd_driver_log(d, RD_LOG_WARNING, "measuring goes on without %s, of whom nothing was heard in %g s", missing,
                          rd_run_config(d->run)->cohort.deadline_seconds);
        rd_driver_wake(d);
        return;
    }
    pthread_mutex_lock(&d->lock);
    const double more = put_off(d);
    if (more == 0)
        rd_rounds_deadline(d->rounds, rd_rounds_current(d->rounds));
    pthread_mutex_unlock(&d->lock);
    if (more > 0)
        uv_timer_start(&d->deadline, on_deadline, (uint64_t)(1000.0 * more), 0);
    rd_driver_wake(d);
}

/* With the lock held: between the core's decision and this no update may come in. */
static rd_status open_round(rd_driver *d, const rd_action *action, rd_error *err)
{
    rd_attendance_clear(&d->attendance);
    uint64_t *samples = malloc((action->cohort_size + 1) * sizeof *samples);
    bool whole = samples != NULL;
    for (size_t i = 0; i < action->cohort_size && whole; i++) {
        samples[i] = d->attendance.clients[action->cohort[i]].join.samples;
        whole = rd_attendance_part(&d->attendance, d->rounds, action->cohort[i]) != NULL;
    }
    if (whole)
        rd_run_limit_weights(d->run, samples, action->cohort_size, rd_rounds_missing(d->rounds));
    free(samples);
    if (!whole)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the records of %zu clients", action->cohort_size);
    d->opened_at = rd_clock_seconds();
    d->grace = rd_grace_start(rd_run_config(d->run)->cohort.grace_seconds);
    d->callbacks.traffic(d->callbacks.user, &d->bytes_in_before, &d->bytes_out_before);
    return RD_OK;
}

/* A step begins. */
static void ask_clients(rd_driver *d)
{
    double seconds = rd_run_config(d->run)->cohort.deadline_seconds;
    pthread_mutex_lock(&d->lock);
    rd_grace_next_step(&d->grace);
    pthread_mutex_unlock(&d->lock);
    uv_timer_start(&d->deadline, on_deadline, (uint64_t)(1000.0 * seconds), 0);
    d->callbacks.wake(d->callbacks.user);
}

/* Copies what is known of the round that closes into d->record and d->record_parts. */
static rd_status collect_record(rd_driver *d, const rd_action *action, rd_error *err)
{
    rd_round_record *record = &d->record;
    uint64_t bytes_in, bytes_out;
    memset(record, 0, sizeof *record);
    record->clock = record->attack_success = NAN;
    size_t count = action->cohort_size;
    rd_status status =
        rd_grow(&d->record_parts, &d->record_part_capacity, count + 1, sizeof *d->record_parts, "records", err);
    if (status != RD_OK)
        return status;
    rd_participation_record *parts = d->record_parts;
    d->callbacks.traffic(d->callbacks.user, &bytes_in, &bytes_out);
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < count; i++) {
        const rd_participation_record *part = rd_attendance_part(&d->attendance, d->rounds, action->cohort[i]);
        if (part == NULL) {
            pthread_mutex_unlock(&d->lock);
            return rd_fail(err, RD_ERR_MEMORY, "no memory for the records of %zu clients", count);
        }
        parts[i] = *part;
        parts[i].status = rd_rounds_participation(d->rounds, action->cohort[i]);
        parts[i].missed = rd_rounds_missed(d->rounds, action->cohort[i]);
        record->counted += parts[i].status == RD_PART_COUNTED;
        record->late += parts[i].status == RD_PART_LATE;
        record->failed += parts[i].status == RD_PART_FAILED;
    }
    record->left_out = rd_rounds_left_out(d->rounds);
    record->early = rd_rounds_asked_early(d->rounds);
    record->bytes_in = bytes_in - d->bytes_in_before;
    record->bytes_out = bytes_out - d->bytes_out_before;
    pthread_mutex_unlock(&d->lock);
    record->selected = count;
    d->record_part_count = count;
    return RD_OK;
}

/* Repeats a step that needs the disk until it works or the run is interrupted: what is in memory is worth
 * waiting for. */
static rd_status insist(rd_driver *d, rd_status (*attempt)(rd_driver *d, rd_error *err), rd_error *err)
{
    for (;;) {
        rd_status status = attempt(d, err);
        if (status != RD_ERR_IO)
            return status;
        rd_driver_log(d, RD_LOG_WARNING, "%s; trying again every %d s (what is to be written is kept in memory)",
                      err->message, RETRY_MILLISECONDS / 1000);
        if (rd_signals_arrived(d->signal_fd, RETRY_MILLISECONDS)) {
            d->interrupted = true;
            return status;
        }
    }
}

static rd_status save_step(rd_driver *d, rd_error *err)
{
    return rd_run_publish(d->run, d->record.round, err);
}

static rd_status commit_step(rd_driver *d, rd_error *err)
{
    return rd_run_commit(d->run, &d->record, d->record_parts, d->record_part_count, err);
}

/* Names the clients of the committed round that did not deliver: "; late: bob, eve; failed: mallory
 * (reason)". */
static void name_missing(rd_driver *d, rd_participation kind, const char *title, char *text, size_t size)
{
    enum { MOST_NAMED = 8 };
    size_t at = strlen(text), named = 0, all = 0;
    for (size_t i = 0; i < d->record_part_count; i++) {
        const rd_participation_record *p = &d->record_parts[i];
        if (p->status != kind || all++ >= MOST_NAMED || at >= size)
            continue;
        int written = snprintf(text + at, size - at, "%s%s%s%s%s", named++ == 0 ? title : ", ", p->client,
                               p->reason[0] ? " (" : "", p->reason, p->reason[0] ? ")" : "");
        at += written > 0 ? (size_t)written : 0;
    }
    if (all > named && at < size)
        (void)snprintf(text + at, size - at, " and %zu more", all - named);
}

rd_status rd_driver_commit(rd_driver *d, rd_error *err)
{
    char line[1024];
    rd_status status = insist(d, commit_step, err);
    if (status != RD_OK)
        return status;
    d->uncommitted = false;
    (void)atomic_fetch_add(&d->commits, 1);
    rd_record_line(&d->record, rd_run_config(d->run)->rounds, line, sizeof line);
    rd_record_add_limited(&d->record, d->record_parts, d->record_part_count, line, sizeof line);
    rd_record_add_backoff(&rd_run_config(d->run)->cohort, &d->record, d->record_parts, d->record_part_count, line,
                          sizeof line);
    name_missing(d, RD_PART_LATE, "; late: ", line, sizeof line);
    name_missing(d, RD_PART_FAILED, "; failed: ", line, sizeof line);
    rd_driver_log(d, RD_LOG_INFO, "%s", line);
    return RD_OK;
}

static rd_status close_round(rd_driver *d, const rd_action *action, rd_error *err)
{
    bool stop = false;
    rd_status status = RD_OK;
    uv_timer_stop(&d->deadline);
    RD_TRY(collect_record(d, action, err));
    pthread_mutex_lock(&d->lock);
    size_t known = rd_rounds_client_count(d->rounds);
    pthread_mutex_unlock(&d->lock);
    RD_TRY(rd_run_average(d->run, action->round, action->aggregate, known, &d->record, err));
    if (d->record.aggregated) {
        RD_TRY(rd_run_prune(d->run, action->round, err));
        RD_TRY(insist(d, save_step, err));
    } else {
        rd_run_name_outliers(&d->record, d->record_parts, d->record_part_count);
    }
    d->record.seconds = rd_clock_seconds() - d->opened_at;
    d->uncommitted = true;
    /* After the last round clients hear that the run is over, and do not come back to repeat it. */
    const bool last = action->round >= rd_run_config(d->run)->rounds;
    if (last || rd_stopping_decides(rd_run_config(d->run)) || !d->record.aggregated) {
        RD_TRY(rd_driver_commit(d, err));
        stop = rd_run_is_over(d->run);
    }
    RD_TRY(rd_run_prepare(d->run, action->round + 1, err));
    pthread_mutex_lock(&d->lock);
    rd_rounds_committed(d->rounds, action->round, stop);
    atomic_fetch_add(&d->closings, 1);
    rd_driver_note_model(d);
    pthread_mutex_unlock(&d->lock);
    d->callbacks.closed(d->callbacks.user);
cleanup:
    return status;
}

static void on_linger_over(uv_timer_t *timer)
{
    rd_driver *d = timer->data;
    uv_stop(&d->loop);
}

static rd_status finish_step(rd_driver *d, rd_error *err)
{
    return rd_store_finish(rd_run_store(d->run), err);
}

static rd_status finish_run(rd_driver *d, rd_error *err)
{
    char reason[300];
    rd_status status = insist(d, finish_step, err);
    if (status != RD_OK)
        return status;
    d->finished = true;
    rd_driver_log(d, RD_LOG_INFO, "run finished after round %llu",
                  (unsigned long long)rd_run_last_record(d->run)->round);
    rd_run_reason(d->run, reason, sizeof reason);
    if (reason[0] != '\0')
        rd_driver_log(d, RD_LOG_INFO, "%s", reason);
    d->callbacks.wake(d->callbacks.user);
    uv_timer_start(&d->linger, on_linger_over, (uint64_t)(1000.0 * d->linger_seconds), 0);
    return RD_OK;
}

static rd_status join_step(rd_driver *d, rd_error *err)
{
    return rd_store_client(rd_run_store(d->run), d->joining->name, &d->joining->join, d->joining->at, err);
}

/* What the client says of itself now is to be written; false: it has been written a moment ago, and waits. */
static bool take_join(rd_driver *d, newcomer *n)
{
    const double now = rd_clock_seconds();
    pthread_mutex_lock(&d->lock);
    rd_attendant *a = &d->attendance.clients[n->client];
    const bool due = a->join_written == 0.0 || now >= a->join_written + JOIN_SECONDS;
    if (due) {
        n->join = a->join;
        a->join_written = now;
        a->join_waits = false;
    } else {
        n->next = d->newcomers;
        d->newcomers = n;
    }
    pthread_mutex_unlock(&d->lock);
    return due;
}

/* A join costs a write where it says something new: the first of a client at once, others once in a while. */
static rd_status store_newcomers(rd_driver *d, rd_error *err)
{
    rd_status status = RD_OK;
    pthread_mutex_lock(&d->lock);
    newcomer *n = d->newcomers;
    d->newcomers = NULL;
    pthread_mutex_unlock(&d->lock);
    while (n != NULL) {
        newcomer *next = n->next;
        const bool due = status != RD_OK || take_join(d, n);
        if (due && status == RD_OK) {
            d->joining = n;
            status = insist(d, join_step, err);
        }
        if (due && status == RD_OK)
            rd_driver_log(d, RD_LOG_INFO, "%s joined with %llu samples (%s)", n->name,
                          (unsigned long long)n->join.samples,
                          n->join.software[0] ? n->join.software : "software not told");
        if (due)
            free(n);
        n = next;
    }
    return status;
}

static rd_status account_step(rd_driver *d, rd_error *err)
{
    const rd_account_item *item = d->accounting;
    const char *client = item->client[0] != '\0' ? item->client : NULL;
    return rd_store_note(rd_run_store(d->run), item->event, client, item->why, err);
}

/* Who left, and who was refused, goes into the account. */
static rd_status write_account(rd_driver *d, double now, rd_error *err)
{
    rd_account_item item;
    rd_status status = RD_OK;
    while (status == RD_OK && rd_account_take(&d->account, now, &item)) {
        d->accounting = &item;
        status = insist(d, account_step, err);
    }
    return status;
}

/* Does every client that may still listen know that the run is over? After a restart those whose updates are in the last
 * round may be about to come back. */
static bool all_know(rd_driver *d)
{
    const uint64_t counted = rd_run_last_record(d->run)->counted;
    const bool once = !rd_cohort_is_asynchronous(&rd_run_config(d->run)->cohort); /* else a client may count twice */
    pthread_mutex_lock(&d->lock);
    const size_t clients = rd_rounds_client_count(d->rounds);
    const bool all =
        clients > 0 && (!once || clients >= counted) && rd_attendance_all_know_end(&d->attendance, clients);
    pthread_mutex_unlock(&d->lock);
    return all;
}

static rd_status keep_step(rd_driver *d, rd_error *err)
{
    return rd_settling_keep(d->settling, err);
}

/* Before the first round what columns mean is settled, a step at a time; afterwards only where the first table comes
 * after that. */
static rd_status settle(rd_driver *d, rd_error *err)
{
    rd_settling_news news;
    char text[1000];
    pthread_mutex_lock(&d->lock);
    bool enough = rd_rounds_has_enough(d->rounds);
    pthread_mutex_unlock(&d->lock);
    rd_status status = rd_settling_advance(d->settling, enough, &news, text, sizeof text, err);
    if (status != RD_OK || news == RD_SETTLING_NONE)
        return status;
    if (news == RD_SETTLING_MEASURE) {
        uint64_t most = (uint64_t)(1000.0 * rd_run_config(d->run)->cohort.deadline_seconds);
        uv_timer_start(&d->deadline, on_deadline, most, 0);
        d->callbacks.wake(d->callbacks.user);
        return RD_OK;
    }
    if (news == RD_SETTLING_DONE)
        status = insist(d, keep_step, err);
    if (status != RD_OK)
        return status;
    if (text[0] != '\0')
        rd_driver_log(d, news == RD_SETTLING_STUCK ? RD_LOG_WARNING : RD_LOG_INFO, "%s", text);
    const bool first = news == RD_SETTLING_DONE && !d->settled;
    d->settled = d->settled || first;
    if (first) { /* now there is a model of round 0 */
        (void)atomic_fetch_add(&d->commits, 1);
        uv_timer_stop(&d->deadline);
        pthread_mutex_lock(&d->lock);
        rd_driver_note_model(d);
        pthread_mutex_unlock(&d->lock);
    }
    if (first && rd_run_test_set(d->run)->note != NULL)
        rd_driver_log(d, RD_LOG_INFO, "data.test: %s", rd_run_test_set(d->run)->note);
    return RD_OK;
}

/* Carries out one decision of the core. *more is false when there is none left. */
static rd_status step(rd_driver *d, bool *more, rd_error *err)
{
    rd_status status = RD_OK;
    *more = false;
    RD_TRY(store_newcomers(d, err));
    RD_TRY(write_account(d, rd_clock_seconds(), err));
    RD_TRY(settle(d, err));
    if (!d->settled)
        return RD_OK;
    pthread_mutex_lock(&d->lock);
    if (d->fatal.status != RD_OK)
        status = rd_fail(err, d->fatal.status, "%s", d->fatal.message);
    rd_action action = status == RD_OK ? rd_rounds_next(d->rounds) : (rd_action){.kind = RD_ACTION_NONE};
    if (action.kind == RD_ACTION_OPEN)
        status = open_round(d, &action, err);
    pthread_mutex_unlock(&d->lock);
    *more = action.kind != RD_ACTION_NONE;
    RD_TRY(status);
    if (action.kind == RD_ACTION_ASK)
        d->callbacks.wake(d->callbacks.user);
    if (action.kind == RD_ACTION_OPEN || action.kind == RD_ACTION_STEP) {
        ask_clients(d); /* before the round before is committed: see driver.h */
        return RD_OK;
    }
    if (d->uncommitted)
        RD_TRY(rd_driver_commit(d, err));
    if (action.kind == RD_ACTION_CLOSE)
        RD_TRY(close_round(d, &action, err));
    if (action.kind == RD_ACTION_FINISH) {
        RD_TRY(write_account(d, INFINITY, err));
        RD_TRY(finish_run(d, err));
    }
cleanup:
    return status;
}

void rd_driver_carry_out(rd_driver *d)
{
    rd_error err;
    bool more = true;
    while (more && !d->interrupted && d->failure.status == RD_OK)
        if (step(d, &more, &err) != RD_OK)
            stop_with(d, &err);
    if (d->finished && all_know(d))
        uv_timer_start(&d->linger, on_linger_over, 50, 0); /* the last answers are on their way */
}
