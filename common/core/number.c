/* number.c: see number.h. A number is taken apart here and handed to strtod as "DIGITSeEXPONENT", which has no
 * point that a locale could read differently, and a length that is known. */
#include "core/number.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A double is told from its neighbours by at most 767 significant digits; of those beyond, it matters only whether
 * one is not 0. */
#define MOST_DIGITS 800
/* An exponent beyond this is out of range whatever the digits are, unless they are as many. */
#define MOST_EXPONENT INT64_C(100000000000000000)

typedef struct decimal {
    char text[MOST_DIGITS + 32]; /* sign and significant digits, without leading zeros */
    size_t digits;               /* of them */
    size_t used;                 /* of text */
    int64_t exponent;            /* of ten, behind the last digit of text */
    bool beyond;                 /* a digit other than 0 was left out */
} decimal;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void add_digit(decimal *d, char digit, bool behind_point)
{
    if (d->digits == 0 && digit == '0') {
        d->exponent -= behind_point;
    } else if (d->digits == MOST_DIGITS) {
        d->beyond = d->beyond || digit != '0';
        d->exponent += !behind_point;
    } else {
        d->text[d->used++] = digit;
        d->digits++;
        d->exponent -= behind_point;
    }
}

/* Reads "e-12" and moves *at behind it. */
static bool read_exponent(const char **at, const char *end, int64_t *out)
{
    const char *p = *at + 1;
    bool negative = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    if (p == end || !is_digit(*p))
        return false;
    for (*out = 0; p < end && is_digit(*p); p++)
        if (*out < MOST_EXPONENT)
            *out = *out * 10 + (*p - '0');
    *out = negative ? -*out : *out;
    *at = p;
    return true;
}

static bool parse_decimal(const char *text, size_t length, decimal *d)
{
    const char *p = text, *end = text + length;
    int64_t exponent = 0;
    size_t seen = 0;
    *d = (decimal){.digits = 0};
    if (p < end && (*p == '-' || *p == '+'))
        d->text[d->used++] = *p++;
    for (; p < end && is_digit(*p); p++, seen++)
        add_digit(d, *p, false);
    if (p < end && *p == '.')
        for (p++; p < end && is_digit(*p); p++, seen++)
            add_digit(d, *p, true);
    if (seen == 0)
        return false;
    if (p < end && (*p == 'e' || *p == 'E') && !read_exponent(&p, end, &exponent))
        return false;
    d->exponent += exponent;
    return p == end;
}

rd_number_kind rd_number_read(const char *text, size_t length, double *out)
{
    decimal d;
    if (!parse_decimal(text, length, &d))
        return RD_NUMBER_NONE;
    if (d.digits == 0) {
        *out = d.used > 0 && d.text[0] == '-' ? -0.0 : 0.0;
        return RD_NUMBER_OK;
    }
    if (d.beyond) {
        d.text[d.used++] = '1';
        d.exponent--;
    }
    /* strtod need not see more of an exponent than that it is out of range. */
    int exponent = d.exponent > 99999 ? 99999 : d.exponent < -99999 ? -99999 : (int)d.exponent;
    (void)snprintf(d.text + d.used, sizeof d.text - d.used, "e%d", exponent);
    int saved = errno;
    errno = 0;
    *out = strtod(d.text, NULL);
    bool lost = errno == ERANGE;
    errno = saved;
    if (isinf(*out))
        return RD_NUMBER_OVERFLOW;
    return *out == 0 || lost ? RD_NUMBER_UNDERFLOW : RD_NUMBER_OK;
}

rd_number_kind rd_number_narrow(double value, float *out)
{
    *out = (float)value;
    if (isnan(value))
        return RD_NUMBER_NONE;
    if (isinf(*out))
        return RD_NUMBER_OVERFLOW;
    return *out == 0 && value != 0 ? RD_NUMBER_UNDERFLOW : RD_NUMBER_OK;
}

const char *rd_number_fault(rd_number_kind kind)
{
    switch (kind) {
    case RD_NUMBER_OK:
        break;
    case RD_NUMBER_NONE:
        return "is not a number";
    case RD_NUMBER_OVERFLOW:
        return "is too large";
    case RD_NUMBER_UNDERFLOW:
        return "is too near to 0";
    }
    return NULL;
}

bool rd_number_count(const char *text, size_t length, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++) {
        if (!is_digit(text[i]))
            return false;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (length > 0)
        *out = value;
    return length > 0;
}

bool rd_number_whole(const char *text, size_t length, int64_t *out)
{
    bool negative = length > 0 && text[0] == '-', sign = negative || (length > 0 && text[0] == '+');
    uint64_t size;
    if (!rd_number_count(text + sign, length - sign, &size) || size > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - size) : (int64_t)size;
    return true;
}
