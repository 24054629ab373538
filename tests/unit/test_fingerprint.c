/* Names of bytes: equal for equal ones wherever they lie, different for every small difference. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/fingerprint.h"

enum { BYTES = 200 };

static int rising(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

Test(fingerprint, every_bit_every_length_and_every_place_counts)
{
    static uint64_t names[BYTES * 8 + 2 * BYTES + 1];
    size_t count = 0;
    unsigned char bytes[BYTES + 1];
    for (size_t i = 0; i < BYTES; i++)
        bytes[i + 1] = (unsigned char)(i * 37);
    for (size_t length = 0; length <= BYTES; length++) /* at an odd address, too */
        names[count++] = rd_fingerprint(bytes + 1, length);
    for (size_t bit = 0; bit < 8 * BYTES; bit++) {
        bytes[1 + bit / 8] ^= (unsigned char)(1 << bit % 8);
        names[count++] = rd_fingerprint(bytes + 1, BYTES);
        bytes[1 + bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    for (size_t i = 0; i + 1 < BYTES; i++) { /* two neighbours change places */
        unsigned char kept = bytes[1 + i];
        bytes[1 + i] = bytes[2 + i];
        bytes[2 + i] = kept;
        names[count++] = rd_fingerprint(bytes + 1, BYTES);
        bytes[2 + i] = bytes[1 + i];
        bytes[1 + i] = kept;
    }
    memmove(bytes, bytes + 1, BYTES);
    cr_assert_eq(rd_fingerprint(bytes, BYTES), names[BYTES]);
    qsort(names, count, sizeof *names, rising);
    for (size_t i = 1; i < count; i++)
        cr_assert_neq(names[i], names[i - 1]);
}
