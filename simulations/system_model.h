/* system_model.h: devices and a network for simulated clients: how long a client takes, when it is there, whether it
 * answers. Every device is drawn from its client's own random stream when it is asked about, so a million of them need
 * no memory, and no answer depends on who asked before. */
#ifndef RONDO_SIMULATIONS_SYSTEM_MODEL_H
#define RONDO_SIMULATIONS_SYSTEM_MODEL_H

#include "config/simulation_section.h"

typedef struct rd_system_model rd_system_model;

/* Reads the trace where there is one. config stays the caller's. RD_ERR_DATA names the file and the line. */
rd_status rd_system_model_create(const rd_system_config *config, uint64_t seed, rd_system_model **out,
                                 rd_error *err) RD_MUST_CHECK;
void rd_system_model_free(rd_system_model *m);

/* Is every client there at all times? */
bool rd_system_everybody_available(const rd_system_model *m);
/* Can the client be selected at this time of the simulated clock? */
bool rd_system_available(const rd_system_model *m, uint64_t client_key, double clock_seconds);

typedef struct rd_timing {
    double seconds;  /* from being asked until its update is there: 2 latencies, both transfers, computing */
    bool answers;    /* false: it drops out of this round */
    uint32_t epochs; /* that it runs */
} rd_timing;
/* samples: that it trains on in an epoch; bytes_down, bytes_up: of the model and of the update. */
rd_timing rd_system_timing(const rd_system_model *m, uint64_t client_key, uint64_t round, size_t samples,
                           uint32_t epochs, double bytes_down, double bytes_up);

#endif
