/* recover.c: what of a directory is whole after a loss of power, a bad disk or a hand that deleted something, and going
 * back to it.
 *
 * The last round whose files are all what it committed is the one that the run goes on from. Rounds since the last
 * one that was on the disk may lack files after a loss of power, and those before it that are retained are there: so
 * the search ends with these. Rounds that are given up are computed again, and a row in the table of changes says so. */
#include "store/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What the walk from the newest round to older ones has found. */
typedef struct search {
    uint64_t newest, good; /* versions: the newest one, and the newest that is whole */
    uint64_t after;        /* the version after the good one */
    uint64_t last;         /* round of the database */
    bool any, found;
    rd_error why; /* what is wrong with the newest one */
    rd_status status;
} search;

static void take_text(sqlite3_stmt *statement, int column, char *text, size_t size)
{
    const unsigned char *value = sqlite3_column_text(statement, column);
    (void)snprintf(text, size, "%s", value != NULL ? (const char *)value : "");
}

static void try_version(rd_store *s, sqlite3_stmt *statement, search *f)
{
    rd_error why;
    rd_round_record r = {.round = (uint64_t)sqlite3_column_int64(statement, 0)};
    take_text(statement, 3, r.model_sha256, sizeof r.model_sha256);
    take_text(statement, 4, r.files.model_header, sizeof r.files.model_header);
    take_text(statement, 5, r.files.packed, sizeof r.files.packed);
    take_text(statement, 6, r.files.server, sizeof r.files.server);
    rd_status status = rd_store_verify_files(s, &r, &why);
    f->found = status == RD_OK;
    f->good = r.round;
    if (!f->found && f->status == RD_OK) {
        f->status = status;
        f->why = why;
    }
}

static rd_status find_whole(rd_store *s, uint64_t keep_every, search *f, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    uint64_t on_disk = 0; /* versions that were retained when the last round that is on the disk was committed */
    bool synced = false;
    int code;
    rd_status status = rd_store_statement(s, RD_SQL_VERSIONS, &statement, err);
    if (status != RD_OK)
        return status;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        uint64_t round = (uint64_t)sqlite3_column_int64(statement, 0);
        synced = synced || sqlite3_column_int(statement, 1) != 0;
        f->last = round > f->last ? round : f->last;
        if (sqlite3_column_int(statement, 2) == 0)
            continue;
        f->newest = f->any ? f->newest : round;
        f->any = true;
        on_disk += synced;
        if (on_disk <= s->models.newest_retained || (keep_every > 0 && round % keep_every == 0))
            try_version(s, statement, f);
        if (f->found)
            break;
        f->after = round;
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        status = rd_store_fail(s, code, "look for the last round that is whole", err);
    sqlite3_reset(statement);
    return status;
}

/* All versions have it in common: without it none is whole. */
static rd_status check_frozen(rd_store *s, rd_error *err)
{
    char expected[RD_SHA256_HEX] = "";
    sqlite3_stmt *statement = NULL;
    rd_status status = rd_store_statement(s, RD_SQL_FROZEN, &statement, err);
    if (status != RD_OK)
        return status;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        take_text(statement, 0, expected, sizeof expected);
    else if (code != SQLITE_DONE)
        status = rd_store_fail(s, code, "look for what is frozen", err);
    sqlite3_reset(statement);
    return status == RD_OK ? rd_store_verify_frozen(s, expected, err) : status;
}

static rd_status run_with(rd_store *s, rd_sql which, uint64_t value, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    rd_status status = rd_store_statement(s, which, &statement, err);
    if (status != RD_OK)
        return status;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)value);
    return rd_store_run_statement(s, statement, "give up rounds", err);
}

/* "state": what it was, and that it is now the one after the last round of the database. */
static rd_status record(rd_store *s, const char *what, uint64_t round, rd_error *err)
{
    char before[RD_CHANGE_VALUE_MAX], after[RD_CHANGE_VALUE_MAX];
    rd_changes changes = {0};
    (void)snprintf(before, sizeof before, "\"%.180s\"", what);
    (void)snprintf(after, sizeof after, "\"that after round %" PRIu64 "\"", round);
    rd_status status = rd_changes_add(&changes, "state", before, after, err);
    if (status == RD_OK)
        status = rd_store_put_changes(s, &changes, err);
    rd_changes_free(&changes);
    return status;
}

/* Gives up the rounds from f->after on. */
static rd_status go_back(rd_store *s, const search *f, rd_error *err)
{
    rd_error ignored;
    rd_status status = RD_OK;
    bool open = false;
    char what[sizeof f->why.message + 64];
    const char *slash = strstr(f->why.message, "/models/"); /* the directory is known */
    (void)snprintf(what, sizeof what, "that after round %" PRIu64 ", but %s", f->last,
                   slash != NULL ? slash + 1 : f->why.message);
    RD_TRY(rd_store_simple(s, RD_SQL_BEGIN, "begin a transaction", err));
    open = true;
    RD_TRY(run_with(s, RD_SQL_UNTALLY, f->after, err));
    RD_TRY(run_with(s, RD_SQL_DROP_PARTICIPATIONS, f->after, err));
    RD_TRY(run_with(s, RD_SQL_DROP_ROUNDS, f->after, err));
    RD_TRY(run_with(s, RD_SQL_FINISH, 0, err));
    RD_TRY(record(s, what, f->after - 1, err));
    RD_TRY(rd_store_simple(s, RD_SQL_COMMIT, "commit that rounds are given up", err));
    open = false;
cleanup:
    if (open && !sqlite3_get_autocommit(s->db))
        (void)!rd_store_simple(s, RD_SQL_ROLLBACK, "take it back", &ignored);
    return status;
}

rd_status rd_store_recover(rd_store *s, uint64_t keep_every, rd_error *err)
{
    search f = {0};
    char what[96];
    rd_status status = check_frozen(s, err);
    if (status == RD_OK)
        status = find_whole(s, keep_every, &f, err);
    if (status != RD_OK || !f.any)
        return status;
    if (!f.found)
        return rd_fail(err, f.status, "%.300s; of no round that is retained all is whole", f.why.message);
    if (f.good != f.newest)
        return go_back(s, &f, err);
    uint64_t missing = rd_store_missing_rounds(s);
    if (missing == 0)
        return RD_OK;
    /* A loss of power, or somebody has deleted rondo.db-wal: they look alike. */
    (void)snprintf(what, sizeof what, "models up to round %" PRIu64 ", whose rounds rondo.db does not have",
                   f.last + missing);
    return record(s, what, f.last, err);
}

rd_status rd_store_refuse_orphans(const rd_store *s, rd_error *err)
{
    uint64_t round;
    if (!rd_store_newest_file(s, &round))
        return RD_OK;
    return rd_fail(err, RD_ERR_FORMAT,
                   "%s/rondo.db: it is missing or empty, but there are models up to round %" PRIu64 "; put it back "
                   "with its rondo.db-wal, or give another directory",
                   s->directory, round);
}
