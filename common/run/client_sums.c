/* client_sums.c: see client_sums.h. */
#include "run/client_sums.h"

#include <math.h>

/* Adds one set of metrics; accuracy is NaN where the model has none. */
static rd_status add_metrics(rd_exact_scalar *loss, rd_exact_scalar *accuracy, const rd_metrics *m, rd_error *err)
{
    if (m->samples == 0)
        return RD_OK;
    rd_status status = rd_exact_scalar_add(loss, m->loss, m->samples, err);
    if (status == RD_OK && !isnan(m->accuracy))
        status = rd_exact_scalar_add(accuracy, m->accuracy, m->samples, err);
    return status;
}

rd_status rd_client_sums_add_report(rd_client_sums *sums, const rd_report *report, rd_error *err)
{
    rd_status status = RD_OK;
    sums->samples += report->samples;
    sums->updates++;
    if (report->samples < 1 || report->samples >= RD_EXACT_MAX_TERM_WEIGHT)
        RD_THROW(RD_ERR_RANGE, "an update of %llu samples: expected 1 to %u", (unsigned long long)report->samples,
                 RD_EXACT_MAX_TERM_WEIGHT - 1);
    if (sums->samples > RD_EXACT_MAX_WEIGHT)
        RD_THROW(RD_ERR_RANGE, "%llu samples would bring the round beyond 2^40 samples in all",
                 (unsigned long long)report->samples);
    if (!isnan(report->running_loss))
        RD_TRY(rd_exact_scalar_add(&sums->running_loss, report->running_loss, report->samples, err));
    RD_TRY(add_metrics(&sums->train_loss, &sums->train_accuracy, &report->before, err));
    RD_TRY(add_metrics(&sums->holdout_loss, &sums->holdout_accuracy, &report->holdout, err));
    RD_TRY(add_metrics(&sums->personal_loss, &sums->personal_accuracy, &report->personal, err));
cleanup:
    return status;
}

rd_status rd_client_sums_add_weight(rd_client_sums *sums, const rd_strategy *s, const rd_contribution *c, rd_error *err)
{
    sums->weight += c->weight;
    if (sums->weight > RD_EXACT_MAX_WEIGHT)
        return rd_fail(err, RD_ERR_RANGE, "a weight of %u would bring the round beyond 2^40 in all", c->weight);
    return s->kind->factor != NULL ? rd_exact_scalar_add(&sums->extra, c->extra, c->weight, err) : RD_OK;
}

static void add_scalar(rd_exact_scalar *into, const rd_exact_scalar *from, int sign)
{
    into->sum += sign * from->sum;
    into->weight = sign > 0 ? into->weight + from->weight : into->weight - from->weight;
}

/* into += from, or -= with sign -1: these are integers, so what was added is taken off again exactly. */
static void add_sums(rd_client_sums *into, const rd_client_sums *from, int sign)
{
    into->samples = sign > 0 ? into->samples + from->samples : into->samples - from->samples;
    into->updates = sign > 0 ? into->updates + from->updates : into->updates - from->updates;
    into->weight = sign > 0 ? into->weight + from->weight : into->weight - from->weight;
    add_scalar(&into->running_loss, &from->running_loss, sign);
    add_scalar(&into->train_loss, &from->train_loss, sign);
    add_scalar(&into->train_accuracy, &from->train_accuracy, sign);
    add_scalar(&into->holdout_loss, &from->holdout_loss, sign);
    add_scalar(&into->holdout_accuracy, &from->holdout_accuracy, sign);
    add_scalar(&into->personal_loss, &from->personal_loss, sign);
    add_scalar(&into->personal_accuracy, &from->personal_accuracy, sign);
    add_scalar(&into->extra, &from->extra, sign);
}

void rd_client_sums_remove_report(rd_client_sums *sums, const rd_report *report)
{
    rd_client_sums one = {0};
    rd_error ignored; /* it could be added the first time */
    (void)!rd_client_sums_add_report(&one, report, &ignored);
    add_sums(sums, &one, -1);
}

void rd_client_sums_add(rd_client_sums *into, const rd_client_sums *from)
{
    add_sums(into, from, 1);
}

static rd_metrics mean_metrics(const rd_exact_scalar *loss, const rd_exact_scalar *accuracy)
{
    return (rd_metrics){
        .samples = loss->weight, .loss = rd_exact_scalar_mean(loss), .accuracy = rd_exact_scalar_mean(accuracy)};
}

void rd_client_sums_tell(const rd_client_sums *sums, rd_round_record *record)
{
    record->samples = sums->samples;
    record->running_loss = rd_exact_scalar_mean(&sums->running_loss);
    record->train = mean_metrics(&sums->train_loss, &sums->train_accuracy);
    record->holdout = mean_metrics(&sums->holdout_loss, &sums->holdout_accuracy);
    record->personal = mean_metrics(&sums->personal_loss, &sums->personal_accuracy);
}
