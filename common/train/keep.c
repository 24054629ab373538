/* keep.c: see keep.h. */
#include "train/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/assert.h"
#include "core/file.h"
#include "core/fingerprint.h"

#define OWNER_MAX 128
#define PLACES_MAX 4

static const char magic[8] = "rdkeep3";

typedef struct head {
    char magic[8];
    uint64_t floats, places;
    char run[OWNER_MAX], client[OWNER_MAX], what[OWNER_MAX];
} head;

/* In front of the values of a place. A loss of power may have left anything where it was not waited for the disk, so
 * both know what they were. */
typedef struct label {
    uint64_t round; /* 0: the place is empty */
    uint64_t values, self;
} label;

static uint64_t label_self(const label *l)
{
    return rd_fingerprint(l, offsetof(label, self));
}

struct rd_keep {
    int fd;
    bool named;
    size_t clients, floats;
    unsigned places; /* of each client */
    char name[256];  /* for messages */
};

static size_t place_size(size_t floats)
{
    return sizeof(label) + floats * sizeof(float);
}

static off_t place_offset(const rd_keep *k, size_t client, unsigned which)
{
    return (off_t)(sizeof(head) + (k->places * client + which) * place_size(k->floats));
}

/* ---- whose the file is ---- */

static head head_of(const rd_keep_options *o)
{
    head h;
    memset(&h, 0, sizeof h); /* it is compared and written as bytes */
    memcpy(h.magic, magic, sizeof magic);
    h.floats = o->floats;
    h.places = o->rounds + 1u;
    (void)snprintf(h.run, sizeof h.run, "%s", o->run);
    (void)snprintf(h.client, sizeof h.client, "%s", o->client);
    (void)snprintf(h.what, sizeof h.what, "%s", o->what);
    return h;
}

/* *there: it has a head. A file that is not of this kind is never written to. */
static rd_status read_head(int fd, const char *path, head *h, bool *there, rd_error *err)
{
    ssize_t had = pread(fd, h, sizeof *h, 0);
    if (had < 0)
        return rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
    *there = had > 0;
    if (*there && (had != (ssize_t)sizeof *h || memcmp(h->magic, magic, sizeof magic) != 0))
        return rd_fail(err, RD_ERR_STATE, "%s: it is not a file in which clients of this version keep something", path);
    h->run[OWNER_MAX - 1] = h->client[OWNER_MAX - 1] = h->what[OWNER_MAX - 1] = '\0';
    return RD_OK;
}

static rd_status check_head(const char *path, const head *found, const head *wanted, rd_error *err)
{
    const struct {
        const char *title, *found, *wanted;
    } parts[] = {{"for client", found->client, wanted->client},
                 {"in run", found->run, wanted->run},
                 {"with", found->what, wanted->what}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(parts[i].found, parts[i].wanted) != 0)
            return rd_fail(err, RD_ERR_STATE, "%s: it was kept %s '%s', and this is '%s'; name another file", path,
                           parts[i].title, parts[i].found, parts[i].wanted);
    if (found->floats != wanted->floats || found->places != wanted->places)
        return rd_fail(err, RD_ERR_STATE,
                       "%s: it was kept for another model (%llu numbers a client, and this has %llu)", path,
                       (unsigned long long)found->floats, (unsigned long long)wanted->floats);
    return RD_OK;
}

/* A run's identifier becomes part of a path; what is made of anything else is no name of a run, but of a folder. */
static bool is_identifier(const char *run)
{
    const size_t length = strspn(run, "0123456789abcdefghijklmnopqrstuvwxyz");
    return length > 0 && run[length] == '\0';
}

rd_status rd_keep_set_aside(const rd_keep_options *o, char note[RD_KEEP_NOTE_MAX], rd_error *err)
{
    head found, wanted = head_of(o);
    bool there;
    char *aside = NULL;
    rd_status status = RD_OK;
    note[0] = '\0';
    int fd = open(o->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? RD_OK : rd_fail(err, RD_ERR_IO, "%s: %s", o->path, strerror(errno));
    RD_TRY(read_head(fd, o->path, &found, &there, err));
    if (!there || strcmp(found.client, wanted.client) != 0 || strcmp(found.run, wanted.run) == 0)
        goto cleanup;
    if (!is_identifier(found.run))
        RD_THROW(RD_ERR_STATE, "%s: it is not a file in which clients of this version keep something", o->path);
    if (asprintf(&aside, "%s.%.12s", o->path, found.run) < 0)
        RD_THROW(RD_ERR_MEMORY, "no memory for a path");
    if (access(aside, F_OK) == 0 || rename(o->path, aside) != 0)
        RD_THROW(RD_ERR_STATE, "%s: it was kept in run %.12s, and cannot be set aside as %s: %s", o->path, found.run,
                 aside, access(aside, F_OK) == 0 ? "that exists" : strerror(errno));
    (void)snprintf(note, RD_KEEP_NOTE_MAX,
                   "%.200s was kept in another run (%.12s): it is now %.230s, and a new one is begun", o->path,
                   found.run, aside);
cleanup:
    free(aside);
    close(fd);
    return status;
}

/* ---- life ---- */

static int nameless(bool fits)
{
    const char *folder = getenv("TMPDIR");
    return fits ? memfd_create("rondo-clients", MFD_CLOEXEC)
                : open(folder != NULL ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

/* Makes the file where there is none. It gets its name when its head is on the disk: what is there by that name is whole,
 * or somebody else's. */
static rd_status make_file(const char *path, const head *h, rd_error *err)
{
    rd_status status = RD_OK;
    char *temporary = NULL;
    int fd = -1;
    if (access(path, F_OK) == 0)
        return RD_OK;
    if (asprintf(&temporary, "%s.%ld.tmp", path, (long)getpid()) < 0)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a path");
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        RD_THROW(RD_ERR_IO, "%s: %s", path, strerror(errno));
    RD_TRY(rd_fd_write_all(fd, h, sizeof *h, temporary, err));
    if (fsync(fd) != 0)
        RD_THROW(RD_ERR_IO, "%s: cannot reach the disk: %s", temporary, strerror(errno));
    int code = renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE);
    if (code != 0 && errno == EINVAL) /* not every file system knows this */
        code = rename(temporary, path);
    if (code != 0 && errno != EEXIST)
        RD_THROW(RD_ERR_IO, "%s: cannot take its place: %s", path, strerror(errno));
    RD_TRY(rd_file_sync_name(path, err));
cleanup:
    if (fd >= 0) {
        close(fd);
        (void)unlink(temporary);
    }
    free(temporary);
    return status;
}

rd_status rd_keep_open(const rd_keep_options *o, rd_keep **out, rd_error *err)
{
    rd_status status = RD_OK;
    head found, wanted = head_of(o);
    bool there;
    rd_keep *k = calloc(1, sizeof *k);
    if (k == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for what clients keep");
    k->fd = -1;
    k->clients = o->clients;
    k->floats = o->floats;
    k->places = o->rounds + 1;
    (void)snprintf(k->name, sizeof k->name, "%s", o->path != NULL ? o->path : "what clients keep between rounds");
    if (o->rounds < 1 || k->places > PLACES_MAX)
        RD_THROW(RD_ERR_INTERNAL, "%u rounds to go back to", o->rounds);
    bool fits = o->clients <= o->memory_limit / (k->places * place_size(o->floats));
    k->named = o->path != NULL;
    if (k->named)
        RD_TRY(make_file(o->path, &wanted, err));
    k->fd = k->named ? open(o->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC) : nameless(fits);
    if (k->fd < 0)
        RD_THROW(RD_ERR_IO, "%s: %s", k->name, strerror(errno));
    if (o->alone && flock(k->fd, LOCK_EX | LOCK_NB) != 0)
        RD_THROW(RD_ERR_STATE, "%s: another program is using it", k->name);
    RD_TRY(read_head(k->fd, k->name, &found, &there, err));
    if (there)
        RD_TRY(check_head(k->name, &found, &wanted, err));
    else /* nameless, or an empty file of the user's */
        RD_TRY(rd_fd_pwrite_all(k->fd, &wanted, sizeof wanted, 0, k->name, err));
    *out = k;
    k = NULL;
cleanup:
    rd_keep_close(k);
    return status;
}

void rd_keep_close(rd_keep *k)
{
    if (k == NULL)
        return;
    if (k->fd >= 0)
        close(k->fd);
    free(k);
}

/* ---- the places of a client ---- */

/* Rounds of all places; 0: empty. */
static rd_status read_rounds(const rd_keep *k, size_t client, uint64_t rounds[PLACES_MAX], rd_error *err)
{
    for (unsigned i = 0; i < k->places; i++) {
        label l = {0};
        ssize_t n = pread(k->fd, &l, sizeof l, place_offset(k, client, i));
        if (n < 0)
            return rd_fail(err, RD_ERR_IO, "%s: %s", k->name, strerror(errno));
        rounds[i] = l.self == label_self(&l) ? l.round : 0;
    }
    return RD_OK;
}

/* *whole: the values are what was written. */
static rd_status read_values(const rd_keep *k, off_t at, float *values, bool *whole, rd_error *err)
{
    label l;
    const size_t size = k->floats * sizeof *values;
    rd_status status = RD_OK;
    struct stat info;
    *whole = false;
    if (fstat(k->fd, &info) != 0)
        RD_THROW(RD_ERR_IO, "%s: %s", k->name, strerror(errno));
    if (info.st_size < at + (off_t)(sizeof l + size))
        goto cleanup;
    RD_TRY(rd_fd_pread_all(k->fd, &l, sizeof l, at, k->name, err));
    RD_TRY(rd_fd_pread_all(k->fd, values, size, at + (off_t)sizeof l, k->name, err));
    *whole = rd_fingerprint(values, size) == l.values;
cleanup:
    return status;
}

rd_status rd_keep_read(const rd_keep *k, size_t client, uint64_t round, uint64_t kept, float *values,
                       rd_keep_found *found, rd_error *err)
{
    RD_ASSERT(client < k->clients);
    uint64_t rounds[PLACES_MAX], best = 0;
    unsigned which = 0;
    bool later = false; /* what is of this very round is of an attempt at it that was cut off: it is repeated */
    rd_status status = read_rounds(k, client, rounds, err);
    for (unsigned i = 0; i < k->places && status == RD_OK; i++) {
        bool wanted = kept == RD_KEEP_NEWEST ? rounds[i] < round : rounds[i] == kept;
        later = later || rounds[i] > round;
        if (wanted && rounds[i] > best) {
            best = rounds[i];
            which = i;
        }
    }
    bool expected = kept == RD_KEEP_NEWEST ? later : kept > 0, whole = false;
    *found = best > 0 ? RD_KEEP_FOUND : expected ? RD_KEEP_LOST : RD_KEEP_NOTHING;
    if (status != RD_OK || *found != RD_KEEP_FOUND)
        return status;
    status = read_values(k, place_offset(k, client, which), values, &whole, err);
    if (!whole)
        *found = RD_KEEP_LOST;
    return status;
}

/* The place that is needed least: empty, or of a round that did not count, or the oldest. */
static unsigned least_needed(const rd_keep *k, const uint64_t rounds[PLACES_MAX], uint64_t last)
{
    unsigned least = 0;
    for (unsigned i = 0; i < k->places; i++) {
        if (rounds[i] == 0 || rounds[i] > last)
            return i;
        if (rounds[i] < rounds[least])
            least = i;
    }
    return least;
}

rd_status rd_keep_write(const rd_keep *k, size_t client, uint64_t round, uint64_t kept, const float *values,
                        rd_error *err)
{
    static const label empty = {0};
    RD_ASSERT(client < k->clients && (kept != RD_KEEP_NEWEST || round > 0));
    uint64_t rounds[PLACES_MAX], last = kept == RD_KEEP_NEWEST ? round - 1 : kept;
    label l = {.round = round, .values = rd_fingerprint(values, k->floats * sizeof *values)};
    l.self = label_self(&l);
    rd_status status = read_rounds(k, client, rounds, err);
    /* What is later than that did not count, or in another course of the run. The label goes first and comes last: a
     * place that is half written is empty. */
    for (unsigned i = 0; i < k->places && status == RD_OK; i++)
        if (rounds[i] > last)
            status = rd_fd_pwrite_all(k->fd, &empty, sizeof empty, place_offset(k, client, i), k->name, err);
    if (status != RD_OK)
        return status;
    off_t at = place_offset(k, client, least_needed(k, rounds, last));
    RD_TRY(rd_fd_pwrite_all(k->fd, &empty, sizeof empty, at, k->name, err));
    RD_TRY(rd_fd_pwrite_all(k->fd, values, k->floats * sizeof *values, at + (off_t)sizeof l, k->name, err));
    RD_TRY(rd_fd_pwrite_all(k->fd, &l, sizeof l, at, k->name, err));
cleanup:
    return status;
}

rd_status rd_keep_sync(const rd_keep *k, rd_error *err)
{
    if (k->named && fdatasync(k->fd) != 0)
        return rd_fail(err, RD_ERR_IO, "%s: cannot reach the disk: %s", k->name, strerror(errno));
    return RD_OK;
}
