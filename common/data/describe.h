/* describe.h: what a table says of its own columns, and how such descriptions become one schema.
 *
 * A description holds no row: the names of the columns, whether they hold numbers, the words of those that do not,
 * the classes of the label, how many values are missing and how many rows there are. rd_schema_agree makes of a
 * given schema and the descriptions of all who bring a table a schema that all can be read through. The rule does
 * not depend on who described first:
 *
 *   columns  those that run.json names; else those of data.test where that is a table; else those that every client
 *            has, in the order of the client whose name comes first. A client that lacks one is refused when it
 *            reads its table, further columns are passed over, and both are said.
 *   type     what run.json says; else numbers where any client's are numbers; else a category
 *   words    the union, by value where all are whole numbers, else bytewise
 *   classes  whole numbers from 0 stay as they stand; else they are united like words */
#ifndef RONDO_DATA_DESCRIBE_H
#define RONDO_DATA_DESCRIBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "data/schema.h"
#include "data/table.h"

/* A column of words that run.json does not call a category is refused beyond so many of them: it is likely a name or
 * a number of a person, and its words would be rows. */
#define RD_WORDS_UNASKED 100
#define RD_WORDS_MOST 10000
#define RD_COLUMNS_MOST 1000000

typedef struct rd_column_description {
    char *name;          /* owned; NULL: the table has no heading */
    rd_column_type type; /* RD_COLUMN_OPEN: nothing but missing values */
    rd_names words;      /* of a category; of the label: its classes, whole numbers without a sign or zeros in front */
    uint64_t missing;
} rd_column_description;

typedef struct rd_description {
    uint64_t rows;
    bool numbered;                  /* its columns go by their place (table.h) */
    rd_column_description *columns; /* (column_count) owned; those that may be features */
    size_t column_count;
    rd_column_description label; /* type RD_COLUMN_OPEN where the table has no label */
} rd_description;

/* The column that a schema's column of that name (NULL: none), the place-th of those that may be features, is in this
 * table; NULL: it is not there. */
const rd_column_description *rd_description_column(const rd_description *d, const char *name, size_t place);

/* Which columns of a table are not features. */
typedef struct rd_table_roles {
    size_t label, group; /* SIZE_MAX: there is none */
} rd_table_roles;

/* The label is source->label_column, else the schema's label where the table has it, else the last column; the group
 * alike. optional: a table without that label has none (rows to predict on). */
rd_status rd_table_settle_roles(const rd_table *t, const rd_source *source, const rd_schema *schema, bool optional,
                                rd_table_roles *out, rd_error *err) RD_MUST_CHECK;

/* Goes once through the table. What the schema ignores is not described. RD_ERR_DATA: a column of too many words, or
 * a label that the schema's type of label does not allow. */
rd_status rd_table_describe(const rd_table *t, const rd_table_roles *roles, const rd_schema *schema,
                            rd_description *out, rd_error *err) RD_MUST_CHECK;
void rd_description_free(rd_description *d);

typedef struct rd_described {
    const char *whose; /* "alice", "data.test" */
    const rd_description *description;
} rd_described;

/* All tables of a run: data.test's first, then those of the clients by name. */
typedef struct rd_described_tables {
    const rd_described *tables; /* (count) */
    size_t count;
    bool has_test; /* the first is data.test's */
} rd_described_tables;

/* notes (size bytes) says in sentences what was left out. RD_ERR_DATA: the tables cannot be read as one. */
rd_status rd_schema_agree(const rd_schema *given, const rd_described_tables *all, rd_schema *out, char *notes,
                          size_t size, rd_error *err) RD_MUST_CHECK;

#endif
