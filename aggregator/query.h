/* query.h: numbers in the query of a request: "wait=30&from=2". */
#ifndef RONDO_AGGREGATOR_QUERY_H
#define RONDO_AGGREGATOR_QUERY_H

#include <stdint.h>

#include "core/error.h"

/* The whole number up to INT64_MAX from "NAME=NUMBER"; *out is left alone where there is none of that name.
 * RD_ERR_FORMAT: it is no such number. Of two the last one counts. */
rd_status rd_query_count(const char *query, const char *name, uint64_t *out, rd_error *err) RD_MUST_CHECK;

#endif
