/* A pruned model as it is fetched: the first two bytes say how many parameters there are and how many remain, floats
 * follow. A mask that is accepted has as many bits as it should, and writing gives back what was read. */
#include <stdlib.h>
#include <string.h>

#include "model/packing.h"

static void check(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rd_packing *p = NULL;
    rd_error err = {RD_OK, ""};
    if (count < 2)
        return 0;
    const size_t all = 1 + bytes[0] % 70u, remaining = 1 + bytes[1] % all, size = remaining + (all + 15) / 16;
    float *body = calloc(size, sizeof *body), *again = calloc(size, sizeof *body), *vector = calloc(all, sizeof *body);
    check(body != NULL && again != NULL && vector != NULL);
    memcpy(body, bytes + 2, count - 2 < size * sizeof *body ? count - 2 : size * sizeof *body);
    rd_status status = rd_packing_read(body, remaining, all, vector, &p, &err);
    if (status != RD_OK) {
        check(p == NULL && err.message[0] != '\0');
    } else {
        check(p->remaining == remaining && p->all == all);
        for (size_t i = 0; i < remaining; i++)
            check(p->index[i] < all && (i == 0 || p->index[i] > p->index[i - 1]));
        rd_packing_write(p, vector, again);
        check(memcmp(again, body, remaining * sizeof *body) == 0);
        rd_packing_pack(p, vector);
        check(memcmp(vector, body, remaining * sizeof *body) == 0);
    }
    rd_packing_free(p);
    free(body);
    free(again);
    free(vector);
    return 0;
}
