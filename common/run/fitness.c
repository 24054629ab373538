/* fitness.c: see fitness.h. */
#include "run/fitness.h"

#include <math.h>

#include "core/exact_sum.h"
#include "model/counting.h"

/* Every update was fit, so the advice is for the training. */
static rd_status say_unfit(const rd_fitness *f, size_t element, float value, rd_error *err)
{
    const rd_tensor_table table = rd_model_tensors(f->model, RD_TENSORS_TRAVELLING);
    const size_t parameter = f->index != NULL ? f->index[element] : element;
    size_t k = 0;
    while (k + 1 < table.count && parameter >= table.tensors[k].offset + table.tensors[k].count)
        k++;
    const bool counts = rd_model_counts(f->model);
    return rd_fail(err, RD_ERR_RANGE, "the global model %s: element %zu of %s is %s; %s may help",
                   counts ? "is beyond what can be sent" : "diverged", parameter - table.tensors[k].offset,
                   table.tensors[k].name, rd_exact_unfit_word((double)value),
                   counts ? "smaller features" : "smaller learning rates");
}

rd_status rd_fitness_check(const rd_fitness *f, const float *values, size_t first, size_t count, rd_error *err)
{
    size_t unfit = rd_exact_find_unfit(values, count);
    while (unfit < count && f->last && isfinite(values[unfit]))
        unfit += 1 + rd_exact_find_unfit(values + unfit + 1, count - unfit - 1);
    return unfit < count ? say_unfit(f, first + unfit, values[unfit], err) : RD_OK;
}
