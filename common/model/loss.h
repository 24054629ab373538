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

/* What a model puts out, and what it should have. */
typedef struct rd_predictions {
    size_t rows, O;        /* predictions, outputs of each */
    const float *y;        /* (rows,O) */
    const int32_t *labels; /* (rows) a class each, -1: not looked at; NULL where the loss does not classify */
    const float *targets;  /* (rows,O); NULL where it does */
} rd_predictions;

typedef struct rd_loss_type {
    const char *name;
    bool classifies; /* labels, not targets */
    /* The loss of all predictions. Writes the gradient of norm * (sum of losses) to dy (rows,O) unless dy is NULL. */
    rd_batch_result (*function)(const rd_loss *loss, const rd_predictions *p, float *dy, double norm);
} rd_loss_type;

extern const rd_loss_type rd_loss_types[]; /* in the order of rd_loss_kind */
extern const char *const rd_loss_names[];  /* the same; ends with NULL */

/* The class that outputs y (O) stand for. */
size_t rd_loss_class(rd_loss_kind kind, const float *y, size_t O);

#endif
