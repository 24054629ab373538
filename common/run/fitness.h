/* fitness.h: may a model be sent? Clients take no other numbers than those that they may send. */
#ifndef RONDO_RUN_FITNESS_H
#define RONDO_RUN_FITNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "model/model.h"

typedef struct rd_fitness {
    const rd_model *model;
    const uint32_t *index; /* of a pruned model: element i of what is checked is parameter index[i]; NULL: i */
    bool last;             /* no round follows, so nobody trains from it: finite is enough */
} rd_fitness;

/* values: elements [first, first + count) of what travels. RD_ERR_RANGE names the first that is unfit. */
rd_status rd_fitness_check(const rd_fitness *f, const float *values, size_t first, size_t count,
                           rd_error *err) RD_MUST_CHECK;

#endif
