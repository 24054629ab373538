/* backoff.h: a client that lets rounds down, one after the other, is asked less and less often. */
#ifndef RONDO_ROUND_BACKOFF_H
#define RONDO_ROUND_BACKOFF_H

#include <stdint.h>

/* How many rounds a client is left out after it was late or failed `missed` times in a row: 0, 1, 2, 4, 8, ..., at most
 * `most` (cohort.max_backoff). */
uint64_t rd_backoff_rounds(unsigned missed, uint64_t most);

#endif
