/* spelling.h: which word was probably meant, for "did you mean". */
#ifndef RONDO_CORE_SPELLING_H
#define RONDO_CORE_SPELLING_H

#include <stddef.h>

#define RD_SPELLING_MAX 63 /* letters of a word that are looked at */

/* How many letters must be inserted, left out or changed to get from a to b (Levenshtein distance). */
size_t rd_edit_distance(const char *a, const char *b);

/* A word is worth suggesting when its distance to the one that was typed is below this. */
size_t rd_spelling_limit(const char *typed);

#endif
