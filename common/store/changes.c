/* changes.c: what has become different since a run began: keys of run.json that may, and what the server
 * reads beside it (data.test and the like), of which a digest is recorded. Each difference is a row of its own
 * with the round after which it came, so that whoever reads the results later knows which round was run
 * under what. */
#include "store/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/json_print.h"
#include "core/clock.h"
#include "core/grow.h"

/* ---- a list of them ---- */

rd_status rd_changes_add(rd_changes *list, const char *key, const char *before, const char *after, rd_error *err)
{
    rd_status status = rd_grow(&list->items, &list->capacity, list->count + 1, sizeof *list->items, "changes", err);
    if (status != RD_OK)
        return status;
    rd_change_record *c = &list->items[list->count++];
    *c = (rd_change_record){0};
    (void)snprintf(c->key, sizeof c->key, "%s", key);
    (void)snprintf(c->before, sizeof c->before, "%s", before);
    (void)snprintf(c->after, sizeof c->after, "%s", after);
    return RD_OK;
}

bool rd_changes_reopen(const rd_changes *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].key, "rounds") == 0 ||
            strcmp(list->items[i].key, "evaluation.target_accuracy") == 0 ||
            strcmp(list->items[i].key, "early_stopping.patience") == 0)
            return true;
    return false;
}

void rd_changes_free(rd_changes *list)
{
    free(list->items);
    *list = (rd_changes){0};
}

/* ---- in the database ---- */

static rd_status put_change(rd_store *s, const rd_change_record *c, uint64_t round, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    rd_status status = rd_store_statement(s, RD_SQL_ADD_CHANGE, &statement, err);
    if (status != RD_OK)
        return status;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)round);
    sqlite3_bind_text(statement, 2, c->key, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, c->before, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 4, c->after, -1, SQLITE_STATIC);
    sqlite3_bind_double(statement, 5, rd_clock_unix());
    status = rd_store_run_statement(s, statement, "write what has changed", err);
    s->news++;
    if (status != RD_OK)
        return status;
    rd_audit_entry e = rd_audit_begin("changed");
    rd_audit_count(&e, "round", round);
    rd_audit_text(&e, "key", c->key);
    rd_audit_text(&e, "before", c->before);
    rd_audit_text(&e, "after", c->after);
    return rd_audit_put(s, &e, err);
}

rd_status rd_store_put_changes(rd_store *s, const rd_changes *list, rd_error *err)
{
    uint64_t round = 0;
    bool found;
    rd_status status = rd_store_last_round(s, &round, &found, err);
    for (size_t i = 0; i < list->count && status == RD_OK; i++)
        status = put_change(s, &list->items[i], round, err);
    return status;
}

rd_status rd_store_changes(rd_store *s, bool (*visit)(const rd_change_record *, void *), void *user, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    int code;
    rd_status status = rd_store_statement(s, RD_SQL_CHANGES, &statement, err);
    if (status != RD_OK)
        return status;
    sqlite3_bind_int64(statement, 1, s->lock_fd >= 0 ? (sqlite3_int64)s->news : -1);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        rd_change_record c = {.round = (uint64_t)sqlite3_column_int64(statement, 0),
                              .changed_at = sqlite3_column_double(statement, 4)};
        (void)snprintf(c.key, sizeof c.key, "%s", (const char *)sqlite3_column_text(statement, 1));
        (void)snprintf(c.before, sizeof c.before, "%s", (const char *)sqlite3_column_text(statement, 2));
        (void)snprintf(c.after, sizeof c.after, "%s", (const char *)sqlite3_column_text(statement, 3));
        if (!visit(&c, user))
            break;
    }
    status = code == SQLITE_DONE || code == SQLITE_ROW ? RD_OK : rd_store_fail(s, code, "read what has changed", err);
    sqlite3_reset(statement);
    return status;
}

/* ---- what the server has read ---- */

typedef struct stored_input {
    char text[RD_CHANGE_VALUE_MAX], digest[RD_DIGEST_MAX];
} stored_input;

/* "test.csv (120 rows, SHA-256 0123456789ab)", as JSON like all values of changes; "nothing". */
static void describe(const char *path, uint64_t rows, const char *digest, char text[RD_CHANGE_VALUE_MAX])
{
    char plain[RD_CHANGE_VALUE_MAX], what[40] = "";
    const char *name = path != NULL && strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    (void)snprintf(text, RD_CHANGE_VALUE_MAX, "nothing");
    if (path == NULL)
        return;
    if (rows > 0)
        (void)snprintf(what, sizeof what, "%" PRIu64 " rows, ", rows);
    (void)snprintf(plain, sizeof plain, "%.64s (%s%.20s)", name, what, digest);
    cJSON *string = cJSON_CreateString(plain);
    char *json = string != NULL ? rd_json_print(string) : NULL;
    (void)snprintf(text, RD_CHANGE_VALUE_MAX, "%s", json != NULL ? json : "nothing");
    cJSON_free(json);
    cJSON_Delete(string);
}

static rd_status find_input(rd_store *s, const char *name, stored_input *out, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    rd_status status = rd_store_statement(s, RD_SQL_INPUT, &statement, err);
    if (status != RD_OK)
        return status;
    *out = (stored_input){.text = "nothing"};
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        (void)snprintf(out->digest, sizeof out->digest, "%s", (const char *)sqlite3_column_text(statement, 2));
        describe((const char *)sqlite3_column_text(statement, 0), (uint64_t)sqlite3_column_int64(statement, 1),
                 out->digest, out->text);
    }
    status = code == SQLITE_ROW || code == SQLITE_DONE ? RD_OK : rd_store_fail(s, code, "read what the run uses", err);
    sqlite3_reset(statement);
    return status;
}

static rd_status put_input(rd_store *s, const rd_store_input *in, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    rd_status status = rd_store_statement(s, in->path != NULL ? RD_SQL_PUT_INPUT : RD_SQL_DROP_INPUT, &statement, err);
    if (status != RD_OK)
        return status;
    sqlite3_bind_text(statement, 1, in->name, -1, SQLITE_STATIC);
    if (in->path != NULL) {
        sqlite3_bind_text(statement, 2, in->path, -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 3, (sqlite3_int64)in->rows);
        sqlite3_bind_text(statement, 4, in->digest, -1, SQLITE_STATIC);
    }
    status = rd_store_run_statement(s, statement, "write what the run uses", err);
    if (status != RD_OK)
        return status;
    rd_audit_entry e = rd_audit_begin("uses");
    rd_audit_text(&e, "what", in->name);
    if (in->path != NULL) {
        rd_audit_text(&e, "path", in->path);
        rd_audit_count(&e, "rows", in->rows);
        rd_audit_text(&e, "digest", in->digest);
    }
    return rd_audit_put(s, &e, err);
}

rd_status rd_store_use(rd_store *s, const rd_store_input *in, rd_error *err)
{
    rd_error ignored;
    stored_input before;
    char now[RD_CHANGE_VALUE_MAX];
    rd_changes changes = {0};
    rd_status status = RD_OK;
    bool open = false;
    RD_TRY(find_input(s, in->name, &before, err));
    if (strcmp(before.digest, in->path != NULL ? in->digest : "") == 0)
        goto cleanup;
    describe(in->path, in->rows, in->digest, now);
    /* A process may end after it has committed the initial model, and before it has said what it will train on. */
    const bool first = before.digest[0] == '\0' && !s->trained;
    if (s->resumed && in->decides && !first)
        RD_THROW(RD_ERR_STATE,
                 "%s: its run has %s = %s, but now it would be %s, which would make another run of "
                 "it; to continue the run give what it began with, to start another one give another "
                 "directory",
                 s->directory, in->name, before.text, now);
    /* Without what decides the run could not be continued, so it is not lost with the last second. */
    RD_TRY(rd_store_set_durable(s, in->decides, err));
    RD_TRY(rd_store_simple(s, RD_SQL_BEGIN, "begin a transaction", err));
    open = true;
    RD_TRY(put_input(s, in, err));
    if (s->resumed && !(in->decides && first)) {
        RD_TRY(rd_changes_add(&changes, in->name, before.text, now, err));
        RD_TRY(rd_store_put_changes(s, &changes, err));
    }
    RD_TRY(rd_store_simple(s, RD_SQL_COMMIT, "commit what the run uses", err));
    open = false;
cleanup:
    if (open && !sqlite3_get_autocommit(s->db))
        (void)!rd_store_simple(s, RD_SQL_ROLLBACK, "take it back", &ignored);
    rd_changes_free(&changes);
    return status;
}
