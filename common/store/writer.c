/* writer.c: opening a state directory to write to it: making a run, or taking over the one that is there.
 *
 * The lock is flock() on DIR itself, so that it holds although a file in it is deleted, and on DIR/lock: the kernel
 * drops it with the process, however that ends. The process number inside is for the message only. */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "config/json_print.h"
#include "core/clock.h"
#include "core/crypto.h"
#include "core/file.h"
#include "core/number.h"
#include "data/source.h"
#include "rondo/version.h"

#define PATH_MAX_HERE (RD_SOURCE_PATH_MAX + 64)

/* ---- the folder ---- */

static rd_status refuse_second(const rd_store *s, rd_error *err)
{
    char path[PATH_MAX_HERE], owner[24] = "";
    uint64_t pid;
    (void)snprintf(path, sizeof path, "%s/lock", s->directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? pread(fd, owner, sizeof owner - 1, 0) : 0;
    if (fd >= 0)
        close(fd);
    if (length > 0 && rd_number_count(owner, strcspn(owner, "\n"), &pid))
        return rd_fail(err, RD_ERR_STATE, "%s: in use by another process (number %" PRIu64 ")", s->directory, pid);
    return rd_fail(err, RD_ERR_STATE, "%s: in use by another process", s->directory);
}

/* Some file systems of a network cannot lock a directory; the file is locked there alone. */
static rd_status lock_directory(rd_store *s, rd_error *err)
{
    s->directory_fd = open(s->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->directory_fd < 0)
        return rd_fail(err, RD_ERR_IO, "%s: %s", s->directory, strerror(errno));
    if (flock(s->directory_fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return refuse_second(s, err);
    return RD_OK;
}

static rd_status take_lock(rd_store *s, rd_error *err)
{
    char path[PATH_MAX_HERE], owner[24] = "";
    rd_status status = lock_directory(s, err);
    if (status != RD_OK)
        return status;
    (void)snprintf(path, sizeof path, "%s/lock", s->directory);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? refuse_second(s, err)
                                    : rd_fail(err, RD_ERR_IO, "%s: cannot be locked: %s", path, strerror(errno));
    int length = snprintf(owner, sizeof owner, "%ld\n", (long)getpid());
    if (ftruncate(s->lock_fd, 0) != 0)
        return rd_fail(err, RD_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
    return rd_fd_pwrite_all(s->lock_fd, owner, (size_t)length, 0, path, err);
}

/* SQLite would make it for all to read, and follow a link; what lies beside it (-wal, -shm) gets its mode. */
static rd_status make_database_file(const char *path, rd_error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return rd_fail(err, RD_ERR_IO, "%s: %s", path, errno == ELOOP ? "it is a link" : strerror(errno));
    close(fd);
    return RD_OK;
}

/* ---- the run ---- */

/* What a simulation of so many clients is of; of a deployment, which has 0, nothing. */
static rd_status setting_of(const rd_config *config, size_t clients, cJSON **out, rd_error *err)
{
    *out = clients > 0 ? cJSON_Duplicate(config->setting, true) : cJSON_CreateObject();
    if (*out == NULL || (clients > 0 && cJSON_AddNumberToObject(*out, "clients", (double)clients) == NULL))
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the configuration");
    return RD_OK;
}

static rd_status insert_run(rd_store *s, const rd_config *config, const char *json, const char *setting, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(s->db,
                                  "INSERT INTO run (id, run_id, name, rounds, created_at, config, setting) "
                                  "VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
                                  -1, &statement, NULL);
    if (code != SQLITE_OK)
        return rd_store_fail(s, code, "write the run", err);
    sqlite3_bind_text(statement, 1, s->run_id, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, config->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)config->rounds);
    sqlite3_bind_double(statement, 4, rd_clock_unix());
    sqlite3_bind_text(statement, 5, json, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 6, setting, -1, SQLITE_STATIC);
    rd_status status = rd_store_run_statement(s, statement, "write the run", err);
    sqlite3_finalize(statement);
    return status;
}

/* The head of the account. */
static rd_status account_for_run(rd_store *s, const rd_config *config, const cJSON *setting, rd_error *err)
{
    rd_audit_entry e = rd_audit_begin("begun");
    rd_audit_text(&e, "run", s->run_id);
    rd_audit_text(&e, "software", RONDO_VERSION);
    rd_audit_json(&e, "config", config->for_clients);
    rd_audit_json(&e, "setting", setting);
    return rd_audit_put(s, &e, err);
}

/* Tables and run appear together or not at all: what fails closes the database, which takes back what is not committed. */
static rd_status make_run(rd_store *s, const rd_config *config, const cJSON *setting, rd_error *err)
{
    rd_status status = RD_OK;
    char *json = rd_json_print(config->for_clients), *setting_json = rd_json_print(setting);
    if (json == NULL || setting_json == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for the configuration");
    RD_TRY(rd_random_hex(16, s->run_id, err));
    RD_TRY(rd_store_execute(s, "BEGIN IMMEDIATE", "begin a transaction", err));
    RD_TRY(rd_store_execute(s, rd_store_schema(), "make its tables", err));
    RD_TRY(insert_run(s, config, json, setting_json, err));
    RD_TRY(account_for_run(s, config, setting, err));
    RD_TRY(rd_store_execute(s, "COMMIT", "commit its tables", err));
    RD_TRY(rd_store_sync_folder(s->directory_fd, s->directory, err));
    RD_TRY(rd_file_sync_name(s->directory, err));
cleanup:
    cJSON_free(json);
    cJSON_free(setting_json);
    return status;
}

static rd_status update_run(rd_store *s, const rd_config *config, const rd_changes *changes, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    rd_status status = rd_store_statement(s, RD_SQL_RESUME, &statement, err);
    if (status != RD_OK)
        return status;
    char *json = rd_json_print(config->for_clients);
    if (json == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the configuration");
    sqlite3_bind_text(statement, 1, config->name, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)config->rounds);
    sqlite3_bind_text(statement, 3, json, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int(statement, 4, rd_changes_reopen(changes));
    cJSON_free(json);
    return rd_store_run_statement(s, statement, "write the run", err);
}

/* The run goes on under the given configuration, and what is new in it is recorded, both or neither. */
static rd_status adopt_config(rd_store *s, const rd_config *config, const rd_changes *changes, rd_error *err)
{
    rd_error ignored;
    rd_status status = RD_OK;
    bool open = false;
    RD_TRY(rd_store_simple(s, RD_SQL_BEGIN, "begin a transaction", err));
    open = true;
    RD_TRY(update_run(s, config, changes, err));
    RD_TRY(rd_store_put_changes(s, changes, err));
    RD_TRY(rd_store_simple(s, RD_SQL_COMMIT, "commit the run", err));
    open = false;
cleanup:
    if (open && !sqlite3_get_autocommit(s->db))
        (void)!rd_store_simple(s, RD_SQL_ROLLBACK, "take it back", &ignored);
    return status;
}

static rd_status resume_run(rd_store *s, const rd_config *config, const cJSON *setting, rd_error *err)
{
    rd_run_record run = {0};
    rd_changes changes = {0};
    cJSON *stored = NULL, *stored_setting = NULL;
    rd_status status = RD_OK;
    uint64_t round;
    RD_TRY(rd_store_run(s, &run, err));
    memcpy(s->run_id, run.run_id, sizeof s->run_id);
    stored = cJSON_Parse(run.config_json);
    stored_setting = cJSON_Parse(run.setting_json);
    if (stored == NULL || stored_setting == NULL)
        RD_THROW(RD_ERR_FORMAT, "%s/rondo.db: the stored configuration is not JSON", s->directory);
    RD_TRY(rd_store_last_round(s, &round, &s->resumed, err));
    s->trained = s->resumed && round > 0;
    RD_TRY(rd_store_compare(s->directory, &(rd_run_json){stored, stored_setting},
                            &(rd_run_json){config->for_clients, setting}, &changes, err));
    RD_TRY(rd_store_recover(s, config->keep_every, err));
    RD_TRY(adopt_config(s, config, &changes, err));
cleanup:
    cJSON_Delete(stored);
    cJSON_Delete(stored_setting);
    rd_changes_free(&changes);
    rd_run_record_free(&run);
    return status;
}

/* ---- opening ---- */

rd_status rd_store_open(const char *directory, const rd_config *config, size_t clients, rd_store **out, bool *resumed,
                        rd_error *err)
{
    rd_status status = RD_OK;
    rd_store *s = NULL;
    cJSON *setting = NULL;
    char path[PATH_MAX_HERE];
    bool fresh = false;
    RD_TRY(rd_store_make_handle(directory, &s, err));
    RD_TRY(rd_make_private_directory(directory, err));
    RD_TRY(take_lock(s, err));
    RD_TRY(rd_store_open_models(s, err));
    (void)snprintf(path, sizeof path, "%s/rondo.db", directory);
    RD_TRY(make_database_file(path, err));
    int code = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (code != SQLITE_OK) {
        status = rd_store_fail(s, code, "be opened", err);
        goto cleanup;
    }
    sqlite3_busy_timeout(s->db, RD_STORE_BUSY_MILLISECONDS);
    RD_TRY(rd_store_check_schema(s, &fresh, err));
    RD_TRY(fresh ? rd_store_refuse_orphans(s, err) : rd_store_check_pages(s, false, err));
    RD_TRY(rd_store_execute(s, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; PRAGMA foreign_keys = ON",
                            "use a write-ahead log", err));
    RD_TRY(rd_store_set_durable(s, true, err));
    /* Asynchronous clients may still train from models that are no longer the newest. */
    s->models.newest_retained = 2 + config->cohort.most_staleness;
    if (s->models.newest_retained < config->keep_updates + 1) /* the model before the first round that is kept */
        s->models.newest_retained = config->keep_updates + 1;
    s->keep_updates = config->keep_updates;
    RD_TRY(setting_of(config, clients, &setting, err));
    RD_TRY(fresh ? make_run(s, config, setting, err) : resume_run(s, config, setting, err));
    *resumed = !fresh;
    *out = s;
    s = NULL;
cleanup:
    cJSON_Delete(setting);
    rd_store_close(s);
    return status;
}
