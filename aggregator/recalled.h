/* recalled.h: what the record says of clients from before this process began, to be told to the round core when they join:
 * in which round an update last counted, as a client that keeps something between rounds goes on from there
 * (train/keep.h), whatever it has kept since in rounds that were lost; and who missed rounds, and is left out of some. */
#ifndef RONDO_AGGREGATOR_RECALLED_H
#define RONDO_AGGREGATOR_RECALLED_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "store/store.h"

typedef struct rd_recalled_client {
    char *name;
    uint64_t round;
    unsigned missed;
} rd_recalled_client;

/* Zeroed: nothing is recalled. */
typedef struct rd_recalled {
    rd_recalled_client *clients; /* (count), by name */
    size_t count, capacity;
} rd_recalled;

/* Reads the state directory: rounds that last counted. */
rd_status rd_recalled_load_counted(rd_recalled *r, rd_store *store, rd_error *err) RD_MUST_CHECK;
/* Rounds that were missed last, and how many in a row. */
rd_status rd_recalled_load_missed(rd_recalled *r, rd_store *store, rd_error *err) RD_MUST_CHECK;
/* Zeroed, but for the name, where there is nothing of the client. */
rd_recalled_client rd_recalled_of(const rd_recalled *r, const char *client);
void rd_recalled_free(rd_recalled *r);

#endif
