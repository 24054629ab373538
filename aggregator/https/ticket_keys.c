/* ticket_keys.c: see ticket_keys.h. The file has a first line that says what it is, then the newest key and the one before
 * it, each with its name and the time it is used since; numbers are little-endian. */
#include "https/ticket_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"

#define TITLE "rondo ticket keys, 1\n"
#define TITLE_BYTES (sizeof TITLE - 1)
#define ENTRY_BYTES (RD_TICKET_NAME_BYTES + RD_TICKET_KEY_BYTES + 8)
#define FILE_BYTES (TITLE_BYTES + 2 * ENTRY_BYTES)
#define PATH_MAX_HERE 4096

enum { NEWEST, BEFORE };

struct rd_ticket_keys {
    const char *path;
    pthread_mutex_t lock; /* guards what follows */
    rd_ticket_key keys[2];
};

/* ---- the file ---- */

static uint8_t *put_key(uint8_t *at, const rd_ticket_key *key)
{
    memcpy(at, key->name, sizeof key->name);
    memcpy(at + RD_TICKET_NAME_BYTES, key->secret, sizeof key->secret);
    for (size_t i = 0; i < 8; i++)
        at[RD_TICKET_NAME_BYTES + RD_TICKET_KEY_BYTES + i] = (uint8_t)(key->since >> 8 * i);
    return at + ENTRY_BYTES;
}

static const uint8_t *get_key(const uint8_t *at, rd_ticket_key *key)
{
    memcpy(key->name, at, sizeof key->name);
    memcpy(key->secret, at + RD_TICKET_NAME_BYTES, sizeof key->secret);
    key->since = 0;
    for (size_t i = 0; i < 8; i++)
        key->since |= (uint64_t)at[RD_TICKET_NAME_BYTES + RD_TICKET_KEY_BYTES + i] << 8 * i;
    return at + ENTRY_BYTES;
}

/* Not synced: keys that a power loss takes cost their clients a handshake each. */
static rd_status write_keys(const rd_ticket_keys *k, rd_error *err)
{
    rd_status status = RD_OK;
    char temporary[PATH_MAX_HERE];
    uint8_t bytes[FILE_BYTES];
    if (k->path == NULL)
        return RD_OK;
    if (snprintf(temporary, sizeof temporary, "%s.tmp", k->path) >= (int)sizeof temporary)
        return rd_fail(err, RD_ERR_IO, "%s: path too long", k->path);
    (void)unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return rd_fail(err, RD_ERR_IO, "%s: %s", temporary, strerror(errno));
    memcpy(bytes, TITLE, TITLE_BYTES);
    (void)put_key(put_key(bytes + TITLE_BYTES, &k->keys[NEWEST]), &k->keys[BEFORE]);
    RD_TRY(rd_fd_write_all(fd, bytes, sizeof bytes, temporary, err));
    if (rename(temporary, k->path) != 0)
        RD_THROW(RD_ERR_IO, "%s: cannot take its place: %s", k->path, strerror(errno));
cleanup:
    explicit_bzero(bytes, sizeof bytes);
    close(fd);
    if (status != RD_OK)
        (void)unlink(temporary);
    return status;
}

/* Where there is a file and no keys in it that can be trusted, note says why. */
static void read_keys(rd_ticket_keys *k, char *note, size_t size)
{
    uint8_t bytes[FILE_BYTES + 1];
    struct stat info;
    if (k->path == NULL)
        return;
    int fd = open(k->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return;
    const char *wrong = NULL;
    if (fd < 0 || fstat(fd, &info) != 0)
        wrong = strerror(errno);
    else if (!S_ISREG(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & 077) != 0)
        wrong = "others may read or write it";
    else if (read(fd, bytes, sizeof bytes) != (ssize_t)FILE_BYTES || memcmp(bytes, TITLE, TITLE_BYTES) != 0)
        wrong = "it is no file of ticket keys";
    if (fd >= 0)
        close(fd);
    if (wrong == NULL)
        (void)get_key(get_key(bytes + TITLE_BYTES, &k->keys[NEWEST]), &k->keys[BEFORE]);
    else
        (void)snprintf(note, size, "%s: %s; new keys are made, and sessions are not resumed with those in it", k->path,
                       wrong);
    explicit_bzero(bytes, sizeof bytes);
}

/* ---- time ---- */

static rd_status make_key(rd_ticket_key *key, uint64_t now, rd_error *err)
{
    if (getrandom(key->name, sizeof key->name, 0) != (ssize_t)sizeof key->name ||
        getrandom(key->secret, sizeof key->secret, 0) != (ssize_t)sizeof key->secret)
        return rd_fail(err, RD_ERR_IO, "getrandom: %s", strerror(errno));
    key->since = now;
    return RD_OK;
}

/* A clock that was set back must not keep a key for ever. */
static bool is_older(const rd_ticket_key *key, uint64_t now, uint64_t seconds)
{
    return now >= key->since + seconds || now + RD_TICKET_SECONDS < key->since;
}

/* With the lock held. *renewed: its time was over, and there is another one now. */
static rd_status renew(rd_ticket_keys *k, uint64_t now, bool *renewed, rd_error *err)
{
    rd_ticket_key fresh;
    *renewed = false;
    if (!is_older(&k->keys[NEWEST], now, RD_TICKET_SECONDS))
        return RD_OK;
    rd_status status = make_key(&fresh, now, err);
    if (status != RD_OK)
        return status;
    k->keys[BEFORE] = is_older(&k->keys[NEWEST], now, 2 * RD_TICKET_SECONDS) ? fresh : k->keys[NEWEST];
    k->keys[NEWEST] = fresh;
    explicit_bzero(&fresh, sizeof fresh);
    *renewed = true;
    return RD_OK;
}

rd_status rd_ticket_keys_rotate(rd_ticket_keys *k, uint64_t now, rd_error *err)
{
    bool renewed;
    pthread_mutex_lock(&k->lock);
    rd_status status = renew(k, now, &renewed, err);
    if (status == RD_OK && renewed)
        status = write_keys(k, err);
    pthread_mutex_unlock(&k->lock);
    return status;
}

/* ---- use ---- */

rd_status rd_ticket_keys_open(const char *path, uint64_t now, rd_ticket_keys **out, char *note, size_t size,
                              rd_error *err)
{
    rd_status status = RD_OK;
    rd_error unwritten;
    bool renewed;
    note[0] = '\0';
    rd_ticket_keys *k = calloc(1, sizeof *k); /* keys of 1970, whose time is over */
    if (k == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for ticket keys");
    k->path = path;
    k->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    read_keys(k, note, size);
    RD_TRY(renew(k, now, &renewed, err));
    if (renewed && write_keys(k, &unwritten) != RD_OK)
        (void)snprintf(note, size, "%s; after a restart no session can be resumed", unwritten.message);
    *out = k;
    k = NULL;
cleanup:
    rd_ticket_keys_close(k);
    return status;
}

void rd_ticket_keys_close(rd_ticket_keys *k)
{
    if (k == NULL)
        return;
    (void)pthread_mutex_destroy(&k->lock);
    explicit_bzero(k, sizeof *k);
    free(k);
}

void rd_ticket_keys_newest(rd_ticket_keys *k, rd_ticket_key *out)
{
    pthread_mutex_lock(&k->lock);
    *out = k->keys[NEWEST];
    pthread_mutex_unlock(&k->lock);
}

bool rd_ticket_keys_find(rd_ticket_keys *k, const uint8_t name[RD_TICKET_NAME_BYTES], rd_ticket_key *out)
{
    bool found = false;
    pthread_mutex_lock(&k->lock);
    for (int i = NEWEST; i <= BEFORE && !found; i++)
        if ((found = memcmp(k->keys[i].name, name, RD_TICKET_NAME_BYTES) == 0))
            *out = k->keys[i];
    pthread_mutex_unlock(&k->lock);
    return found;
}
