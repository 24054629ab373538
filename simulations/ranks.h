/* ranks.h: several processes that simulate one run together, started by mpirun. Each holds the data and the
 * model, and trains its part of every cohort; sums are exact, so the result has the same bits for any number
 * of them. Built without MPI, and started alone, there is one rank and nothing here does anything. */
#ifndef RONDO_SIMULATIONS_RANKS_H
#define RONDO_SIMULATIONS_RANKS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/exact_sum.h"

/* Joins the others. Before anything else. */
void rd_ranks_open(int *argc, char ***argv);
/* After everything else; failed: the other ranks are ended, too. */
void rd_ranks_close(bool failed);
size_t rd_rank(void); /* 0: the one that prints and keeps the state directory */
size_t rd_rank_count(void);
/* The bytes of rank `from` come to all. */
void rd_ranks_broadcast(void *bytes, size_t size, size_t from);
/* Bitwise or of every rank's bytes: each has filled in its part, and zeros elsewhere. */
void rd_ranks_unite(void *bytes, size_t size);
/* Every rank's sum becomes the sum of all. */
void rd_ranks_add(rd_exact_vector *sum);

#endif
