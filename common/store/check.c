/* check.c: is a state directory whole? Everything is read that a run, or somebody who goes back to one of its rounds, would
 * read, while the run may be going on. */
#include "store/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "data/source.h"

typedef struct check {
    rd_store *store;
    const rd_check_listener *listener;
    rd_check_report *report;
    uint64_t next; /* round to be visited */
} check;

static void say(check *c, const char *text)
{
    c->report->wrong++;
    c->listener->wrong(c->listener->user, text);
}

static bool visit(const rd_round_record *r, void *user)
{
    check *c = user;
    rd_error err;
    char path[RD_SOURCE_PATH_MAX];
    c->next = r->round + 1;
    c->report->rounds++;
    if (r->round == 0 && rd_store_verify_frozen(c->store, r->files.frozen, &err) != RD_OK)
        say(c, err.message);
    if (!r->aggregated && r->round != 0)
        return true;
    rd_store_model_path(c->store, r->round, path, sizeof path);
    bool retained = access(path, F_OK) == 0;
    if (retained && rd_store_verify_files(c->store, r, &err) != RD_OK) {
        retained = access(path, F_OK) == 0; /* or has been deleted meanwhile, as outdated */
        if (retained)
            say(c, err.message);
    }
    c->report->models += retained;
    return true;
}

/* A row that is damaged is named, and those after it are looked at all the same. */
static rd_status check_rounds(check *c, rd_error *err)
{
    uint64_t last = 0, from;
    bool any;
    rd_status status = rd_store_last_round(c->store, &last, &any, err);
    while (status == RD_OK && any && (from = c->next) <= last) {
        status = rd_store_rounds(c->store, from, visit, c, err);
        if (status == RD_OK)
            break;
        if (status != RD_ERR_FORMAT)
            return status;
        say(c, err->message);
        c->next++;
        status = RD_OK;
    }
    return status;
}

rd_status rd_store_check(const char *directory, const char *expected, const rd_check_listener *listener,
                         rd_check_report *report, rd_error *err)
{
    rd_status status = RD_OK;
    uint64_t newest, missing;
    char text[160];
    check c = {.listener = listener, .report = report};
    *report = (rd_check_report){0};
    RD_TRY(rd_store_open_reader(directory, &c.store, err));
    status = rd_store_check_pages(c.store, true, err);
    if (status == RD_ERR_FORMAT) {
        say(&c, err->message);
        status = RD_OK;
        goto cleanup; /* what its rows say is nothing to compare with */
    }
    RD_TRY(status);
    RD_TRY(check_rounds(&c, err));
    RD_TRY(rd_audit_check(c.store, expected, listener, report, err));
    if (rd_store_newest_model(c.store, &newest, err) != RD_OK)
        say(&c, err->message);
    missing = rd_store_missing_rounds(c.store);
    if (missing > 0) {
        (void)snprintf(text, sizeof text, "rondo.db: the last %" PRIu64 " rounds that have models are not in it",
                       missing);
        say(&c, text);
    }
cleanup:
    rd_store_close(c.store);
    return status;
}
