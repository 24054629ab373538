/* spread.c: see spread.h. */
#include "run/spread.h"

#include <math.h>
#include <stdlib.h>

static double loss_of(const rd_participation_record *p)
{
    const rd_report *r = &p->report;
    if (p->status != RD_PART_COUNTED)
        return NAN;
    return r->holdout.samples > 0 ? r->holdout.loss : r->before.samples > 0 ? r->before.loss : r->running_loss;
}

static int falling(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

rd_spread rd_spread_of(const rd_participation_record *parts, size_t count)
{
    rd_spread s = {NAN, NAN, NAN};
    size_t n = 0;
    double *loss = malloc((count + 1) * sizeof *loss), sum = 0, squares = 0, worst = 0;
    for (size_t i = 0; i < count && loss != NULL; i++)
        if (!isnan(loss_of(&parts[i])))
            loss[n++] = loss_of(&parts[i]);
    if (n > 0) {
        size_t tenth = (n + 9) / 10;
        qsort(loss, n, sizeof *loss, falling);
        for (size_t i = 0; i < n; i++)
            sum += loss[i];
        for (size_t i = 0; i < n; i++)
            squares += (loss[i] - sum / (double)n) * (loss[i] - sum / (double)n);
        for (size_t i = 0; i < tenth; i++)
            worst += loss[i];
        s = (rd_spread){sum / (double)n, n > 1 ? sqrt(squares / (double)n) : NAN, worst / (double)tenth};
    }
    free(loss);
    return s;
}
