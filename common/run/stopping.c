/* stopping.c: see stopping.h. */
#include "run/stopping.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What the record says of the metric, smaller being better; NaN: nothing. Hold-out rows are looked at before
 * a round, so that it is the model before it that was measured. */
static double value_of(const rd_stopping *s, const rd_early_stopping *e, const rd_round_record *r, uint64_t *version)
{
    *version = e->metric == RD_STOP_HOLDOUT_LOSS ? s->version : r->aggregated || r->round == 0 ? r->round : s->version;
    if (e->metric == RD_STOP_HOLDOUT_LOSS)
        return r->holdout.samples > 0 ? r->holdout.loss : NAN;
    if (r->test.samples == 0)
        return NAN;
    return e->metric == RD_STOP_TEST_LOSS ? r->test.loss : -r->test.accuracy;
}

void rd_stopping_tell(rd_stopping *s, const rd_config *c, const rd_round_record *record)
{
    const rd_early_stopping *e = &c->early_stopping;
    uint64_t version;
    double value = value_of(s, e, record, &version);
    bool anew = !isnan(value) && version != s->measured; /* an abandoned round has nothing new to say */
    if (anew && !(value >= s->best - e->min_delta)) {    /* also where there is no best yet */
        s->best = value;
        s->best_version = version;
        s->waited = 0;
    } else if (anew) {
        s->waited++;
    }
    if (anew)
        s->measured = version;
    if (record->aggregated || record->round == 0)
        s->version = record->round;
    /* Compared with the server's own delta all others may have come to nothing. */
    if (record->aggregated && (!c->strategy.kind->server_trains || record->update_norm > 0.0))
        s->changed = record->round;
    if (record->test.samples > 0 && !(record->test.accuracy <= s->accuracy) && !isnan(record->test.accuracy)) {
        s->accuracy = record->test.accuracy;
        s->accuracy_round = record->round;
    }
    s->reached = c->evaluation.target_accuracy > 0.0 && record->test.samples > 0 &&
                 record->test.accuracy >= c->evaluation.target_accuracy;
    s->abandoned = record->aggregated || record->round == 0 ? 0 : s->abandoned + 1;
    s->given_up = c->cohort.max_abandoned > 0 && s->abandoned >= c->cohort.max_abandoned;
    s->over = s->reached || s->given_up || (e->patience > 0 && s->waited >= e->patience);
}

bool rd_stopping_decides(const rd_config *c)
{
    return c->evaluation.target_accuracy > 0.0 || c->early_stopping.patience > 0;
}

void rd_stopping_reason(const rd_stopping *s, const rd_config *c, const rd_round_record *last, bool retained,
                        char *text, size_t size)
{
    static const char *const names[] = {[RD_STOP_HOLDOUT_LOSS] = "hold-out loss",
                                        [RD_STOP_TEST_LOSS] = "test loss",
                                        [RD_STOP_TEST_ACCURACY] = "test accuracy"};
    char model[64] = "";
    size_t at = 0;
    text[0] = '\0';
    if (retained)
        (void)snprintf(model, sizeof model, "; its model is models/%06" PRIu64 ".safetensors", s->best_version);
    if (s->reached)
        (void)snprintf(text, size, "accuracy %.4f has reached the target of %.4f", last->test.accuracy,
                       c->evaluation.target_accuracy);
    else if (s->given_up)
        (void)snprintf(text, size,
                       "given up after round %" PRIu64 ": the last %" PRIu64
                       " rounds were abandoned (cohort.max_abandoned)",
                       last->round, s->abandoned);
    else if (s->over)
        (void)snprintf(text, size,
                       "stopped early after round %" PRIu64 ": %s has not improved since round %" PRIu64 "%s",
                       last->round, names[c->early_stopping.metric], s->best_version, model);
    at = strlen(text);
    if (c->evaluation.target_accuracy > 0.0 && !s->reached && !isnan(s->accuracy))
        (void)snprintf(text + at, size - at, "%starget_accuracy %.6g was not reached: best %.4f in round %" PRIu64,
                       at > 0 ? "; " : "", c->evaluation.target_accuracy, s->accuracy, s->accuracy_round);
}
