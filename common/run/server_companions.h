/* server_companions.h: what the server keeps from round to round beside the parameters: the strategy's companions
 * (round/companion.h), one after the other, as they are written to its file. */
#ifndef RONDO_RUN_SERVER_COMPANIONS_H
#define RONDO_RUN_SERVER_COMPANIONS_H

#include "model/tensors.h"
#include "round/strategy.h"

/* Zeroed: it keeps nothing. */
typedef struct rd_server_companions {
    rd_tensor_table table;            /* without tensors: it keeps nothing */
    float *values;                    /* of all */
    float *vector[RD_COMPANIONS_MAX]; /* (n) where each begins; NULL: it has none */
} rd_server_companions;

/* n: parameters that travel. */
rd_status rd_server_companions_create(rd_server_companions *c, const rd_strategy *s, size_t n,
                                      rd_error *err) RD_MUST_CHECK;
void rd_server_companions_free(rd_server_companions *c);
/* Where element `first` of each begins. */
void rd_server_companions_from(const rd_server_companions *c, size_t first, float *out[RD_COMPANIONS_MAX]);

#endif
