/* revoke.h: the command `revoke`. */
#ifndef RONDO_AGGREGATOR_REVOKE_H
#define RONDO_AGGREGATOR_REVOKE_H

#include "core/error.h"

/* argv[0] is the command's own name. */
rd_status rd_revoke_command(int argc, char **argv, rd_error *err) RD_MUST_CHECK;

#endif
