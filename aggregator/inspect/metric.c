/* metric.c: see metric.h. */
#include "metric.h"

#include <math.h>
#include <string.h>

static double loss_of(const rd_metrics *m)
{
    return m->samples > 0 ? m->loss : NAN;
}

static double accuracy_of(const rd_metrics *m)
{
    return m->samples > 0 ? m->accuracy : NAN;
}

static double test_accuracy(const rd_round_record *r)
{
    return accuracy_of(&r->test);
}

static double test_loss(const rd_round_record *r)
{
    return loss_of(&r->test);
}

static double holdout_accuracy(const rd_round_record *r)
{
    return accuracy_of(&r->holdout);
}

static double holdout_loss(const rd_round_record *r)
{
    return loss_of(&r->holdout);
}

static double train_loss(const rd_round_record *r)
{
    return loss_of(&r->train);
}

static double running_loss(const rd_round_record *r)
{
    return r->round > 0 ? r->running_loss : NAN;
}

/* clang-format off */
const metric metrics[] = {
    {"accuracy",         "test accuracy",      "Test accuracy (%)",                              test_accuracy,    true,  false},
    {"loss",             "test loss",          "Test loss",                                      test_loss,        false, false},
    {"holdout_accuracy", "hold-out accuracy",  "Accuracy on the participants' hold-out rows (%)", holdout_accuracy, true,  true},
    {"holdout_loss",     "hold-out loss",      "Loss on the participants' hold-out rows",        holdout_loss,     false, true},
    {"train_loss",       "training loss",      "Loss on the participants' training rows",        train_loss,       false, true},
    {"clients_loss",     "clients' loss",      "Participants' loss while training",              running_loss,     false, false},
    {0},
};
/* clang-format on */

const metric *const metric_test_accuracy = &metrics[0], *const metric_holdout_accuracy = &metrics[2];

const metric *metric_find(const char *name)
{
    for (const metric *m = metrics; m->name != NULL; m++)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}
