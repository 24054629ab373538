/* An update as it comes off the socket: the first byte is the size of the pieces. Pieces of any size give the
 * same answer as the whole, and what is handed out is finite, in place, and each parameter comes once. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/update.h"

static const char layout[] = "{\"input\": 3, \"loss\": \"mse\", \"layers\": ["
                             "{\"type\": \"dense\", \"units\": 2}, {\"type\": \"dense\", \"units\": 1}]}";
enum { PARAMETERS = 11 };

typedef struct outcome {
    rd_status status;
    rd_report report;
    float values[PARAMETERS];
    int times[PARAMETERS];
    char message[RD_ERROR_MESSAGE_MAX];
} outcome;

static void check(int holds)
{
    if (!holds)
        abort();
}

static rd_status take(void *user, size_t first, const float *values, size_t count, rd_error *err)
{
    outcome *o = user;
    (void)err;
    check(count > 0 && first < PARAMETERS && count <= PARAMETERS - first);
    for (size_t i = 0; i < count; i++) {
        check(fabsf(values[i]) < 8388608.0f);
        check(o->times[first + i]++ == 0);
        o->values[first + i] = values[i];
    }
    return RD_OK;
}

static void decode(const rd_model *m, const uint8_t *bytes, size_t count, size_t piece, outcome *o)
{
    rd_update_decoder *d = NULL;
    rd_error err = {RD_OK, ""};
    memset(o, 0, sizeof *o);
    check(rd_update_decoder_create(rd_model_tensors(m, RD_TENSORS_TRAVELLING), 3, take, o, &d, &err) == RD_OK);
    for (size_t at = 0; at < count && o->status == RD_OK; at += piece) {
        size_t n = count - at < piece ? count - at : piece;
        uint8_t *copy = malloc(n);
        check(copy != NULL);
        memcpy(copy, bytes + at, n);
        o->status = rd_update_decoder_feed(d, copy, n, &err);
        free(copy);
    }
    if (o->status == RD_OK)
        o->status = rd_update_decoder_finish(d, &o->report, &err);
    if (o->status == RD_OK) {
        for (size_t i = 0; i < PARAMETERS; i++)
            check(o->times[i] == 1);
        check(o->report.samples >= 1 && o->report.samples < UINT64_C(1) << 31);
        check(o->report.before.samples < UINT64_C(1) << 31 && o->report.holdout.samples < UINT64_C(1) << 31);
        check(!(o->report.before.accuracy > 1.0) && !(o->report.holdout.accuracy > 1.0));
    } else {
        check(o->status == err.status && err.message[0] != '\0');
        memcpy(o->message, err.message, sizeof o->message);
    }
    rd_update_decoder_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static outcome whole, pieces;
    rd_model *m = NULL;
    rd_error err;
    if (count < 2)
        return 0;
    cJSON *section = cJSON_Parse(layout);
    check(section != NULL && rd_model_create(section, &m, &err) == RD_OK);
    check(rd_model_parameter_count(m) == PARAMETERS);
    decode(m, bytes + 1, count - 1, count - 1, &whole);
    decode(m, bytes + 1, count - 1, 1 + bytes[0] % 32u, &pieces);
    /* A body that is too long may be refused for it before or after a bad float in front of its end. */
    check((whole.status == RD_OK) == (pieces.status == RD_OK));
    if (whole.status == RD_OK)
        check(memcmp(whole.values, pieces.values, sizeof whole.values) == 0);
    rd_model_free(m);
    cJSON_Delete(section);
    return 0;
}
