/* backup.c: a copy of a state directory, taken while its run goes on.
 *
 * A plain copy takes the database at one moment and the models at others, and finds half of a transaction or a
 * model file that is gone. Here one read transaction holds the database still: it says which round is the last.
 * The model files of that round are opened while they are there; what is open outlives its deletion, and no
 * model file is ever written to again once it has its name. Where the run was faster, a newer moment is taken.
 * The database comes last and by a rename, so that a copy that was cut short holds no run. */
#include "store/internal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/file.h"
#include "core/grow.h"

enum { ATTEMPTS = 200, PATH_SIZE = RD_SOURCE_PATH_MAX + 64, PIECE = 1 << 20 };

typedef struct backup_file {
    char name[64]; /* below the state directory: "models/000012.safetensors" */
    uint64_t round;
    int fd; /* -1: it is to be opened when its turn comes */
} backup_file;

typedef struct backup {
    rd_store *from;
    const char *to;
    backup_file *files; /* (count) the newest first */
    size_t count, capacity;
    bool snapshot, made; /* the read transaction is open; the folders of the copy are there */
    int keep_lock;       /* no simulation may begin while what its clients keep is copied; -1 */
    rd_backup_report *report;
} backup;

/* ---- which files ---- */

/* "000012.packed.safetensors" -> 12; files without a number belong to all rounds; *.tmp to none. */
static bool parse_name(const char *name, uint64_t *round)
{
    size_t length = strlen(name);
    const char *const ending = ".safetensors";
    if (length <= strlen(ending) || length > 50 || strcmp(name + length - strlen(ending), ending) != 0)
        return false;
    *round = isdigit((unsigned char)name[0]) ? strtoull(name, NULL, 10) : UINT64_MAX;
    return true;
}

static int newest_first(const void *a, const void *b)
{
    const backup_file *x = a, *y = b;
    return x->round < y->round ? 1 : x->round > y->round ? -1 : strcmp(x->name, y->name);
}

static void forget_files(backup *b)
{
    for (size_t i = 0; i < b->count; i++)
        if (b->files[i].fd >= 0)
            close(b->files[i].fd);
    free(b->files);
    b->files = NULL;
    b->count = 0;
}

static rd_status list_files(backup *b, uint64_t last, rd_error *err)
{
    char path[PATH_SIZE];
    rd_status status = RD_OK;
    const struct dirent *entry;
    (void)snprintf(path, sizeof path, "%s/models", b->from->directory);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
    while (status == RD_OK && (entry = readdir(folder)) != NULL) {
        uint64_t round;
        if (!parse_name(entry->d_name, &round) || (round > last && round != UINT64_MAX))
            continue;
        status = rd_grow(&b->files, &b->capacity, b->count + 1, sizeof *b->files, "files", err);
        if (status != RD_OK)
            break;
        backup_file *f = &b->files[b->count++];
        *f = (backup_file){.round = round, .fd = -1};
        (void)snprintf(f->name, sizeof f->name, "models/%.50s", entry->d_name);
    }
    closedir(folder);
    if (b->count > 0)
        qsort(b->files, b->count, sizeof *b->files, newest_first);
    return status;
}

/* Opens what may be deleted soon: the newest files first, as many as may be open. The oldest are those that are
 * kept for good. A file that has gone since it was listed is left out. */
static rd_status open_files(backup *b, rd_error *err)
{
    char path[PATH_SIZE];
    size_t left = 0;
    bool full = false;
    for (size_t i = 0; i < b->count; i++) {
        backup_file f = b->files[i];
        (void)snprintf(path, sizeof path, "%s/%s", b->from->directory, f.name);
        f.fd = full ? -1 : open(path, O_RDONLY | O_CLOEXEC);
        full = full || (f.fd < 0 && (errno == EMFILE || errno == ENFILE));
        if (f.fd < 0 && !full && errno != ENOENT)
            return rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
        b->files[i].fd = -1;
        if (f.fd >= 0 || full)
            b->files[left++] = f;
    }
    b->count = left;
    return RD_OK;
}

/* ---- one moment of the run ---- */

static rd_status execute(rd_store *s, const char *sql, const char *doing, rd_error *err)
{
    int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? RD_OK : rd_store_fail(s, code, doing, err);
}

static void release_snapshot(backup *b)
{
    forget_files(b);
    if (b->snapshot)
        (void)sqlite3_exec(b->from->db, "ROLLBACK", NULL, NULL, NULL);
    b->snapshot = false;
}

static bool has_model(const backup *b, uint64_t round)
{
    char name[64];
    (void)snprintf(name, sizeof name, "models/%06" PRIu64 ".safetensors", round);
    for (size_t i = 0; i < b->count; i++)
        if (strcmp(b->files[i].name, name) == 0)
            return true;
    return false;
}

/* The last model is opened after what belongs to it, and deleted before: where it is there, all is. */
static rd_status take_snapshot(backup *b, rd_error *err)
{
    rd_status status = RD_OK;
    bool any = false;
    RD_TRY(execute(b->from, "BEGIN", "hold still", err));
    b->snapshot = true;
    RD_TRY(rd_store_last_round(b->from, &b->report->round, &any, err));
    RD_TRY(rd_store_last_model(b->from, &b->report->version, &any, err));
    RD_TRY(list_files(b, b->report->round, err));
    RD_TRY(open_files(b, err));
cleanup:
    return status;
}

static rd_status take_whole_snapshot(backup *b, rd_error *err)
{
    uint64_t version;
    for (int i = 0; i < ATTEMPTS; i++) {
        rd_status status = rd_store_newest_model(b->from, &version, err);
        if (status == RD_OK)
            status = take_snapshot(b, err);
        if (status != RD_OK || has_model(b, b->report->version))
            return status;
        release_snapshot(b);
        (void)nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000L}, NULL);
    }
    return rd_fail(err, RD_ERR_STATE, "%s: its run is too fast to be copied", b->from->directory);
}

/* ---- copying ---- */

static rd_status copy_bytes(int from, int to, const char *path, const char *source, uint64_t *bytes, rd_error *err)
{
    rd_status status = RD_OK;
    ssize_t got;
    char *piece = malloc(PIECE);
    if (piece == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory to copy it", path);
    while (status == RD_OK && ((got = read(from, piece, PIECE)) > 0 || (got < 0 && errno == EINTR)))
        if (got > 0) {
            status = rd_fd_write_all(to, piece, (size_t)got, path, err);
            *bytes += (uint64_t)got;
        }
    if (status == RD_OK && got < 0)
        status = rd_fail(err, RD_ERR_IO, "%s: %s", source, strerror(errno));
    if (status == RD_OK && fsync(to) != 0)
        status = rd_fail(err, RD_ERR_IO, "%s: cannot reach the disk: %s", path, strerror(errno));
    free(piece);
    return status;
}

static rd_status copy_file(backup *b, const char *name, int open_fd, rd_error *err)
{
    char source[PATH_SIZE], path[PATH_SIZE];
    rd_status status;
    int to, from = open_fd;
    (void)snprintf(source, sizeof source, "%s/%s", b->from->directory, name);
    (void)snprintf(path, sizeof path, "%s/%s", b->to, name);
    if (from < 0)
        from = open(source, O_RDONLY | O_CLOEXEC);
    if (from < 0 && errno == ENOENT)
        return RD_OK; /* deleted since, so it was not one that is retained */
    if (from < 0)
        return rd_fail(err, RD_ERR_IO, "%s: %s", source, strerror(errno));
    to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    status = to >= 0 ? copy_bytes(from, to, path, source, &b->report->bytes, err)
                     : rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
    if (to >= 0)
        close(to);
    if (from != open_fd)
        close(from);
    return status;
}

static rd_status copy_models(backup *b, rd_error *err)
{
    for (size_t i = 0; i < b->count; i++) {
        rd_status status = copy_file(b, b->files[i].name, b->files[i].fd, err);
        if (status != RD_OK)
            return status;
        if (b->files[i].fd >= 0)
            close(b->files[i].fd);
        b->files[i].fd = -1;
    }
    return RD_OK;
}

/* The pages as the open read transaction sees them, as a database of one file. */
static rd_status copy_database(backup *b, rd_error *err)
{
    char path[PATH_SIZE], temporary[PATH_SIZE];
    struct stat info = {0};
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof path, "%s/rondo.db", b->to);
    (void)snprintf(temporary, sizeof temporary, "%s/rondo.db.tmp", b->to);
    int code = sqlite3_open_v2(temporary, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    sqlite3_backup *pages = code == SQLITE_OK ? sqlite3_backup_init(db, "main", b->from->db, "main") : NULL;
    if (pages != NULL) {
        code = sqlite3_backup_step(pages, -1);
        int finished = sqlite3_backup_finish(pages);
        code = code == SQLITE_DONE ? finished : code;
    }
    if (code == SQLITE_OK && pages != NULL)
        code = sqlite3_exec(db, "PRAGMA synchronous = FULL; PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    rd_status status = code == SQLITE_OK && pages != NULL
                           ? RD_OK
                           : rd_fail(err, RD_ERR_IO, "%s: cannot be copied to: %s", temporary,
                                     db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(code));
    sqlite3_close(db);
    if (status == RD_OK && (stat(temporary, &info) != 0 || rename(temporary, path) != 0))
        status = rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
    b->report->bytes += (uint64_t)info.st_size;
    return status;
}

/* What simulated clients keep is written in place, so it holds still only while nobody simulates. */
static rd_status copy_clients(backup *b, rd_error *err)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/clients.keep", b->from->directory);
    if (access(path, F_OK) != 0)
        return RD_OK;
    (void)snprintf(path, sizeof path, "%s/lock", b->from->directory);
    b->keep_lock = open(path, O_RDONLY | O_CLOEXEC);
    if (b->keep_lock < 0 || flock(b->keep_lock, LOCK_SH | LOCK_NB) != 0)
        return rd_fail(err, RD_ERR_STATE,
                       "%s: what its simulated clients keep (clients.keep) changes all the time; stop the "
                       "simulation, copy, and let it go on",
                       b->from->directory);
    return copy_file(b, "clients.keep", -1, err);
}

/* ---- the folder ---- */

static rd_status sync_path(const char *path, rd_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);
    rd_status status = good ? RD_OK : rd_fail(err, RD_ERR_IO, "%s: cannot reach the disk: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return status;
}

static bool is_empty(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    bool empty = true;
    while (folder != NULL && empty && (entry = readdir(folder)) != NULL)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (folder != NULL)
        closedir(folder);
    return empty;
}

static rd_status make_folders(backup *b, rd_error *err)
{
    char models[PATH_SIZE];
    if (strlen(b->to) + 64 > RD_SOURCE_PATH_MAX)
        return rd_fail(err, RD_ERR_IO, "%.60s...: the name is too long", b->to);
    if (access(b->to, F_OK) == 0 && !is_empty(b->to))
        return rd_fail(err, RD_ERR_STATE, "%s: there is something in it already; a copy wants a new directory", b->to);
    rd_status status = rd_make_private_directory(b->to, err);
    (void)snprintf(models, sizeof models, "%s/models", b->to);
    if (status == RD_OK)
        status = rd_make_private_directory(models, err);
    b->made = status == RD_OK;
    return status;
}

/* Half a copy is no copy. */
static void remove_copy(const backup *b)
{
    static const char *const others[] = {"clients.keep", "members", "rondo.db.tmp", "rondo.db.tmp-journal", "rondo.db"};
    char path[PATH_SIZE];
    for (size_t i = 0; i < b->count; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", b->to, b->files[i].name);
        (void)unlink(path);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", b->to, others[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof path, "%s/models", b->to);
    (void)rmdir(path);
    (void)rmdir(b->to);
}

rd_status rd_store_backup(const char *directory, const char *to, rd_backup_report *report, rd_error *err)
{
    backup b = {.to = to, .keep_lock = -1, .report = report};
    char models[PATH_SIZE];
    rd_status status = RD_OK;
    *report = (rd_backup_report){0};
    RD_TRY(rd_store_open_reader(directory, &b.from, err));
    RD_TRY(make_folders(&b, err));
    RD_TRY(take_whole_snapshot(&b, err));
    RD_TRY(copy_clients(&b, err));
    RD_TRY(copy_file(&b, "members", -1, err)); /* of lines that are whole, and a last one that need not be */
    RD_TRY(copy_models(&b, err));
    (void)snprintf(models, sizeof models, "%s/models", to);
    RD_TRY(sync_path(models, err));
    RD_TRY(copy_database(&b, err));
    RD_TRY(sync_path(to, err));
cleanup:
    if (status != RD_OK && b.made)
        remove_copy(&b);
    release_snapshot(&b);
    if (b.keep_lock >= 0)
        close(b.keep_lock);
    rd_store_close(b.from);
    return status;
}
