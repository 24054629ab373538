/* Numbers of each type, against bit patterns from IEEE 754 and the OCP specification of 8-bit floats. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "format/dtype.h"

static double value(rd_dtype d, const char *bytes)
{
    return rd_dtype_value(d, bytes);
}

Test(dtype, floats)
{
    cr_assert_eq(value(RD_DTYPE_F64, "\x9a\x99\x99\x99\x99\x99\xb9\x3f"), 0.1);
    cr_assert_eq(value(RD_DTYPE_F32, "\xcd\xcc\xcc\x3d"), 0.1f);
    cr_assert_eq(value(RD_DTYPE_F16, "\x00\x3c"), 1.0);
    cr_assert_eq(value(RD_DTYPE_F16, "\xff\x7b"), 65504.0);
    cr_assert_eq(value(RD_DTYPE_F16, "\x01\x80"), -0x1p-24);
    cr_assert_eq(value(RD_DTYPE_F16, "\x00\x04"), 0x1p-14);
    cr_assert_eq(value(RD_DTYPE_F16, "\x00\xfc"), -INFINITY);
    cr_assert(isnan(value(RD_DTYPE_F16, "\x01\x7c")));
    cr_assert_eq(value(RD_DTYPE_BF16, "\x80\x3f"), 1.0);
    cr_assert_eq(value(RD_DTYPE_BF16, "\x7f\x7f"), 0x1.fep127);
    cr_assert(isnan(value(RD_DTYPE_BF16, "\xc0\x7f")));
    cr_assert_eq(value(RD_DTYPE_F8_E4M3, "\x7e"), 448.0);
    cr_assert_eq(value(RD_DTYPE_F8_E4M3, "\xf8"), -256.0);
    cr_assert_eq(value(RD_DTYPE_F8_E4M3, "\x38"), 1.0);
    cr_assert_eq(value(RD_DTYPE_F8_E4M3, "\x01"), 0x1p-9);
    cr_assert(isnan(value(RD_DTYPE_F8_E4M3, "\xff")));
    cr_assert_eq(value(RD_DTYPE_F8_E5M2, "\x7b"), 57344.0);
    cr_assert_eq(value(RD_DTYPE_F8_E5M2, "\x01"), 0x1p-16);
    cr_assert_eq(value(RD_DTYPE_F8_E5M2, "\xfc"), -INFINITY);
}

Test(dtype, whole_numbers)
{
    int64_t n;
    cr_assert_eq(value(RD_DTYPE_I64, "\xff\xff\xff\xff\xff\xff\xff\xff"), -1.0);
    cr_assert_eq(value(RD_DTYPE_U64, "\xff\xff\xff\xff\xff\xff\xff\xff"), 0x1p64);
    cr_assert_eq(value(RD_DTYPE_I32, "\x00\x00\x00\x80"), -2147483648.0);
    cr_assert_eq(value(RD_DTYPE_U32, "\x00\x00\x00\x80"), 2147483648.0);
    cr_assert_eq(value(RD_DTYPE_I16, "\x00\x80"), -32768.0);
    cr_assert_eq(value(RD_DTYPE_U16, "\xff\xff"), 65535.0);
    cr_assert_eq(value(RD_DTYPE_I8, "\x80"), -128.0);
    cr_assert_eq(value(RD_DTYPE_U8, "\x80"), 128.0);
    cr_assert_eq(value(RD_DTYPE_BOOL, "\x01"), 1.0);
    cr_assert(rd_dtype_whole(RD_DTYPE_I64, "\x01\0\0\0\0\0\x20\0", &n) && n == INT64_C(9007199254740993));
    cr_assert(rd_dtype_whole(RD_DTYPE_I8, "\xff", &n) && n == -1);
    cr_assert_not(rd_dtype_whole(RD_DTYPE_U64, "\0\0\0\0\0\0\0\x80", &n));
}

Test(dtype, to_single_precision)
{
    const double wide[] = {0.1, 1e-50, -3.4e38, 3.5e38, 1};
    float out[5];
    cr_assert_eq(rd_dtype_narrow(RD_DTYPE_F64, wide, 3, out), 3);
    cr_assert(out[0] == 0.1f && out[1] == 0 && out[2] == -3.4e38f);
    cr_assert_eq(rd_dtype_narrow(RD_DTYPE_F64, wide, 5, out), 3);
    cr_assert_eq(rd_dtype_narrow(RD_DTYPE_F16, "\0\0\0\x7e", 2, out), 1);
    cr_assert_eq(rd_dtype_find("BF16"), RD_DTYPE_BF16);
    cr_assert_eq(rd_dtype_find("F128"), RD_DTYPE_OTHER);
    cr_assert_eq(rd_dtype_size(RD_DTYPE_U16), 2);
}
