/* schema.h: `rondo-sim schema FILE`: a first data.schema for people to edit. */
#ifndef RONDO_SIMULATIONS_SCHEMA_H
#define RONDO_SIMULATIONS_SCHEMA_H

#include "core/error.h"

/* argv begins at the word "schema". Returns the exit code. */
int rd_schema_command(int argc, char **argv);

#endif
