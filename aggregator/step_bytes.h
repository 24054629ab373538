/* step_bytes.h: what the bytes do with which clients answer in a step: POST /v1/rounds/{round}/{step}. One file for each
 * step, and a line in the list below. */
#ifndef RONDO_AGGREGATOR_STEP_BYTES_H
#define RONDO_AGGREGATOR_STEP_BYTES_H

#include "call.h"

/* Each function may answer the call; after that none is called but drop. */
struct rd_step_bytes {
    const char *step;                                             /* its name */
    void (*begin)(rd_call *c);                                    /* the headers are there; NULL: nothing to see to */
    void (*feed)(rd_call *c, const uint8_t *bytes, size_t count); /* NULL: they are collected in the call's body */
    void (*complete)(rd_call *c);                                 /* all have come */
    /* HEAD: tells how many are here of an answer that was cut off. NULL: it is not continued, and begin is not called for
     * PATCH. */
    void (*offset)(rd_call *c);
    void (*drop)(rd_call *c);                                     /* the call is over, well or not: frees its state */
};

#define RD_STEP_BYTES(X) \
    X(train)             \
    X(measure_1)         \
    X(measure_2)
#define RD_DECLARE(name) extern const rd_step_bytes rd_##name##_bytes;
RD_STEP_BYTES(RD_DECLARE)
#undef RD_DECLARE

#endif
