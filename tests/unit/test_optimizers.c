/* Optimizers and clipping against PyTorch (tests/reference/make_optimizers.py), schedules against their
 * formulas. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "train/local_round.h"

enum { BATCH = 4, INPUT = 6, N = 6 * 5 + 5 + 5 * 3 + 3 };

static void read_values(FILE *f, const char *word, float *values, size_t count)
{
    char found[32];
    size_t n;
    cr_assert_eq(fscanf(f, "%31s %zu", found, &n), 2);
    cr_assert_str_eq(found, word);
    cr_assert_eq(n, count);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(fscanf(f, "%f", &values[i]), 1);
}

static rd_config config_with(const char *training)
{
    char json[1024];
    rd_error err = {0};
    rd_config c;
    (void)snprintf(json, sizeof json,
                   "{\"rounds\": 9, \"model\": {\"input\": 6, \"loss\": \"softmax_cross_entropy\", \"layers\": "
                   "[{\"type\": \"dense\", "
                   "\"units\": 5, \"activation\": \"tanh\"}, {\"type\": \"dense\", \"units\": 3}]}, \"training\": %s}",
                   training);
    cr_assert_eq(rd_config_parse(json, strlen(json), "run.json", NULL, &c, &err), RD_OK, "%s", err.message);
    return c;
}

static void check_case(const char *training, const rd_dataset *d, const float *initial, const float *expected)
{
    rd_error err = {0};
    rd_model *m;
    rd_trainer *t;
    rd_report report;
    rd_client_evaluation evaluation = {0};
    float delta[N], largest = 0;
    rd_config c = config_with(training);
    cr_assert_eq(rd_model_create(c.model, &m, &err), RD_OK);
    cr_assert_eq(rd_trainer_create(m, &c.training, BATCH, &t, &err), RD_OK, "%s", err.message);
    rd_local_task task = {&c.training, &evaluation, 1, 1, 1};
    for (size_t i = 0; i < N; i++)
        largest = fmaxf(largest, fabsf(expected[i]));
    for (int again = 0; again < 2; again++) { /* nothing is remembered from one round to the next */
        cr_assert_eq(rd_local_round_run(t, &task, rd_dataset_all(d), initial, delta, &report, &err), RD_OK, "%s",
                     err.message);
        for (size_t i = 0; i < N; i++)
            cr_expect_float_eq(initial[i] + delta[i], expected[i], 1e-5 * largest,
                               "%s: parameter %zu: %.8g, PyTorch has %.8g", training, i, initial[i] + delta[i],
                               expected[i]);
    }
    rd_trainer_free(t);
    rd_model_free(m);
    rd_config_free(&c);
}

Test(optimizers, agree_with_pytorch)
{
    FILE *f = fopen(RONDO_SOURCE_DIR "/tests/reference/optimizers.txt", "r");
    float x[BATCH * INPUT], labels[BATCH], initial[N], after[N];
    int32_t classes[BATCH];
    size_t cases = 0, size = 0;
    char *line = NULL;
    cr_assert_not_null(f);
    read_values(f, "x", x, BATCH * INPUT);
    read_values(f, "labels", labels, BATCH);
    read_values(f, "initial", initial, N);
    for (size_t i = 0; i < BATCH; i++)
        classes[i] = (int32_t)labels[i];
    rd_dataset d = {.rows = BATCH,
                    .features = INPUT,
                    .rank = 1,
                    .shape = {INPUT},
                    .x_f32 = x,
                    .labels = classes,
                    .label_count = 1,
                    .classes = 3};
    while (fscanf(f, " case ") == 0 && getline(&line, &size, f) > 0) {
        read_values(f, "after", after, N);
        check_case(line, &d, initial, after);
        cases++;
    }
    cr_assert_eq(cases, 16 + 5 * 2 * 3);
    free(line);
    fclose(f);
}

Test(schedule, follows_its_formulas)
{
    rd_schedule constant = {.kind = RD_SCHEDULE_CONSTANT},
                exponential = {.kind = RD_SCHEDULE_EXPONENTIAL, .decay = 0.9};
    rd_schedule step = {.kind = RD_SCHEDULE_STEP, .decay = 0.5, .every = 10},
                cosine = {.kind = RD_SCHEDULE_COSINE, .final = 0.1, .rounds = 101};
    cr_assert_eq(rd_schedule_factor(&constant, 77), 1);
    cr_assert_eq(rd_schedule_factor(&exponential, 1), 1);
    cr_assert_float_eq(rd_schedule_factor(&exponential, 4), 0.729, 1e-12);
    cr_assert_eq(rd_schedule_factor(&step, 10), 1);
    cr_assert_eq(rd_schedule_factor(&step, 11), 0.5);
    cr_assert_eq(rd_schedule_factor(&step, 31), 0.125);
    cr_assert_float_eq(rd_schedule_factor(&cosine, 1), 1, 1e-12);
    cr_assert_float_eq(rd_schedule_factor(&cosine, 51), 0.55, 1e-12);
    cr_assert_float_eq(rd_schedule_factor(&cosine, 101), 0.1, 1e-12);
    cr_assert_float_eq(rd_schedule_factor(&cosine, 500), 0.1, 1e-12, "a run that was made longer stays at the end");
    constant.warmup = exponential.warmup = 4;
    for (uint64_t r = 1; r <= 4; r++)
        cr_assert_float_eq(rd_schedule_factor(&constant, r), (double)r / 5, 1e-12);
    cr_assert_eq(rd_schedule_factor(&constant, 5), 1);
    cr_assert_float_eq(rd_schedule_factor(&exponential, 3), 0.6 * 0.81, 1e-12);
}

Test(schedule, is_read_from_the_training_section)
{
    rd_config c = config_with("{\"learning_rate\": 1, \"schedule\": {\"type\": \"cosine\", \"final\": 0.25, "
                              "\"warmup_rounds\": 2}}");
    cr_assert_eq(c.training.schedule.kind, RD_SCHEDULE_COSINE);
    cr_assert_eq(c.training.schedule.rounds, 9, "the run's");
    cr_assert_eq(c.training.schedule.warmup, 2);
    cr_assert_float_eq(rd_schedule_factor(&c.training.schedule, 9), 0.25, 1e-12);
    rd_config_free(&c);
}
