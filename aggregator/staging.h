/* staging.h: room for updates that are not complete yet. Small ones lie in memory, out of a fixed budget that
 * all uploads share; what is large, or comes when the budget is spent, lies in a nameless file of the state
 * directory. So memory does not grow with the uploads in flight, and the common case does not touch the file
 * system. */
#ifndef RONDO_AGGREGATOR_STAGING_H
#define RONDO_AGGREGATOR_STAGING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define RD_STAGING_MEMORY ((size_t)16 << 20) /* the budget, bytes */
#define RD_STAGING_LARGE ((size_t)2 << 20)   /* from here on an update goes to a file at once */

/* Shared by all uploads of an aggregator. */
typedef struct rd_staging_budget {
    atomic_size_t left; /* bytes; starts as RD_STAGING_MEMORY */
} rd_staging_budget;

typedef struct rd_staging rd_staging;

/* Room for `size` bytes. folder: where a file is made. RD_ERR_IO: no room there. */
rd_status rd_staging_create(rd_staging_budget *budget, const char *folder, size_t size, rd_staging **out,
                            rd_error *err) RD_MUST_CHECK;
rd_status rd_staging_write(rd_staging *s, size_t offset, const void *bytes, size_t count, rd_error *err) RD_MUST_CHECK;
/* Gives count bytes from offset: *bytes points to them, in buffer (count bytes, the caller's) or wherever
 * they lie. */
rd_status rd_staging_read(rd_staging *s, size_t offset, void *buffer, size_t count, const void **bytes,
                          rd_error *err) RD_MUST_CHECK;
void rd_staging_free(rd_staging *s);

#endif
