/* What a client keeps between rounds, as a file that somebody has changed: it is refused, or its places can be read and
 * written as if they were its own. The first three bytes choose a client, a round and what last counted. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "train/keep.h"

enum { FLOATS = 4, CLIENTS = 3 };

static void check(int holds)
{
    if (!holds)
        abort();
}

/* A link is refused, so /proc/self/fd is no path for it. */
static void write_file(const char *path, const uint8_t *bytes, size_t count)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    check(fd >= 0 && write(fd, bytes, count) == (ssize_t)count && close(fd) == 0);
}

static void use(rd_keep *k, size_t client, uint64_t round, uint64_t kept)
{
    static const float written[FLOATS] = {1, -2, 3, -4};
    float *values = calloc(FLOATS, sizeof *values);
    rd_keep_found found;
    rd_error err = {RD_OK, ""};
    check(values != NULL);
    check(rd_keep_read(k, client, round, kept, values, &found, &err) == RD_OK || err.message[0] != '\0');
    check(rd_keep_write(k, client, round, kept, written, &err) == RD_OK);
    check(rd_keep_read(k, client, round + 1, round, values, &found, &err) == RD_OK && found == RD_KEEP_FOUND);
    check(memcmp(values, written, sizeof written) == 0);
    free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static char path[64];
    char note[RD_KEEP_NOTE_MAX];
    rd_keep *k = NULL;
    rd_error err = {RD_OK, ""};
    if (count < 3)
        return 0;
    if (path[0] == '\0')
        (void)snprintf(path, sizeof path, "/dev/shm/rondo-fuzz-keep-%d", (int)getpid());
    rd_keep_options o = {.path = path,
                         .run = "run",
                         .client = "alice",
                         .what = "scaffold",
                         .clients = CLIENTS,
                         .floats = FLOATS,
                         .rounds = 2,
                         .alone = true};
    write_file(path, bytes + 3, count - 3);
    rd_status status = rd_keep_open(&o, &k, &err);
    check(status == RD_OK || (status == err.status && err.message[0] != '\0'));
    if (status == RD_OK)
        use(k, bytes[0] % CLIENTS, 1u + bytes[1], bytes[2] % (1u + bytes[1]));
    rd_keep_close(k);
    /* What another run has kept is renamed, to a name that is made of bytes in it. */
    o.run = "another";
    char copy[96], run[13] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    check(fd >= 0 && pread(fd, run, sizeof run - 1, 24) >= 0 && close(fd) == 0);
    status = rd_keep_set_aside(&o, note, &err);
    if (status == RD_OK && note[0] != '\0') {
        (void)snprintf(copy, sizeof copy, "%s.%s", path, run);
        check(strchr(run, '/') == NULL && unlink(copy) == 0);
    }
    (void)unlink(path);
    return 0;
}
