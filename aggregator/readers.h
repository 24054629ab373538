/* readers.h: how much of the rounds' records somebody may read. An answer can have hundreds of kilobytes, which the workers
 * encrypt that serve the rounds, too: by name, so that many connections of one are one. Whoever follows a run, or reads all
 * of a long one, does not come near the limit. Pure but for the lock: time is what the caller says. */
#ifndef RONDO_AGGREGATOR_READERS_H
#define RONDO_AGGREGATOR_READERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "credentials/peer.h"

#define RD_READERS_BURST 16e6 /* bytes that one may read at once ... */
#define RD_READERS_RATE 1e6   /* ... and a second from then on */
#define RD_READERS_NAMES 256  /* remembered; beyond it the one who has read least recently is forgotten */

typedef struct rd_readers {
    pthread_mutex_t lock;
    struct {
        char name[RD_PEER_NAME_MAX]; /* "": nobody */
        double used, at;             /* bytes of the burst, as of then */
    } of[RD_READERS_NAMES];
} rd_readers;

void rd_readers_init(rd_readers *r);
void rd_readers_destroy(rd_readers *r);
/* May an answer be made for it now? now: seconds of a clock that runs forwards. */
bool rd_readers_may(rd_readers *r, const char *name, double now);
/* An answer of so many bytes is on its way. */
void rd_readers_took(rd_readers *r, const char *name, uint64_t bytes, double now);

#endif
