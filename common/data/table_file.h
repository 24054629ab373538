/* table_file.h: a file that is a table, on its way into a run: opened, described, measured, made into samples. */
#ifndef RONDO_DATA_TABLE_FILE_H
#define RONDO_DATA_TABLE_FILE_H

#include <stdbool.h>

#include "core/error.h"
#include "data/describe.h"
#include "data/source.h"

typedef struct rd_table_file {
    const rd_source *source; /* not owned */
    bool optional_label;
    rd_table table;
    rd_table_roles roles;
    rd_description description; /* after rd_table_file_describe */
} rd_table_file;

/* schema: as far as it is known. source must outlive the file. */
rd_status rd_table_file_open(const rd_source *source, const rd_schema *schema, bool optional_label, rd_table_file *out,
                             rd_error *err) RD_MUST_CHECK;
/* Settles again which column is the label, as `given` may name it. */
rd_status rd_table_file_describe(rd_table_file *f, const rd_schema *given, rd_error *err) RD_MUST_CHECK;
/* Through an agreed schema: labels and groups; with features through a settled one, and then out->note
 * is set, too. Settles again which column is the label, as an agreement may have named it. */
rd_status rd_table_file_encode(rd_table_file *f, const rd_schema *s, bool features, rd_dataset *out,
                               rd_error *err) RD_MUST_CHECK;
void rd_table_file_close(rd_table_file *f);

#endif
