/* driver.c: see driver.h. One lock guards the round core and what is known of the current round; it is held
 * for microseconds. Everything slow happens outside of it, on this thread or on the workers. */
#include "driver.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "core/clock.h"
#include "core/signals.h"
#include "counted.h"
#include "run/record_line.h"
#include "waiting.h"

#define RETRY_MILLISECONDS 2000 /* between attempts to write when the disk is full */
#define NO_PART UINT32_MAX

/* A client that joined and is yet to be written to the store, which only the driver's thread touches. */
typedef struct newcomer {
    struct newcomer *next;
    rd_join join;
    double at;
    char name[];
} newcomer;

/* A model that clients may train from. */
typedef struct published {
    uint64_t version, fingerprint;
} published;

struct rd_driver {
    rd_run *run;
    rd_settling *settling; /* its lock may be taken under this one, never the other way round */
    bool settled;          /* the driver's thread only */
    rd_driver_callbacks callbacks;
    uv_loop_t loop;
    uv_async_t poke;
    uv_timer_t deadline, linger;
    int signal_fd; /* SIGINT and SIGTERM arrive here: the loop polls it, and so does a step that waits for the
                      disk */
    uv_poll_t signals, hangup;
    uv_timer_t watch;        /* once a second: is something waited for? */
    rd_waiting waiting;      /* what was last told of it */
    uv_handle_t *handles[6]; /* (handle_count) of these, those that are open */
    size_t handle_count;
    bool loop_open;
    double linger_seconds;
    bool interrupted, finished;
    rd_error failure; /* status RD_OK: none */

    pthread_mutex_t lock; /* guards what follows */
    rd_rounds *rounds;
    rd_sessions *sessions;
    bool clients_keep;              /* something between rounds, and rounds are synchronous */
    rd_counted counted;             /* in rounds before this process began; empty unless clients_keep */
    published models[2];            /* the newest, and the one before it */
    rd_participation_record *parts; /* (part_count) the cohort of the current round */
    size_t part_count;
    size_t part_capacity;
    uint32_t *part_of; /* (client_capacity) index into parts, or NO_PART */
    bool *told;        /* (client_capacity) knows that the run is finished */
    published *given;  /* (client_capacity) with the client's last task */
    size_t client_capacity;
    double opened_at; /* rd_clock_seconds */
    uint64_t bytes_in_before, bytes_out_before;
    newcomer *newcomers;
    rd_error fatal;

    pthread_mutex_t log_lock;

    /* The round that is published and not yet committed; the driver's thread only. */
    bool uncommitted;
    rd_round_record record;
    rd_participation_record *record_parts;
    size_t record_part_count;
};

void rd_driver_log(rd_driver *d, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&d->log_lock);
    d->callbacks.line(d->callbacks.user, text);
    pthread_mutex_unlock(&d->log_lock);
}

rd_run *rd_driver_run(rd_driver *d)
{
    return d->run;
}

/* ---- models ---- */

/* With the lock held, or before other threads are there. */
static void publish_model(rd_driver *d)
{
    published now = {rd_run_model_version(d->run), rd_run_model_fingerprint(d->run)};
    if (now.version == d->models[0].version && now.fingerprint == d->models[0].fingerprint)
        return; /* the round was abandoned */
    d->models[1] = d->models[0];
    d->models[0] = now;
}

static void write_name(const rd_driver *d, const published *model, char name[RD_MODEL_NAME_MAX])
{
    (void)snprintf(name, RD_MODEL_NAME_MAX, "%s-%" PRIu64 "-%016" PRIx64, rd_store_run_id(rd_run_store(d->run)),
                   model->version, model->fingerprint);
}

void rd_driver_model_name(rd_driver *d, uint64_t version, char name[RD_MODEL_NAME_MAX])
{
    published model = {0};
    bool known = false;
    pthread_mutex_lock(&d->lock);
    for (int i = 0; i < 2 && !known; i++) {
        model = d->models[i];
        known = model.version == version;
    }
    pthread_mutex_unlock(&d->lock);
    if (known)
        write_name(d, &model, name);
    else
        (void)snprintf(name, RD_MODEL_NAME_MAX, "%s-%" PRIu64, rd_store_run_id(rd_run_store(d->run)), version);
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
    published wanted = waits ? d->models[0] : d->given[client];
    pthread_mutex_unlock(&d->lock);
    write_name(d, &wanted, expected);
    size_t length = strlen(expected), quoted = model[0] == '"';
    if (strncmp(model + quoted, expected, length) == 0 && strcmp(model + quoted + length, quoted ? "\"" : "") == 0)
        return RD_OK;
    return rd_fail(err, RD_ERR_STATE,
                   "the update was trained from model %.120s, and is needed from %s: ask for the task and fetch the "
                   "model again",
                   model, expected);
}

/* ---- what workers tell ---- */

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

/* Makes room for one more client in the arrays that run beside the core's numbers. */
static rd_status reserve_client(rd_driver *d, rd_error *err)
{
    size_t count = rd_rounds_client_count(d->rounds);
    if (count < d->client_capacity)
        return RD_OK;
    size_t capacity = d->client_capacity == 0 ? 64 : 2 * d->client_capacity;
    uint32_t *part_of = realloc(d->part_of, capacity * sizeof *part_of);
    if (part_of != NULL)
        d->part_of = part_of;
    bool *told = realloc(d->told, capacity * sizeof *told);
    if (told != NULL)
        d->told = told;
    published *given = realloc(d->given, capacity * sizeof *given);
    if (given != NULL)
        d->given = given;
    if (part_of == NULL || told == NULL || given == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for more than %zu clients", count);
    for (size_t i = d->client_capacity; i < capacity; i++) {
        part_of[i] = NO_PART;
        told[i] = false;
        given[i] = (published){0};
    }
    d->client_capacity = capacity;
    return RD_OK;
}

rd_status rd_driver_join(rd_driver *d, const char *name, const rd_caller *caller, const rd_join *join,
                         rd_join_data *data, rd_error *err)
{
    bool news = false;
    size_t length = strlen(name) + 1;
    newcomer *n = malloc(sizeof *n + length);
    if (n == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for client '%s'", name);
    n->join = *join;
    n->at = rd_clock_unix();
    memcpy(n->name, name, length);

    pthread_mutex_lock(&d->lock);
    rd_status status = reserve_client(d, err);
    size_t client = rd_rounds_find(d->rounds, name);
    bool is_new = client == SIZE_MAX;
    if (status == RD_OK && !is_new)
        status = rd_sessions_join(d->sessions, client, caller, &news, err);
    if (status == RD_OK)
        status = rd_settling_join(d->settling, name, data, err);
    if (status == RD_OK)
        status = rd_rounds_join(d->rounds, name, &client, err);
    if (status == RD_OK && is_new)
        rd_rounds_set_last_counted(d->rounds, client, rd_counted_of(&d->counted, name));
    if (status == RD_OK)
        status = rd_sessions_join(d->sessions, client, caller, &news, err);
    if (status == RD_OK) {
        n->next = d->newcomers;
        d->newcomers = n;
    }
    pthread_mutex_unlock(&d->lock);
    if (status != RD_OK)
        free(n);
    else
        uv_async_send(&d->poke);
    if (news)
        rd_driver_log(d, "%s from %s refused: %s", name, caller->address, err->message);
    return status;
}

/* With the lock held: the record of the client in the current round, new where rounds are asynchronous and it
 * has none yet. NULL: no memory. */
static rd_participation_record *part_of(rd_driver *d, size_t client)
{
    if (d->part_of[client] != NO_PART)
        return &d->parts[d->part_of[client]];
    if (d->part_count == d->part_capacity) {
        size_t capacity = d->part_capacity == 0 ? 64 : 2 * d->part_capacity;
        rd_participation_record *parts = realloc(d->parts, capacity * sizeof *parts);
        if (parts == NULL)
            return NULL;
        d->parts = parts;
        d->part_capacity = capacity;
    }
    rd_participation_record *part = &d->parts[d->part_count];
    *part = (rd_participation_record){.round = rd_rounds_current(d->rounds)};
    (void)snprintf(part->client, sizeof part->client, "%s", rd_rounds_client_name(d->rounds, client));
    d->part_of[client] = (uint32_t)d->part_count++;
    return part;
}

void rd_driver_leave(rd_driver *d, size_t client, const char *reason)
{
    pthread_mutex_lock(&d->lock);
    rd_participation_record *part = rd_rounds_has_task(d->rounds, client) ? part_of(d, client) : NULL;
    if (part != NULL)
        (void)snprintf(part->reason, sizeof part->reason, "%s", reason);
    rd_rounds_leave(d->rounds, client);
    d->told[client] = true; /* nobody to wait for */
    char *name = strdupa(rd_rounds_client_name(d->rounds, client));
    pthread_mutex_unlock(&d->lock);
    rd_settling_leave(d->settling, name);
    uv_async_send(&d->poke);
}

char *rd_driver_welcome(rd_driver *d, const char *name)
{
    return rd_settling_welcome(d->settling, rd_store_run_id(rd_run_store(d->run)), name);
}

rd_status rd_driver_measured(rd_driver *d, const char *name, uint64_t step, const char *json, size_t size,
                             rd_error *err)
{
    rd_status status = rd_settling_measured(d->settling, name, step, json, size, err);
    uv_async_send(&d->poke);
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
    *task = (rd_task){.counted = RD_UNTOLD};
    (void)snprintf(task->name, sizeof task->name, "measure-%d", step);
    return step > 0;
}

bool rd_driver_task(rd_driver *d, size_t client, rd_task *task)
{
    bool something = true, last_word = false;
    if (measure_task(d, client, task))
        return true;
    pthread_mutex_lock(&d->lock);
    d->told[client] = d->told[client] && rd_rounds_finished(d->rounds); /* who left and came back wants to know */
    if (rd_rounds_finished(d->rounds)) {
        *task = (rd_task){.name = RD_TASK_FINISHED,
                          .round = rd_rounds_current(d->rounds) - 1,
                          .model = d->models[0].version,
                          .counted = RD_UNTOLD};
        last_word = !d->told[client];
        d->told[client] = true;
    } else if (rd_rounds_has_task(d->rounds, client)) {
        const rd_packing *packing = rd_run_packing(d->run);
        d->given[client] = d->models[0];
        const rd_assignment assigned = rd_rounds_assign(d->rounds, client);
        *task = (rd_task){.round = assigned.round,
                          .model = d->models[0].version,
                          .kept = packing != NULL ? packing->kept : 0,
                          .counted = d->clients_keep ? rd_rounds_last_counted(d->rounds, client) : RD_UNTOLD};
        (void)snprintf(task->name, sizeof task->name, "%s", assigned.step->name);
    } else {
        something = false;
    }
    pthread_mutex_unlock(&d->lock);
    if (last_word || !something)
        uv_async_send(&d->poke); /* a client that is back may be the one that a round waits for */
    return something;
}

rd_verdict rd_driver_may_deliver(rd_driver *d, size_t client, uint64_t round, const rd_step *step)
{
    pthread_mutex_lock(&d->lock);
    rd_verdict verdict = rd_rounds_may_deliver(d->rounds, client, round, rd_rounds_find_step(d->rounds, step->name));
    pthread_mutex_unlock(&d->lock);
    return verdict;
}

rd_status rd_driver_deliver(rd_driver *d, const rd_delivery *delivery, rd_verdict *verdict, rd_intake *intake,
                            rd_error *err)
{
    const size_t client = delivery->client, step = rd_rounds_find_step(d->rounds, delivery->step->name);
    rd_status status = RD_OK;
    pthread_mutex_lock(&d->lock);
    *verdict = rd_rounds_may_deliver(d->rounds, client, delivery->round, step);
    bool accept = *verdict == RD_VERDICT_ACCEPT;
    const rd_arrival arrival = {.key = rd_rounds_client_key(d->rounds, client),
                                .round = delivery->round,
                                .staleness = rd_rounds_staleness(d->rounds, client),
                                .report = delivery->report,
                                .largest = delivery->largest};
    /* Its record first: what has been admitted must be folded in. */
    rd_participation_record *part = accept ? part_of(d, client) : NULL;
    if (accept && part == NULL)
        status = rd_fail(err, RD_ERR_MEMORY, "no memory for the record of another client");
    else if (accept)
        status = rd_aggregate_admit(rd_run_updates(d->run), &arrival, intake, err);
    if (accept && status == RD_OK) {
        (void)rd_rounds_deliver(d->rounds, client, delivery->round, step); /* ACCEPT again: the lock is held */
        part->report = *delivery->report;
        part->bytes_in = delivery->bytes;
        part->seconds = rd_clock_seconds() - d->opened_at;
        part->reason[0] = '\0';
    }
    pthread_mutex_unlock(&d->lock);
    return status;
}

void rd_driver_delivered(rd_driver *d, size_t client)
{
    pthread_mutex_lock(&d->lock);
    rd_rounds_delivered(d->rounds, client);
    pthread_mutex_unlock(&d->lock);
    uv_async_send(&d->poke);
}

void rd_driver_unfit(rd_driver *d, size_t client, const char *reason)
{
    pthread_mutex_lock(&d->lock);
    rd_participation_record *part = &d->parts[d->part_of[client]]; /* rd_driver_deliver has made it */
    memset(&part->report, 0, sizeof part->report);
    (void)snprintf(part->reason, sizeof part->reason, "%.150s", reason);
    rd_rounds_unfit(d->rounds, client);
    pthread_mutex_unlock(&d->lock);
    uv_async_send(&d->poke);
}

void rd_driver_refused(rd_driver *d, size_t client, uint64_t round, const char *reason)
{
    pthread_mutex_lock(&d->lock);
    rd_participation_record *part = rd_rounds_awaits(d->rounds, client, round) ? part_of(d, client) : NULL;
    if (part != NULL)
        (void)snprintf(part->reason, sizeof part->reason, "%.150s", reason);
    rd_rounds_fail(d->rounds, client, round);
    pthread_mutex_unlock(&d->lock);
    uv_async_send(&d->poke);
}

void rd_driver_fatal(rd_driver *d, const rd_error *err)
{
    pthread_mutex_lock(&d->lock);
    if (d->fatal.status == RD_OK)
        d->fatal = *err;
    pthread_mutex_unlock(&d->lock);
    uv_async_send(&d->poke);
}

/* ---- what the core decides; the driver's thread ---- */

static void stop_with(rd_driver *d, const rd_error *err)
{
    d->failure = *err;
    uv_stop(&d->loop);
}

static void on_deadline(uv_timer_t *timer)
{
    rd_driver *d = timer->data;
    if (!d->settled) {
        char missing[400];
        rd_settling_deadline(d->settling, missing, sizeof missing);
        if (missing[0] != '\0')
            rd_driver_log(d, "measuring goes on without %s, of whom nothing was heard in %g s", missing,
                          rd_run_config(d->run)->cohort.deadline_seconds);
        uv_async_send(&d->poke);
        return;
    }
    pthread_mutex_lock(&d->lock);
    rd_rounds_deadline(d->rounds, rd_rounds_current(d->rounds));
    pthread_mutex_unlock(&d->lock);
    uv_async_send(&d->poke);
}

/* With the lock held: between the core's decision and this no update may come in. */
static rd_status open_round(rd_driver *d, const rd_action *action, rd_error *err)
{
    for (size_t i = 0; i < d->client_capacity; i++)
        d->part_of[i] = NO_PART;
    d->part_count = 0;
    for (size_t i = 0; i < action->cohort_size; i++)
        if (part_of(d, action->cohort[i]) == NULL)
            return rd_fail(err, RD_ERR_MEMORY, "no memory for the records of %zu clients", action->cohort_size);
    d->opened_at = rd_clock_seconds();
    d->callbacks.traffic(d->callbacks.user, &d->bytes_in_before, &d->bytes_out_before);
    return RD_OK;
}

/* A step begins. */
static void ask_clients(rd_driver *d)
{
    double seconds = rd_run_config(d->run)->cohort.deadline_seconds;
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
    rd_participation_record *parts = realloc(d->record_parts, (count + 1) * sizeof *parts);
    if (parts == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the records of %zu clients", count);
    d->record_parts = parts;
    d->callbacks.traffic(d->callbacks.user, &bytes_in, &bytes_out);
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < count; i++) {
        const rd_participation_record *part = part_of(d, action->cohort[i]);
        if (part == NULL) {
            pthread_mutex_unlock(&d->lock);
            return rd_fail(err, RD_ERR_MEMORY, "no memory for the records of %zu clients", count);
        }
        parts[i] = *part;
        parts[i].status = rd_rounds_participation(d->rounds, action->cohort[i]);
        record->counted += parts[i].status == RD_PART_COUNTED;
        record->late += parts[i].status == RD_PART_LATE;
        record->failed += parts[i].status == RD_PART_FAILED;
    }
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
        rd_driver_log(d, "%s; trying again every %d s (the round is kept in memory)", err->message,
                      RETRY_MILLISECONDS / 1000);
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

static rd_status commit_round(rd_driver *d, rd_error *err)
{
    char line[1024];
    rd_status status = insist(d, commit_step, err);
    if (status != RD_OK)
        return status;
    d->uncommitted = false;
    rd_record_line(&d->record, rd_run_config(d->run)->rounds, line, sizeof line);
    name_missing(d, RD_PART_LATE, "; late: ", line, sizeof line);
    name_missing(d, RD_PART_FAILED, "; failed: ", line, sizeof line);
    rd_driver_log(d, "%s", line);
    return RD_OK;
}

static rd_status close_round(rd_driver *d, const rd_action *action, rd_error *err)
{
    bool stop = false;
    uv_timer_stop(&d->deadline);
    rd_status status = collect_record(d, action, err);
    if (status != RD_OK)
        return status;
    pthread_mutex_lock(&d->lock);
    size_t known = rd_rounds_client_count(d->rounds);
    pthread_mutex_unlock(&d->lock);
    status = rd_run_average(d->run, action->round, action->aggregate, known, &d->record, err);
    if (status == RD_OK && d->record.aggregated)
        status = rd_run_prune(d->run, action->round, err);
    if (status == RD_OK && d->record.aggregated)
        status = insist(d, save_step, err);
    if (status != RD_OK)
        return status;
    d->record.seconds = rd_clock_seconds() - d->opened_at;
    d->uncommitted = true;
    if (rd_stopping_decides(rd_run_config(d->run))) {
        status = commit_round(d, err);
        if (status != RD_OK)
            return status;
        stop = rd_run_is_over(d->run);
    }
    status = rd_run_prepare(d->run, action->round + 1, err);
    if (status != RD_OK)
        return status;
    pthread_mutex_lock(&d->lock);
    rd_rounds_committed(d->rounds, action->round, stop);
    publish_model(d);
    pthread_mutex_unlock(&d->lock);
    return RD_OK;
}

static void on_linger_over(uv_timer_t *timer)
{
    rd_driver *d = timer->data;
    uv_stop(&d->loop);
}

static rd_status finish_run(rd_driver *d, rd_error *err)
{
    char reason[300];
    rd_status status = rd_store_finish(rd_run_store(d->run), err);
    if (status != RD_OK)
        return status;
    d->finished = true;
    rd_driver_log(d, "run finished after round %llu", (unsigned long long)rd_run_last_record(d->run)->round);
    rd_run_reason(d->run, reason, sizeof reason);
    if (reason[0] != '\0')
        rd_driver_log(d, "%s", reason);
    d->callbacks.wake(d->callbacks.user);
    uv_timer_start(&d->linger, on_linger_over, (uint64_t)(1000.0 * d->linger_seconds), 0);
    return RD_OK;
}

static rd_status store_newcomers(rd_driver *d, rd_error *err)
{
    rd_status status = RD_OK;
    pthread_mutex_lock(&d->lock);
    newcomer *n = d->newcomers;
    d->newcomers = NULL;
    pthread_mutex_unlock(&d->lock);
    while (n != NULL) {
        newcomer *next = n->next;
        if (status == RD_OK) {
            status = rd_store_client(rd_run_store(d->run), n->name, &n->join, n->at, err);
            rd_driver_log(d, "%s joined with %llu samples (%s)", n->name, (unsigned long long)n->join.samples,
                          n->join.software[0] ? n->join.software : "software not told");
        }
        free(n);
        n = next;
    }
    return status;
}

/* Has every client that may still listen been told that the run is over? */
static bool all_told(rd_driver *d)
{
    pthread_mutex_lock(&d->lock);
    bool all = rd_rounds_client_count(d->rounds) > 0; /* none yet: they may be about to come back */
    for (size_t i = 0; i < rd_rounds_client_count(d->rounds); i++)
        all = all && d->told[i];
    pthread_mutex_unlock(&d->lock);
    return all;
}

/* Before the first round what columns mean is settled, a step at a time; later only where the first table comes late. */
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
    if (text[0] != '\0')
        rd_driver_log(d, "%s", text);
    const bool first = news == RD_SETTLING_DONE && !d->settled;
    d->settled = d->settled || first;
    if (first) { /* now there is a model of round 0 */
        uv_timer_stop(&d->deadline);
        pthread_mutex_lock(&d->lock);
        publish_model(d);
        pthread_mutex_unlock(&d->lock);
    }
    if (first && rd_run_test_set(d->run)->note != NULL)
        rd_driver_log(d, "data.test: %s", rd_run_test_set(d->run)->note);
    return RD_OK;
}

/* Carries out one decision of the core. *more is false when there is none left. */
static rd_status step(rd_driver *d, bool *more, rd_error *err)
{
    rd_status status = store_newcomers(d, err);
    if (status == RD_OK)
        status = settle(d, err);
    *more = false;
    if (status != RD_OK || !d->settled)
        return status;
    pthread_mutex_lock(&d->lock);
    if (d->fatal.status != RD_OK)
        status = rd_fail(err, d->fatal.status, "%s", d->fatal.message);
    rd_action action = status == RD_OK ? rd_rounds_next(d->rounds) : (rd_action){.kind = RD_ACTION_NONE};
    if (action.kind == RD_ACTION_OPEN)
        status = open_round(d, &action, err);
    pthread_mutex_unlock(&d->lock);
    *more = action.kind != RD_ACTION_NONE;
    if (status == RD_OK && action.kind == RD_ACTION_ASK)
        d->callbacks.wake(d->callbacks.user);
    if (status == RD_OK && (action.kind == RD_ACTION_OPEN || action.kind == RD_ACTION_STEP)) {
        ask_clients(d); /* before the round before is committed: see driver.h */
        return RD_OK;
    }
    if (status == RD_OK && d->uncommitted)
        status = commit_round(d, err);
    if (status == RD_OK && action.kind == RD_ACTION_CLOSE)
        status = close_round(d, &action, err);
    if (status == RD_OK && action.kind == RD_ACTION_FINISH)
        status = finish_run(d, err);
    return status;
}

static void on_poke(uv_async_t *async)
{
    rd_driver *d = async->data;
    rd_error err;
    bool more = true;
    while (more && !d->interrupted && d->failure.status == RD_OK)
        if (step(d, &more, &err) != RD_OK)
            stop_with(d, &err);
    if (d->finished && all_told(d))
        uv_timer_start(&d->linger, on_linger_over, 50, 0); /* the last answers are on their way */
}

/* With the lock held: names the clients of the open round that have not delivered. */
static void name_awaited(rd_driver *d, char *text, size_t size)
{
    enum { MOST_NAMED = 8 };
    size_t named = 0, all = 0, at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < d->part_count; i++) {
        size_t client = rd_rounds_find(d->rounds, d->parts[i].client);
        if (client == SIZE_MAX || rd_rounds_participation(d->rounds, client) != RD_PART_ASKED)
            continue;
        if (all++ < MOST_NAMED && at < size) {
            int n = snprintf(text + at, size - at, "%s%s", named++ == 0 ? "; waiting for " : ", ", d->parts[i].client);
            at += n > 0 ? (size_t)n : 0;
        }
    }
    if (all > named && at < size)
        (void)snprintf(text + at, size - at, " and %zu more", all - named);
}

/* What a run that stands still waits for, in a line; *what is a number for it (waiting.h), 0: it does not. */
static void describe_waiting(rd_driver *d, uint64_t *what, char *line, size_t size)
{
    size_t missing;
    const rd_cohort_config *cohort = &rd_run_config(d->run)->cohort;
    double open = rd_clock_seconds() - d->opened_at;
    *what = 0;
    pthread_mutex_lock(&d->lock);
    if (rd_rounds_waiting(d->rounds)) {
        size_t there = rd_rounds_available(d->rounds), needed = rd_cohort_needed(cohort);
        *what = 1 + there;
        (void)snprintf(line, size, "waiting: %zu of %zu clients are there (cohort.%s)", there, needed,
                       needed > cohort->min_clients ? "min_updates" : "min_clients");
    } else if ((missing = rd_rounds_missing(d->rounds)) > 0 && open > 1e-3 * RD_WAITING_AGAIN_MS) {
        char names[400];
        name_awaited(d, names, sizeof names);
        *what = UINT64_MAX - rd_rounds_current(d->rounds);
        (void)snprintf(line, size, "round %llu: %zu update%s missing after %.0f s%s (the deadline is in %.0f s)",
                       (unsigned long long)rd_rounds_current(d->rounds), missing, missing == 1 ? " is" : "s are", open,
                       names, fmax(cohort->deadline_seconds - open, 0.0));
    }
    pthread_mutex_unlock(&d->lock);
}

static void on_watch(uv_timer_t *timer)
{
    rd_driver *d = timer->data;
    uint64_t what;
    char line[640];
    describe_waiting(d, &what, line, sizeof line);
    if (!d->finished && rd_waiting_is_due(&d->waiting, what, uv_now(&d->loop)))
        rd_driver_log(d, "%s", line);
}

static void on_hangup(uv_poll_t *handle, int status, int events)
{
    rd_driver *d = handle->data;
    (void)status;
    (void)events;
    if (!rd_signals_hangup())
        return;
    d->callbacks.reload(d->callbacks.user);
    d->callbacks.wake(d->callbacks.user);
}

static void on_signal(uv_poll_t *handle, int status, int events)
{
    rd_driver *d = handle->data;
    (void)status;
    (void)events;
    d->interrupted = true;
    uv_stop(&d->loop);
}

rd_status rd_driver_loop(rd_driver *d, double linger_seconds, bool *interrupted, rd_error *err)
{
    d->linger_seconds = linger_seconds;
    int code = uv_poll_start(&d->signals, UV_READABLE, on_signal);
    if (code == 0)
        code = uv_poll_start(&d->hangup, UV_READABLE, on_hangup);
    if (code != 0)
        return rd_fail(err, RD_ERR_IO, "event loop: %s", uv_strerror(code));
    uv_timer_start(&d->watch, on_watch, 1000, 1000);
    uv_async_send(&d->poke);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    /* A round that was published but not committed still can be: nothing of it is lost. */
    rd_status status = RD_OK;
    if (d->failure.status != RD_OK)
        status = rd_fail(err, d->failure.status, "%s", d->failure.message);
    else if (d->uncommitted)
        status = commit_round(d, err);
    *interrupted = d->interrupted && !d->finished;
    return status;
}

/* ---- life ---- */

static void add_handle(rd_driver *d, void *handle)
{
    ((uv_handle_t *)handle)->data = d;
    d->handles[d->handle_count++] = handle;
}

static rd_status open_loop(rd_driver *d, rd_error *err)
{
    int hangup_fd;
    rd_status status = rd_signals_open(&d->signal_fd, err);
    if (status == RD_OK)
        status = rd_signals_open_hangup(&hangup_fd, err);
    if (status != RD_OK)
        return status;
    int code = uv_loop_init(&d->loop);
    if (code != 0)
        return rd_fail(err, RD_ERR_IO, "event loop: %s", uv_strerror(code));
    d->loop_open = true;
    (void)uv_timer_init(&d->loop, &d->deadline); /* a timer always can be */
    add_handle(d, &d->deadline);
    (void)uv_timer_init(&d->loop, &d->linger);
    add_handle(d, &d->linger);
    (void)uv_timer_init(&d->loop, &d->watch);
    add_handle(d, &d->watch);
    code = uv_async_init(&d->loop, &d->poke, on_poke);
    if (code == 0) {
        add_handle(d, &d->poke);
        code = uv_poll_init(&d->loop, &d->signals, d->signal_fd);
    }
    if (code == 0) {
        add_handle(d, &d->signals);
        code = uv_poll_init(&d->loop, &d->hangup, hangup_fd);
    }
    if (code != 0)
        return rd_fail(err, RD_ERR_IO, "event loop: %s", uv_strerror(code));
    add_handle(d, &d->hangup);
    return RD_OK;
}

rd_status rd_driver_create(rd_run *run, rd_settling *settling, rd_driver **out, rd_error *err)
{
    rd_driver *d = calloc(1, sizeof *d);
    if (d == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the driver");
    d->signal_fd = -1;
    d->lock = d->log_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    const rd_config *config = rd_run_config(run);
    rd_status status = rd_sessions_create(&d->sessions, err);
    if (status == RD_OK)
        status = rd_rounds_create(
            &(rd_rounds_options){.cohort = &config->cohort,
                                 .steps = rd_round_steps,
                                 .seed = config->seed,
                                 .rounds = rd_run_is_over(run) ? rd_run_next_round(run) - 1 : config->rounds,
                                 .first_round = rd_run_next_round(run)},
            &d->rounds, err);
    /* An asynchronous round is not that of the task which was done for it. */
    d->clients_keep = !rd_cohort_is_asynchronous(&config->cohort) &&
                      rd_client_memory(rd_run_model(run), &config->strategy, &config->personalisation) > 0;
    if (status == RD_OK && d->clients_keep)
        status = rd_counted_load(&d->counted, rd_run_store(run), err);
    if (status == RD_OK)
        status = open_loop(d, err);
    if (status != RD_OK) {
        rd_driver_free(d);
        return status;
    }
    d->run = run;
    d->settling = settling;
    d->settled = rd_settling_is_done(settling);
    publish_model(d);
    *out = d;
    return RD_OK;
}

void rd_driver_set_callbacks(rd_driver *d, const rd_driver_callbacks *callbacks)
{
    d->callbacks = *callbacks;
}

void rd_driver_free(rd_driver *d)
{
    if (d == NULL)
        return;
    for (size_t i = 0; i < d->handle_count; i++)
        uv_close(d->handles[i], NULL);
    if (d->loop_open) {
        uv_run(&d->loop, UV_RUN_DEFAULT);
        uv_loop_close(&d->loop);
    }
    rd_signals_close(d->signal_fd);
    while (d->newcomers != NULL) {
        newcomer *n = d->newcomers;
        d->newcomers = n->next;
        free(n);
    }
    rd_rounds_free(d->rounds);
    rd_sessions_free(d->sessions);
    rd_counted_free(&d->counted);
    pthread_mutex_destroy(&d->lock);
    pthread_mutex_destroy(&d->log_lock);
    free(d->parts);
    free(d->record_parts);
    free(d->part_of);
    free(d->told);
    free(d->given);
    free(d);
}
