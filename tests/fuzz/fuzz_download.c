/* A model as an aggregator sends it that wants to harm its clients: the first byte chooses between all parameters and
 * those that pruning left, the second the size of the pieces in which they come. Pieces of any size give the same. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/tensor_stream.h"
#include "model/model.h"
#include "model/packing.h"

enum { PARAMETERS = 11, REMAINING = 5 };

static const char layout[] = "{\"input\": 3, \"loss\": \"mse\", \"layers\": ["
                             "{\"type\": \"dense\", \"units\": 2}, {\"type\": \"dense\", \"units\": 1}]}";

static void check(int holds)
{
    if (!holds)
        abort();
}

static rd_status put(void *user, size_t first, const float *values, size_t count, rd_error *err)
{
    float *into = user;
    (void)err;
    check(first < PARAMETERS && count <= PARAMETERS - first);
    memcpy(into + first, values, count * sizeof *values);
    return RD_OK;
}

static rd_status fetch(rd_tensor_table table, const uint8_t *bytes, size_t count, size_t piece, float *into)
{
    rd_tensor_stream *s = NULL;
    rd_error err = {RD_OK, ""};
    const rd_tensor_sink sink = {.on_values = put, .user = into};
    rd_status status = rd_tensor_stream_create(table, &sink, &s, &err);
    for (size_t at = 0; at < count && status == RD_OK; at += piece)
        status = rd_tensor_stream_feed(s, bytes + at, count - at < piece ? count - at : piece, &err);
    if (status == RD_OK)
        status = rd_tensor_stream_finish(s, &err);
    check(status == RD_OK || (status == err.status && err.message[0] != '\0'));
    rd_tensor_stream_free(s);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rd_model *m = NULL;
    rd_packing *p = NULL;
    rd_tensor_table packed = {0};
    rd_error err = {RD_OK, ""};
    float whole[PARAMETERS] = {0}, pieces[PARAMETERS] = {0}, vector[PARAMETERS];
    if (count < 3)
        return 0;
    const int pruned = bytes[0] % 2;
    cJSON *section = cJSON_Parse(layout);
    check(section != NULL && rd_model_create(section, &m, &err) == RD_OK);
    check(rd_packing_table(REMAINING, PARAMETERS, &packed, &err) == RD_OK);
    const rd_tensor_table table = pruned ? packed : rd_model_tensors(m, RD_TENSORS_TRAVELLING);
    rd_status status = fetch(table, bytes + 2, count - 2, count, whole);
    check((fetch(table, bytes + 2, count - 2, 1 + bytes[1] % 32u, pieces) == RD_OK) == (status == RD_OK));
    if (status == RD_OK) {
        check(memcmp(whole, pieces, sizeof whole) == 0);
        for (size_t i = 0; i < table.elements; i++)
            check(fabsf(whole[i]) < 8388608.0f);
        if (pruned && rd_packing_read(whole, REMAINING, PARAMETERS, vector, &p, &err) == RD_OK)
            check(p->remaining == REMAINING);
    }
    rd_packing_free(p);
    rd_tensor_table_free(&packed);
    rd_model_free(m);
    cJSON_Delete(section);
    return 0;
}
