/* descriptors.h: how many files, sockets among them, this process may have open. */
#ifndef RONDO_AGGREGATOR_DESCRIPTORS_H
#define RONDO_AGGREGATOR_DESCRIPTORS_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define RD_DESCRIPTORS_BESIDE 128 /* database, models, staged updates, event loops; what is short of them has to wait */
#define RD_CONNECTIONS_DEFAULT 10000

/* Raises the limit as far as the system lets us, and sees that so many connections fit below it. *connections: as the
 * operator wants it, or 0; then it becomes the default, or what fits, which note says. RD_ERR_USAGE: what the operator
 * wants does not fit. */
rd_status rd_descriptors_reserve(uint64_t *connections, char *note, size_t size, rd_error *err) RD_MUST_CHECK;

#endif
