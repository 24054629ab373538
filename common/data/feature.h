/* feature.h: a number of a data file, read as a double, in the single precision in which models compute. */
#ifndef RONDO_DATA_FEATURE_H
#define RONDO_DATA_FEATURE_H

/* Writes the nearest float and returns NULL, or returns what is wrong with it, to stand behind the number's place in
 * a message: "is not a finite number", "is too large for single precision", "is too near to 0 for single precision",
 * "is beyond 2^24 and not exact in single precision; scale it (data.schema), or subtract an offset". The last is refused
 * because neighbours would become equal: two Unix times a minute apart are one number there. */
const char *rd_feature_narrow(double value, float *out);

#endif
