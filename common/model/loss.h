/* loss.h: what training minimises. A loss is one function and one line in the table in loss.c. */
#ifndef RONDO_MODEL_LOSS_H
#define RONDO_MODEL_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

typedef struct rd_loss {
    rd_loss_kind kind;
    float label_smoothing; /* softmax_cross_entropy: share of the target that is spread over all classes */
    float delta;           /* huber: where the parabola ends */
} rd_loss;

typedef struct rd_loss_type {
    const char *name;
    bool classifies; /* labels, not targets */
    /* Loss of rows of outputs y (rows,O) against labels (rows), of which -1 is not looked at, or targets
     * (rows,O). Writes the gradient of norm * (sum of losses) to dy (rows,O) unless dy is NULL. */
    rd_batch_result (*function)(const rd_loss *loss, const float *y, const int32_t *labels, const float *targets,
                                float *dy, size_t rows, size_t O, double norm);
} rd_loss_type;

extern const rd_loss_type rd_loss_types[]; /* in the order of rd_loss_kind */
extern const char *const rd_loss_names[];  /* the same; ends with NULL */

/* The class that outputs y (O) stand for. */
size_t rd_loss_class(rd_loss_kind kind, const float *y, size_t O);

#endif
