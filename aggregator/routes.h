/* routes.h: what each request means; the other side of PROTOCOL.md. */
#ifndef RONDO_AGGREGATOR_ROUTES_H
#define RONDO_AGGREGATOR_ROUTES_H

#include "driver.h"
#include "gate.h"
#include "https/server.h"
#include "interrupted.h"
#include "pace.h"
#include "readers.h"
#include "round_pages.h"
#include "staging.h"

typedef struct rd_routes {
    rd_driver *driver;
    const char *state_directory;
    rd_staging_budget staging;
    rd_interrupted *interrupted;
    rd_round_pages *round_pages; /* of RD_LANE_LATER alone */
    rd_gate *gate;
    rd_members *members;
    struct rd_enrolment *enrolment;
    rd_pace pace;
    rd_readers readers;
} rd_routes;

/* The callbacks for rd_server_start; routes must outlive the server. */
rd_server_app rd_routes_app(rd_routes *routes);
/* A round has closed: what was kept for it is freed. */
void rd_routes_round_closed(rd_routes *routes);

#endif
