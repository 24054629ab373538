/* LEAF: the JSON of one file, without a model and for one that takes texts of four symbols. */
#include <string.h>

#include "data/parse.h"
#include "dataset_holds.h"

static rd_model *text_model(void)
{
    rd_error ignored;
    static const char text[] =
        "{\"input\": {\"tokens\": 4, \"vocabulary\": \"ab\\u00e4 \"}, \"loss\": \"softmax_cross_entropy\", "
        "\"layers\": "
        "[{\"type\": \"embedding\", \"units\": 1}, {\"type\": \"dense\", \"units\": 4}]}";
    rd_model *m = NULL;
    cJSON *json = cJSON_Parse(text);
    if (rd_model_create(json, &m, &ignored) != RD_OK)
        abort();
    cJSON_Delete(json);
    return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rd_dataset d;
    rd_error err;
    rd_model *m = text_model();
    dataset_holds(rd_leaf_parse((const char *)bytes, count, "users", NULL, &d, &err), &d);
    rd_status status = rd_leaf_parse((const char *)bytes, count, "users", m, &d, &err);
    for (size_t i = 0; status == RD_OK && d.tokens && i < d.rows * 4; i++)
        must(d.x_u8[i] < 4 && d.labels[i] >= 0 && d.labels[i] < 4 && (i % 4 == 3 || d.labels[i] == d.x_u8[i + 1]));
    dataset_holds(status, &d);
    rd_model_free(m);
    return 0;
}
