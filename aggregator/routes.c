/* routes.c: see routes.h. A request is looked up in the table at the end of this file, the client is
 * identified by its certificate, and the answer is made from the driver or the state directory; what clients answer in a
 * step of a round goes to that step's file (step_bytes.h). */
#include "routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "codec/messages.h"
#include "core/clock.h"
#include "core/grow.h"
#include "core/number.h"
#include "enrol.h"
#include "model_reply.h"
#include "operate.h"
#include "query.h"
#include "round/step.h"
#include "step_bytes.h"

#define MAX_JSON_BODY (4u << 20) /* bytes: a table of many columns is described in about so many */
#define MAX_STRANGER_BODY 16384u
#define MAX_WAIT_SECONDS 300u
#define DEFAULT_WAIT_SECONDS 30u

struct rd_route {
    const char *method, *path;
    enum { NOTHING_MORE, A_NUMBER, A_STEP } more;             /* in the path: "12", "12/train" */
    enum { OF_CLIENTS, OF_MEMBERS, OF_ALL, OF_OPERATORS } of; /* who may: clients; every role; strangers too */
    bool joined;                                              /* of clients, only for those that have joined */
    void (*begin)(rd_call *c);                                /* headers are there */
    void (*complete)(rd_call *c);                             /* the body is, too */
};

static rd_caller caller_of(rd_exchange *x)
{
    const char *session = rd_exchange_header(x, "Rondo-Session");
    return (rd_caller){
        .session = session != NULL ? session : "", .address = rd_exchange_peer(x), .tag = rd_exchange_tag(x)};
}

/* ---- join, leave, task ---- */

static rd_status join(rd_call *c, const char *name, rd_error *err)
{
    rd_status status = RD_OK;
    rd_join join;
    rd_join_data data;
    const rd_caller caller = caller_of(c->x);
    RD_TRY(rd_join_parse(rd_call_body(c), c->body_size, &join, &data, err));
    if (join.protocol != RD_PROTOCOL_VERSION)
        RD_THROW(RD_ERR_FORMAT, "protocol: this aggregator speaks version %d, the client version %llu",
                 RD_PROTOCOL_VERSION, (unsigned long long)join.protocol);
    RD_TRY(rd_driver_join(c->routes->driver, name, &caller, &join, &data, err));
cleanup:
    rd_join_data_free(&data);
    return status;
}

static void join_complete(rd_call *c)
{
    rd_error err;
    char line[RD_PACE_LINE];
    const char *name = rd_exchange_client(c->x);
    rd_status status = join(c, name, &err);
    if (status == RD_ERR_REFUSED)
        rd_call_refuse(c, 409, "in-use", err.message);
    else if (status != RD_OK)
        rd_call_refuse_error(c, &err);
    else
        rd_call_json(c, 200, rd_return_line(c->routes, line), rd_driver_welcome(c->routes->driver, name));
}

static void run_begin(rd_call *c)
{
    rd_call_json(c, 200, "", rd_driver_welcome(c->routes->driver, rd_exchange_client(c->x)));
}

static void leave_complete(rd_call *c)
{
    rd_error err;
    rd_leave leave;
    if (rd_leave_parse(rd_call_body(c), c->body_size, &leave, &err) != RD_OK) {
        rd_call_refuse_error(c, &err);
        return;
    }
    rd_driver_leave(c->routes->driver, c->client, &leave);
    rd_call_empty(c, 204, "");
}

/* Answers with a task where there is one. */
static bool answer_task(rd_call *c)
{
    rd_task task;
    char line[RD_PACE_LINE];
    if (!rd_driver_task(c->routes->driver, c->client, &task))
        return false;
    rd_call_json(c, 200, rd_return_line(c->routes, line), rd_task_write(&task));
    return true;
}

static void answer_no_task(rd_call *c)
{
    char retry[RD_PACE_LINE], back[RD_PACE_LINE], lines[2 * RD_PACE_LINE];
    (void)snprintf(lines, sizeof lines, "%s%s", rd_retry_line(c->routes, RD_PACE_TASK, retry),
                   rd_return_line(c->routes, back));
    rd_call_empty(c, 204, lines);
}

static void task_begin(rd_call *c)
{
    rd_error err;
    uint64_t seconds = DEFAULT_WAIT_SECONDS;
    if (rd_query_count(rd_exchange_query(c->x), "wait", &seconds, &err) != RD_OK) {
        rd_call_refuse_error(c, &err);
        return;
    }
    if (answer_task(c))
        return;
    if (seconds > 0)
        rd_exchange_park(c->x, 1000 * (unsigned)(seconds > MAX_WAIT_SECONDS ? MAX_WAIT_SECONDS : seconds));
    else
        answer_no_task(c);
}

/* ---- model, rounds ---- */

static void model_begin(rd_call *c)
{
    rd_error err;
    char path[RD_SOURCE_PATH_MAX], name[RD_MODEL_NAME_MAX], tag[RD_MODEL_NAME_MAX + 2], what[64];
    const rd_store *store = rd_run_store(rd_driver_run(c->routes->driver));
    if (c->route->more == A_NUMBER) {
        rd_store_packed_path(store, c->number, path, sizeof path);
        if (access(path, R_OK) != 0)
            rd_store_model_path(store, c->number, path, sizeof path);
        rd_driver_model_name(c->routes->driver, c->number, name);
        (void)snprintf(tag, sizeof tag, "\"%s\"", name);
        (void)snprintf(what, sizeof what, "model version %" PRIu64, c->number);
    } else {
        rd_store_frozen_path(store, path, sizeof path);
        (void)snprintf(tag, sizeof tag, "\"%s-frozen\"", rd_store_run_id(store));
        (void)snprintf(what, sizeof what, "a frozen part of the model");
    }
    rd_status status = rd_model_reply(c->x, path, tag, &err);
    if (status != RD_OK)
        (void)rd_fail_context(&err, status, "%s", what);
    if (status == RD_OK)
        c->answered = true;
    else if (status == RD_ERR_RANGE)
        rd_call_refuse(c, 416, "range", err.message);
    else if (status == RD_ERR_MEMORY)
        rd_call_refuse(c, 503, "busy", err.message);
    else
        rd_call_refuse(c, 404, "state", err.message);
}

/* One request for records of rounds. */
typedef struct listing {
    rd_routes *routes;
    rd_round_query query;
    rd_status status;
    rd_round_page page;
    rd_error err;
} listing;

static void look_up_rounds(void *user)
{
    listing *l = user;
    l->query.commits_now = rd_driver_commits(l->routes->driver);
    l->status = rd_round_pages_get(l->routes->round_pages, &l->query, &l->page, &l->err);
}

static void answer_rounds(rd_call *c, const listing *l)
{
    char headers[80];
    const char *known = rd_exchange_header(c->x, "If-None-Match");
    (void)snprintf(headers, sizeof headers, "ETag: %s\r\n", l->page.tag);
    if (known != NULL && strcmp(known, l->page.tag) == 0) {
        rd_call_empty(c, 304, headers);
    } else if (rd_exchange_reply_file(c->x, 200, "application/json", headers, l->page.fd, 0, l->page.size)) {
        c->answered = true;
        rd_readers_took(&c->routes->readers, rd_exchange_client(c->x), l->page.size, rd_clock_seconds());
    } else {
        rd_call_refuse(c, 503, "busy", "too many files are open");
    }
}

static void end_listing(rd_exchange *x, void *user)
{
    listing *l = user;
    if (x != NULL && l->status == RD_OK)
        answer_rounds(rd_exchange_user(x), l);
    else if (x != NULL)
        rd_call_refuse_error(rd_exchange_user(x), &l->err);
    if (l->status == RD_OK)
        close(l->page.fd);
    free(l);
}

static void rounds_begin(rd_call *c)
{
    rd_error err;
    uint64_t from = 0;
    if (rd_query_count(rd_exchange_query(c->x), "from", &from, &err) != RD_OK) {
        rd_call_refuse_error(c, &err);
        return;
    }
    if (!rd_readers_may(&c->routes->readers, rd_exchange_client(c->x), rd_clock_seconds())) {
        rd_call_refuse(c, 503, "busy", "you have read many records of rounds; the next are for a moment later");
        return;
    }
    listing *l = calloc(1, sizeof *l);
    if (l != NULL) {
        l->routes = c->routes;
        l->query = (rd_round_query){.from = from, .commits_then = rd_driver_commits(c->routes->driver)};
    }
    if (l == NULL || !rd_exchange_work(c->x, RD_LANE_LATER, look_up_rounds, end_listing, l)) {
        free(l);
        rd_call_json(c, 503, "", NULL);
    }
}

/* ---- answers in a step ---- */

#define ADDRESS(name) &rd_##name##_bytes,
static const rd_step_bytes *const steps[] = {RD_STEP_BYTES(ADDRESS)};

static void step_begin(rd_call *c)
{
    if (c->step->begin != NULL)
        c->step->begin(c);
}

static void step_append(rd_call *c)
{
    if (c->step->offset != NULL)
        c->step->begin(c);
    else
        rd_call_refuse(c, 405, "unknown", "what is sent in this step is sent whole");
}

static void step_offset(rd_call *c)
{
    if (c->step->offset != NULL)
        c->step->offset(c);
    else
        rd_call_refuse(c, 405, "unknown", "what is sent in this step is sent whole");
}

static void step_complete(rd_call *c)
{
    c->step->complete(c);
}

/* ---- the table ---- */

static const rd_route table[] = {
    {"POST", "/v1/join", NOTHING_MORE, OF_CLIENTS, false, NULL, join_complete},
    {"POST", "/v1/leave", NOTHING_MORE, OF_CLIENTS, true, NULL, leave_complete},
    {"GET", "/v1/run", NOTHING_MORE, OF_MEMBERS, false, run_begin, NULL},
    {"GET", "/v1/task", NOTHING_MORE, OF_CLIENTS, true, task_begin, NULL},
    {"GET", "/v1/model/", A_NUMBER, OF_CLIENTS, false, model_begin, NULL},
    {"GET", "/v1/frozen", NOTHING_MORE, OF_CLIENTS, false, model_begin, NULL},
    {"POST", "/v1/rounds/", A_STEP, OF_CLIENTS, true, step_begin, step_complete},
    {"PATCH", "/v1/rounds/", A_STEP, OF_CLIENTS, true, step_append, step_complete},
    {"HEAD", "/v1/rounds/", A_STEP, OF_CLIENTS, true, step_offset, NULL},
    {"GET", "/v1/rounds", NOTHING_MORE, OF_MEMBERS, true, rounds_begin, NULL},
    {"GET", "/v1/ca", NOTHING_MORE, OF_ALL, false, rd_enrol_ca, NULL},
    {"POST", "/v1/enrol", NOTHING_MORE, OF_ALL, false, NULL, rd_enrol_complete},
    {"POST", "/v1/renew", NOTHING_MORE, OF_MEMBERS, false, NULL, rd_renew_complete},
    {"POST", "/v1/tokens", NOTHING_MORE, OF_OPERATORS, false, NULL, rd_operate_give_token},
    {"POST", "/v1/revocations", NOTHING_MORE, OF_OPERATORS, false, NULL, rd_operate_revoke},
};

static const rd_step_bytes *find_step(const char *name)
{
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (strcmp(steps[i]->step, name) == 0)
            return steps[i];
    return NULL;
}

/* Does the path fit the candidate? Takes off its end what it names. */
static bool path_fits(const rd_route *candidate, const char *path, rd_call *c)
{
    size_t length = strlen(candidate->path);
    if (candidate->more == NOTHING_MORE)
        return strcmp(path, candidate->path) == 0;
    if (strncmp(path, candidate->path, length) != 0)
        return false;
    const char *number = path + length, *end = number + strcspn(number, "/");
    if (!rd_number_count(number, (size_t)(end - number), &c->number) || c->number > INT64_MAX)
        return false;
    if (candidate->more == A_NUMBER)
        return *end == '\0';
    c->step = *end == '/' ? find_step(end + 1) : NULL;
    return c->step != NULL;
}

/* Finds what the request is for; *other_method: only with another method. */
static void find_route(rd_call *c, bool *other_method)
{
    *other_method = false;
    for (size_t i = 0; i < sizeof table / sizeof *table && c->route == NULL; i++) {
        if (!path_fits(&table[i], rd_exchange_path(c->x), c))
            continue;
        if (strcmp(table[i].method, rd_exchange_method(c->x)) == 0)
            c->route = &table[i];
        else
            *other_method = true;
    }
}

/* Without a certificate there is one thing to do here, which is to get one. */
static bool refuse_stranger(rd_call *c)
{
    if (c->route->of == OF_ALL)
        return false;
    rd_call_refuse(c, 401, "certificate", "this path is for clients with a certificate");
    return true;
}

/* What a role is for, and has instead of a part in the run. */
static const char *const purposes[] = {
    [RD_ROLE_CLIENT] = "a client takes part in the run, and gives no tokens",
    [RD_ROLE_OBSERVER] = "an observer reads the records of rounds and takes no part in them",
    [RD_ROLE_OPERATOR] = "an operator gives tokens and revokes, and takes no part in rounds",
};

static bool is_for(const rd_route *route, rd_role role)
{
    switch (route->of) {
    case OF_CLIENTS:
        return role == RD_ROLE_CLIENT;
    case OF_OPERATORS:
        return role == RD_ROLE_OPERATOR;
    default:
        return true;
    }
}

/* Who is no client has not joined, and need not have. */
static bool refuse_role(rd_call *c)
{
    const char *name = rd_exchange_client(c->x);
    const rd_role role = rd_members_role(c->routes->members, name);
    if (!is_for(c->route, role)) {
        rd_driver_log(c->routes->driver, RD_LOG_WARNING, "%s refused: %s is not for the role %s", name, c->route->path,
                      rd_role_names[role]);
        rd_call_refuse(c, 403, "role", purposes[role]);
        return true;
    }
    if (role != RD_ROLE_CLIENT || !c->route->joined || c->client != SIZE_MAX)
        return false;
    rd_call_refuse(c, 403, "join", "join first: POST /v1/join");
    return true;
}

/* Who may not come in (any more) is refused, in a connection's last answer, and no round waits for it. */
static bool refuse_unwelcome(rd_call *c)
{
    const char *name = rd_exchange_client(c->x);
    rd_driver *driver = c->routes->driver;
    const char *why = rd_gate_refuse(c->routes->gate, rd_exchange_certificate(c->x));
    if (why == NULL)
        return false;
    if (c->client != SIZE_MAX) {
        rd_leave leave = {.idle = false};
        (void)snprintf(leave.reason, sizeof leave.reason, "left: %s", why);
        rd_driver_leave(driver, c->client, &leave);
    }
    rd_driver_log(driver, RD_LOG_WARNING, "%s refused: %s", name, why);
    rd_exchange_be_last(c->x);
    rd_call_refuse(c, 403, "refused", why);
    return true;
}

static void on_request(rd_exchange *x, void *app)
{
    rd_error err;
    bool other_method;
    char line[RD_PACE_LINE];
    rd_call *c = calloc(1, sizeof *c);
    if (c == NULL) {
        rd_exchange_reply(x, 503, NULL, rd_retry_line(app, RD_PACE_SHORTAGE, line), NULL, 0);
        return;
    }
    rd_exchange_set_user(x, c);
    c->routes = app;
    c->x = x;
    c->client = SIZE_MAX;
    find_route(c, &other_method);
    if (c->route == NULL) {
        rd_call_refuse(c, other_method ? 405 : 404, "unknown",
                       other_method ? "this path is not for this method" : "no such path; see PROTOCOL.md");
        return;
    }
    rd_caller caller = caller_of(x);
    if (strlen(caller.session) >= RD_SESSION_MAX) {
        rd_call_refuse(c, 400, "format", "Rondo-Session: expected at most 64 characters");
        return;
    }
    if (rd_exchange_client(x)[0] == '\0') {
        if (!refuse_stranger(c) && c->route->begin != NULL)
            c->route->begin(c);
        return;
    }
    rd_driver *driver = c->routes->driver;
    const bool of_anybody = c->route->complete == join_complete || c->route->begin == run_begin;
    if (!of_anybody && rd_driver_client(driver, rd_exchange_client(x), &caller, &c->client, &err) != RD_OK) {
        rd_driver_log(driver, RD_LOG_WARNING, "%s from %s is out of the run: %s", rd_exchange_client(x), caller.address,
                      err.message);
        rd_call_refuse(c, 409, "replaced", err.message);
        return;
    }
    if (refuse_unwelcome(c) || refuse_role(c))
        return;
    if (c->route->begin != NULL)
        c->route->begin(c);
}

static void on_body(rd_exchange *x, const uint8_t *bytes, size_t count, void *app)
{
    rd_call *c = rd_exchange_user(x);
    rd_error ignored;
    (void)app;
    if (c == NULL || c->answered)
        return;
    if (c->step != NULL && c->step->feed != NULL) {
        c->step->feed(c, bytes, count);
        return;
    }
    if (c->route->of == OF_ALL && count > MAX_STRANGER_BODY - c->body_size) {
        rd_call_refuse(c, 413, "range", "the body is larger than 16384 bytes");
        return;
    }
    if (count > MAX_JSON_BODY - c->body_size) {
        rd_call_refuse(c, 413, "range", "the body is larger than 4194304 bytes");
        return;
    }
    if (rd_grow(&c->body, &c->body_capacity, c->body_size + count, 1, "bytes", &ignored) != RD_OK) {
        rd_call_json(c, 503, "", NULL);
        return;
    }
    memcpy(c->body + c->body_size, bytes, count);
    c->body_size += count;
}

static void on_complete(rd_exchange *x, void *app)
{
    rd_call *c = rd_exchange_user(x);
    (void)app;
    if (c != NULL && !c->answered && c->route->complete != NULL)
        c->route->complete(c);
}

static void on_wake(rd_exchange *x, bool timed_out, void *app)
{
    rd_call *c = rd_exchange_user(x);
    (void)app;
    if (!refuse_unwelcome(c) && !answer_task(c) && timed_out)
        answer_no_task(c);
}

static void on_close(rd_exchange *x, void *app)
{
    rd_call *c = rd_exchange_user(x);
    (void)app;
    if (c == NULL)
        return;
    if (c->step != NULL && c->step->drop != NULL)
        c->step->drop(c);
    free(c->body);
    free(c);
}

static void on_disconnect(uint64_t tag, void *app)
{
    rd_routes *routes = app;
    rd_driver_disconnected(routes->driver, tag);
}

static void on_trouble(const char *peer_address, const char *what, void *app)
{
    rd_routes *routes = app;
    rd_driver_log(routes->driver, RD_LOG_WARNING, "%s: %s", peer_address, what);
}

static bool is_wanted(void *user, size_t client, uint64_t round)
{
    return rd_driver_may_deliver(user, client, round, &rd_step_train) == RD_VERDICT_ACCEPT;
}

void rd_routes_round_closed(rd_routes *routes)
{
    rd_interrupted_sweep(routes->interrupted, is_wanted, routes->driver);
}

static bool is_revoked(const rd_peer *peer, bool own, void *app)
{
    const rd_routes *routes = app;
    return rd_gate_is_revoked(routes->gate, peer, own);
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
                           .is_revoked = is_revoked,
                           .app = routes};
}
