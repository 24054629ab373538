/* foreign.h: text from strangers. JSON is read more strictly than cJSON does, and what is quoted from it in a
 * message is made fit for a terminal, a log and a reply. */
#ifndef RONDO_FORMAT_FOREIGN_H
#define RONDO_FORMAT_FOREIGN_H

#include <cjson/cJSON.h>
#include <stddef.h>

/* Where a text goes wrong, and how. */
typedef struct rd_foreign_fault {
    size_t at, line, column; /* the byte, from 0; line and column, from 1 (a column is a character) */
    char what[200];          /* behind "is": "not valid JSON", "not UTF-8"; fit for a log */
} rd_foreign_fault;

/* Parses size bytes, all of them, as one JSON value; the caller's to delete. NULL: *fault says why. Refused beyond
 * what cJSON refuses:
 *   - bytes that are no UTF-8, and control characters as such (white space between values excepted);
 *   - "\u0000", at which a C string would end, so that two different names would look the same;
 *   - a name that an object has twice: which of the two values another reader takes is anyone's guess;
 *   - numbers that JSON does not have (01, 1., .5), and those that a double does not hold: too large, other than 0
 *     and yet rounded to it, and whole numbers in plain digits that would be rounded (9007199254740993). */
cJSON *rd_foreign_json(const char *text, size_t size, rd_foreign_fault *fault);

/* Where every text that may be a stranger's goes through before it is logged, recorded or shown: puts '?' for every
 * control character (line breaks and U+0080 to U+009F, too), for characters that nobody sees or that turn around the text
 * behind them (zero width, bidirectional), and for every byte that is no UTF-8, in place. */
void rd_foreign_plain(char *text);

#endif
