/* model_files.c: the folder DIR/models: what its files are called, which of them are on the disk, and which stay. */
#include "store/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "data/source.h"

#define PATH_MAX_HERE (RD_SOURCE_PATH_MAX + 64)

rd_status rd_store_open_models(rd_store *s, rd_error *err)
{
    char path[PATH_MAX_HERE];
    (void)snprintf(path, sizeof path, "%s/models", s->directory);
    rd_status status = rd_make_private_directory(path, err);
    if (status != RD_OK)
        return status;
    s->models.folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return s->models.folder >= 0 ? RD_OK : rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
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

bool rd_store_newest_file(const rd_store *s, uint64_t *round)
{
    char path[PATH_MAX_HERE];
    const struct dirent *entry;
    bool any = false;
    (void)snprintf(path, sizeof path, "%s/models", s->directory);
    DIR *folder = opendir(path);
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char *end;
        uint64_t found = strtoull(entry->d_name, &end, 10);
        if (end == entry->d_name || strcmp(end, ".safetensors") != 0)
            continue;
        *round = !any || found > *round ? found : *round;
        any = true;
    }
    if (folder != NULL)
        closedir(folder);
    return any;
}

/* ---- on the disk ---- */

rd_status rd_store_sync_folder(int fd, const char *path, rd_error *err)
{
    /* Some file systems cannot sync a folder and say EINVAL; there is nothing to wait for then. */
    if (fsync(fd) != 0 && errno != EINVAL)
        return rd_fail(err, RD_ERR_IO, "%s: cannot reach the disk: %s", path, strerror(errno));
    return RD_OK;
}

static rd_status sync_file(const char *path, rd_error *err)
{
    rd_status status = RD_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) /* not every version has every file, and a caller may keep no models */
        return RD_OK;
    if (fd < 0)
        return rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
    if (fsync(fd) != 0)
        status = rd_fail(err, RD_ERR_IO, "%s: cannot reach the disk: %s", path, strerror(errno));
    close(fd);
    return status;
}

/* Everything that a run needs to go on from this round: the model comes last, so that where it is whole all is. */
static rd_status sync_version(rd_store *s, uint64_t round, rd_error *err)
{
    rd_status status = RD_OK;
    char path[PATH_MAX_HERE];
    if (round == 0) { /* written once, with the initial model */
        rd_store_frozen_path(s, path, sizeof path);
        RD_TRY(sync_file(path, err));
    }
    rd_store_packed_path(s, round, path, sizeof path);
    RD_TRY(sync_file(path, err));
    rd_store_server_path(s, round, path, sizeof path);
    RD_TRY(sync_file(path, err));
    rd_store_model_path(s, round, path, sizeof path);
    RD_TRY(sync_file(path, err));
    RD_TRY(rd_store_sync_folder(s->models.folder, path, err));
cleanup:
    return status;
}

rd_status rd_store_sync_models(rd_store *s, rd_error *err)
{
    rd_status status = RD_OK;
    if (s->models.unsynced)
        status = sync_version(s, s->models.unsynced_round, err);
    s->models.unsynced = status != RD_OK;
    if (status == RD_OK && s->models.pinned_unsynced)
        status = sync_version(s, s->models.pinned, err);
    if (status == RD_OK)
        s->models.pinned_unsynced = false;
    return status;
}

void rd_store_note_model(rd_store *s, uint64_t round)
{
    s->models.unsynced = true;
    s->models.unsynced_round = round;
}

/* ---- which stay ---- */

void rd_store_pin(rd_store *s, uint64_t round)
{
    s->models.pinned_unsynced = s->models.pinned_unsynced || round != s->models.pinned;
    s->models.pinned = round;
}

static void delete_model(const rd_store *s, uint64_t round)
{
    char path[RD_SOURCE_PATH_MAX];
    if (s->models.keep_every > 0 && round % s->models.keep_every == 0)
        return;
    rd_store_model_path(s, round, path, sizeof path);
    (void)unlink(path);
    rd_store_packed_path(s, round, path, sizeof path);
    (void)unlink(path);
    rd_store_server_path(s, round, path, sizeof path);
    (void)unlink(path);
}

void rd_store_delete_outdated_models(rd_store *s)
{
    rd_error ignored;
    sqlite3_stmt *statement = NULL;
    uint64_t newest = 0;
    if (rd_store_statement(s, RD_SQL_OUTDATED_MODELS, &statement, &ignored) != RD_OK)
        return;
    if (s->models.spared != UINT64_MAX && s->models.spared != s->models.pinned) {
        delete_model(s, s->models.spared);
        s->models.spared = UINT64_MAX;
    }
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)s->models.deleted_below);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)s->models.newest_retained);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        uint64_t round = (uint64_t)sqlite3_column_int64(statement, 0);
        newest = round > newest ? round : newest;
        if (round == s->models.pinned)
            s->models.spared = round;
        else
            delete_model(s, round);
    }
    sqlite3_reset(statement);
    if (newest > 0)
        s->models.deleted_below = newest;
}
