/* Certificates of strangers: any bytes, whole and cut into single ones, are taken or refused alike, and what is refused
 * lies within them. */
#include <stdlib.h>
#include <string.h>

#include "https/chain_guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static rd_status take(const uint8_t *bytes, size_t count, size_t piece, rd_error *err)
{
    rd_chain_guard g = {.done = false};
    rd_status status = RD_OK;
    for (size_t at = 0; at < count && status == RD_OK; at += piece)
        status = rd_chain_guard_take(&g, bytes + at, count - at < piece ? count - at : piece, err);
    rd_chain_guard_free(&g);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rd_certificate_bytes which;
    rd_error whole = {.message = ""}, cut = {.message = ""};
    if (rd_chain_check(bytes, count, &which, &whole) != RD_OK && which.bytes != NULL &&
        (which.bytes < bytes || which.size > count || which.bytes + which.size > bytes + count))
        abort();
    whole.message[0] = '\0';
    if (take(bytes, count, count + 1, &whole) != take(bytes, count, 1, &cut) || strcmp(whole.message, cut.message) != 0)
        abort();
    return 0;
}
