/* packings.h: how the versions of a pruned model are packed (model/packing.h): the newest, which uploads are laid out
 * by, and those before it. */
#ifndef RONDO_RUN_PACKINGS_H
#define RONDO_RUN_PACKINGS_H

#include <stdatomic.h>

#include "model/packing.h"

/* Begins as zero. */
typedef struct rd_packings {
    _Atomic(rd_packing *) current; /* NULL: not pruned; looked at by threads that receive */
    rd_packing **outdated; /* (outdated_count) before it: uploads that come too late still look at their plans */
    size_t outdated_count, outdated_capacity;
} rd_packings;

/* Packs the model as it is now. */
rd_status rd_packings_renew(rd_packings *p, const rd_pruning *pruning, const rd_model *m, const float *parameters,
                            rd_error *err) RD_MUST_CHECK;
void rd_packings_free(rd_packings *p);

#endif
