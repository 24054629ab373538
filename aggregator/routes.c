/* routes.c: see routes.h. A request is looked up in the table at the end of this file, the client is
 * identified by its certificate, and the answer is made from the driver, the state directory, or the update
 * that follows. */
#include "routes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/messages.h"
#include "codec/update.h"
#include "config/json_print.h"
#include "core/number.h"
#include "model_reply.h"
#include "store/record_json.h"
#include "upload.h"

#define JSON_TYPE "application/json"
#define MAX_JSON_BODY (4u << 20) /* bytes: a table of many columns is described in about so many */
#define MAX_WAIT_SECONDS 300u
#define DEFAULT_WAIT_SECONDS 30u
#define MAX_ROUNDS_LISTED 1000u /* records in one answer of /v1/rounds */

typedef struct request request;

typedef struct route {
    const char *method, *path;
    bool numbered;                                                   /* the path ends with a number */
    bool joined;                                                     /* only for clients that have joined */
    void (*begin)(rd_routes *routes, rd_exchange *x, request *r);    /* headers are there */
    void (*complete)(rd_routes *routes, rd_exchange *x, request *r); /* the body is, too */
} route;

/* One request under way. */
struct request {
    const route *route;
    size_t client;
    uint64_t number; /* of the round or version in the path */
    bool answered;
    char *body; /* (body_size) of small requests */
    size_t body_size;
    rd_upload *upload;
};

/* ---- answers ---- */

static void answer_json(rd_exchange *x, request *r, int status, const char *headers, char *json)
{
    static const char no_memory[] = "{\"error\": \"memory\", \"message\": \"the aggregator is short of memory\"}";
    r->answered = true;
    if (json == NULL)
        rd_exchange_reply(x, 503, JSON_TYPE, "Retry-After: 5\r\n", no_memory, sizeof no_memory - 1);
    else
        rd_exchange_reply(x, status, JSON_TYPE, headers, json, strlen(json));
    free(json);
}

static void refuse(rd_exchange *x, request *r, int status, const char *kind, const char *message)
{
    bool passing = status == 503 || status == 507;
    answer_json(x, r, status, passing ? "Retry-After: 2\r\n" : "", rd_refusal_write(kind, message));
}

static void refuse_error(rd_exchange *x, request *r, const rd_error *err)
{
    int status = 400;
    if (err->status == RD_ERR_RANGE)
        status = 422;
    else if (err->status == RD_ERR_STATE)
        status = 409;
    else if (err->status == RD_ERR_IO)
        status = 507;
    else if (err->status == RD_ERR_MEMORY)
        status = 503;
    refuse(x, r, status, rd_status_name(err->status), err->message);
}

static rd_caller caller_of(rd_exchange *x)
{
    const char *session = rd_exchange_header(x, "Rondo-Session");
    return (rd_caller){
        .session = session != NULL ? session : "", .address = rd_exchange_peer(x), .tag = rd_exchange_tag(x)};
}

/* ---- join, leave, task ---- */

static void join_complete(rd_routes *routes, rd_exchange *x, request *r)
{
    rd_join join;
    rd_join_data data;
    rd_error err;
    const char *name = rd_exchange_client(x);
    rd_status status = rd_join_parse(r->body != NULL ? r->body : "", r->body_size, &join, &data, &err);
    if (status == RD_OK && join.protocol != RD_PROTOCOL_VERSION)
        status = rd_fail(&err, RD_ERR_FORMAT, "protocol: this aggregator speaks version %d, the client version %llu",
                         RD_PROTOCOL_VERSION, (unsigned long long)join.protocol);
    rd_caller caller = caller_of(x);
    if (status == RD_OK)
        status = rd_driver_join(routes->driver, name, &caller, &join, &data, &err);
    rd_join_data_free(&data);
    if (status == RD_ERR_REFUSED)
        refuse(x, r, 409, "in-use", err.message);
    else if (status != RD_OK)
        refuse_error(x, r, &err);
    else
        answer_json(x, r, 200, "", rd_driver_welcome(routes->driver, name));
}

static void run_begin(rd_routes *routes, rd_exchange *x, request *r)
{
    answer_json(x, r, 200, "", rd_driver_welcome(routes->driver, rd_exchange_client(x)));
}

static void measure_complete(rd_routes *routes, rd_exchange *x, request *r)
{
    rd_error err;
    rd_status status = rd_driver_measured(routes->driver, rd_exchange_client(x), r->number,
                                          r->body != NULL ? r->body : "", r->body_size, &err);
    if (status != RD_OK) {
        refuse_error(x, r, &err);
        return;
    }
    r->answered = true;
    rd_exchange_reply(x, 204, NULL, "", NULL, 0);
}

static void leave_complete(rd_routes *routes, rd_exchange *x, request *r)
{
    rd_error err;
    char reason[RD_LEAVE_REASON_MAX];
    if (rd_leave_parse(r->body != NULL ? r->body : "", r->body_size, reason, &err) != RD_OK) {
        refuse_error(x, r, &err);
        return;
    }
    rd_driver_leave(routes->driver, r->client, reason);
    r->answered = true;
    rd_exchange_reply(x, 204, NULL, "", NULL, 0);
}

/* The whole number from "NAME=NUMBER" in the query; *out is left alone where there is none of that name. */
static rd_status query_count(const char *query, const char *name, uint64_t *out, rd_error *err)
{
    const size_t length = strlen(name);
    for (const char *part = query; *part != '\0';) {
        size_t size = strcspn(part, "&");
        if (size > length && strncmp(part, name, length) == 0 && part[length] == '=' &&
            (!rd_number_count(part + length + 1, size - length - 1, out) || *out > INT64_MAX))
            return rd_fail(err, RD_ERR_FORMAT, "%s: expected a whole number, found '%.40s'", name, part + length + 1);
        part += size + (part[size] == '&');
    }
    return RD_OK;
}

/* Answers with a task where there is one. */
static bool answer_task(rd_routes *routes, rd_exchange *x, request *r)
{
    rd_task task;
    if (!rd_driver_task(routes->driver, r->client, &task))
        return false;
    answer_json(x, r, 200, "", rd_task_write(&task));
    return true;
}

static void answer_no_task(rd_exchange *x, request *r)
{
    r->answered = true;
    rd_exchange_reply(x, 204, NULL, "Retry-After: 0\r\n", NULL, 0);
}

static void task_begin(rd_routes *routes, rd_exchange *x, request *r)
{
    rd_error err;
    uint64_t seconds = DEFAULT_WAIT_SECONDS;
    if (query_count(rd_exchange_query(x), "wait", &seconds, &err) != RD_OK) {
        refuse_error(x, r, &err);
        return;
    }
    if (answer_task(routes, x, r))
        return;
    if (seconds > 0)
        rd_exchange_park(x, 1000 * (unsigned)(seconds > MAX_WAIT_SECONDS ? MAX_WAIT_SECONDS : seconds));
    else
        answer_no_task(x, r);
}

/* ---- model, rounds ---- */

static void model_begin(rd_routes *routes, rd_exchange *x, request *r)
{
    rd_error err;
    char path[RD_SOURCE_PATH_MAX], name[RD_MODEL_NAME_MAX], tag[RD_MODEL_NAME_MAX + 2], what[64];
    const rd_store *store = rd_run_store(rd_driver_run(routes->driver));
    if (r->route->numbered) {
        rd_store_packed_path(store, r->number, path, sizeof path);
        if (access(path, R_OK) != 0)
            rd_store_model_path(store, r->number, path, sizeof path);
        rd_driver_model_name(routes->driver, r->number, name);
        (void)snprintf(tag, sizeof tag, "\"%s\"", name);
        (void)snprintf(what, sizeof what, "model version %" PRIu64, r->number);
    } else {
        rd_store_frozen_path(store, path, sizeof path);
        (void)snprintf(tag, sizeof tag, "\"%s-frozen\"", rd_store_run_id(store));
        (void)snprintf(what, sizeof what, "a frozen part of the model");
    }
    rd_status status = rd_model_reply(x, path, tag, &err);
    if (status != RD_OK)
        (void)rd_fail_context(&err, status, "%s", what);
    if (status == RD_OK)
        r->answered = true;
    else if (status == RD_ERR_RANGE)
        refuse(x, r, 416, "range", err.message);
    else
        refuse(x, r, 404, "state", err.message);
}

typedef struct round_list {
    cJSON *array;
    size_t count;
} round_list;

static bool add_round(const rd_round_record *record, void *user)
{
    round_list *list = user;
    cJSON_AddItemToArray(list->array, rd_round_record_json(record));
    return ++list->count < MAX_ROUNDS_LISTED;
}

static void rounds_begin(rd_routes *routes, rd_exchange *x, request *r)
{
    rd_error err;
    rd_store *reader = NULL;
    round_list list = {.array = cJSON_CreateArray()};
    uint64_t from = 0;
    rd_status status = query_count(rd_exchange_query(x), "from", &from, &err);
    if (status == RD_OK)
        status = rd_store_open_reader(routes->state_directory, &reader, &err);
    if (status == RD_OK)
        status = rd_store_rounds(reader, from, add_round, &list, &err);
    if (status == RD_OK)
        answer_json(x, r, 200, "", rd_json_print(list.array));
    else
        refuse_error(x, r, &err);
    rd_store_close(reader);
    cJSON_Delete(list.array);
}

/* ---- update ---- */

/* Answers whatever is not RD_VERDICT_ACCEPT. */
static void answer_verdict(rd_routes *routes, rd_exchange *x, request *r, rd_verdict verdict)
{
    char message[160];
    unsigned long long round = (unsigned long long)r->number;
    (void)routes;
    switch (verdict) {
    case RD_VERDICT_ACCEPT:
        break;
    case RD_VERDICT_DUPLICATE:
        answer_json(x, r, 200, "", rd_receipt_write(r->number, false));
        break;
    case RD_VERDICT_STALE:
        (void)snprintf(message, sizeof message, "round %llu is over", round);
        refuse(x, r, 409, "stale", message);
        break;
    case RD_VERDICT_FUTURE:
        (void)snprintf(message, sizeof message, "round %llu has not begun", round);
        refuse(x, r, 409, "future", message);
        break;
    case RD_VERDICT_NOT_SELECTED:
        (void)snprintf(message, sizeof message, "this client is not in the cohort of round %llu", round);
        refuse(x, r, 409, "not-selected", message);
        break;
    case RD_VERDICT_BUSY:
        refuse(x, r, 503, "busy", "another update of this client for this round is being added");
        break;
    }
}

static void log_refusal(rd_routes *routes, rd_exchange *x, const request *r, const rd_error *err)
{
    rd_driver_log(routes->driver, "update of %s for round %" PRIu64 " refused: %s", rd_exchange_client(x), r->number,
                  err->message);
}

/* Tells the client and the round what was wrong with the update. A full disk is not the client's fault: it
 * may try again. And who trained from another model may yet train from the right one. */
static void refuse_update(rd_routes *routes, rd_exchange *x, request *r, const rd_error *err)
{
    refuse_error(x, r, err);
    log_refusal(routes, x, r, err);
    if (err->status != RD_ERR_IO && err->status != RD_ERR_MEMORY && err->status != RD_ERR_STATE)
        rd_driver_refused(routes->driver, r->client, r->number, err->message);
    rd_upload_free(r->upload);
    r->upload = NULL;
}

static void update_begin(rd_routes *routes, rd_exchange *x, request *r)
{
    rd_error err;
    const rd_tensor_table tensors = rd_run_update_tensors(rd_driver_run(routes->driver));
    rd_verdict verdict = rd_driver_may_deliver(routes->driver, r->client, r->number);
    if (verdict != RD_VERDICT_ACCEPT) {
        answer_verdict(routes, x, r, verdict);
        return;
    }
    if (rd_driver_check_model(routes->driver, r->client, rd_exchange_header(x, "Rondo-Model"), &err) != RD_OK) {
        refuse_update(routes, x, r, &err);
        return;
    }
    int64_t length = rd_exchange_content_length(x);
    if (length > 0 && (uint64_t)length > rd_update_max_size(tensors)) {
        (void)rd_fail(&err, RD_ERR_RANGE, "the body has %lld bytes, an update of this model at most %llu",
                      (long long)length, (unsigned long long)rd_update_max_size(tensors));
        refuse(x, r, 413, "range", err.message);
        rd_driver_refused(routes->driver, r->client, r->number, err.message);
        return;
    }
    if (rd_upload_create(tensors, &routes->staging, routes->state_directory, r->number,
                         rd_exchange_header(x, "Content-Digest"), &r->upload, &err) != RD_OK)
        refuse_update(routes, x, r, &err);
}

/* Folds in what the round waits for. */
static void fold_update(rd_routes *routes, rd_exchange *x, request *r, rd_intake *intake)
{
    rd_error err;
    rd_status status = rd_upload_fold(r->upload, rd_driver_run(routes->driver), intake, &err);
    if (status == RD_OK) {
        answer_json(x, r, 200, "", rd_receipt_write(r->number, true));
        rd_driver_folded(routes->driver, r->client);
    } else if (status == RD_ERR_RANGE || status == RD_ERR_DATA) {
        refuse_error(x, r, &err);
        log_refusal(routes, x, r, &err);
        rd_driver_unfit(routes->driver, r->client, err.message);
    } else {
        (void)rd_fail_context(&err, status, "round %" PRIu64 " cannot be completed", r->number);
        rd_driver_fatal(routes->driver, &err);
        refuse(x, r, 503, "io", err.message);
    }
}

static void update_complete(rd_routes *routes, rd_exchange *x, request *r)
{
    rd_error err;
    rd_report report;
    rd_intake intake;
    rd_verdict verdict;
    if (rd_upload_finish(r->upload, &report, &err) != RD_OK ||
        rd_driver_deliver(routes->driver, r->client, r->number, &report, rd_upload_largest(r->upload),
                          rd_upload_size(r->upload), &verdict, &intake, &err) != RD_OK) {
        refuse_update(routes, x, r, &err);
        return;
    }
    if (verdict == RD_VERDICT_ACCEPT)
        fold_update(routes, x, r, &intake);
    else
        answer_verdict(routes, x, r, verdict);
}

/* ---- the table ---- */

static const route table[] = {
    {"POST", "/v1/join", false, false, NULL, join_complete},
    {"POST", "/v1/leave", false, true, NULL, leave_complete},
    {"GET", "/v1/run", false, false, run_begin, NULL},
    {"POST", "/v1/measure/", true, true, NULL, measure_complete},
    {"GET", "/v1/task", false, true, task_begin, NULL},
    {"GET", "/v1/model/", true, false, model_begin, NULL},
    {"GET", "/v1/frozen", false, false, model_begin, NULL},
    {"POST", "/v1/update/", true, true, update_begin, update_complete},
    {"GET", "/v1/rounds", false, false, rounds_begin, NULL},
};

/* Does the path fit the candidate? Takes the number off its end. */
static bool path_fits(const route *candidate, const char *path, uint64_t *number)
{
    size_t length = strlen(candidate->path);
    if (!candidate->numbered)
        return strcmp(path, candidate->path) == 0;
    if (strncmp(path, candidate->path, length) != 0)
        return false;
    return rd_number_count(path + length, strlen(path + length), number) && *number <= INT64_MAX;
}

static const route *find_route(const char *method, const char *path, uint64_t *number, bool *other_method)
{
    *other_method = false;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!path_fits(&table[i], path, number))
            continue;
        if (strcmp(table[i].method, method) == 0)
            return &table[i];
        *other_method = true;
    }
    return NULL;
}

/* Is the client not in the list (any more)? Then no round waits for it. */
static bool turn_away(rd_routes *routes, rd_exchange *x, request *r)
{
    if (rd_gate_admits(routes->gate, rd_exchange_client(x)))
        return false;
    if (r->client != SIZE_MAX)
        rd_driver_leave(routes->driver, r->client, "left: not in the list of allowed clients any more");
    rd_driver_log(routes->driver, "%s refused: not in the list of allowed clients", rd_exchange_client(x));
    refuse(x, r, 403, "refused", "this client is not in the aggregator's list of allowed clients");
    return true;
}

static void on_request(rd_exchange *x, void *app)
{
    rd_routes *routes = app;
    rd_error err;
    bool other_method;
    request *r = calloc(1, sizeof *r);
    if (r == NULL) {
        rd_exchange_reply(x, 503, NULL, "Retry-After: 5\r\n", NULL, 0);
        return;
    }
    rd_exchange_set_user(x, r);
    r->client = SIZE_MAX;
    r->route = find_route(rd_exchange_method(x), rd_exchange_path(x), &r->number, &other_method);
    if (r->route == NULL) {
        refuse(x, r, other_method ? 405 : 404, "unknown",
               other_method ? "this path is not for this method" : "no such path; see PROTOCOL.md");
        return;
    }
    rd_caller caller = caller_of(x);
    if (strlen(caller.session) >= RD_SESSION_MAX) {
        refuse(x, r, 400, "format", "Rondo-Session: expected at most 64 characters");
        return;
    }
    const bool of_anybody = r->route->complete == join_complete || r->route->begin == run_begin;
    if (!of_anybody && rd_driver_client(routes->driver, rd_exchange_client(x), &caller, &r->client, &err) != RD_OK) {
        rd_driver_log(routes->driver, "%s from %s is out of the run: %s", rd_exchange_client(x), caller.address,
                      err.message);
        refuse(x, r, 409, "replaced", err.message);
        return;
    }
    if (turn_away(routes, x, r))
        return;
    if (r->route->joined && r->client == SIZE_MAX) {
        refuse(x, r, 403, "join", "join first: POST /v1/join");
        return;
    }
    if (r->route->begin != NULL)
        r->route->begin(routes, x, r);
}

static void on_body(rd_exchange *x, const uint8_t *bytes, size_t count, void *app)
{
    rd_routes *routes = app;
    request *r = rd_exchange_user(x);
    rd_error err;
    if (r == NULL || r->answered)
        return;
    if (r->upload != NULL) {
        if (rd_upload_feed(r->upload, bytes, count, &err) != RD_OK)
            refuse_update(routes, x, r, &err);
        return;
    }
    if (count > MAX_JSON_BODY - r->body_size) {
        refuse(x, r, 413, "range", "the body is larger than 4194304 bytes");
        return;
    }
    char *body = realloc(r->body, r->body_size + count);
    if (body == NULL) {
        answer_json(x, r, 503, "", NULL);
        return;
    }
    memcpy(body + r->body_size, bytes, count);
    r->body = body;
    r->body_size += count;
}

static void on_complete(rd_exchange *x, void *app)
{
    request *r = rd_exchange_user(x);
    if (r != NULL && !r->answered && r->route->complete != NULL)
        r->route->complete(app, x, r);
}

static void on_wake(rd_exchange *x, bool timed_out, void *app)
{
    request *r = rd_exchange_user(x);
    if (!turn_away(app, x, r) && !answer_task(app, x, r) && timed_out)
        answer_no_task(x, r);
}

static void on_close(rd_exchange *x, void *app)
{
    request *r = rd_exchange_user(x);
    (void)app;
    if (r == NULL)
        return;
    rd_upload_free(r->upload);
    free(r->body);
    free(r);
}

static void on_disconnect(uint64_t tag, void *app)
{
    rd_routes *routes = app;
    rd_driver_disconnected(routes->driver, tag);
}

static void on_trouble(const char *peer_address, const char *what, void *app)
{
    rd_routes *routes = app;
    rd_driver_log(routes->driver, "%s: %s", peer_address, what);
}

rd_server_app rd_routes_app(rd_routes *routes)
{
    return (rd_server_app){.on_request = on_request,
                           .on_body = on_body,
                           .on_complete = on_complete,
                           .on_wake = on_wake,
                           .on_close = on_close,
                           .on_disconnect = on_disconnect,
                           .on_trouble = on_trouble,
                           .app = routes};
}
