/* reader.c: opening a state directory to read it: while its run goes on, after it, as another user, from a disk
 * that nobody can write to. Whatever the way, a reader sees every round that has been committed, or is told why
 * not. */
#include "store/internal.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_MAX_HERE (RD_SOURCE_PATH_MAX + 64)
#define RUNS_BELOW (RD_SOURCE_PATH_MAX + 128)

/* "file:" name of the database with the characters that mean something in a URI written as %XX. */
static void database_uri(const char *directory, const char *query, char *uri, size_t size)
{
    size_t at = (size_t)snprintf(uri, size, "file:");
    for (const char *p = directory; *p != '\0' && at + 4 < size; p++)
        at += (size_t)snprintf(uri + at, size - at, strchr("?#%", *p) != NULL ? "%%%02X" : "%c", (unsigned char)*p);
    (void)snprintf(uri + at, size - at, "/rondo.db%s", query);
}

static rd_status open_database_to_read(rd_store *s, const char *query, const char *vfs, bool *fresh, rd_error *err)
{
    char uri[3 * RD_SOURCE_PATH_MAX + 64];
    database_uri(s->directory, query, uri, sizeof uri);
    sqlite3_close(s->db);
    s->db = NULL;
    int code = sqlite3_open_v2(uri, &s->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, vfs);
    if (code != SQLITE_OK)
        return rd_store_fail(s, code, "be opened", err);
    sqlite3_busy_timeout(s->db, RD_STORE_BUSY_MILLISECONDS);
    if (vfs != NULL) /* the index of the log lies in memory of our own */
        code = sqlite3_exec(s->db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL);
    return code == SQLITE_OK ? rd_store_check_schema(s, fresh, err) : rd_store_fail(s, code, "be opened", err);
}

/* Whoever may not write into the directory (a copy on a read-only disk, another user) cannot make the shared
 * memory through which SQLite reads the log, and the newest rounds are in the log. Where there is no shared
 * memory, nobody writes, and the log can be read without; where there is one, it has to be readable. To read
 * less would show fewer rounds than there are. */
static rd_status open_without_writing(rd_store *s, bool *fresh, rd_error *err)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    char path[PATH_MAX_HERE];
    bool there[3] = {false};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/rondo.db%s", s->directory, endings[i]);
        there[i] = access(path, F_OK) == 0;
        if (there[i] && access(path, R_OK) != 0)
            return rd_fail(err, RD_ERR_STATE,
                           "%s: %s; the newest rounds cannot be read without it, and fewer will not be shown", path,
                           strerror(errno));
    }
    if (there[2])
        return rd_fail(err, RD_ERR_STATE,
                       "%s/rondo.db: cannot be read by somebody who may not write beside it while "
                       "rondo.db-shm is there: copy the directory to where you may, without that file",
                       s->directory);
    s->unlocked = true;
    return there[1] ? open_database_to_read(s, "", "unix-none", fresh, err)
                    : open_database_to_read(s, "?immutable=1", NULL, fresh, err);
}

/* "; it holds seed-1 and others, each a run of its own": where somebody gave the folder of several runs. */
static const char *runs_below(const char *directory, char text[RUNS_BELOW])
{
    char path[PATH_MAX_HERE];
    struct dirent *entry;
    unsigned long long seed, first = ULLONG_MAX;
    size_t count = 0;
    DIR *folder = opendir(directory);
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        (void)snprintf(path, sizeof path, "%s/%.64s/rondo.db", directory, entry->d_name);
        if (sscanf(entry->d_name, "seed-%llu", &seed) == 1 && access(path, F_OK) == 0) {
            first = seed < first ? seed : first;
            count++;
        }
    }
    if (folder != NULL)
        closedir(folder);
    text[0] = '\0';
    if (count > 0)
        (void)snprintf(text, RUNS_BELOW, "; there %s below it: name one, such as %s/seed-%llu",
                       count == 1 ? "is a run" : "are runs", directory, first);
    return text;
}

rd_status rd_store_open_reader(const char *directory, rd_store **out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_store *s = NULL;
    rd_run_record run = {0};
    char path[PATH_MAX_HERE], below[RUNS_BELOW];
    bool fresh = false;
    RD_TRY(rd_store_make_handle(directory, &s, err));
    (void)snprintf(path, sizeof path, "%s/rondo.db", directory);
    if (access(path, R_OK) != 0) {
        status = errno == ENOENT ? rd_fail(err, RD_ERR_IO, "%s: there is no run (no file rondo.db in it)%s", directory,
                                           runs_below(directory, below))
                                 : rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
        goto cleanup;
    }
    status = open_database_to_read(s, "", NULL, &fresh, err);
    if (status == RD_ERR_IO && access(directory, W_OK) != 0)
        status = open_without_writing(s, &fresh, err);
    RD_TRY(status);
    if (fresh)
        RD_THROW(RD_ERR_IO, "%s: there is no run (rondo.db is empty)", directory);
    RD_TRY(rd_store_run(s, &run, err));
    memcpy(s->run_id, run.run_id, sizeof s->run_id);
    *out = s;
    s = NULL;
cleanup:
    rd_run_record_free(&run);
    rd_store_close(s);
    return status;
}

uint64_t rd_store_missing_rounds(rd_store *s)
{
    rd_error ignored;
    uint64_t newest = 0, last = 0;
    bool any = false;
    /* The database is looked at after the models: a run that goes on only adds rounds. */
    if (!rd_store_newest_file(s, &newest) || rd_store_last_round(s, &last, &any, &ignored) != RD_OK || !any ||
        newest <= last + 1)
        return 0;
    return newest - last;
}
