/* counted.h: in which round each client's update last counted, before this process began: a client that keeps something
 * between rounds goes on from there (train/keep.h), whatever it has kept since in rounds that were lost. */
#ifndef RONDO_AGGREGATOR_COUNTED_H
#define RONDO_AGGREGATOR_COUNTED_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "store/store.h"

typedef struct rd_counted {
    struct rd_counted_client *clients; /* (count), by name */
    size_t count, capacity;
} rd_counted;

/* Reads the state directory. A zeroed rd_counted is empty. */
rd_status rd_counted_load(rd_counted *c, rd_store *store, rd_error *err) RD_MUST_CHECK;
/* 0: in none. */
uint64_t rd_counted_of(const rd_counted *c, const char *client);
void rd_counted_free(rd_counted *c);

#endif
