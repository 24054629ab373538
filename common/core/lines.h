/* lines.h: the lines of a text from outside: allow lists, traces, texts.
 *
 * Such files come from all kinds of editors. What means the same is read the same: a byte order mark in UTF-8 is
 * passed over, and a line ends in LF, CRLF or CR. What would be misread is refused by name: UTF-16 (what Windows
 * calls "Unicode"), zero bytes, bytes that are no UTF-8 (Latin-1). */
#ifndef RONDO_CORE_LINES_H
#define RONDO_CORE_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"

enum {
    RD_LINES_TRIM = 1,     /* blanks around each line are left off */
    RD_LINES_COMMENTS = 2, /* a '#' at the beginning of a line or behind a blank, and all behind it, is left off */
};

typedef struct rd_lines {
    const char *at, *end;
    unsigned options;
    size_t number; /* of the line last read, from 1; 0 before */
} rd_lines;

typedef struct rd_line {
    const char *text; /* inside the text that was given: no '\0' behind it */
    size_t length;
    size_t number; /* from 1, counting every line */
    bool broken;   /* a line end follows: false only for a last line without one */
} rd_line;

/* text must live as long as *l. RD_ERR_DATA names whose, line and column: "allow.txt: line 2, column 5: not UTF-8;
 * save it as UTF-8". */
rd_status rd_lines_open(rd_lines *l, const char *text, size_t size, unsigned options, const char *whose,
                        rd_error *err) RD_MUST_CHECK;

/* The next line, empty ones too; false behind the last. A line end at the end of the text begins no line. */
bool rd_lines_next(rd_lines *l, rd_line *line);

/* Leaves off blanks (spaces and tabs) at both ends of text[0 .. length). */
void rd_trim(const char **text, size_t *length);

#endif
