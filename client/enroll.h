/* enroll.h: the command `rondo-client enroll`. */
#ifndef RONDO_CLIENT_ENROLL_H
#define RONDO_CLIENT_ENROLL_H

#include "core/error.h"

/* argv[0] is the command's own name. RD_ERR_REFUSED: the aggregator did, or it is not the one that was meant; RD_ERR_NETWORK: it
 * cannot be reached. */
rd_status rd_enroll_command(int argc, char **argv, rd_error *err) RD_MUST_CHECK;

#endif
