/* dtype.h: the types of numbers that a safetensors file may hold, and what they are worth here.
 *
 * Values go through double: every type but the 64-bit integers fits it exactly. */
#ifndef RONDO_FORMAT_DTYPE_H
#define RONDO_FORMAT_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum rd_dtype {
    RD_DTYPE_F64,
    RD_DTYPE_F32,
    RD_DTYPE_F16,     /* IEEE 754 binary16 */
    RD_DTYPE_BF16,    /* the upper half of an F32 */
    RD_DTYPE_F8_E4M3, /* without infinities, as in the OCP 8-bit formats */
    RD_DTYPE_F8_E5M2, /* the upper half of an F16 */
    RD_DTYPE_I64,
    RD_DTYPE_I32,
    RD_DTYPE_I16,
    RD_DTYPE_I8,
    RD_DTYPE_U64,
    RD_DTYPE_U32,
    RD_DTYPE_U16,
    RD_DTYPE_U8,
    RD_DTYPE_BOOL,
    RD_DTYPE_OTHER /* whatever else stands in a header: there is no reading it, but a file may hold it */
} rd_dtype;

const char *rd_dtype_name(rd_dtype d); /* "F32" */
size_t rd_dtype_size(rd_dtype d);      /* 4; 0: other */
bool rd_dtype_is_float(rd_dtype d);
/* RD_DTYPE_OTHER where there is no such type. */
rd_dtype rd_dtype_find(const char *name);

/* The number that begins at `bytes` (little-endian, of any alignment). NaN and infinities are handed on; I64 and
 * U64 beyond 2^53 are rounded. */
double rd_dtype_value(rd_dtype d, const void *bytes);
/* The same of a type that is no float, exactly; false where a U64 is beyond int64. */
bool rd_dtype_whole(rd_dtype d, const void *bytes, int64_t *out);

/* count numbers to single precision, ties to even. Returns how many could be: count, or the index of the first that
 * is not finite or too large. */
size_t rd_dtype_narrow(rd_dtype d, const void *bytes, size_t count, float *out);

#endif
