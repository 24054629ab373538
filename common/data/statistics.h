/* statistics.h: means and extremes over the tables of all clients, by exact sums: whoever is added first, and however
 * rows are spread over clients, the result has the same bits, and it is rounded once.
 *
 * Two steps, because differences are taken before they are squared: the first counts, adds, and finds the least and
 * the largest value, which settles means; the second adds (x - mean)^2. What a client tells are these sums of its own
 * rows; a column whose scale and filler stand in run.json is not measured. */
#ifndef RONDO_DATA_STATISTICS_H
#define RONDO_DATA_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/exact_double.h"
#include "data/describe.h"

typedef struct rd_column_statistics {
    uint64_t count;        /* values that are not missing */
    rd_exact_double sum;   /* step 1: of x; step 2: of (x - mean)^2 */
    double least, largest; /* step 1; where count is 0, without meaning */
} rd_column_statistics;

typedef struct rd_statistics {
    rd_column_statistics *columns; /* (count) owned; of the schema's columns, and of the label behind them */
    size_t count;
} rd_statistics;

/* Zeroes. */
rd_status rd_statistics_create(const rd_schema *s, rd_statistics *out, rd_error *err) RD_MUST_CHECK;
void rd_statistics_free(rd_statistics *s);
/* Adds what is in a table. times (a number for each row that counts; NULL: once) is how often a row is somebody's. */
rd_status rd_statistics_add_table(rd_statistics *into, const rd_table *t, const rd_table_roles *roles,
                                  const rd_schema *s, int step, const uint32_t *times, rd_error *err) RD_MUST_CHECK;
void rd_statistics_merge(rd_statistics *into, const rd_statistics *other);
/* Settles in the schema what this step has measured. RD_ERR_DATA: a column has no value at all. */
rd_status rd_schema_apply(rd_schema *s, const rd_statistics *all, int step, rd_error *err) RD_MUST_CHECK;

#endif
