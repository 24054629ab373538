/* export.h: records for programs: JSON Lines, and CSV made of the same JSON. Numbers are written with as many
 * digits as it takes to read the same double back. */
#ifndef RONDO_INSPECT_EXPORT_H
#define RONDO_INSPECT_EXPORT_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "core/error.h"

typedef enum export_kind { EXPORT_TABLE, EXPORT_CSV, EXPORT_JSONL } export_kind;

/* What --csv and --jsonl choose together; both at once is RD_ERR_USAGE. */
rd_status export_choose(bool csv, bool jsonl, export_kind *out, rd_error *err) RD_MUST_CHECK;

/* The heading of a CSV file; a column "test.loss" is called test_loss. NULL ends the list. */
void export_csv_heading(const char *const *columns);

/* Prints the object as a line of CSV (columns are members, "test.loss" the member of a member; what is null
 * or missing is empty) or of JSON, and deletes it. Returns false where memory was short (object NULL). */
bool export_record(export_kind kind, const char *const *columns, cJSON *object);

/* Adds a number, or null where it is not finite. */
void export_add_number(cJSON *object, const char *key, double value);

#endif
