/* readers.c: see readers.h. */
#include "readers.h"

#include <stdio.h>
#include <string.h>

void rd_readers_init(rd_readers *r)
{
    memset(r->of, 0, sizeof r->of);
    r->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

void rd_readers_destroy(rd_readers *r)
{
    (void)pthread_mutex_destroy(&r->lock);
}

/* With the lock held: its place, or the one that is to be its own. */
static size_t place_of(const rd_readers *r, const char *name)
{
    size_t oldest = 0;
    for (size_t i = 0; i < RD_READERS_NAMES; i++) {
        if (strcmp(r->of[i].name, name) == 0)
            return i;
        if (r->of[i].at < r->of[oldest].at)
            oldest = i;
    }
    return oldest;
}

/* With the lock held: bytes of its burst that are used by now. */
static double used(const rd_readers *r, size_t place, const char *name, double now)
{
    if (strcmp(r->of[place].name, name) != 0)
        return 0.0;
    const double left = r->of[place].used - RD_READERS_RATE * (now - r->of[place].at);
    return left > 0.0 ? left : 0.0;
}

bool rd_readers_may(rd_readers *r, const char *name, double now)
{
    (void)pthread_mutex_lock(&r->lock);
    const bool may = used(r, place_of(r, name), name, now) < RD_READERS_BURST;
    (void)pthread_mutex_unlock(&r->lock);
    return may;
}

void rd_readers_took(rd_readers *r, const char *name, uint64_t bytes, double now)
{
    (void)pthread_mutex_lock(&r->lock);
    const size_t place = place_of(r, name);
    r->of[place].used = used(r, place, name, now) + (double)bytes;
    r->of[place].at = now;
    (void)snprintf(r->of[place].name, sizeof r->of[place].name, "%s", name);
    (void)pthread_mutex_unlock(&r->lock);
}
