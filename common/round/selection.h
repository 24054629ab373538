/* selection.h: who is asked in a round. Every candidate draws a number from its own random stream and the
 * smallest numbers win, so a choice depends on the candidates and the round, not on the order in which they
 * came. */
#ifndef RONDO_ROUND_SELECTION_H
#define RONDO_ROUND_SELECTION_H

#include <stddef.h>
#include <stdint.h>

#include "round/round.h"

typedef struct rd_candidate {
    uint64_t draw;
    uint64_t key;  /* rd_client_key of its name */
    size_t client; /* its number in the round core */
} rd_candidate;

/* How many updates a round wants from so many available clients: all, max(1, round(fraction * available)),
 * or count (at most available). */
size_t rd_selection_wanted(const rd_cohort_config *config, size_t available);

/* rd_cohort_needed of synchronous rounds. */
size_t rd_selection_needed(const rd_cohort_config *config);

/* How many clients are asked in order to get `wanted` updates: ceil(wanted * over_selection), at most
 * available. */
size_t rd_selection_asked(const rd_cohort_config *config, size_t wanted, size_t available);

/* The `most` candidates with the smallest draws, of any number that come one after another: a heap with the
 * largest on top. Time O(n + most log most log n), memory O(most). */
typedef struct rd_selection_heap {
    rd_candidate *chosen; /* (most), the caller's */
    size_t count, most;
} rd_selection_heap;
/* Draws for the candidate, and chooses it if it is among the smallest. */
void rd_selection_offer(rd_selection_heap *h, uint64_t seed, uint64_t round, uint64_t key, size_t client);
/* The chosen, in rising order of key. */
void rd_selection_order(rd_selection_heap *h);

#endif
