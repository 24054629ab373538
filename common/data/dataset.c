/* dataset.c: see dataset.h. */
#include "data/dataset.h"

#include <stdlib.h>
#include <string.h>

rd_rows rd_dataset_all_rows(const rd_dataset *d)
{
    return (rd_rows){.index = NULL, .count = d->rows};
}

rd_row_set rd_dataset_all(const rd_dataset *d)
{
    return (rd_row_set){d, rd_dataset_all_rows(d)};
}

void rd_dataset_gather(const rd_dataset *d, rd_rows view, const uint32_t *pick, size_t B, float *x, int32_t *y_class,
                       float *y_real)
{
    const size_t D = d->features, T = d->target_count;
    for (size_t b = 0; b < B; b++) {
        const size_t row = view.index != NULL ? view.index[pick[b]] : pick[b];
        if (d->x_u8 != NULL) {
            const uint8_t *restrict from = d->x_u8 + row * D;
            float *restrict to = x + b * D;
            for (size_t i = 0; i < D; i++)
                to[i] = d->tokens ? (float)from[i] : (float)from[i] / 255.0f;
        } else {
            memcpy(x + b * D, d->x_f32 + row * D, D * sizeof *x);
        }
        if (y_class != NULL && d->labels != NULL)
            memcpy(y_class + b * d->label_count, d->labels + row * d->label_count, d->label_count * sizeof *y_class);
        if (y_real != NULL && d->targets != NULL)
            memcpy(y_real + b * T, d->targets + row * T, T * sizeof *y_real);
    }
}

size_t rd_dataset_count_labels(const rd_dataset *d, rd_rows view, const uint32_t *pick, size_t B)
{
    size_t count = 0;
    if (d->labels == NULL || d->label_count == 1)
        return B;
    for (size_t b = 0; b < B; b++) {
        const int32_t *labels = d->labels + (view.index != NULL ? view.index[pick[b]] : pick[b]) * d->label_count;
        for (size_t i = 0; i < d->label_count; i++)
            count += labels[i] >= 0;
    }
    return count;
}

void rd_dataset_free(rd_dataset *d)
{
    free(d->x_f32);
    free(d->x_u8);
    free(d->labels);
    free(d->targets);
    free(d->group);
    for (size_t i = 0; i < d->group_count; i++)
        free(d->group_names[i]);
    free(d->group_names);
    free(d->note);
    free(d->schema);
    memset(d, 0, sizeof *d);
}
