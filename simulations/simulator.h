/* simulator.h: many clients in one process, or in several (ranks.h). The round core and the run are those of
 * the aggregator; the clients' work is that of rondo-client; only the network between them is missing, or
 * simulated (system_model.h). */
#ifndef RONDO_SIMULATIONS_SIMULATOR_H
#define RONDO_SIMULATIONS_SIMULATOR_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "core/error.h"
#include "data/dataset.h"
#include "data/partition.h"

#define RD_SIM_CLIENT_NAME_MAX 32

/* Name of simulated client number i (0, 1, ...): "client-1", "client-2", ... A deployment whose certificates
 * carry these names draws the same random numbers. */
void rd_sim_client_name(size_t i, char name[RD_SIM_CLIENT_NAME_MAX]);

/* data.train, dealt out. */
typedef struct rd_sim_data {
    rd_dataset data;
    rd_partition partition;
    rd_schema schema; /* of the run's tables, settled */
} rd_sim_data;

/* Loads data.train and deals it out to so many clients (0: as many as there are groups). Where it is a table, what its
 * columns mean is settled as clients would settle it (run/agreement.h), means over the rows that clients have; notes
 * (size bytes) says what was left out. */
rd_status rd_sim_deal(const rd_config *config, size_t clients, rd_sim_data *out, char *notes, size_t size,
                      rd_error *err) RD_MUST_CHECK;
void rd_sim_data_free(rd_sim_data *d);

/* Where the time of a simulation went: seconds of all threads together, in this process. */
typedef struct rd_sim_profile {
    double training, adding;      /* in clients' local rounds; adding updates to the sum */
    double averaging, committing; /* one thread, for which the others wait */
    double wall, threads;
    uint64_t clients, samples; /* local rounds; samples gone through, all epochs */
    double forward_flops;      /* of those samples */
} rd_sim_profile;
void rd_sim_profile_print(const rd_sim_profile *p);

typedef struct rd_sim_options {
    size_t clients;
    unsigned threads;
    const char *directory;   /* state directory, or NULL: keep nothing */
    bool quiet;              /* no progress, no lines */
    size_t keep_limit;       /* bytes of what clients keep that may lie in memory without a directory */
    rd_sim_profile *profile; /* filled in where it is not NULL */
} rd_sim_options;

/* RD_ERR_IDLE: the run is over and its last rounds aggregated nothing (run/outcome.h).
 * Runs to the end, or until SIGINT or SIGTERM (then *interrupted is set, and the same call continues where it
 * stopped if there is a state directory). */
rd_status rd_simulate(const rd_config *config, const rd_sim_options *options, bool *interrupted,
                      rd_error *err) RD_MUST_CHECK;

#endif
