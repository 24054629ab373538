/* backup.h: the command `rondo-aggregator backup`. */
#ifndef RONDO_AGGREGATOR_BACKUP_H
#define RONDO_AGGREGATOR_BACKUP_H

#include "core/error.h"

/* argv[0] is "backup". RD_ERR_USAGE: a wrong command line. */
rd_status rd_backup_command(int argc, char **argv, rd_error *err) RD_MUST_CHECK;

#endif
