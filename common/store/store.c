/* store.c: what all that work on a state directory need: talking to SQLite, the names of files, and waiting for the
 * disk. It is opened in writer.c or reader.c.
 *
 * What survives what:
 *   kill -9      everything committed. SQLite appends to its write-ahead log with plain writes, which outlive
 *                the process; a transaction cut short is ignored at the next opening.
 *   power loss   every round but those of the last second. Waiting for the disk takes longer than a round of
 * a small model, so a commit waits only where the last one that did is a second old: first its model file,
 * then the folder that names it, then the database (synchronous = FULL). In between, model files are not
 * deleted and the log is not checkpointed, so the disk never knows a round without its model. Finishing and
 * closing wait, too. Clients that join do not: one that is forgotten joins again. */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/source.h"

#define PATH_MAX_HERE (RD_SOURCE_PATH_MAX + 64)

/* ---- SQLite ---- */

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

bool rd_store_is_written(const rd_store *s)
{
    char path[PATH_MAX_HERE];
    (void)snprintf(path, sizeof path, "%s/rondo.db-shm", s->directory);
    return access(path, F_OK) == 0;
}

rd_status rd_store_statement(rd_store *s, rd_sql which, sqlite3_stmt **out, rd_error *err)
{
    if (s->unlocked && rd_store_is_written(s))
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

/* ---- the folder ---- */

rd_status rd_store_sync_folder(int fd, const char *path, rd_error *err)
{
    /* Some file systems cannot sync a folder and say EINVAL; there is nothing to wait for then. */
    if (fsync(fd) != 0 && errno != EINVAL)
        return rd_fail(err, RD_ERR_IO, "%s: cannot reach the disk: %s", path, strerror(errno));
    return RD_OK;
}

static rd_status sync_model(rd_store *s, uint64_t round, rd_error *err)
{
    rd_status status = RD_OK;
    char path[PATH_MAX_HERE];
    rd_store_model_path(s, round, path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT) /* a caller may keep no models */
        return rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
    if (fd >= 0 && fsync(fd) != 0)
        status = rd_fail(err, RD_ERR_IO, "%s: cannot reach the disk: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return status == RD_OK ? rd_store_sync_folder(s->models_fd, path, err) : status;
}

rd_status rd_store_sync_models(rd_store *s, rd_error *err)
{
    rd_status status = RD_OK;
    if (s->unsynced)
        status = sync_model(s, s->unsynced_round, err);
    s->unsynced = status != RD_OK;
    if (status == RD_OK && s->pinned_unsynced)
        status = sync_model(s, s->pinned, err);
    if (status == RD_OK)
        s->pinned_unsynced = false;
    return status;
}

void rd_store_pin(rd_store *s, uint64_t round)
{
    s->pinned_unsynced = s->pinned_unsynced || round != s->pinned;
    s->pinned = round;
}

/* ---- the handle ---- */

rd_status rd_store_make_handle(const char *directory, rd_store **out, rd_error *err)
{
    /* Model paths are written into buffers of this size by everyone. */
    if (strlen(directory) + sizeof "/models/18446744073709551615.safetensors" > RD_SOURCE_PATH_MAX)
        return rd_fail(err, RD_ERR_IO, "%.60s...: the name of the state directory is too long", directory);
    rd_store *s = calloc(1, sizeof *s);
    char *copy = strdup(directory);
    if (s == NULL || copy == NULL) {
        free(s);
        free(copy);
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory to open it", directory);
    }
    s->directory = copy;
    s->lock_fd = s->models_fd = -1;
    s->pinned = s->spared = UINT64_MAX;
    *out = s;
    return RD_OK;
}

void rd_store_close(rd_store *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < RD_SQL_KINDS; i++)
        sqlite3_finalize(s->statements[i]);
    (void)!rd_store_sync_models(s, NULL); /* closing moves the log into the database */
    sqlite3_close(s->db);
    if (s->models_fd >= 0)
        close(s->models_fd);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s->directory);
    free(s);
}

const char *rd_store_run_id(const rd_store *s)
{
    return s->run_id;
}

void rd_store_model_path(const rd_store *s, uint64_t round, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/models/%06" PRIu64 ".safetensors", s->directory, round);
}

void rd_store_packed_path(const rd_store *s, uint64_t round, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/models/%06" PRIu64 ".packed.safetensors", s->directory, round);
}

void rd_store_server_path(const rd_store *s, uint64_t round, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/models/%06" PRIu64 ".server.safetensors", s->directory, round);
}

void rd_store_frozen_path(const rd_store *s, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/models/frozen.safetensors", s->directory);
}
