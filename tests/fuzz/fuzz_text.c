/* Texts: the first byte chooses how they are cut, the second how wide the window is. What is accepted has
 * windows and labels within the vocabulary; with a prediction everywhere a label is the symbol that follows in its
 * window, and where windows do not overlap no symbol is predicted twice: one window goes on where the one before
 * ended, and there are no more labels than the text has symbols beside each owner's first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../memory_input.h"
#include "data/text.h"

static rd_model *model_of(size_t window, bool last)
{
    rd_error ignored;
    char text[400];
    rd_model *m = NULL;
    (void)snprintf(text, sizeof text,
                   "{\"input\": {\"tokens\": %zu, \"vocabulary\": \"\\n :abcABC\\u00e4\\u20ac\"}, \"loss\": "
                   "\"softmax_cross_entropy\", \"layers\": "
                   "[{\"type\": \"embedding\", \"units\": 1}, %s{\"type\": \"dense\", \"units\": 11}]}",
                   window, last ? "{\"type\": \"last\"}, " : "");
    cJSON *json = cJSON_Parse(text);
    if (rd_model_create(json, &m, &ignored) != RD_OK)
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

/* Characters of the text as its reader should see it, counted without it: no byte order mark, one for CRLF. */
static size_t symbols_of(const char *text, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++)
        n += ((uint8_t)text[i] & 0xc0) != 0x80 && !(text[i] == '\n' && i > 0 && text[i - 1] == '\r');
    return n - (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0);
}

static void check_followers(const rd_dataset *d, const rd_text_options *o, const char *text, size_t size)
{
    const size_t T = d->features;
    const bool tiled = o->stride == 0 || o->stride >= T, adjacent = o->stride == 0 || o->stride == T;
    size_t labels = 0;
    for (size_t r = 0; r < d->rows; r++) {
        const uint8_t *x = d->x_u8 + r * T;
        const int32_t *y = d->labels + r * T;
        for (size_t i = 0; i < T; i++) {
            labels += y[i] >= 0;
            if ((y[i] >= 0 && i + 1 < T && y[i] != x[i + 1]) || (y[i] >= 0 && i > 0 && y[i - 1] < 0))
                abort();
        }
        bool goes_on = r + 1 < d->rows && d->group[r] == d->group[r + 1];
        if (adjacent && goes_on && y[T - 1] != x[T])
            abort();
    }
    if (tiled && labels > symbols_of(text, size) - d->group_count)
        abort();
    if (adjacent && !o->speakers && o->part == RD_TEXT_ALL && labels != symbols_of(text, size) - 1)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rd_error ignored;
    rd_dataset d;
    if (count < 2)
        return 0;
    rd_text_options options = {.speakers = (bytes[0] & 1) != 0,
                               .part = (rd_text_part)((bytes[0] >> 1 & 3) % 3),
                               .test_share = 0.3,
                               .stride = bytes[0] >> 4};
    rd_model *m = model_of(1 + bytes[1] % 16, (bytes[0] & 8) != 0);
    rd_input in = memory_input("text", bytes + 2, count - 2);
    if (rd_text_read(&in, &options, m, &d, &ignored) == RD_OK) {
        check(&d);
        if (d.label_count > 1)
            check_followers(&d, &options, (const char *)bytes + 2, count - 2);
    }
    rd_dataset_free(&d);
    rd_model_free(m);
    return 0;
}
