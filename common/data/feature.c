/* feature.c: see feature.h. */
#include "data/feature.h"

#include <math.h>

#include "core/number.h"

const char *rd_feature_narrow(double value, float *out)
{
    switch (rd_number_narrow(value, out)) {
    case RD_NUMBER_OVERFLOW:
        return isinf(value) ? "is not a finite number" : "is too large for single precision";
    case RD_NUMBER_UNDERFLOW:
        return "is too near to 0 for single precision";
    case RD_NUMBER_NONE:
        return "is not a finite number";
    case RD_NUMBER_OK:
        break;
    }
    if (fabs(value) > 0x1p24 && (double)*out != value)
        return "is beyond 2^24 and not exact in single precision; scale it (data.schema), or subtract an offset";
    return NULL;
}
