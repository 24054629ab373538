/* log.c: see log.h. A line is written at once where nothing waits and poll() says that there is room: for a pipe that is a
 * page, and a line is less. Else it waits in the queue, for the thread. */
#include "log.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fingerprint.h"

#define KINDS 64
#define POLL_MS 100
#define CLOSING_SECONDS 1.0

const char *const rd_log_level_names[] = {"error", "warning", "info", NULL};

typedef struct line {
    struct line *next;
    size_t size;
    char text[];
} line;

/* Warnings that are alike. */
typedef struct kind {
    uint64_t hash;
    double since; /* rd_clock_seconds */
    uint64_t written, left_out;
    char last[RD_LOG_LINE_MAX]; /* of those that were left out */
} kind;

struct rd_log {
    rd_log_options options;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t news;
    line *first, **end;
    size_t waiting; /* bytes */
    uint64_t lost;  /* lines, since the last that was kept */
    bool writing;   /* the thread is at a line that it took off the queue */
    double closing; /* rd_clock_seconds by which the thread ends; 0: not yet */
    kind kinds[KINDS];
};

static bool has_room(const rd_log *l, int milliseconds)
{
    struct pollfd p = {.fd = l->options.fd, .events = POLLOUT};
    return poll(&p, 1, milliseconds) > 0; /* an error shows in write(), which does not wait then */
}

static void put(const rd_log *l, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t written = write(l->options.fd, text, size);
        if (written <= 0)
            return; /* whoever reads is gone: nobody is left to tell */
        text += written;
        size -= (size_t)written;
    }
}

static size_t stamp(const rd_log *l, char text[32])
{
    struct timespec now;
    struct tm utc;
    if (!l->options.times)
        return 0;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t size = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    return size + (size_t)snprintf(text + size, 32 - size, ".%03dZ ", (int)(now.tv_nsec / 1000000));
}

/* With the lock held. */
static void say(rd_log *l, const char *text)
{
    char whole[RD_LOG_LINE_MAX + 40];
    const size_t head = stamp(l, whole), length = strnlen(text, RD_LOG_LINE_MAX), size = head + length + 1;
    memcpy(whole + head, text, length);
    whole[size - 1] = '\n';
    if (l->first == NULL && !l->writing && has_room(l, 0)) {
        put(l, whole, size);
        return;
    }
    line *waits = l->waiting + size <= RD_LOG_MOST_BYTES ? malloc(sizeof *waits + size) : NULL;
    if (waits == NULL) {
        l->lost++;
        return;
    }
    *waits = (line){.size = size};
    memcpy(waits->text, whole, size);
    *l->end = waits;
    l->end = &waits->next;
    l->waiting += size;
    pthread_cond_signal(&l->news);
}

/* With the lock held. */
static void say_left_out(rd_log *l, kind *k)
{
    char text[RD_LOG_LINE_MAX];
    if (k->left_out == 0)
        return;
    (void)snprintf(text, sizeof text, "and %" PRIu64 " more like this in %.0f s: %.900s", k->left_out,
                   rd_clock_seconds() - k->since, k->last);
    k->left_out = 0;
    say(l, text);
}

/* The same for texts that differ in numbers alone. */
static uint64_t hash_of(const char *text)
{
    char plain[RD_LOG_LINE_MAX];
    size_t size = 0;
    for (const char *c = text; *c != '\0' && size < sizeof plain; c++)
        if (*c < '0' || *c > '9')
            plain[size++] = *c;
        else if (size == 0 || plain[size - 1] != '#')
            plain[size++] = '#';
    return rd_fingerprint(plain, size);
}

/* With the lock held: is this warning one of so many that it is only counted? */
static bool is_left_out(rd_log *l, const char *text)
{
    const uint64_t hash = hash_of(text);
    const double now = rd_clock_seconds();
    kind *k = &l->kinds[hash % KINDS];
    if (k->hash != hash || now - k->since > RD_LOG_ALIKE_SECONDS) {
        say_left_out(l, k);
        *k = (kind){.hash = hash, .since = now};
    }
    if (k->written++ < RD_LOG_ALIKE)
        return false;
    k->left_out++;
    (void)snprintf(k->last, sizeof k->last, "%s", text);
    return true;
}

void rd_log_write(rd_log *l, rd_log_level level, const char *text)
{
    if (level > l->options.level)
        return;
    pthread_mutex_lock(&l->lock);
    if (level != RD_LOG_WARNING || !is_left_out(l, text))
        say(l, text);
    pthread_mutex_unlock(&l->lock);
}

/* With the lock held: what was counted for long enough is reported. */
static void look_through_kinds(rd_log *l, bool all)
{
    for (size_t i = 0; i < KINDS; i++)
        if (all || rd_clock_seconds() - l->kinds[i].since > RD_LOG_ALIKE_SECONDS)
            say_left_out(l, &l->kinds[i]);
}

/* With the lock held, and given up while the line is written. */
static void write_first(rd_log *l)
{
    line *first = l->first;
    char lost[80] = "";
    if (!l->writing && l->lost > 0 && first->next == NULL) {
        (void)snprintf(lost, sizeof lost, "%" PRIu64 " lines were lost here: the log was not read\n", l->lost);
        l->lost = 0;
    }
    l->writing = true;
    pthread_mutex_unlock(&l->lock);
    const bool room = has_room(l, POLL_MS);
    if (room) {
        put(l, first->text, first->size);
        put(l, lost, strlen(lost));
    }
    pthread_mutex_lock(&l->lock);
    l->writing = false;
    if (!room)
        return;
    l->first = first->next;
    l->end = l->first != NULL ? l->end : &l->first;
    l->waiting -= first->size;
    free(first);
}

static void *write_lines(void *user)
{
    rd_log *l = user;
    pthread_mutex_lock(&l->lock);
    while (l->closing == 0 || (l->first != NULL && rd_clock_seconds() < l->closing)) {
        if (l->first != NULL) {
            write_first(l);
            continue;
        }
        struct timespec second;
        clock_gettime(CLOCK_REALTIME, &second);
        second.tv_sec++;
        pthread_cond_timedwait(&l->news, &l->lock, &second);
        look_through_kinds(l, false);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

rd_status rd_log_open(const rd_log_options *options, rd_log **out, rd_error *err)
{
    rd_log *l = calloc(1, sizeof *l);
    if (l == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the log");
    l->options = *options;
    l->end = &l->first;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->news, NULL);
    int code = pthread_create(&l->thread, NULL, write_lines, l);
    if (code != 0) {
        free(l);
        return rd_fail(err, RD_ERR_IO, "the log's thread: %s", strerror(code));
    }
    *out = l;
    return RD_OK;
}

void rd_log_close(rd_log *l)
{
    if (l == NULL)
        return;
    pthread_mutex_lock(&l->lock);
    look_through_kinds(l, true);
    l->closing = rd_clock_seconds() + CLOSING_SECONDS;
    pthread_cond_signal(&l->news);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    while (l->first != NULL) {
        line *next = l->first->next;
        free(l->first);
        l->first = next;
    }
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->news);
    free(l);
}
