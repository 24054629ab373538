/* encode.h: a table through a settled schema becomes samples. */
#ifndef RONDO_DATA_ENCODE_H
#define RONDO_DATA_ENCODE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"
#include "data/dataset.h"
#include "data/describe.h"

/* Features in the order of the schema's columns: a number as (x - low) / high or as it stands, in double until it is
 * stored; a category as one-hot or a token. A table without a label makes samples without one. features false: labels
 * and groups alone, of an agreed schema whose means are still open (out->features is then D, but there are no x).
 * RD_ERR_DATA names file, line, column and field. */
rd_status rd_table_encode(const rd_table *t, const rd_table_roles *roles, const rd_schema *s, bool features,
                          rd_dataset *out, rd_error *err) RD_MUST_CHECK;

/* For people: "one.csv: 240 rows, 2 features under a heading, separated by ','; label: column 3, kind; classes a, b, c".
 */
void rd_table_summary(const rd_table *t, const rd_table_roles *roles, const rd_schema *s, const rd_dataset *d,
                      char *text, size_t size);

#endif
