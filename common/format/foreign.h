/* foreign.h: text from strangers. JSON is read more strictly than cJSON does, and what is quoted from it in a
 * message is made fit for a terminal, a log and a reply. */
#ifndef RONDO_FORMAT_FOREIGN_H
#define RONDO_FORMAT_FOREIGN_H

#include <cjson/cJSON.h>
#include <stddef.h>

/* Parses size bytes, all of them, as one JSON value; the caller's to delete. NULL: *at is the byte at which
 * it goes wrong and *what says how, after "is": "not valid JSON", "not UTF-8". Refused beyond what cJSON
 * refuses: bytes that are no UTF-8, control characters as such (white space between values excepted), and
 * "\u0000", at which a C string would end, so that two different names would look the same. */
cJSON *rd_foreign_json(const char *text, size_t size, size_t *at, const char **what);

/* Puts '?' for every control character (line breaks and U+0080 to U+009F, too) and every byte that is no
 * UTF-8, in place. text may be NULL. */
void rd_foreign_plain(char *text);

#endif
