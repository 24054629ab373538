/* table_messages.h: what clients tell of their tables, as JSON (aggregator/PROTOCOL.md): a description at join, sums when
 * asked to measure. In both there are names of columns and words of categories, and no row.
 *
 *   "table": { "rows": 240, "columns": [ { "name": "age", "type": "number", "missing": 3 },
 *                                        { "name": "sex", "type": "category", "words": ["f", "m"] } ],
 *              "label": { "name": "kind", "classes": ["a", "b"] } }
 *
 *   POST /v1/rounds/0/measure-1: { "columns": [ { "count": 237, "sum": "1f8p-2", "least": 18, "largest": 91 }, null ], ... }
 *
 * with an object for each column of the schema, and for the label behind them, that is measured in this step. */
#ifndef RONDO_CODEC_TABLE_MESSAGES_H
#define RONDO_CODEC_TABLE_MESSAGES_H

#include <cjson/cJSON.h>

#include "config/fields.h"
#include "core/error.h"
#include "data/describe.h"
#include "data/statistics.h"

/* NULL: no memory. */
cJSON *rd_description_json(const rd_description *d);
/* Reads parent's key "table", which is there. */
rd_status rd_description_read(rd_fields *parent, rd_description *out) RD_MUST_CHECK;

/* NULL: no memory. free() */
char *rd_statistics_write(const rd_statistics *s, const rd_schema *schema, int step);
/* RD_ERR_FORMAT names what is wrong. *out is made for this schema. */
rd_status rd_statistics_parse(const char *json, size_t size, const rd_schema *schema, int step, rd_statistics *out,
                              rd_error *err) RD_MUST_CHECK;

#endif
