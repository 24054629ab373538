/* crypto_mbedtls.c: crypto.h by mbedTLS. 2.28 names the functions that return a status ..._ret, 3.x drops the suffix.
 * None of them can fail with the software implementation. */
#include <mbedtls/base64.h>
#include <mbedtls/sha256.h>
#include <mbedtls/version.h>

#include "core/assert.h"
#include "core/crypto.h"

#if MBEDTLS_VERSION_MAJOR < 3
#define sha256_starts mbedtls_sha256_starts_ret
#define sha256_update mbedtls_sha256_update_ret
#define sha256_finish mbedtls_sha256_finish_ret
#else
#define sha256_starts mbedtls_sha256_starts
#define sha256_update mbedtls_sha256_update
#define sha256_finish mbedtls_sha256_finish
#endif

static mbedtls_sha256_context *context_of(rd_sha256 *d)
{
    _Static_assert(sizeof(mbedtls_sha256_context) <= sizeof d->state, "rd_sha256 is too small for this mbedTLS");
    return (mbedtls_sha256_context *)(void *)d->state;
}

void rd_sha256_start(rd_sha256 *d)
{
    mbedtls_sha256_init(context_of(d));
    (void)sha256_starts(context_of(d), 0);
}

void rd_sha256_add(rd_sha256 *d, const void *bytes, size_t count)
{
    (void)sha256_update(context_of(d), bytes, count);
}

void rd_sha256_finish(rd_sha256 *d, uint8_t out[RD_SHA256_BYTES])
{
    (void)sha256_finish(context_of(d), out);
    mbedtls_sha256_free(context_of(d));
}

bool rd_base64_decode(const char *text, size_t length, uint8_t *out, size_t room, size_t *count)
{
    return mbedtls_base64_decode(out, room, count, (const uint8_t *)text, length) == 0;
}

void rd_base64_encode(const uint8_t *bytes, size_t count, char *out, size_t room)
{
    size_t written;
    const bool fits = mbedtls_base64_encode((uint8_t *)out, room, &written, bytes, count) == 0;
    RD_ASSERT(fits);
}
