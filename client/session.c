/* session.c: see session.h. The path of a round: fetch_model -> rd_local_round_run -> deliver. Every request
 * goes through request.h, the one place that knows about lost connections, busy aggregators and restarts. */
#include "session.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/messages.h"
#include "codec/tensor_stream.h"
#include "codec/update.h"
#include "model/model.h"
#include "model/tensors.h"
#include "request.h"
#include "rondo/version.h"
#include "samples.h"
#include "train/keep.h"
#include "train/local_round.h"

#define POLL_SECONDS 30
#define LEAST_POLL 0.2 /* seconds from one question for work to the next where the answer is "nothing" at once */
#define JSON_TYPE "application/json"
#define NO_VERSION UINT64_MAX

typedef struct session {
    const rd_session_options *options;
    rd_requester *requester;
    rd_samples samples;
    rd_welcome welcome; /* run_id empty: nothing has been heard of the run yet */
    bool joined;
    bool planned; /* samples and model are there, and fit */
    rd_model *model;
    rd_trainer *trainer;
    float *global;                /* (n) parameters of model version `version` */
    float *delta;                 /* (rd_local_round_room) */
    rd_tensor_table with_control; /* scaffold: what travels is parameters and control variate; else no tensors */
    float *control;               /* (n that travel) scaffold's c of that version */
    rd_keep *keep;                /* what the client keeps between rounds; NULL: nothing */
    float *memory;                /* the same, of the round in progress */
    uint64_t version;             /* NO_VERSION: none is held */
    char model_name[RD_ETAG_MAX]; /* of that version, as the aggregator names it: its update repeats it */
    rd_packing *packing;          /* of that version; NULL: it has not been pruned */
    bool has_frozen;              /* the frozen part has come */
} session;

static bool stopped(const session *s)
{
    return rd_requester_stopped(s->requester);
}

static void say(const session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const session *s, const char *format, ...)
{
    va_list arguments;
    if (s->options->quiet)
        return;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

static void say_line(void *user, const char *line)
{
    say(user, "%s", line);
}

/* ---- join ---- */

/* Sends a request that is answered with what the run is, and takes the answer in. */
static rd_status hear_of_run(session *s, const rd_request *request, rd_error *err)
{
    rd_response response;
    rd_welcome welcome;
    rd_status status = rd_requester_ask(s->requester, request, &response, err);
    if (status == RD_OK && response.status != 200)
        status = rd_requester_refused(&response, err);
    if (status == RD_OK)
        status = rd_welcome_parse(response.body, response.size, &welcome, err);
    if (status != RD_OK)
        return status;
    if (s->welcome.run_id[0] == '\0') {
        s->welcome = welcome;
        return RD_OK;
    }
    if (strcmp(welcome.run_id, s->welcome.run_id) != 0) {
        status =
            rd_fail(err, RD_ERR_REFUSED, "the aggregator now serves another run (%s, was %s); start the client again",
                    welcome.run_id, s->welcome.run_id);
    } else if (!s->planned) { /* the model stays; what columns mean becomes known */
        rd_schema known = s->welcome.schema;
        s->welcome.schema = welcome.schema;
        s->welcome.settled = welcome.settled;
        welcome.schema = known;
    }
    rd_welcome_free(&welcome);
    return status;
}

static rd_status ask_of_run(session *s, rd_error *err)
{
    return hear_of_run(s, &(rd_request){.method = "GET", .path = "/v1/run"}, err);
}

static bool can_settle(const session *s)
{
    return rd_samples_can_settle(&s->samples, &s->welcome.schema, s->welcome.settled);
}

/* Joins, for the first time or again. A restarted aggregator may hold other parameters under the same
 * version. */
static rd_status join(session *s, rd_error *err)
{
    rd_status status = RD_OK;
    rd_join_data data = {0};
    rd_join message = {.protocol = RD_PROTOCOL_VERSION};
    char *json = NULL;
    if (!s->planned)
        RD_TRY(rd_samples_describe(&s->samples, &s->welcome.schema, s->welcome.settled, &data, err));
    message.samples = rd_samples_count(&s->samples);
    (void)snprintf(message.software, sizeof message.software, "rondo-client %s", RONDO_VERSION);
    json = rd_join_write(&message, &data);
    if (json == NULL)
        RD_TRY(rd_fail(err, RD_ERR_MEMORY, "no memory to join"));
    RD_TRY(hear_of_run(
        s,
        &(rd_request){.method = "POST", .path = "/v1/join", .content_type = JSON_TYPE, .body = {{json, strlen(json)}}},
        err));
    if (data.is_table && !s->joined) {
        say(s, "%s: told the aggregator of its %zu columns and %zu classes, of no row", s->samples.source->path,
            data.table.column_count, data.table.label.words.count);
        if (!can_settle(s))
            say(s, "joined run %.12s as %s; what columns mean is settled when enough clients are there",
                s->welcome.run_id, s->welcome.client);
    }
    s->version = NO_VERSION;
    s->joined = true;
cleanup:
    rd_join_data_free(&data);
    free(json);
    return status;
}

static rd_status rejoin(void *user, rd_error *err)
{
    session *s = user;
    s->joined = false;
    return join(s, err);
}

/* Opens what was kept in this run, or begins it. */
static rd_status open_keep(session *s, size_t floats, rd_error *err)
{
    char what[128], note[RD_KEEP_NOTE_MAX];
    const rd_config *c = &s->welcome.config;
    (void)snprintf(what, sizeof what, "%s%s", rd_strategy_names[c->strategy.kind],
                   c->personalisation.method == RD_PERSONAL_DITTO ? ", ditto" : "");
    /* A round is published before it is committed, so the aggregator may come back one round before the last that
     * counted. */
    const rd_keep_options keep = {.path = s->options->keep,
                                  .run = s->welcome.run_id,
                                  .client = s->welcome.client,
                                  .what = what,
                                  .clients = 1,
                                  .floats = floats,
                                  .rounds = 2,
                                  .alone = s->options->keep != NULL,
                                  .memory_limit = SIZE_MAX};
    rd_status status = RD_OK;
    if (keep.path != NULL) {
        RD_TRY(rd_keep_set_aside(&keep, note, err));
        if (note[0] != '\0')
            say(s, "%s", note);
    }
    RD_TRY(rd_keep_open(&keep, &s->keep, err));
cleanup:
    if (status == RD_ERR_STATE)
        return rd_fail(err, RD_ERR_CONFIG, "--keep %s", strdupa(err->message));
    return status;
}

/* Leaves in s->memory what this client kept when its update last counted. */
static rd_status recall(session *s, const rd_task *task, bool *is_new, rd_error *err)
{
    rd_keep_found found;
    uint64_t counted = task->counted == RD_UNTOLD ? RD_KEEP_NEWEST : task->counted;
    rd_status status = rd_keep_read(s->keep, 0, task->round, counted, s->memory, &found, err);
    *is_new = found != RD_KEEP_FOUND;
    if (status == RD_OK && found == RD_KEEP_LOST)
        say(s, "round %" PRIu64 ": what this client kept%s%s is not there any more, and is begun anew", task->round,
            s->options->keep != NULL ? " in " : ", without --keep,", s->options->keep != NULL ? s->options->keep : "");
    return status;
}

/* What strategies need beside the parameters. */
static rd_status plan_memory(session *s, bool scaffold, rd_error *err)
{
    size_t travelling = rd_model_tensors(s->model, RD_TENSORS_TRAVELLING).elements,
           floats = rd_client_memory(s->model, scaffold, &s->welcome.config.personalisation);
    rd_status status = RD_OK;
    if (scaffold) {
        RD_TRY(rd_tensor_table_double(rd_model_tensors(s->model, RD_TENSORS_TRAVELLING), "control.", &s->with_control,
                                      err));
        s->control = malloc(2 * travelling * sizeof *s->control);
    }
    if (floats > 0) {
        RD_TRY(open_keep(s, floats, err));
        s->memory = malloc(floats * sizeof *s->memory);
    } else if (s->options->keep != NULL) {
        say(s, "--keep %s is not used: in this run clients keep nothing between rounds", s->options->keep);
    }
    if ((scaffold && s->control == NULL) || (floats > 0 && s->memory == NULL))
        status = rd_fail(err, RD_ERR_MEMORY, "no memory for %zu numbers to keep between rounds", floats);
cleanup:
    return status;
}

/* The rows that were read are not all trained on. */
static void say_joined(const session *s, size_t parameters)
{
    const rd_config *c = &s->welcome.config;
    size_t rows = s->samples.data.rows, held = rd_holdout_rows(c->client_evaluation.holdout, rows);
    char out[48] = "", tasks[64] = "";
    if (held > 0)
        (void)snprintf(out, sizeof out, " of %zu, %zu held out", rows, held);
    if (c->continual.task_count > 0)
        (void)snprintf(tasks, sizeof tasks, ", in a round those of its task (continual)");
    say(s, "joined run %.12s as %s: %zu samples%s%s, %zu parameters", s->welcome.run_id, s->welcome.client, rows - held,
        out, tasks, parameters);
}

/* What the command line says of the data, and the run otherwise. */
static rd_status check_wishes(const session *s, rd_error *err)
{
    const rd_schema *schema = &s->welcome.schema;
    bool scaled = false;
    for (size_t i = 0; i < schema->column_count; i++)
        scaled = scaled || schema->columns[i].scale == RD_SCALE_STANDARD;
    if (s->samples.is_table && s->options->data.standardise && !scaled)
        return rd_fail(err, RD_ERR_CONFIG,
                       "--standardise: how features are scaled is settled by the run, and it leaves them as they are "
                       "(data.schema.scale in its run.json)");
    if (s->samples.is_table && s->options->data.regression == RD_YES && schema->label.type == RD_COLUMN_CATEGORY)
        return rd_fail(err, RD_ERR_CONFIG, "--regression: the run's model predicts classes");
    return RD_OK;
}

static rd_status plan_model(session *s, rd_error *err)
{
    if (s->model != NULL)
        return RD_OK;
    rd_status status = rd_model_create(s->welcome.config.model, &s->model, err);
    return status == RD_OK ? RD_OK : rd_fail_context(err, status, "the aggregator's configuration");
}

/* Makes samples of the data, and checks that they fit the model. */
static rd_status plan(session *s, rd_error *err)
{
    const rd_config *c = &s->welcome.config;
    rd_status status = RD_OK;
    RD_TRY(plan_model(s, err));
    RD_TRY(check_wishes(s, err));
    RD_TRY(rd_samples_settle(&s->samples, &s->welcome.schema, s->model, err));
    if (s->samples.data.note != NULL)
        say(s, "%s", s->samples.data.note);
    RD_TRY(rd_data_check(s->model, &s->samples.data, s->samples.source->path, err));
    RD_TRY(rd_trainer_create(s->model, &c->training, s->samples.data.rows, &s->trainer, err));
    size_t n = rd_model_parameter_count(s->model);
    bool scaffold = c->strategy.kind == RD_SCAFFOLD;
    s->global = malloc(n * sizeof *s->global);
    s->delta = malloc(rd_local_round_room(s->model, scaffold) * sizeof *s->delta);
    if (s->global == NULL || s->delta == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for two times %zu parameters", n);
    RD_TRY(plan_memory(s, scaffold, err));
    s->planned = true;
    say_joined(s, n);
cleanup:
    return status;
}

/* The aggregator asks for sums over this client's table. */
static rd_status measure(session *s, uint64_t step, rd_error *err)
{
    rd_response response;
    char path[40], *json = NULL;
    rd_status status = RD_OK;
    RD_TRY(ask_of_run(s, err));
    if (!s->samples.is_table || rd_schema_step(&s->welcome.schema) != (int)step)
        return RD_OK; /* it has gone on meanwhile */
    RD_TRY(rd_samples_measure(&s->samples, &s->welcome.schema, (int)step, &json, err));
    (void)snprintf(path, sizeof path, "/v1/measure/%" PRIu64, step);
    RD_TRY(rd_requester_ask(
        s->requester,
        &(rd_request){.method = "POST", .path = path, .content_type = JSON_TYPE, .body = {{json, strlen(json)}}},
        &response, err));
    if (response.status == 204)
        say(s, "told the aggregator %s over all rows, column by column",
            step == 1 ? "sums and extremes" : "sums of squared differences from the mean");
    else if (response.status != 409) /* too late is no fault */
        status = rd_requester_refused(&response, err);
cleanup:
    free(json);
    return status;
}

/* There is work: what columns mean is settled by now. */
static rd_status plan_late(session *s, rd_error *err)
{
    rd_status status = ask_of_run(s, err);
    if (status == RD_OK && !can_settle(s))
        status = rd_fail(err, RD_ERR_FORMAT, "the aggregator asks to train, but has not said what the columns mean");
    return status == RD_OK ? plan(s, err) : status;
}

/* ---- a round ---- */

typedef struct download {
    rd_tensor_stream *stream;
    float *into;
    rd_tensor_table tensors;
} download;

static rd_status place(void *user, size_t first, const float *values, size_t count, rd_error *err)
{
    download *d = user;
    (void)err;
    memcpy(d->into + first, values, count * sizeof *values);
    return RD_OK;
}

static rd_status take(void *user, const void *bytes, size_t count, rd_error *err)
{
    download *d = user;
    if (d->stream == NULL) {
        rd_tensor_sink sink = {.on_values = place, .user = d};
        rd_status status = rd_tensor_stream_create(d->tensors, &sink, &d->stream, err);
        if (status != RD_OK)
            return status;
    }
    return rd_tensor_stream_feed(d->stream, bytes, count, err);
}

static void start_download_again(void *user)
{
    download *d = user;
    rd_tensor_stream_free(d->stream);
    d->stream = NULL;
}

/* Asks for tensors of a model and leaves them in a vector. */
static rd_status fetch_tensors(session *s, const char *path, rd_tensor_table tensors, float *into,
                               rd_response *response, rd_error *err)
{
    download d = {.into = into, .tensors = tensors};
    rd_request request = {.method = "GET", .path = path, .take = take, .restart = start_download_again, .user = &d};
    rd_status status = rd_requester_ask(s->requester, &request, response, err);
    if (status == RD_OK && response->status == 200)
        status =
            d.stream != NULL ? rd_tensor_stream_finish(d.stream, err) : rd_fail(err, RD_ERR_FORMAT, "it came empty");
    rd_tensor_stream_free(d.stream);
    if (status != RD_ERR_FORMAT && status != RD_ERR_RANGE)
        return status;
    return rd_fail_context(err, RD_ERR_FORMAT, "%s, as the aggregator sent it", path);
}

/* What is frozen comes once. */
static rd_status fetch_frozen(session *s, rd_error *err)
{
    rd_response response;
    if (s->has_frozen || rd_model_tensors(s->model, RD_TENSORS_STAYING).elements == 0)
        return RD_OK;
    rd_status status =
        fetch_tensors(s, "/v1/frozen", rd_model_tensors(s->model, RD_TENSORS_STAYING), s->global, &response, err);
    if (status == RD_OK && response.status != 200)
        status = rd_requester_refused(&response, err);
    s->has_frozen = status == RD_OK;
    if (status == RD_OK)
        say(s, "fetched the frozen part of the model: %zu parameters",
            rd_model_tensors(s->model, RD_TENSORS_STAYING).elements);
    return status;
}

/* Asks for a pruned model, what is kept and where it belongs, and unpacks it. */
static rd_status fetch_packed(session *s, const char *path, size_t kept, rd_response *response, rd_error *err)
{
    size_t all = rd_model_tensors(s->model, RD_TENSORS_TRAVELLING).elements;
    rd_tensor_table packed = {0};
    float *body = NULL;
    rd_status status = RD_OK;
    if (kept > all)
        return rd_fail(err, RD_ERR_FORMAT, "the aggregator keeps %zu of %zu parameters", kept, all);
    RD_TRY(rd_packing_table(kept, all, &packed, err));
    body = malloc(packed.elements * sizeof *body);
    if (body == NULL)
        RD_TRY(rd_fail(err, RD_ERR_MEMORY, "no memory for %zu parameters", packed.elements));
    RD_TRY(fetch_tensors(s, path, packed, body, response, err));
    if (response->status == 200)
        RD_TRY(rd_packing_read(body, kept, all, s->global, &s->packing, err));
cleanup:
    free(body);
    rd_tensor_table_free(&packed);
    return status;
}

/* Scaffold's control variate comes with the parameters. */
static rd_status fetch_with_control(session *s, const char *path, rd_response *response, rd_error *err)
{
    size_t n = rd_model_tensors(s->model, RD_TENSORS_TRAVELLING).elements;
    rd_status status = fetch_tensors(s, path, s->with_control, s->control, response, err);
    if (status == RD_OK && response->status == 200) {
        memcpy(s->global, s->control, n * sizeof *s->global);
        memmove(s->control, s->control + n, n * sizeof *s->control);
    }
    return status;
}

/* Leaves model version `version` in s->global. *bytes is what came over the network: 0 where it was there
 * already. Where the aggregator does not keep it any more, because rounds went on without this client, that
 * is told and s->version stays NO_VERSION. */
static rd_status fetch_model(session *s, uint64_t version, uint64_t kept, uint64_t *bytes, rd_error *err)
{
    char path[64];
    rd_refusal refusal;
    rd_response response;
    *bytes = 0;
    if (s->version == version)
        return RD_OK;
    s->version = NO_VERSION;
    rd_packing_free(s->packing);
    s->packing = NULL;
    (void)snprintf(path, sizeof path, "/v1/model/%" PRIu64, version);
    rd_status status = fetch_frozen(s, err);
    if (status == RD_OK)
        status = kept > 0                    ? fetch_packed(s, path, (size_t)kept, &response, err)
                 : s->with_control.count > 0 ? fetch_with_control(s, path, &response, err)
                                             : fetch_tensors(s, path, rd_model_tensors(s->model, RD_TENSORS_TRAVELLING),
                                                             s->global, &response, err);
    if (status != RD_OK)
        return status;
    if (response.status == 404) {
        rd_refusal_parse(response.body, response.size, &refusal);
        say(s, "the model to train is gone: %s", refusal.message);
        return RD_OK;
    }
    if (response.status != 200)
        return rd_requester_refused(&response, err);
    *bytes = response.received;
    s->version = version;
    (void)snprintf(s->model_name, sizeof s->model_name, "%s", response.etag);
    return RD_OK;
}

/* Sends the delta. What the aggregator does not want is told and not repeated (*taken = false); the next task
 * decides what follows. */
static rd_status deliver(session *s, uint64_t round, const rd_report *report, bool *taken, rd_error *err)
{
    char path[64], *header = NULL;
    rd_refusal refusal;
    size_t header_size;
    rd_response response;
    int counted = 0;
    double started = rd_clock_seconds();
    const rd_tensor_table sent = s->packing != NULL          ? s->packing->update
                                 : s->with_control.count > 0 ? s->with_control
                                                             : rd_model_tensors(s->model, RD_TENSORS_TRAVELLING);
    if (s->packing != NULL)
        rd_packing_pack(s->packing, s->delta);
    rd_status status = rd_update_header(sent, round, report, &header, &header_size, err);
    if (status != RD_OK)
        return status;
    size_t size = sent.elements * sizeof *s->delta;
    (void)snprintf(path, sizeof path, "/v1/update/%" PRIu64, round);
    rd_request request = {.method = "POST",
                          .path = path,
                          .content_type = "application/octet-stream",
                          .model = s->model_name,
                          .body = {{header, header_size}, {s->delta, size}}};
    status = rd_requester_ask(s->requester, &request, &response, err);
    free(header);
    if (status != RD_OK)
        return status;
    if (response.status == 200) {
        *taken = true;
        status = rd_receipt_parse(response.body, response.size, &round, &counted, err);
        if (status == RD_OK)
            say(s, "round %" PRIu64 ": delivered %zu bytes in %.0f ms%s", round, header_size + size,
                1000.0 * (rd_clock_seconds() - started), counted ? "" : " (it was counted before)");
        return status;
    }
    if (response.status == 401 || response.status == 403)
        return rd_requester_refused(&response, err);
    rd_refusal_parse(response.body, response.size, &refusal);
    if (strcmp(refusal.kind, "state") == 0)
        s->version = NO_VERSION; /* it is another model than this client holds */
    say(s, "round %" PRIu64 ": the update was not taken (%d): %s", round, response.status, refusal.message);
    return RD_OK;
}

static const rd_request leave = {.method = "POST", .path = "/v1/leave", .content_type = JSON_TYPE};

/* It may fail: whoever leaves does not wait. */
static void say_goodbye(session *s)
{
    rd_error ignored;
    rd_response response;
    if (rd_requester_last_word(s->requester, &leave, &response, &ignored) == RD_OK && response.status == 204)
        say(s, "left the run");
}

/* *taken: the aggregator has this client's update. */
static rd_status train_and_deliver(session *s, const rd_task *task, bool *taken, rd_error *err)
{
    const rd_config *c = &s->welcome.config;
    rd_report report;
    rd_response response;
    uint64_t bytes;
    *taken = false;
    rd_status status = fetch_model(s, task->model, task->kept, &bytes, err);
    if (status != RD_OK || s->version != task->model)
        return status;
    rd_local_task work = {.training = &c->training,
                          .evaluation = &c->client_evaluation,
                          .seed = c->seed,
                          .round = task->round,
                          .client_key = rd_client_key(s->welcome.client),
                          .continual = &c->continual,
                          .packing = s->packing,
                          .proximal = c->strategy.proximal,
                          .control = s->with_control.count > 0 ? s->control : NULL,
                          .personalisation = &c->personalisation,
                          .memory = s->memory};
    if (s->keep != NULL)
        status = recall(s, task, &work.is_new, err);
    if (status != RD_OK)
        return status;
    double started = rd_clock_seconds();
    status = rd_local_round_run(s->trainer, &work, &s->samples.data, rd_dataset_all_rows(&s->samples.data), s->global,
                                s->delta, &report, err);
    /* Training diverged, or no sample is for this round: it has to do without this client. */
    if (status == RD_ERR_RANGE || status == RD_ERR_DATA) {
        say(s, "round %" PRIu64 ": %s", task->round, err->message);
        return rd_requester_ask(s->requester, &leave, &response, err);
    }
    if (status != RD_OK)
        return status;
    report.seconds = rd_clock_seconds() - started;
    char before[64] = "";
    if (report.before.samples > 0)
        (void)snprintf(before, sizeof before, "loss before %.4f, ", report.before.loss);
    say(s, "round %" PRIu64 ": fetched %" PRIu64 " bytes; trained on %" PRIu64 " samples in %.3f s: %sloss %.4f",
        task->round, bytes, report.samples, report.seconds, before, report.running_loss);
    /* Only an update that counts moves what the client keeps. Whether this one did is told with the next task, so it is
     * kept before it is sent: whoever is killed in between has not lost it. */
    bool told = task->counted != RD_UNTOLD;
    if (s->keep != NULL && told)
        status = rd_keep_write(s->keep, 0, task->round, task->counted, s->memory, err);
    if (status == RD_OK)
        status = deliver(s, task->round, &report, taken, err);
    if (status == RD_OK && s->keep != NULL && !told && *taken)
        status = rd_keep_write(s->keep, 0, task->round, RD_KEEP_NEWEST, s->memory, err);
    return status;
}

/* ---- the whole ---- */

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

static rd_status live(session *s, rd_error *err)
{
    rd_status status = RD_OK;
    rd_backoff repeat = {0}; /* for a round that comes back although it failed: it will hardly go better at once */
    uint64_t failed_round = 0;
    while (status == RD_OK && !stopped(s)) {
        rd_task task;
        bool some = false, taken;
        status = next_task(s, &task, &some, err);
        if (status != RD_OK || !some)
            continue;
        if (task.kind == RD_TASK_FINISHED) {
            say(s, "the run is finished after round %" PRIu64, task.round);
            return RD_OK;
        }
        if (task.kind == RD_TASK_MEASURE) {
            status = measure(s, task.step, err);
            continue;
        }
        if (!s->planned)
            status = plan_late(s, err);
        if (status != RD_OK)
            break;
        if (task.round == failed_round)
            rd_requester_sleep(s->requester, rd_requester_next_pause(s->requester, &repeat));
        else
            repeat.most = 0.0;
        status = train_and_deliver(s, &task, &taken, err);
        failed_round = taken ? 0 : task.round;
    }
    return status;
}

rd_status rd_session_run(const rd_session_options *options, rd_error *err)
{
    rd_status status = RD_OK;
    session s = {.options = options, .version = NO_VERSION};
    rd_requester_options requester = {.transport = options->transport,
                                      .retry_seconds = options->retry_seconds,
                                      .rejoin = rejoin,
                                      .say = say_line,
                                      .user = &s};
    RD_TRY(rd_requester_create(&requester, &s.requester, err));
    status = rd_samples_open(&options->data, &s.samples, err);
    if (status != RD_OK) {
        status = rd_fail_as(err, RD_ERR_DATA);
        goto cleanup;
    }
    if (rd_samples_ask_first(&s.samples)) {
        RD_TRY(ask_of_run(&s, err));
        RD_TRY(plan_model(&s, err));
    }
    if (can_settle(&s))
        RD_TRY(rd_samples_settle(&s.samples, &s.welcome.schema, s.model, err));
    RD_TRY(join(&s, err));
    if (can_settle(&s))
        RD_TRY(plan(&s, err));
    status = live(&s, err);
cleanup:
    if (status != RD_OK && s.joined && !s.planned && s.requester != NULL && !stopped(&s))
        say_goodbye(&s); /* it cannot take part: nobody need wait for it */
    if (s.requester != NULL && stopped(&s)) {
        if (s.joined)
            say_goodbye(&s);
        status = RD_OK;
    }
    rd_requester_free(s.requester);
    rd_trainer_free(s.trainer);
    rd_packing_free(s.packing);
    rd_keep_close(s.keep);
    rd_tensor_table_free(&s.with_control);
    free(s.control);
    free(s.memory);
    free(s.global);
    free(s.delta);
    rd_model_free(s.model);
    rd_welcome_free(&s.welcome);
    rd_samples_close(&s.samples);
    return status;
}
