/* loss.h: what training minimises. A loss is one function and one line in the table in loss.c. */
#ifndef RONDO_MODEL_LOSS_H
#define RONDO_MODEL_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

/* Loss of outputs y (B,O) against labels (B) or targets (B,O). Writes the gradient of the batch's mean loss
 * to dy (B,O) unless dy is NULL. */
typedef rd_batch_result (*rd_loss_function)(const float *y, const int32_t *labels, const float *targets,
                                            float *dy, size_t B, size_t O);

rd_loss_function rd_loss_of(rd_loss_kind kind);
extern const char *const rd_loss_names[]; /* in the order of rd_loss_kind; ends with NULL */

#endif
