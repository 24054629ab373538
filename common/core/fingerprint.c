/* fingerprint.c: see fingerprint.h. Words are dealt to lanes, so that multiplications need not wait for each other. A
 * step of a lane (addition, rotation, multiplication by an odd number) loses nothing: two lanes that differ go on to
 * differ while they are given the same words. The word is multiplied first, so that its highest bits, which are the
 * signs of floats, are spread over all of the lane like the others. */
#include "core/fingerprint.h"

#include <string.h>

enum { LANES = 8 };
#define FACTOR UINT64_C(0x9e3779b97f4a7c15) /* 2^64 divided by the golden ratio, odd */
#define SPREAD UINT64_C(0xb504f333f9de6485) /* and by the root of 2 */

static uint64_t step(uint64_t lane, uint64_t word)
{
    uint64_t sum = lane + word * SPREAD;
    return (sum << 31 | sum >> 33) * FACTOR;
}

uint64_t rd_fingerprint(const void *bytes, size_t count)
{
    uint64_t lanes[LANES], words[LANES], sum = count;
    const char *at = bytes;
    for (size_t l = 0; l < LANES; l++)
        lanes[l] = FACTOR * (l + 1);
    for (; count >= sizeof words; count -= sizeof words, at += sizeof words) {
        memcpy(words, at, sizeof words);
        for (size_t l = 0; l < LANES; l++)
            lanes[l] = step(lanes[l], words[l]);
    }
    memset(words, 0, sizeof words);
    if (count > 0)
        memcpy(words, at, count);
    for (size_t l = 0; l < LANES; l++)
        sum = step(sum, step(lanes[l], words[l]));
    sum ^= sum >> 32;
    sum *= FACTOR;
    return sum ^ sum >> 29;
}
