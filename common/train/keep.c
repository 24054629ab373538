/* keep.c: see keep.h. */
#include "train/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/file.h"

static const char magic[8] = "rdkeep1";

typedef struct head {
    char magic[8];
    uint64_t floats;
} head;

struct rd_keep {
    int fd;
    size_t floats;
    char name[256]; /* for messages */
};

static size_t place_size(const rd_keep *k)
{
    return sizeof(uint64_t) + k->floats * sizeof(float);
}

static off_t place(const rd_keep *k, size_t client, int which)
{
    return (off_t)(sizeof(head) + (2 * client + (size_t)which) * place_size(k));
}

static int nameless(bool fits)
{
    const char *folder = getenv("TMPDIR");
    return fits ? memfd_create("rondo-clients", MFD_CLOEXEC)
                : open(folder != NULL ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

rd_status rd_keep_open(const char *path, size_t clients, size_t floats, size_t memory_limit, rd_keep **out,
                       rd_error *err)
{
    rd_status status = RD_OK;
    head h = {.floats = floats}, found;
    rd_keep *k = calloc(1, sizeof *k);
    if (k == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for what clients keep");
    memcpy(h.magic, magic, sizeof magic);
    k->floats = floats;
    (void)snprintf(k->name, sizeof k->name, "%s", path != NULL ? path : "what clients keep between rounds");
    bool fits = clients <= memory_limit / (2 * place_size(k));
    k->fd = path != NULL ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : nameless(fits);
    if (k->fd < 0)
        RD_TRY(rd_fail(err, RD_ERR_IO, "%s: %s", k->name, strerror(errno)));
    ssize_t had = pread(k->fd, &found, sizeof found, 0);
    if (had == (ssize_t)sizeof found && memcmp(&h, &found, sizeof h) != 0)
        RD_TRY(rd_fail(err, RD_ERR_STATE,
                       "%s: it was kept for another model or strategy; delete it, or restore run.json",
                       k->name));
    if (had != (ssize_t)sizeof found)
        RD_TRY(rd_fd_pwrite_all(k->fd, &h, sizeof h, 0, k->name, err));
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

/* Rounds of both places; 0: empty. */
static rd_status look(const rd_keep *k, size_t client, uint64_t rounds[2], rd_error *err)
{
    for (int i = 0; i < 2; i++) {
        rounds[i] = 0;
        ssize_t n = pread(k->fd, &rounds[i], sizeof rounds[i], place(k, client, i));
        if (n < 0)
            return rd_fail(err, RD_ERR_IO, "%s: %s", k->name, strerror(errno));
    }
    return RD_OK;
}

/* The place with the last round before this one; -1: none. */
static int newest(const uint64_t rounds[2], uint64_t round)
{
    int best = -1;
    for (int i = 0; i < 2; i++)
        if (rounds[i] > 0 && rounds[i] < round && (best < 0 || rounds[i] > rounds[best]))
            best = i;
    return best;
}

rd_status rd_keep_read(const rd_keep *k, size_t client, uint64_t round, float *values, bool *is_new,
                       rd_error *err)
{
    uint64_t rounds[2];
    rd_status status = look(k, client, rounds, err);
    int which = status == RD_OK ? newest(rounds, round) : -1;
    *is_new = which < 0;
    if (status != RD_OK || *is_new)
        return status;
    return rd_fd_pread_all(k->fd, values, k->floats * sizeof *values,
                           place(k, client, which) + (off_t)sizeof(uint64_t), k->name, err);
}

rd_status rd_keep_write(const rd_keep *k, size_t client, uint64_t round, const float *values, rd_error *err)
{
    uint64_t rounds[2];
    rd_status status = look(k, client, rounds, err);
    if (status != RD_OK)
        return status;
    int which = newest(rounds, round) == 0 ? 1 : 0;
    /* The number comes last: a place that is half written still has that of a round that nobody needs. */
    status = rd_fd_pwrite_all(k->fd, values, k->floats * sizeof *values,
                              place(k, client, which) + (off_t)sizeof round, k->name, err);
    return status == RD_OK
               ? rd_fd_pwrite_all(k->fd, &round, sizeof round, place(k, client, which), k->name, err)
               : status;
}
