/* table.c: see table.h. */
#include "table.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "format/foreign.h"

/* Characters, not bytes: names may be written in any script. */
static size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

bool table_measure(table *t, const table_row *row)
{
    bool appeared = false;
    for (size_t i = 0; i < t->count; i++) {
        size_t width = text_width(row->cell[i]);
        if (width == 0)
            continue;
        if (t->width[i] == 0) {
            appeared = true;
            t->width[i] = text_width(t->columns[i].heading);
        }
        if (width > t->width[i])
            t->width[i] = width;
    }
    return appeared;
}

/* Numbers are padded on the left, text on the right unless it ends the line. */
static void print_cell(const table *t, size_t i, bool first, bool last, const char *text)
{
    int padding = (int)t->width[i] - (int)text_width(text);
    if (padding < 0)
        padding = 0;
    (void)printf("%s%*s%s%*s", first ? "" : "  ", t->columns[i].left ? 0 : padding, "", text,
                 t->columns[i].left && !last ? padding : 0, "");
}

/* The heading where row is NULL. */
static void print_line(const table *t, const table_row *row)
{
    size_t last = 0; /* nothing but empty cells follow */
    for (size_t i = 0; i < t->count; i++)
        if (t->width[i] > 0 && (row == NULL || row->cell[i][0] != '\0'))
            last = i;
    bool first = true;
    for (size_t i = 0; i <= last; i++) {
        if (t->width[i] == 0)
            continue;
        print_cell(t, i, first, i == last, row != NULL ? row->cell[i] : t->columns[i].heading);
        first = false;
    }
    (void)printf("\n");
}

void table_print_heading(const table *t)
{
    print_line(t, NULL);
}

void table_print(const table *t, const table_row *row)
{
    print_line(t, row);
}

/* ---- cells ---- */

/* Puts a comma between each three of the digits that text starts with (after a sign). */
static void group_digits(char *text)
{
    size_t start = text[0] == '-' ? 1 : 0;
    size_t digits = strspn(text + start, "0123456789");
    for (size_t left = digits; left > 3; left -= 3) {
        char *comma = text + start + left - 3;
        memmove(comma + 1, comma, strlen(comma) + 1);
        *comma = ',';
    }
}

void table_count(char cell[TABLE_CELL], uint64_t value)
{
    (void)snprintf(cell, TABLE_CELL, "%" PRIu64, value);
    group_digits(cell);
}

void table_count_if_any(char cell[TABLE_CELL], uint64_t value)
{
    cell[0] = '\0';
    if (value > 0)
        table_count(cell, value);
}

void table_number(char cell[TABLE_CELL], double value)
{
    double size = fabs(value);
    cell[0] = '\0';
    if (isnan(value))
        return;
    if (size == 0.0 || (size >= 1e-3 && size < 1e6))
        (void)snprintf(cell, TABLE_CELL, "%.4f", value);
    else
        (void)snprintf(cell, TABLE_CELL, "%.3e", value);
    group_digits(cell);
}

void table_percent(char cell[TABLE_CELL], double share)
{
    cell[0] = '\0';
    if (!isnan(share))
        (void)snprintf(cell, TABLE_CELL, "%.2f %%", 100.0 * share);
}

void table_seconds(char cell[TABLE_CELL], double seconds)
{
    cell[0] = '\0';
    if (isnan(seconds))
        return;
    (void)snprintf(cell, TABLE_CELL, "%.3f", seconds);
    group_digits(cell);
}

void table_time(char cell[TABLE_CELL], double unix_time)
{
    struct tm local;
    cell[0] = '\0';
    if (isnan(unix_time) || fabs(unix_time) > 1e11)
        return;
    time_t seconds = (time_t)unix_time;
    if (localtime_r(&seconds, &local) != NULL)
        (void)strftime(cell, TABLE_CELL, "%Y-%m-%d %H:%M:%S", &local);
}

void table_text(char cell[TABLE_CELL], const char *text)
{
    size_t length = strlen(text);
    if (length >= TABLE_CELL) {
        length = TABLE_CELL - 1;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
            length--; /* not in the middle of a character */
    }
    memcpy(cell, text, length);
    cell[length] = '\0';
    rd_foreign_plain(cell);
}
