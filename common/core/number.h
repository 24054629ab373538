/* number.h: numbers in texts from outside: tables, options, metadata, traces, queries, JSON.
 *
 * There is one language for all of them, and it is nobody's locale: decimal digits with an optional sign, point and
 * exponent. What strtod takes beyond that (0x10, inf, nan, leading blanks, the locale's decimal comma) is no number
 * here, and what it does silently (1e-400 becomes 0, 1e400 infinite) is told apart.
 *
 * Blanks around a number are the caller's to trim (rd_trim in core/lines.h); neither function skips any. */
#ifndef RONDO_CORE_NUMBER_H
#define RONDO_CORE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum rd_number_kind {
    RD_NUMBER_OK,
    RD_NUMBER_NONE,      /* not a number */
    RD_NUMBER_OVERFLOW,  /* a number, too large */
    RD_NUMBER_UNDERFLOW, /* a number other than 0, too near to 0 */
} rd_number_kind;

/* [+-] digits [. digits] [e [+-] digits], where either side of the point may be empty (".5", "5."), all `length`
 * bytes of it: the double nearest to it, ties to even, as in IEEE 754. A number below 2^-1022 that a double cannot
 * hold in full is RD_NUMBER_UNDERFLOW. *out is the nearest double in every case but RD_NUMBER_NONE (+-infinity on
 * overflow, a denormal or +-0 on underflow), for those who can live with it; on RD_NUMBER_NONE it is left alone. */
rd_number_kind rd_number_read(const char *text, size_t length, double *out);

/* To single precision, ties to even. RD_NUMBER_OVERFLOW where it would become infinite, RD_NUMBER_UNDERFLOW where
 * it would become 0 without being 0, RD_NUMBER_NONE for NaN. *out is set in every case. */
rd_number_kind rd_number_narrow(double value, float *out);

/* "is not a number", "is too large", "is too near to 0": the end of a message. NULL for RD_NUMBER_OK. */
const char *rd_number_fault(rd_number_kind kind);

/* [+-] digits, all of them, exactly; false for anything else (1.0, 12e1, 0x10, an empty text) and beyond int64. */
bool rd_number_whole(const char *text, size_t length, int64_t *out);
/* digits, all of them, exactly; false for anything else and beyond uint64. */
bool rd_number_count(const char *text, size_t length, uint64_t *out);

#endif
