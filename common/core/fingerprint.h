/* fingerprint.h: a short name for many bytes: other bytes have another one, but for one chance in 2^64. It is quick (two
 * multiplications for 8 bytes) and no protection against somebody who looks for two of the same name; where that
 * matters, crypto.h. */
#ifndef RONDO_CORE_FINGERPRINT_H
#define RONDO_CORE_FINGERPRINT_H

#include <stddef.h>
#include <stdint.h>

uint64_t rd_fingerprint(const void *bytes, size_t count);

#endif
