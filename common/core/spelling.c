/* spelling.c: see spelling.h. */
#include "core/spelling.h"

#include <string.h>

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t rd_edit_distance(const char *a, const char *b)
{
    size_t row[RD_SPELLING_MAX + 1]; /* row[j]: from the letters of a so far to the first j of b */
    size_t n = strnlen(a, RD_SPELLING_MAX), m = strnlen(b, RD_SPELLING_MAX);
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t changed = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = least(least(row[j], row[j - 1]) + 1, changed);
        }
    }
    return row[m];
}

size_t rd_spelling_limit(const char *typed)
{
    return 2 + strnlen(typed, RD_SPELLING_MAX) / 3;
}
