/* unfit_loss.c: the refusal of a loss that no mean can hold. Whether the model, the rows or the targets are to blame, only
 * a person can say: so the sentence tells how large each of them is. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "train/trainer.h"

static double largest(const float *values, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        double size = fabs((double)values[i]);
        if (isnan(size))
            return size;
        most = size > most ? size : most;
    }
    return most;
}

rd_status rd_fail_unfit_loss(const rd_trainer *t, const float *parameters, size_t B, double loss, rd_error *err)
{
    size_t worst = 0;
    double most = 0;
    char targets[48] = "";
    const rd_tensor_table table = rd_model_tensors(t->model, RD_TENSORS_ALL);
    const float *y = rd_workspace_targets(t->workspace);
    for (size_t i = 0; i < table.count; i++) {
        double size = largest(parameters + table.tensors[i].offset, table.tensors[i].count);
        if (isnan(size) || size > most) {
            most = size;
            worst = i;
        }
        if (isnan(size))
            break;
    }
    if (y != NULL)
        (void)snprintf(targets, sizeof targets, ", targets up to %.3g", largest(y, B * rd_model_output_size(t->model)));
    return rd_fail(err, RD_ERR_RANGE,
                   "the loss is %.3g, where a number below 2^40 was expected (parameters up to %.3g in %s, "
                   "features up to %.3g%s)",
                   loss, most, table.tensors[worst].name,
                   largest(rd_workspace_x(t->workspace), B * rd_model_input_size(t->model)), targets);
}
