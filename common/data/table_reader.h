/* table_reader.h: the records of a table through a schema, one after the other: which field belongs to which column,
 * and which rows count. For statistics.c and encode.c. */
#ifndef RONDO_DATA_TABLE_READER_H
#define RONDO_DATA_TABLE_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"
#include "data/describe.h"
#include "data/schema.h"
#include "data/table.h"

typedef struct rd_table_reader {
    const rd_table *table;
    const rd_schema *schema;
    rd_table_roles roles;
    size_t *place;      /* (schema->column_count) the table's column; SIZE_MAX: of an ignored column */
    const char **field; /* (table->columns) of the record at hand */
    const char *at;
    size_t row;      /* of the record at hand, in the table */
    size_t next;     /* of the record after it */
    size_t left_out; /* rows that the rule for missing values passed over */
} rd_table_reader;

/* RD_ERR_DATA: the table lacks a column. */
rd_status rd_table_reader_open(const rd_table *t, const rd_table_roles *roles, const rd_schema *s, rd_table_reader *out,
                               rd_error *err) RD_MUST_CHECK;
/* Goes on to the next row that counts; *more is false when there is none. */
rd_status rd_table_reader_next(rd_table_reader *r, bool *more, rd_error *err) RD_MUST_CHECK;
void rd_table_reader_close(rd_table_reader *r);

/* The field of schema column i (SIZE_MAX: the label) of the record at hand as a number, fillers in place of missing
 * values; *missing: there is none, and none to fill in. */
rd_status rd_table_reader_number(const rd_table_reader *r, size_t i, double *out, bool *missing,
                                 rd_error *err) RD_MUST_CHECK;
/* The same as the number of a word; words.count stands for "missing" where that is a word of its own. */
rd_status rd_table_reader_word(const rd_table_reader *r, size_t i, int32_t *out, rd_error *err) RD_MUST_CHECK;
/* "two.csv: line 17: column 3, bmi ('abc') " and what. */
rd_status rd_table_reader_fail(const rd_table_reader *r, size_t column, const char *what, rd_error *err);

#endif
