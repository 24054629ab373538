/* crypto.h: SHA-256 of bytes as they pass by, base64, and random numbers that nobody can guess.
 *
 * One file a library does the work (crypto_mbedtls.c); no type of it is seen here. Random numbers of training, which
 * must come out the same again, are random.h's. */
#ifndef RONDO_CORE_CRYPTO_H
#define RONDO_CORE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define RD_SHA256_BYTES 32
#define RD_SHA256_HEX 65 /* 64 digits and the end of the string */

/* Room for the library's own state. */
typedef struct rd_sha256 {
    uint64_t state[16];
} rd_sha256;

void rd_sha256_start(rd_sha256 *d);
void rd_sha256_add(rd_sha256 *d, const void *bytes, size_t count);
/* Ends the digest. The object may be started again. */
void rd_sha256_finish(rd_sha256 *d, uint8_t out[RD_SHA256_BYTES]);
/* The same, as lower-case hexadecimal. */
void rd_sha256_finish_hex(rd_sha256 *d, char hex[RD_SHA256_HEX]);

/* Reads `length` characters of base64 (RFC 4648, with padding). False: they are none, or stand for more than `room`
 * bytes. */
bool rd_base64_decode(const char *text, size_t length, uint8_t *out, size_t room, size_t *count);

/* base64 of the bytes, with the end of the string; room is RD_BASE64_ROOM(count) at least. */
#define RD_BASE64_ROOM(count) (((count) + 2) / 3 * 4 + 1)
void rd_base64_encode(const uint8_t *bytes, size_t count, char *out, size_t room);

/* count random bytes of the operating system, as 2 count lower-case hexadecimal digits and the end of the string: for
 * names that must not meet. RD_ERR_IO: it has none. */
rd_status rd_random_hex(size_t count, char *hex, rd_error *err) RD_MUST_CHECK;

#endif
