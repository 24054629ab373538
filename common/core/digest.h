/* digest.h: SHA-256 of bytes as they pass by (mbedTLS does the work). */
#ifndef RONDO_CORE_DIGEST_H
#define RONDO_CORE_DIGEST_H

#include <mbedtls/sha256.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define RD_SHA256_BYTES 32
#define RD_SHA256_HEX 65 /* 64 digits and the end of the string */

typedef struct rd_sha256 {
    mbedtls_sha256_context context;
} rd_sha256;

void rd_sha256_start(rd_sha256 *d);
void rd_sha256_add(rd_sha256 *d, const void *bytes, size_t count);
/* Ends the digest and writes it as lower-case hexadecimal. The object may be started again. */
void rd_sha256_finish_hex(rd_sha256 *d, char hex[RD_SHA256_HEX]);
/* The same, as 32 bytes. */
void rd_sha256_finish(rd_sha256 *d, uint8_t out[RD_SHA256_BYTES]);

#endif
