/* check.h: the command `rondo-aggregator check`. */
#ifndef RONDO_AGGREGATOR_CHECK_H
#define RONDO_AGGREGATOR_CHECK_H

#include "core/error.h"

/* argv[0] is "check". RD_ERR_USAGE: a wrong command line; any other failure: not all is whole, or it cannot be read. */
rd_status rd_check_command(int argc, char **argv, rd_error *err) RD_MUST_CHECK;

#endif
