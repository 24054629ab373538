/* dtype.c: see dtype.h. */
#include "format/dtype.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
    bool is_float;
} dtypes[RD_DTYPE_OTHER] = {
    [RD_DTYPE_F64] = {"F64", 8, true},         [RD_DTYPE_F32] = {"F32", 4, true},
    [RD_DTYPE_F16] = {"F16", 2, true},         [RD_DTYPE_BF16] = {"BF16", 2, true},
    [RD_DTYPE_F8_E4M3] = {"F8_E4M3", 1, true}, [RD_DTYPE_F8_E5M2] = {"F8_E5M2", 1, true},
    [RD_DTYPE_I64] = {"I64", 8, false},        [RD_DTYPE_I32] = {"I32", 4, false},
    [RD_DTYPE_I16] = {"I16", 2, false},        [RD_DTYPE_I8] = {"I8", 1, false},
    [RD_DTYPE_U64] = {"U64", 8, false},        [RD_DTYPE_U32] = {"U32", 4, false},
    [RD_DTYPE_U16] = {"U16", 2, false},        [RD_DTYPE_U8] = {"U8", 1, false},
    [RD_DTYPE_BOOL] = {"BOOL", 1, false},
};

const char *rd_dtype_name(rd_dtype d)
{
    return d < RD_DTYPE_OTHER ? dtypes[d].name : "other";
}

size_t rd_dtype_size(rd_dtype d)
{
    return d < RD_DTYPE_OTHER ? dtypes[d].size : 0;
}

bool rd_dtype_is_float(rd_dtype d)
{
    return d < RD_DTYPE_OTHER && dtypes[d].is_float;
}

rd_dtype rd_dtype_find(const char *name)
{
    int d = 0;
    while (d < RD_DTYPE_OTHER && strcmp(name, dtypes[d].name) != 0)
        d++;
    return (rd_dtype)d;
}

/* `size` little-endian bytes as a number. */
static uint64_t load(const void *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)((const uint8_t *)bytes)[i] << (8 * i);
    return value;
}

/* A sign, an exponent, a fraction, as IEEE 754 has them: the largest exponent is that of infinities and NaN. */
static double small_float(uint64_t bits, int exponent_bits, int fraction_bits)
{
    const int most = (1 << exponent_bits) - 1, bias = most >> 1;
    int exponent = (int)(bits >> fraction_bits) & most;
    uint64_t one = UINT64_C(1) << fraction_bits, fraction = bits & (one - 1);
    bool negative = (bits >> (exponent_bits + fraction_bits) & 1) != 0;
    double value;
    if (exponent == most)
        value = fraction != 0 ? NAN : INFINITY;
    else if (exponent == 0)
        value = ldexp((double)fraction, 1 - bias - fraction_bits);
    else
        value = ldexp((double)(one + fraction), exponent - bias - fraction_bits);
    return negative ? -value : value;
}

/* Its largest exponent is one like the others, but for the one pattern that is NaN. */
static double e4m3(uint64_t bits)
{
    if ((bits & 0x7f) == 0x7f)
        return NAN;
    if ((bits & 0x78) == 0x78)
        return (bits & 0x80 ? -1.0 : 1.0) * (double)(8 + (bits & 7)) * 32; /* 2^(15 - 7 - 3) */
    return small_float(bits, 4, 3);
}

double rd_dtype_value(rd_dtype d, const void *bytes)
{
    const uint64_t bits = load(bytes, dtypes[d].size);
    uint32_t low = (uint32_t)bits;
    double wide;
    float single;
    int64_t whole;
    switch (d) {
    case RD_DTYPE_F64:
        memcpy(&wide, &bits, sizeof wide);
        return wide;
    case RD_DTYPE_F32:
        memcpy(&single, &low, sizeof single);
        return single;
    case RD_DTYPE_BF16:
        low <<= 16;
        memcpy(&single, &low, sizeof single);
        return single;
    case RD_DTYPE_F16:
        return small_float(bits, 5, 10);
    case RD_DTYPE_F8_E5M2:
        return small_float(bits, 5, 2);
    case RD_DTYPE_F8_E4M3:
        return e4m3(bits);
    default:
        return rd_dtype_whole(d, bytes, &whole) ? (double)whole : (double)bits;
    }
}

bool rd_dtype_whole(rd_dtype d, const void *bytes, int64_t *out)
{
    const uint64_t bits = load(bytes, dtypes[d].size);
    switch (d) {
    case RD_DTYPE_I32:
        *out = (int32_t)bits;
        return true;
    case RD_DTYPE_I16:
        *out = (int16_t)bits;
        return true;
    case RD_DTYPE_I8:
        *out = (int8_t)bits;
        return true;
    default:
        *out = (int64_t)bits;
        return d != RD_DTYPE_U64 || bits <= INT64_MAX;
    }
}

size_t rd_dtype_narrow(rd_dtype d, const void *bytes, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)rd_dtype_value(d, (const char *)bytes + i * dtypes[d].size);
        if (!isfinite(out[i]))
            return i;
    }
    return count;
}
