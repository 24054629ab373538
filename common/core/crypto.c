/* crypto.c: what of crypto.h needs no library. */
#include "core/crypto.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static void write_hex(const uint8_t *bytes, size_t count, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * count] = '\0';
}

void rd_sha256_finish_hex(rd_sha256 *d, char hex[RD_SHA256_HEX])
{
    uint8_t out[RD_SHA256_BYTES];
    rd_sha256_finish(d, out);
    write_hex(out, sizeof out, hex);
}

rd_status rd_random_hex(size_t count, char *hex, rd_error *err)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t byte;
        ssize_t got;
        do
            got = getrandom(&byte, 1, 0);
        while (got < 0 && errno == EINTR);
        if (got != 1)
            return rd_fail(err, RD_ERR_IO, "the system has no random numbers: %s", strerror(errno));
        write_hex(&byte, 1, hex + 2 * i);
    }
    return RD_OK;
}
