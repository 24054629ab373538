/* metric.h: what a run's rounds measure of their models, for pictures and tables that take whatever there is: many
 * federations have no test set. */
#ifndef RONDO_INSPECT_METRIC_H
#define RONDO_INSPECT_METRIC_H

#include <stdbool.h>

#include "store/store.h"

typedef struct metric {
    const char *name;                       /* for --metric: "holdout_loss" */
    const char *label;                      /* for people: "hold-out loss" */
    const char *axis;                       /* "Hold-out loss of the participants" */
    double (*of)(const rd_round_record *r); /* NaN: not measured */
    bool percent;                           /* a share, and more is better; else a loss */
    bool before;                            /* measured on the model before the round */
} metric;

/* The first is what one would rather look at; ends with a name that is NULL. */
extern const metric metrics[];
extern const metric *const metric_test_accuracy, *const metric_holdout_accuracy;

/* NULL: there is none of this name. */
const metric *metric_find(const char *name);

#endif
