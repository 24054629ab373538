/* token.h: the command `token`. */
#ifndef RONDO_AGGREGATOR_TOKEN_H
#define RONDO_AGGREGATOR_TOKEN_H

#include "core/error.h"

/* argv[0] is the command's own name. */
rd_status rd_token_command(int argc, char **argv, rd_error *err) RD_MUST_CHECK;

#endif
