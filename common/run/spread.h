/* spread.h: how the clients of a round differ: a mean that is good may hide a tenth for whom the model is
 * not. */
#ifndef RONDO_RUN_SPREAD_H
#define RONDO_RUN_SPREAD_H

#include "store/store.h"

/* Over the counted clients, each counting the same: their loss on hold-out rows where it was measured, else
 * of the model before training, else while training. All NaN where nobody reported any, and the
 * deviation where only one did: it differs from nobody. */
rd_spread rd_spread_of(const rd_participation_record *parts, size_t count);

#endif
