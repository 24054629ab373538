/* bench.h: `rondo-sim bench`: how fast this machine simulates the run, beside what its matrix products can do
 * at most. */
#ifndef RONDO_SIMULATIONS_BENCH_H
#define RONDO_SIMULATIONS_BENCH_H

#include "simulator.h"

/* Runs a few rounds without a state directory, and prints. Changes config's rounds and evaluation. */
rd_status rd_bench(rd_config *config, const rd_sim_options *options, rd_error *err) RD_MUST_CHECK;

#endif
