/* exact_double.c: see exact_double.h. */
#include "core/exact_double.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMBS = RD_EXACT_DOUBLE_LIMBS, SMALLEST = 1074 };

/* Adds word << (64 * at), and what is carried. */
static void add_at(rd_exact_double *s, size_t at, uint64_t word)
{
    for (bool carry = __builtin_add_overflow(s->limb[at], word, &s->limb[at]); carry && ++at < LIMBS;)
        carry = ++s->limb[at] == 0;
}

static void subtract_at(rd_exact_double *s, size_t at, uint64_t word)
{
    for (bool borrow = __builtin_sub_overflow(s->limb[at], word, &s->limb[at]); borrow && ++at < LIMBS;)
        borrow = s->limb[at]-- == 0;
}

void rd_exact_double_add_times(rd_exact_double *s, double value, uint32_t times)
{
    int exponent;
    double fraction = frexp(fabs(value), &exponent);
    /* value = digits * 2^(exponent - 53), and digits has no bit below 2^-SMALLEST. */
    uint64_t digits = (uint64_t)ldexp(fraction, 53);
    int shift = exponent - 53 + SMALLEST;
    if (shift < 0) {
        digits >>= -shift; /* of a subnormal number: these bits are zero */
        shift = 0;
    }
    unsigned __int128 product = (unsigned __int128)digits * times; /* below 2^85 */
    const size_t at = (size_t)shift / 64;
    const unsigned off = (unsigned)shift % 64;
    const uint64_t words[3] = {(uint64_t)product << off, (uint64_t)((product << off) >> 64),
                               off == 0 ? 0 : (uint64_t)(product >> 64 >> (64 - off))};
    for (size_t i = 0; i < 3 && at + i < LIMBS; i++)
        if (signbit(value))
            subtract_at(s, at + i, words[i]);
        else
            add_at(s, at + i, words[i]);
}

void rd_exact_double_merge(rd_exact_double *s, const rd_exact_double *other)
{
    bool carry = false;
    for (size_t i = 0; i < LIMBS; i++) {
        bool first = __builtin_add_overflow(s->limb[i], other->limb[i], &s->limb[i]);
        carry = __builtin_add_overflow(s->limb[i], (uint64_t)carry, &s->limb[i]) || first;
    }
}

/* |sum|; true: it is negative. */
static bool magnitude(const rd_exact_double *s, rd_exact_double *out)
{
    const bool negative = s->limb[LIMBS - 1] >> 63 != 0;
    bool carry = true;
    *out = *s;
    for (size_t i = 0; negative && i < LIMBS; i++) {
        out->limb[i] = ~s->limb[i] + carry;
        carry = carry && s->limb[i] == 0;
    }
    return negative;
}

static bool bit(const rd_exact_double *s, int i)
{
    return s->limb[i / 64] >> (i % 64) & 1u;
}

static int highest_bit(const rd_exact_double *s)
{
    for (int i = LIMBS - 1; i >= 0; i--)
        if (s->limb[i] != 0)
            return 64 * i + 63 - __builtin_clzll(s->limb[i]);
    return -1;
}

double rd_exact_double_value(const rd_exact_double *sum)
{
    rd_exact_double m;
    const bool negative = magnitude(sum, &m);
    const int top = highest_bit(&m), lowest = top > 52 ? top - 52 : 0;
    uint64_t digits = 0;
    for (int i = top; i >= lowest; i--)
        digits = digits << 1 | bit(&m, i);
    if (lowest > 0 && bit(&m, lowest - 1)) {
        bool more = false;
        for (int i = lowest - 2; i >= 0 && !more; i--)
            more = bit(&m, i);
        digits += more || (digits & 1u) != 0;
    }
    const double value = ldexp((double)digits, lowest - SMALLEST);
    return negative ? -value : value;
}

void rd_exact_double_write(const rd_exact_double *sum, char text[RD_EXACT_DOUBLE_TEXT_MAX])
{
    rd_exact_double m;
    const bool negative = magnitude(sum, &m);
    const int top = highest_bit(&m) / 4;
    int low = 0, at = 0;
    while (low < top && (m.limb[low / 16] >> (4 * (low % 16)) & 15u) == 0)
        low++;
    if (negative)
        text[at++] = '-';
    for (int i = top; i >= low; i--)
        text[at++] = "0123456789abcdef"[m.limb[i / 16] >> (4 * (i % 16)) & 15u];
    (void)snprintf(text + at, RD_EXACT_DOUBLE_TEXT_MAX - (size_t)at, "p%d", 4 * low - SMALLEST);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

rd_status rd_exact_double_read(const char *text, rd_exact_double *sum, rd_error *err)
{
    const bool negative = *text == '-';
    const char *digits = text + negative, *p = digits;
    rd_exact_double m = {0};
    char *end;
    while (hex_digit(*p) >= 0)
        p++;
    const int count = p - digits < 16 * LIMBS ? (int)(p - digits) : 16 * LIMBS;
    const char *power = p + 1 + (p[0] == 'p' && p[1] == '-');
    long exponent = *p == 'p' && *power >= '0' && *power <= '9' ? strtol(p + 1, &end, 10) : 0;
    if (count == 0 || *p != 'p' || *power < '0' || *power > '9' || *end != '\0' || exponent < -SMALLEST ||
        exponent > 1088 || 4 * count + exponent + SMALLEST > 64 * LIMBS - 4) /* the highest bit is the sign's */
        return rd_fail(err, RD_ERR_FORMAT,
                       "'%.40s' is no exact sum; hexadecimal digits and a power of two such as 1f8p-1074 "
                       "were expected",
                       text);
    for (int i = 0; i < count; i++) {
        const int place = (int)exponent + SMALLEST + 4 * (count - 1 - i), shift = place % 64;
        const uint64_t digit = (uint64_t)hex_digit(digits[i]);
        m.limb[place / 64] |= digit << shift;
        if (shift > 60) /* it lies on a border */
            m.limb[place / 64 + 1] |= digit >> (64 - shift);
    }
    if (negative) { /* -m = ~m + 1 */
        for (size_t i = 0; i < LIMBS; i++)
            m.limb[i] = ~m.limb[i];
        add_at(&m, 0, 1);
    }
    *sum = m;
    return RD_OK;
}
