/* faults.c: loaded before the C library (LD_PRELOAD), sees what a program does to the files under one path, and ends the
 * program before one of these steps, or writes all of them down.
 *
 *   FAULTS_UNDER    the beginning of the paths that are looked at
 *   FAULTS_JOURNAL  file in which each step is written down, with its bytes (crash_images.py reads it)
 *   FAULTS_KILL     N: the program is killed before its Nth step
 *   FAULTS_HOLD     N: the thread that is about to make the Nth step makes it never, and the others go on; the file
 *                   FAULTS_HELD says that it is so far. So the rest of the world comes as far ahead as it can.
 *
 * Steps are: a file or folder is made, a file is written to, cut, waited for, renamed, removed; a folder is waited for.
 * Files that end in "-shm" are left out: SQLite shares them between processes, and makes them anew after a loss of
 * power. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DESCRIPTORS = 4096 };

typedef enum step_kind { MADE, FOLDER_MADE, WRITTEN, CUT, SYNCED, FOLDER_SYNCED, RENAMED, REMOVED } step_kind;

/* As it lies in the journal, before the name (name_size) and the bytes (size): of RENAMED the new name. */
typedef struct step {
    uint32_t kind, name_size;
    uint64_t inode, offset, size; /* CUT: offset is the new length */
} step;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *watched[DESCRIPTORS]; /* the path, of descriptors that are looked at */
static uint64_t steps;
static int journal = -1;

static bool is_under(const char *path)
{
    const char *under = getenv("FAULTS_UNDER");
    const size_t length = strlen(path);
    return under != NULL && strncmp(path, under, strlen(under)) == 0 &&
           (length < 4 || strcmp(path + length - 4, "-shm") != 0);
}

static bool is_watched(int fd)
{
    return fd >= 0 && fd < DESCRIPTORS && watched[fd] != NULL;
}

static bool is_number(const char *name, uint64_t value)
{
    const char *text = getenv(name);
    return text != NULL && strtoull(text, NULL, 10) == value;
}

/* A step is about to be made; the lock is held until it is, so that the journal has the order. */
static void begin(void)
{
    pthread_mutex_lock(&lock);
    steps++;
    if (is_number("FAULTS_KILL", steps))
        (void)kill(getpid(), SIGKILL);
    if (is_number("FAULTS_HOLD", steps)) {
        const char *held = getenv("FAULTS_HELD");
        pthread_mutex_unlock(&lock);
        if (held != NULL)
            (void)syscall(SYS_openat, AT_FDCWD, held, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        for (;;)
            (void)pause();
    }
}

static void put(const void *bytes, size_t count)
{
    const char *p = bytes;
    while (count > 0) {
        long n = syscall(SYS_write, journal, p, count);
        if (n <= 0)
            abort();
        p += n;
        count -= (size_t)n;
    }
}

static void end(bool made, step s, const char *name, const void *bytes)
{
    const int before = errno;
    const char *path = getenv("FAULTS_JOURNAL");
    if (path != NULL && journal < 0)
        journal = (int)syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if (path != NULL && made) {
        s.name_size = (uint32_t)strlen(name);
        put(&s, sizeof s);
        put(name, s.name_size);
        put(bytes, (size_t)s.size);
    }
    pthread_mutex_unlock(&lock);
    errno = before;
}

static uint64_t inode_of(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 ? (uint64_t)info.st_ino : 0;
}

/* ---- descriptors ---- */

static void watch(int fd, const char *path)
{
    if (fd < 0 || fd >= DESCRIPTORS)
        return;
    free(watched[fd]);
    watched[fd] = path != NULL ? strdup(path) : NULL;
}

static int open_it(const char *path, int flags, mode_t mode)
{
    const bool under = (flags & O_TMPFILE) != O_TMPFILE && is_under(path);
    const bool there = under && access(path, F_OK) == 0;
    const bool made = under && !there && (flags & O_CREAT) != 0, cut = there && (flags & O_TRUNC) != 0;
    if (made || cut)
        begin();
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    watch(fd, under ? path : NULL);
    if (made || cut)
        end(fd >= 0, (step){.kind = made ? MADE : CUT, .inode = fd >= 0 ? inode_of(fd) : 0}, path, NULL);
    return fd;
}

#define OPEN(name)                                                                          \
    int name(const char *path, int flags, ...)                                              \
    {                                                                                       \
        va_list arguments;                                                                  \
        va_start(arguments, flags);                                                         \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0; \
        va_end(arguments);                                                                  \
        return open_it(path, flags, mode);                                                  \
    }
OPEN(open)
OPEN(open64)

int close(int fd)
{
    if (is_watched(fd))
        watch(fd, NULL);
    return (int)syscall(SYS_close, fd);
}

/* ---- bytes ---- */

ssize_t write(int fd, const void *bytes, size_t count)
{
    if (!is_watched(fd))
        return syscall(SYS_write, fd, bytes, count);
    begin();
    const off_t at = lseek(fd, 0, SEEK_CUR);
    const ssize_t n = syscall(SYS_write, fd, bytes, count);
    end(n > 0, (step){WRITTEN, 0, inode_of(fd), (uint64_t)at, n > 0 ? (uint64_t)n : 0}, watched[fd], bytes);
    return n;
}

static ssize_t write_at(int fd, const void *bytes, size_t count, off_t at)
{
    if (!is_watched(fd))
        return syscall(SYS_pwrite64, fd, bytes, count, at);
    begin();
    const ssize_t n = syscall(SYS_pwrite64, fd, bytes, count, at);
    end(n > 0, (step){WRITTEN, 0, inode_of(fd), (uint64_t)at, n > 0 ? (uint64_t)n : 0}, watched[fd], bytes);
    return n;
}

static int cut_to(int fd, off_t length)
{
    if (!is_watched(fd))
        return (int)syscall(SYS_ftruncate, fd, length);
    begin();
    const int result = (int)syscall(SYS_ftruncate, fd, length);
    end(result == 0, (step){.kind = CUT, .inode = inode_of(fd), .offset = (uint64_t)length}, watched[fd], NULL);
    return result;
}

static int wait_for_disk(int fd, long call)
{
    struct stat info;
    if (!is_watched(fd) || fstat(fd, &info) != 0)
        return (int)syscall(call, fd);
    begin();
    const int result = (int)syscall(call, fd);
    end(result == 0, (step){.kind = S_ISDIR(info.st_mode) ? FOLDER_SYNCED : SYNCED, .inode = (uint64_t)info.st_ino},
        watched[fd], NULL);
    return result;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at)
{
    return write_at(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at)
{
    return write_at(fd, bytes, count, at);
}

int ftruncate(int fd, off_t length)
{
    return cut_to(fd, length);
}

int ftruncate64(int fd, off64_t length)
{
    return cut_to(fd, length);
}

int fsync(int fd)
{
    return wait_for_disk(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return wait_for_disk(fd, SYS_fdatasync);
}

/* ---- names ---- */

static int rename_it(const char *from, const char *to, unsigned flags)
{
    const bool under = is_under(to);
    if (under)
        begin();
    const int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
    if (under)
        end(result == 0, (step){.kind = RENAMED, .size = strlen(to)}, from, to);
    return result;
}

int rename(const char *from, const char *to)
{
    return rename_it(from, to, 0);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    (void)from_folder, (void)to_folder; /* paths are absolute */
    return rename_it(from, to, flags);
}

int unlink(const char *path)
{
    const bool under = is_under(path);
    if (under)
        begin();
    const int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (under)
        end(result == 0, (step){.kind = REMOVED}, path, NULL);
    return result;
}

int mkdir(const char *path, mode_t mode)
{
    const bool under = is_under(path) && access(path, F_OK) != 0;
    if (under)
        begin();
    const int result = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (under)
        end(result == 0, (step){.kind = FOLDER_MADE}, path, NULL);
    return result;
}
