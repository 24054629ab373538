/* train_bytes.c: the step "train": who are you, were you asked, is it of the right model and the right size; then the
 * update is laid down as it comes (upload.h), and added when all of it is there. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/messages.h"
#include "codec/update.h"
#include "core/number.h"
#include "data/source.h"
#include "round/step.h"
#include "step_bytes.h"
#include "upload.h"

#define ADDED_AT_ONCE (256u << 10) /* bytes: about 0.1 ms of adding, where handing over and back takes as long */

/* Answers whatever is not RD_VERDICT_ACCEPT. */
static void answer_verdict(rd_call *c, rd_verdict verdict)
{
    char message[160];
    unsigned long long round = (unsigned long long)c->number;
    switch (verdict) {
    case RD_VERDICT_ACCEPT:
        break;
    case RD_VERDICT_DUPLICATE:
        rd_call_json(c, 200, "", rd_receipt_write(c->number, false));
        break;
    case RD_VERDICT_STALE:
        (void)snprintf(message, sizeof message, "round %llu is over", round);
        rd_call_refuse(c, 409, "stale", message);
        break;
    case RD_VERDICT_FUTURE:
        (void)snprintf(message, sizeof message, "round %llu has not begun", round);
        rd_call_refuse(c, 409, "future", message);
        break;
    case RD_VERDICT_NOT_SELECTED:
        (void)snprintf(message, sizeof message, "this client is not in the cohort of round %llu", round);
        rd_call_refuse(c, 409, "not-selected", message);
        break;
    case RD_VERDICT_BUSY:
        rd_call_refuse(c, 503, "busy", "another update of this client for this round is being added");
        break;
    }
}

/* An update that is on its way in. */
typedef struct under_way {
    rd_upload *upload;
    uint64_t closings; /* rd_driver_closings when it was last asked whether it may go on */
    bool is_told;      /* to the driver */
    bool is_all_here;
} under_way;

/* All of it is here, or nothing more will come. */
static void tell_end(rd_call *c)
{
    under_way *u = c->state;
    if (u->is_told)
        rd_driver_end_upload(c->routes->driver, c->client);
    u->is_told = false;
}

/* It comes to nothing. */
static void discard(rd_call *c)
{
    under_way *u = c->state;
    if (u == NULL)
        return;
    tell_end(c);
    rd_upload_free(u->upload);
    free(u);
    c->state = NULL;
}

static rd_interrupted_key key_of(const rd_call *c)
{
    const char *session = rd_exchange_header(c->x, "Rondo-Session");
    return (rd_interrupted_key){.client = c->client, .round = c->number, .session = session != NULL ? session : ""};
}

/* The call is over. Where its connection broke in the middle of an update that can be continued, it is kept. */
static void drop(rd_call *c)
{
    under_way *u = c->state;
    const rd_interrupted_key key = key_of(c);
    if (u != NULL && u->upload != NULL && !u->is_all_here && !c->answered && rd_upload_has_digest(u->upload) &&
        key.session[0] != '\0' && rd_upload_size(u->upload) > 0 &&
        rd_driver_may_deliver(c->routes->driver, c->client, c->number, &rd_step_train) == RD_VERDICT_ACCEPT) {
        rd_driver_log(c->routes->driver, RD_LOG_INFO,
                      "update of %s for round %" PRIu64 " was cut off: %" PRIu64 " bytes are kept for its rest",
                      rd_exchange_client(c->x), c->number, rd_upload_size(u->upload));
        rd_interrupted_keep(c->routes->interrupted, &key, u->upload); /* before another may begin */
        u->upload = NULL;
    }
    discard(c);
}

static void log_refusal(const rd_call *c, const rd_error *err)
{
    rd_driver_log(c->routes->driver, RD_LOG_WARNING, "update of %s for round %" PRIu64 " refused: %s",
                  rd_exchange_client(c->x), c->number, err->message);
    rd_driver_account(c->routes->driver, "refused", rd_exchange_client(c->x), err->message);
}

/* Tells the client and the round what was wrong with the update. A full disk is not the client's fault: it
 * may try again. And who trained from another model may yet train from the right one. */
static void refuse_update(rd_call *c, const rd_error *err)
{
    rd_call_refuse_error(c, err);
    log_refusal(c, err);
    if (err->status != RD_ERR_IO && err->status != RD_ERR_MEMORY && err->status != RD_ERR_STATE)
        rd_driver_refused(c->routes->driver, c->client, c->number, err->message);
    discard(c);
}

/* What replaced the first could as well be the older one, and both would lie here. */
static void refuse_second(rd_call *c)
{
    rd_call_refuse(c, 503, "busy", "another update of this client is under way: send it again when that has ended");
}

/* What continues an update has to begin where that was cut off. */
static void refuse_offset(rd_call *c, uint64_t here, uint64_t first)
{
    char message[160];
    (void)snprintf(message, sizeof message,
                   "Upload-Offset: %" PRIu64 " bytes of this session's update are here, not %" PRIu64, here, first);
    rd_call_refuse(c, 409, "offset", message);
}

/* Is it the rest of an update that was cut off? Then *first is where it begins. */
static rd_status rest_of(const rd_call *c, bool *is_rest, uint64_t *first, rd_error *err)
{
    const char *field = rd_exchange_header(c->x, "Upload-Offset");
    *first = 0;
    *is_rest = strcmp(rd_exchange_method(c->x), "PATCH") == 0;
    if (*is_rest && (field == NULL || !rd_number_count(field, strlen(field), first) || *first == 0))
        return rd_fail(err, RD_ERR_FORMAT, "Upload-Offset: expected how many bytes were sent before, found '%.40s'",
                       field != NULL ? field : "nothing");
    return RD_OK;
}

/* Where updates are kept, this one is written down as it comes. */
static rd_status keep(rd_call *c, rd_upload *u, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX];
    rd_run *run = rd_driver_run(c->routes->driver);
    if (rd_run_config(run)->keep_updates == 0)
        return RD_OK;
    rd_status status = rd_store_make_update_folder(rd_run_store(run), c->number, err);
    rd_store_update_path(rd_run_store(run), c->number, rd_exchange_client(c->x), path, sizeof path);
    return status == RD_OK ? rd_upload_keep(u, path, err) : status;
}

static void begin(rd_call *c)
{
    rd_error err;
    bool is_rest;
    uint64_t first;
    const rd_tensor_table tensors = rd_run_update_tensors(rd_driver_run(c->routes->driver));
    rd_verdict verdict = rd_driver_may_deliver(c->routes->driver, c->client, c->number, &rd_step_train);
    if (verdict != RD_VERDICT_ACCEPT) {
        answer_verdict(c, verdict);
        return;
    }
    if (rd_driver_check_model(c->routes->driver, c->client, rd_exchange_header(c->x, "Rondo-Model"), &err) != RD_OK) {
        refuse_update(c, &err);
        return;
    }
    if (rest_of(c, &is_rest, &first, &err) != RD_OK) {
        rd_call_refuse_error(c, &err);
        return;
    }
    int64_t length = rd_exchange_content_length(c->x);
    if (length > 0 && (uint64_t)length > rd_update_max_size(tensors)) {
        (void)rd_fail(&err, RD_ERR_RANGE, "the body has %lld bytes, an update of this model at most %llu",
                      (long long)length, (unsigned long long)rd_update_max_size(tensors));
        rd_call_refuse(c, 413, "range", err.message);
        rd_driver_refused(c->routes->driver, c->client, c->number, err.message);
        return;
    }
    under_way *u = calloc(1, sizeof *u);
    if (u == NULL) {
        rd_call_json(c, 503, "", NULL);
        return;
    }
    c->state = u;
    u->closings = rd_driver_closings(c->routes->driver);
    u->is_told = rd_driver_begin_upload(c->routes->driver, c->client);
    if (!u->is_told) {
        refuse_second(c);
        return;
    }
    if (is_rest) {
        const rd_interrupted_key key = key_of(c);
        u->upload = rd_interrupted_take(c->routes->interrupted, &key, first);
        if (u->upload == NULL)
            refuse_offset(c, rd_interrupted_size(c->routes->interrupted, &key), first);
        return;
    }
    rd_interrupted_drop(c->routes->interrupted, c->client);
    if (rd_upload_create(tensors, &c->routes->staging, c->routes->state_directory, c->number,
                         rd_exchange_header(c->x, "Content-Digest"), &u->upload, &err) != RD_OK ||
        keep(c, u->upload, &err) != RD_OK)
        refuse_update(c, &err);
}

/* HEAD: how much of it is here. What is still on its way on a connection that is dead without knowing is waited for. */
static void offset(rd_call *c)
{
    char header[64];
    const rd_interrupted_key key = key_of(c);
    const rd_verdict verdict = rd_driver_may_deliver(c->routes->driver, c->client, c->number, &rd_step_train);
    if (verdict != RD_VERDICT_ACCEPT) {
        answer_verdict(c, verdict);
        return;
    }
    if (!rd_driver_begin_upload(c->routes->driver, c->client)) {
        refuse_second(c);
        return;
    }
    (void)snprintf(header, sizeof header, "Upload-Offset: %" PRIu64 "\r\nCache-Control: no-store\r\n",
                   rd_interrupted_size(c->routes->interrupted, &key));
    rd_driver_end_upload(c->routes->driver, c->client);
    rd_call_empty(c, 204, header);
}

/* An update that is all there, on its way into the sum. It outlives its request: once the round core has said yes it is
 * added, whether the client is still there or not. */
typedef struct arrived {
    rd_driver *driver;
    rd_upload *upload; /* owned once it is admitted */
    rd_report report;
    size_t client;
    uint64_t round;
    rd_admission admission; /* once it is admitted */
    rd_status status;       /* of adding it */
    rd_error err;
} arrived;

static rd_status admit(void *user, uint64_t key, uint64_t staleness, rd_participation_record *part, rd_error *err)
{
    arrived *a = user;
    const rd_arrival arrival = {.key = key,
                                .round = a->round,
                                .staleness = staleness,
                                .report = &a->report,
                                .largest = rd_upload_largest(a->upload)};
    rd_status status = rd_aggregate_admit(rd_run_updates(rd_driver_run(a->driver)), &arrival, &a->admission, err);
    if (status != RD_OK)
        return status;
    part->report = a->report;
    part->largest = arrival.largest;
    memcpy(part->update_sha256, rd_upload_sha256(a->upload), sizeof part->update_sha256);
    return RD_OK;
}

/* Adds what the step waits for. */
static void add(void *user)
{
    rd_error kept;
    arrived *a = user;
    a->status = rd_upload_add_to(a->upload, rd_run_updates(rd_driver_run(a->driver)), &a->admission, &a->err);
    if (a->status == RD_OK && rd_upload_settle(a->upload, &kept) != RD_OK)
        rd_driver_log(a->driver, RD_LOG_ERROR, "an update that counts is not kept: %s", kept.message);
    rd_upload_free(a->upload); /* its file may be a large one, too */
    if (a->status == RD_OK) {
        rd_driver_delivered(a->driver, a->client, a->admission.contribution.weight);
    } else if (a->status == RD_ERR_RANGE || a->status == RD_ERR_DATA) {
        rd_driver_unfit(a->driver, a->client, a->err.message);
    } else {
        (void)rd_fail_context(&a->err, a->status, "round %" PRIu64 " cannot be completed", a->round);
        rd_driver_fatal(a->driver, &a->err);
    }
}

static void added(rd_exchange *x, void *user)
{
    arrived *a = user;
    rd_call *c = x != NULL ? rd_exchange_user(x) : NULL;
    if (c != NULL && a->status == RD_OK) {
        rd_call_json(c, 200, "", rd_receipt_write(a->round, true));
    } else if (c != NULL && (a->status == RD_ERR_RANGE || a->status == RD_ERR_DATA)) {
        rd_call_refuse_error(c, &a->err);
        log_refusal(c, &a->err);
    } else if (c != NULL) {
        rd_call_refuse(c, 503, "io", a->err.message);
    }
    free(a);
}

/* A large one takes longer than a worker's other connections should wait. */
static void add_where_it_holds_nobody(rd_call *c, arrived *a)
{
    const bool small = rd_upload_size(a->upload) <= ADDED_AT_ONCE;
    if (!small && rd_exchange_work(c->x, RD_LANE_ROUND, add, added, a))
        return;
    add(a);
    added(c->x, a);
}

static void complete(rd_call *c)
{
    rd_error err;
    rd_verdict verdict;
    under_way *u = c->state;
    arrived *a = malloc(sizeof *a);
    u->is_all_here = true;
    tell_end(c);
    if (a == NULL) {
        rd_call_json(c, 503, "", NULL);
        return;
    }
    *a = (arrived){.driver = c->routes->driver, .upload = u->upload, .client = c->client, .round = c->number};
    const rd_delivery delivery = {.client = c->client,
                                  .round = c->number,
                                  .step = &rd_step_train,
                                  .bytes = rd_upload_size(a->upload),
                                  .admit = admit,
                                  .user = a};
    rd_status status = rd_upload_finish(a->upload, &a->report, &err);
    if (status == RD_OK)
        status = rd_driver_check_report(a->driver, c->client, &a->report, &err);
    if (status == RD_OK)
        status = rd_driver_deliver(a->driver, &delivery, &verdict, &err);
    if (status == RD_OK && verdict == RD_VERDICT_ACCEPT) {
        u->upload = NULL;
        add_where_it_holds_nobody(c, a);
        return;
    }
    free(a);
    if (status != RD_OK)
        refuse_update(c, &err);
    else
        answer_verdict(c, verdict);
}

static void feed(rd_call *c, const uint8_t *bytes, size_t count)
{
    rd_error err;
    under_way *u = c->state;
    const uint64_t closings = rd_driver_closings(c->routes->driver);
    rd_verdict verdict = RD_VERDICT_ACCEPT;
    if (closings != u->closings) /* nothing is laid down for a round that is over */
        verdict = rd_driver_may_deliver(c->routes->driver, c->client, c->number, &rd_step_train);
    u->closings = closings;
    rd_driver_moved(c->routes->driver, count);
    if (verdict != RD_VERDICT_ACCEPT) {
        discard(c);
        answer_verdict(c, verdict);
    } else if (rd_upload_feed(u->upload, bytes, count, &err) != RD_OK) {
        refuse_update(c, &err);
    }
}

const rd_step_bytes rd_train_bytes = {
    .step = "train", .begin = begin, .feed = feed, .complete = complete, .offset = offset, .drop = drop};
