/* weight_limit.h: what one client of a round may count at most, so that its share of the round's weight is no larger than
 * cohort.max_weight. Weights are whole numbers that are added up as updates arrive, so the limit has to be known before
 * the first one: it follows from the samples that the cohort has told. */
#ifndef RONDO_ROUND_WEIGHT_LIMIT_H
#define RONDO_ROUND_WEIGHT_LIMIT_H

#include <stddef.h>
#include <stdint.h>

#include "round/round.h"

/* The share of a round that ends with so many updates; 1: no limit. */
double rd_cohort_max_weight(const rd_cohort_config *c, size_t wanted);

/* The largest limit with which, whichever `wanted` of the cohort deliver all that they have told, or one of them more
 * than that, nobody has more than the share of their weight; where not even equal weights are so small a share, the
 * smallest that was told, with which all count the same. samples (count) of the cohort, which are sorted; those who have
 * told 0 cannot deliver. 0: there is none, as the share is 1 or one update makes the round. */
uint64_t rd_weight_limit(uint64_t *samples, size_t count, size_t wanted, double share);

#endif
