/* table.h: a table of text, as it stands in a file: records of fields, perhaps under a heading.
 *
 * What the fields mean is not settled here but by the run (schema.h). Quoting follows RFC 4180 (fields in double
 * quotes may hold separators, line ends and doubled quotes); lines end in LF, CRLF or CR; blank lines are passed
 * over; blanks around a field do not count unless they are quoted; the file may be gzipped. A first line
 * "sep=;", which Excel writes, names the separator.
 *
 * What is not given is guessed, after all that is given is known, and rd_table_summary says what was guessed:
 *   separator   of , ; tab and | the one that cuts the first two records into the same number of fields, the
 *               most of them
 *   heading     the first record is one where a column has a word there and nothing but numbers below, or where
 *               it holds nothing but different words none of which stands in its column again
 *   decimal     a comma where the separator is another character, and numbers stand with a comma and none with a
 *               point
 *
 * The text is cut in place: a table costs its text, and 4 bytes a record. */
#ifndef RONDO_DATA_TABLE_H
#define RONDO_DATA_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/number.h"
#include "data/names.h"
#include "data/source.h"

typedef struct rd_table {
    char *text;           /* owned; the fields of all records one behind the other, each ended by '\0' */
    const char *path;     /* for messages; not owned */
    const char *records;  /* the first field of the first record, in text */
    const char **heading; /* (columns) names, in text; NULL: there is none */
    size_t columns, rows;
    uint32_t *line; /* (rows) where a record begins in the file, from 1 */
    char separator, decimal;
    bool numbered; /* its heading numbers the columns 0, 1, ..., as pandas does for those without a name: they go by
                      their place */
} rd_table;

/* Reads source->path. RD_ERR_DATA names file, line and column. */
rd_status rd_table_load(const rd_source *source, rd_table *out, rd_error *err) RD_MUST_CHECK;
/* The same from memory. text (malloc'ed, size bytes and one more that may be written to) is taken over, whatever
 * comes of it. */
rd_status rd_table_parse(char *text, size_t size, const rd_source *source, rd_table *out, rd_error *err) RD_MUST_CHECK;
void rd_table_free(rd_table *t);

/* Points field[0 .. columns) to the fields of the record at `at` and returns where the next one begins. The first
 * is at t->records. */
const char *rd_table_fields(const rd_table *t, const char *at, const char **field);

/* Reads a field as a number, with the table's decimal sign. */
rd_number_kind rd_table_number(const rd_table *t, const char *field, double *out);

/* Does the field say that there is no value? words: those that say so; NULL: nothing at all, NA, N/A, NaN, nan, NULL,
 * null and a question mark. */
bool rd_field_is_missing(const rd_names *words, const char *field);

/* Finds a column by its name, or by a position ("0" first, "-1" last); a name goes before a position. role ("label")
 * is for the message. */
rd_status rd_table_find(const rd_table *t, const char *wanted, const char *role, size_t *out,
                        rd_error *err) RD_MUST_CHECK;
/* "column 4, alcohol" */
void rd_table_column_name(const rd_table *t, size_t column, char *text, size_t size);

#endif
