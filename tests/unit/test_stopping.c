/* Early stopping: hand-made losses, with the round at which to stop worked out by hand. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "run/stopping.h"
#include "strategy_named.h"

static rd_config config_of(rd_stopping_metric metric, uint64_t patience, double min_delta)
{
    return (rd_config){.strategy = strategy_named("fedavg"), .early_stopping = {metric, patience, min_delta}};
}

/* Round r measured this value; NaN: nothing. */
static rd_round_record record_of(rd_stopping_metric metric, uint64_t r, double value)
{
    rd_round_record record = {.round = r, .aggregated = true};
    rd_metrics m = {.samples = isnan(value) ? 0 : 10, .loss = value, .accuracy = value};
    *(metric == RD_STOP_HOLDOUT_LOSS ? &record.holdout : &record.test) = m;
    return record;
}

/* Tells rounds 0, 1, ... until the run is over; the round at which it was, or -1. */
static int last_round(const rd_config *c, const double *values, size_t count, rd_stopping *s)
{
    *s = RD_STOPPING_START;
    for (size_t r = 0; r < count; r++) {
        rd_round_record record = record_of(c->early_stopping.metric, r, values[r]);
        rd_stopping_tell(s, c, &record);
        if (s->over)
            return (int)r;
    }
    return -1;
}

#define LAST_ROUND(config, s, ...) last_round(config, (double[]){__VA_ARGS__}, sizeof(double[]){__VA_ARGS__} / 8, s)

Test(stopping, after_patience_rounds_without_a_better_loss)
{
    rd_stopping s;
    rd_config c = config_of(RD_STOP_TEST_LOSS, 3, 0);
    cr_assert_eq(LAST_ROUND(&c, &s, 9, 5, 6, 7, 8, 1), 4);
    cr_assert_eq(s.best_version, 1);
    cr_assert_eq(s.best, 5);
    cr_assert_eq(LAST_ROUND(&c, &s, 9, 5, 6, 7, 4, 5, 6, 4), 7, "equal is not better");
    cr_assert_eq(s.best_version, 4);
    cr_assert_eq(LAST_ROUND(&c, &s, 5, 4, 3, 2, 1), -1);
    c.early_stopping.patience = 1;
    cr_assert_eq(LAST_ROUND(&c, &s, 1, 2), 1);
    cr_assert_eq(s.best_version, 0, "the initial model was the best");
}

Test(stopping, a_target_that_was_missed_is_reported_with_the_best_accuracy)
{
    rd_stopping s;
    rd_config c = config_of(RD_STOP_TEST_ACCURACY, 0, 0);
    rd_round_record last = {.round = 4};
    char text[300];
    c.evaluation.target_accuracy = 0.97;
    cr_assert_eq(LAST_ROUND(&c, &s, 0.1, 0.9, 0.9512, NAN, 0.9512), -1);
    rd_stopping_reason(&s, &c, &last, true, text, sizeof text);
    cr_assert_str_eq(text, "target_accuracy 0.97 was not reached: best 0.9512 in round 2");
    c.early_stopping.patience = 2;
    cr_assert_eq(LAST_ROUND(&c, &s, 0.1, 0.96, 0.95, 0.94), 3);
    last.round = 3;
    rd_stopping_reason(&s, &c, &last, false, text, sizeof text);
    cr_assert_str_eq(text, "stopped early after round 3: test accuracy has not improved since round 1; "
                           "target_accuracy 0.97 was not reached: best 0.9600 in round 1");
    cr_assert_eq(LAST_ROUND(&c, &s, 0.1, 0.98), 1);
    last.test.accuracy = 0.98;
    rd_stopping_reason(&s, &c, &last, false, text, sizeof text);
    cr_assert_str_eq(text, "accuracy 0.9800 has reached the target of 0.9700");
}

Test(stopping, small_steps_do_not_count_where_min_delta_asks_for_larger_ones)
{
    rd_stopping s;
    rd_config c = config_of(RD_STOP_TEST_LOSS, 2, 0.5);
    cr_assert_eq(LAST_ROUND(&c, &s, 9, 8.75, 8.5, 1), 2);
    cr_assert_eq(s.best_version, 0);
    cr_assert_eq(LAST_ROUND(&c, &s, 9, 8.75, 8.25, 8, 7.75), 4, "measured from the best, not from the last");
    cr_assert_eq(s.best_version, 2);
}

Test(stopping, accuracy_is_better_when_it_is_larger)
{
    rd_stopping s;
    rd_config c = config_of(RD_STOP_TEST_ACCURACY, 2, 0);
    cr_assert_eq(LAST_ROUND(&c, &s, 0.1, 0.5, 0.7, 0.6, 0.7), 4);
    cr_assert_eq(s.best_version, 2);
}

Test(stopping, rounds_without_a_measurement_are_not_counted)
{
    rd_stopping s;
    rd_config c = config_of(RD_STOP_TEST_LOSS, 2, 0);
    cr_assert_eq(LAST_ROUND(&c, &s, 5, NAN, 6, NAN, NAN, 7), 5);
    cr_assert_eq(LAST_ROUND(&c, &s, NAN, NAN, 6, NAN, 7, NAN), -1);
    cr_assert_eq(s.best_version, 2);
}

/* Round r tells the hold-out loss of the model of round r - 1. */
Test(stopping, the_holdout_loss_belongs_to_the_model_before)
{
    rd_stopping s;
    rd_config c = config_of(RD_STOP_HOLDOUT_LOSS, 2, 0);
    cr_assert_eq(LAST_ROUND(&c, &s, NAN, 9, 5, 6, 7), 4);
    cr_assert_eq(s.best_version, 1);
}

/* Rounds 2 and 3 are abandoned: the model stays that of round 1. */
Test(stopping, the_same_model_is_not_counted_twice)
{
    rd_config test = config_of(RD_STOP_TEST_LOSS, 2, 0), holdout = config_of(RD_STOP_HOLDOUT_LOSS, 2, 0);
    rd_stopping by_test = RD_STOPPING_START, by_holdout = RD_STOPPING_START;
    for (uint64_t r = 0; r <= 5; r++) {
        rd_round_record record = record_of(RD_STOP_TEST_LOSS, r, r == 0 ? 9 : r < 4 ? 10 : 11);
        record.aggregated = r != 2 && r != 3;
        if (r > 0)
            record.holdout = (rd_metrics){.samples = 1, .loss = r < 2 ? 4 : 5};
        rd_stopping_tell(&by_test, &test, &record);
        rd_stopping_tell(&by_holdout, &holdout, &record);
        cr_assert_eq(by_test.over, r >= 4, "models 1 and 4 are no better than 0");
        cr_assert_eq(by_holdout.over, r >= 5, "models 1 (in rounds 2 to 4) and 4 are no better than 0");
    }
    cr_assert_eq(by_test.best_version, 0);
    cr_assert_eq(by_holdout.best_version, 0);
}

Test(stopping, a_loss_that_is_no_number_is_not_measured)
{
    rd_stopping s = RD_STOPPING_START;
    rd_config c = config_of(RD_STOP_TEST_ACCURACY, 1, 0);
    for (uint64_t r = 0; r < 4; r++) {
        rd_round_record record = {.round = r, .aggregated = true, .test = {10, 1.0, NAN}};
        rd_stopping_tell(&s, &c, &record);
        cr_assert_not(s.over);
    }
}

Test(stopping, the_reason_names_the_best_model)
{
    rd_stopping s;
    char text[300];
    rd_config c = config_of(RD_STOP_TEST_LOSS, 2, 0);
    rd_round_record last = {.round = 3, .test = {.accuracy = 0.91}};
    cr_assert_eq(LAST_ROUND(&c, &s, 9, 5, 6, 7), 3);
    rd_stopping_reason(&s, &c, &last, true, text, sizeof text);
    cr_assert_str_eq(text, "stopped early after round 3: test loss has not improved since round 1; its model is "
                           "models/000001.safetensors");
    rd_stopping_reason(&s, &c, &last, false, text, sizeof text);
    cr_assert_str_eq(text, "stopped early after round 3: test loss has not improved since round 1");
    s = RD_STOPPING_START;
    rd_stopping_reason(&s, &c, &last, true, text, sizeof text);
    cr_assert_str_eq(text, "");
    c = (rd_config){.evaluation.target_accuracy = 0.9};
    last.test.samples = 10;
    rd_stopping_tell(&s, &c, &last);
    cr_assert(s.over && rd_stopping_decides(&c));
    rd_stopping_reason(&s, &c, &last, true, text, sizeof text);
    cr_assert_str_eq(text, "accuracy 0.9100 has reached the target of 0.9000");
}
