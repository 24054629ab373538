/* server_memory.h: what the server keeps from round to round beside the parameters: the strategy's companions
 * (round/companion.h), one after the other, as they are written to its file. */
#ifndef RONDO_RUN_SERVER_MEMORY_H
#define RONDO_RUN_SERVER_MEMORY_H

#include "model/tensors.h"
#include "round/strategy.h"

/* Zeroed: it keeps nothing. */
typedef struct rd_server_memory {
    rd_tensor_table table;          /* without tensors: it keeps nothing */
    float *values;                  /* of all */
    float *kept[RD_COMPANIONS_MAX]; /* (n) where each begins; NULL: it is not kept */
} rd_server_memory;

/* n: parameters that travel. */
rd_status rd_server_memory_create(rd_server_memory *m, const rd_strategy *s, size_t n, rd_error *err) RD_MUST_CHECK;
void rd_server_memory_free(rd_server_memory *m);
/* Where element `first` of each begins. */
void rd_server_memory_from(const rd_server_memory *m, size_t first, float *out[RD_COMPANIONS_MAX]);

#endif
