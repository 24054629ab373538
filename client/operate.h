/* operate.h: the commands `rondo-client token` and `rondo-client revoke`, for who has the role operator. */
#ifndef RONDO_CLIENT_OPERATE_H
#define RONDO_CLIENT_OPERATE_H

#include "core/error.h"

/* argv[0] is the command's own name. RD_ERR_REFUSED: the aggregator did; RD_ERR_NETWORK: it cannot be reached. */
rd_status rd_operator_token_command(int argc, char **argv, rd_error *err) RD_MUST_CHECK;
rd_status rd_operator_revoke_command(int argc, char **argv, rd_error *err) RD_MUST_CHECK;

#endif
