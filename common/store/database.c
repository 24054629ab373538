/* database.c: talking to SQLite: statements, what they fail with, and whether commits wait for the disk. */
#include "store/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "data/source.h"

#define PATH_MAX_HERE (RD_SOURCE_PATH_MAX + 64)

rd_status rd_store_fail(rd_store *s, int code, const char *doing, rd_error *err)
{
    rd_status status;
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        status = RD_ERR_MEMORY;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        status = RD_ERR_STATE;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        status = RD_ERR_FORMAT;
        break;
    case SQLITE_MISUSE:
    case SQLITE_CONSTRAINT:
    case SQLITE_ERROR:
        status = RD_ERR_INTERNAL;
        break;
    default:
        status = RD_ERR_IO;
    }
    const char *why = s->db != NULL ? sqlite3_errmsg(s->db) : sqlite3_errstr(code);
    return rd_fail(err, status, "%s/rondo.db: cannot %s: %s", s->directory, doing, why);
}

/* Does somebody have the database open for writing, or had when the machine stopped? */
static bool is_written(const rd_store *s)
{
    char path[PATH_MAX_HERE];
    (void)snprintf(path, sizeof path, "%s/rondo.db-shm", s->directory);
    return access(path, F_OK) == 0;
}

rd_status rd_store_statement(rd_store *s, rd_sql which, sqlite3_stmt **out, rd_error *err)
{
    if (s->unlocked && is_written(s))
        return rd_fail(err, RD_ERR_STATE, "%s: somebody has begun to write to it; ask again", s->directory);
    if (s->statements[which] == NULL) {
        int code =
            sqlite3_prepare_v3(s->db, rd_store_sql(which), -1, SQLITE_PREPARE_PERSISTENT, &s->statements[which], NULL);
        if (code != SQLITE_OK)
            return rd_store_fail(s, code, "use its tables", err);
    }
    *out = s->statements[which];
    return RD_OK;
}

rd_status rd_store_run_statement(rd_store *s, sqlite3_stmt *statement, const char *doing, rd_error *err)
{
    int code = sqlite3_step(statement);
    rd_status status = code == SQLITE_DONE ? RD_OK : rd_store_fail(s, code, doing, err);
    sqlite3_reset(statement);
    return status;
}

rd_status rd_store_simple(rd_store *s, rd_sql which, const char *doing, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    rd_status status = rd_store_statement(s, which, &statement, err);
    return status == RD_OK ? rd_store_run_statement(s, statement, doing, err) : status;
}

rd_status rd_store_execute(rd_store *s, const char *sql, const char *doing, rd_error *err)
{
    int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? RD_OK : rd_store_fail(s, code, doing, err);
}

rd_status rd_store_set_durable(rd_store *s, bool durable, rd_error *err)
{
    if (s->durable == durable)
        return RD_OK;
    const char *sql = durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL";
    rd_status status = rd_store_execute(s, sql, "set how commits are made", err);
    if (status == RD_OK)
        s->durable = durable;
    return status;
}

/* One number out of "PRAGMA name". */
static rd_status pragma_number(rd_store *s, const char *sql, int64_t *value, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *value = sqlite3_column_int64(statement, 0);
    rd_status status = code == SQLITE_ROW ? RD_OK : rd_store_fail(s, code, "be read", err);
    sqlite3_finalize(statement);
    return status;
}

rd_status rd_store_check_pages(rd_store *s, bool thorough, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    const char *found = NULL;
    rd_status status = RD_OK;
    const char *sql = thorough ? "PRAGMA integrity_check(1)" : "PRAGMA quick_check(1)";
    int code = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        found = (const char *)sqlite3_column_text(statement, 0);
    if (code != SQLITE_ROW || found == NULL)
        status = rd_store_fail(s, code, "be checked", err);
    else if (strcmp(found, "ok") != 0)
        status = rd_fail(err, RD_ERR_FORMAT, "%s/rondo.db: it is damaged: %.200s", s->directory, found);
    sqlite3_finalize(statement);
    return status;
}

rd_status rd_store_check_schema(rd_store *s, bool *fresh, rd_error *err)
{
    rd_status status = RD_OK;
    int64_t application = 0, version = 0, objects = 0;
    RD_TRY(pragma_number(s, "PRAGMA application_id", &application, err));
    RD_TRY(pragma_number(s, "PRAGMA user_version", &version, err));
    RD_TRY(pragma_number(s, "SELECT count(*) FROM sqlite_schema", &objects, err));
    *fresh = objects == 0;
    if (!*fresh && application != RD_STORE_APPLICATION_ID)
        RD_THROW(RD_ERR_FORMAT, "%s/rondo.db: a database, but not one of Rondo's", s->directory);
    if (!*fresh && version != RD_STORE_SCHEMA_VERSION)
        RD_THROW(RD_ERR_FORMAT,
                 "%s/rondo.db: its tables have version %" PRId64 ", this program knows version %d; use the "
                 "Rondo that made it",
                 s->directory, version, RD_STORE_SCHEMA_VERSION);
cleanup:
    return status;
}
