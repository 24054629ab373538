/* dataset_holds.h: what every data set that a reader lets through has to fulfil (see data/dataset.h). */
#ifndef RONDO_TESTS_DATASET_HOLDS_H
#define RONDO_TESTS_DATASET_HOLDS_H

#include <math.h>
#include <stdlib.h>

#include "data/dataset.h"

static inline void must(int holds)
{
    if (!holds)
        abort();
}

/* Checks d where the reader accepted it, and that nothing was left behind where it did not. */
static inline void dataset_holds(rd_status status, rd_dataset *d)
{
    must((status == RD_OK) == (d->rows > 0));
    must((d->x_f32 != NULL) + (d->x_u8 != NULL) == (status == RD_OK));
    must((d->labels != NULL) + (d->targets != NULL) == (status == RD_OK));
    size_t product = 1;
    for (int i = 0; i < d->rank; i++)
        product *= d->shape[i];
    must(status != RD_OK || product == d->features);
    for (size_t i = 0; i < d->rows; i++) {
        must(d->labels == NULL || (d->labels[i] >= 0 && (size_t)d->labels[i] < d->classes));
        must(d->targets == NULL || isfinite(d->targets[i]));
        must(d->group == NULL || (d->group[i] >= 0 && (size_t)d->group[i] < d->group_count));
    }
    for (size_t i = 0; d->x_f32 != NULL && i < d->rows * d->features; i++)
        must(isfinite(d->x_f32[i]));
    rd_dataset_free(d);
}

#endif
