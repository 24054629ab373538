/* digest.c: see digest.h. mbedTLS 2.28 names the functions that return a status ..._ret, 3.x drops the
 * suffix; this file is the one place that knows. None of them can fail with the software implementation. */
#include "core/digest.h"

#include <mbedtls/version.h>

#if MBEDTLS_VERSION_MAJOR < 3
#define sha256_starts mbedtls_sha256_starts_ret
#define sha256_update mbedtls_sha256_update_ret
#define sha256_finish mbedtls_sha256_finish_ret
#else
#define sha256_starts mbedtls_sha256_starts
#define sha256_update mbedtls_sha256_update
#define sha256_finish mbedtls_sha256_finish
#endif

void rd_sha256_start(rd_sha256 *d)
{
    mbedtls_sha256_init(&d->context);
    (void)sha256_starts(&d->context, 0);
}

void rd_sha256_add(rd_sha256 *d, const void *bytes, size_t count)
{
    (void)sha256_update(&d->context, bytes, count);
}

void rd_sha256_finish(rd_sha256 *d, uint8_t out[RD_SHA256_BYTES])
{
    (void)sha256_finish(&d->context, out);
    mbedtls_sha256_free(&d->context);
}

void rd_sha256_finish_hex(rd_sha256 *d, char hex[RD_SHA256_HEX])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t out[RD_SHA256_BYTES];
    rd_sha256_finish(d, out);
    for (int i = 0; i < RD_SHA256_BYTES; i++) {
        hex[2 * i] = digits[out[i] >> 4];
        hex[2 * i + 1] = digits[out[i] & 15];
    }
    hex[RD_SHA256_HEX - 1] = '\0';
}
