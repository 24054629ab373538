/* seeds.h: the same run with several seeds, one after another, and what is common to them. */
#ifndef RONDO_SIMULATIONS_SEEDS_H
#define RONDO_SIMULATIONS_SEEDS_H

#include <stdint.h>

#include "simulator.h"

/* Seeds config->seed, config->seed + 1, ..., each with the state directory options->directory/seed-N; those
 * that are finished are not repeated. Prints a table of their results, the mean, and the 95 % confidence
 * interval of the mean. RD_ERR_IDLE, after the table, where a run came to nothing (run/outcome.h). */
rd_status rd_seeds(rd_config *config, const rd_sim_options *options, uint64_t seeds, bool *interrupted,
                   rd_error *err) RD_MUST_CHECK;

#endif
