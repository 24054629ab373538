/* table.h: tables for people. Column widths come from a first walk over the rows (table_measure), so that no
 * row has to be kept; columns in which nothing stands are left out. */
#ifndef RONDO_INSPECT_TABLE_H
#define RONDO_INSPECT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_COLUMNS 48
#define TABLE_CELL 192

typedef struct table_column {
    const char *heading;
    bool left; /* aligned to the left, as text is; numbers are not */
} table_column;

typedef struct table {
    const table_column *columns; /* (count) */
    size_t count;
    size_t width[TABLE_COLUMNS]; /* 0: nothing stands in this column so far */
} table;

/* An empty string stands for nothing. */
typedef struct table_row {
    char cell[TABLE_COLUMNS][TABLE_CELL];
} table_row;

/* Widens columns to hold this row. Returns true where a column appeared that was empty before. */
bool table_measure(table *t, const table_row *row);
void table_print_heading(const table *t);
void table_print(const table *t, const table_row *row);

/* ---- cells ---- */

/* 1234567 -> "1,234,567" */
void table_count(char cell[TABLE_CELL], uint64_t value);
/* The same, but nothing where it is 0. */
void table_count_if_any(char cell[TABLE_CELL], uint64_t value);
/* Four digits after the point, or four significant digits where the number is tiny or huge; nothing for NaN.
 */
void table_number(char cell[TABLE_CELL], double value);
/* 0.8123 -> "81.23 %"; nothing for NaN. */
void table_percent(char cell[TABLE_CELL], double share);
/* Seconds with three digits after the point; nothing for NaN. */
void table_seconds(char cell[TABLE_CELL], double seconds);
/* Unix time as local date and time; nothing for NaN. */
void table_time(char cell[TABLE_CELL], double unix_time);
/* Text that somebody else wrote: characters that could steer a terminal become '?'. */
void table_text(char cell[TABLE_CELL], const char *text);

#endif
