/* Texts: the first byte chooses how they are cut, the second how wide the window is. What is accepted has
 * windows and labels within the vocabulary, and with a prediction everywhere no symbol is predicted twice
 * where windows do not overlap. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/text.h"

static rd_model *model_of(size_t window, bool last)
{
    char text[400];
    rd_model *m = NULL;
    (void)snprintf(text, sizeof text,
                   "{\"input\": {\"tokens\": %zu, \"vocabulary\": \"\\n :abcABC\\u00e4\\u20ac\"}, \"loss\": "
                   "\"softmax_cross_entropy\", \"layers\": "
                   "[{\"type\": \"embedding\", \"units\": 1}, %s{\"type\": \"dense\", \"units\": 11}]}",
                   window, last ? "{\"type\": \"last\"}, " : "");
    cJSON *json = cJSON_Parse(text);
    if (rd_model_create(json, &m, NULL) != RD_OK)
        abort();
    cJSON_Delete(json);
    return m;
}

static void check(const rd_dataset *d)
{
    size_t labels = 0;
    for (size_t i = 0; i < d->rows * d->features; i++)
        if (d->x_u8[i] >= 11)
            abort();
    for (size_t i = 0; i < d->rows * d->label_count; i++) {
        if (d->labels[i] < -1 || d->labels[i] >= 11)
            abort();
        labels += d->labels[i] >= 0;
    }
    for (size_t i = 0; i < d->rows; i++)
        if (d->group[i] < 0 || (size_t)d->group[i] >= d->group_count)
            abort();
    if (d->rows == 0 || labels == 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rd_dataset d;
    if (count < 2)
        return 0;
    rd_text_options options = {.speakers = (bytes[0] & 1) != 0,
                               .part = (rd_text_part)((bytes[0] >> 1 & 3) % 3),
                               .test_share = 0.3,
                               .stride = bytes[0] >> 4};
    rd_model *m = model_of(1 + bytes[1] % 16, (bytes[0] & 8) != 0);
    rd_input in = rd_input_memory("text", bytes + 2, count - 2);
    if (rd_text_read(&in, &options, m, &d, NULL) == RD_OK)
        check(&d);
    rd_dataset_free(&d);
    rd_model_free(m);
    return 0;
}
