/* Numbers: what is accepted is what the C library makes of the same text, and nothing else than digits, signs, a point
 * and an exponent is; a whole number printed again is the same. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/number.h"

static void must(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    char *block = malloc(count > 0 ? count : 1), *text = calloc(count + 1, 1), *end;
    double x = 7;
    int64_t whole;
    uint64_t natural;
    float single;
    memcpy(block, bytes, count); /* of the very size, and one with a zero byte for the C library */
    memcpy(text, bytes, count);
    rd_number_kind kind = rd_number_read(block, count, &x);
    if (kind == RD_NUMBER_NONE) {
        must(x == 7);
    } else {
        must(strspn(text, "+-.0123456789eE") == count);
        double y = strtod(text, &end);
        must(*end == '\0' && memcmp(&x, &y, sizeof x) == 0);
        must((kind == RD_NUMBER_OVERFLOW) == (isinf(x) != 0));
        must(kind != RD_NUMBER_UNDERFLOW || fabs(x) <= 0x1p-1022);
        rd_number_kind narrow = rd_number_narrow(x, &single);
        must((narrow == RD_NUMBER_OVERFLOW) == (isinf(single) != 0));
    }
    if (rd_number_whole(block, count, &whole)) {
        errno = 0;
        must(strtoll(text, &end, 10) == whole && errno == 0 && *end == '\0' && kind != RD_NUMBER_NONE);
    }
    if (rd_number_count(block, count, &natural)) {
        errno = 0;
        must(strtoull(text, &end, 10) == natural && errno == 0 && *end == '\0');
    }
    free(block);
    free(text);
    return 0;
}
