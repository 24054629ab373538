/* What training is pulled to: only tensors that travel and are trained, against values worked out here in plain
 * arithmetic. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strategy_named.h"
#include "train/local_round.h"

enum { ROWS = 4, STEPS = 3 };
static const double RATE = 0.1, MU = 2;
static float x[ROWS] = {0.5f, -1, 2, 0.25f}, y[ROWS] = {1, 0.5f, -1, 2};

static rd_dataset data_of(void)
{
    return (rd_dataset){
        .rows = ROWS, .features = 1, .rank = 1, .shape = {1}, .x_f32 = x, .targets = y, .target_count = 1};
}

static rd_model *model_of(const char *json)
{
    rd_model *m;
    rd_error err;
    cJSON *section = cJSON_Parse(json);
    cr_assert_eq(rd_model_create(section, &m, &err), RD_OK, "%s", err.message);
    cJSON_Delete(section);
    return m;
}

static size_t place_of(const rd_model *m, const char *name)
{
    const rd_tensor_table table = rd_model_tensors(m, RD_TENSORS_ALL);
    for (size_t i = 0; i < table.count; i++)
        if (strcmp(table.tensors[i].name, name) == 0)
            return table.tensors[i].offset;
    cr_assert(false, "no tensor %s", name);
    return 0;
}

static rd_training training_of(float momentum)
{
    return (rd_training){.epochs = STEPS, .batch_size = 0, .learning_rate = (float)RATE, .momentum = momentum};
}

static void run(const rd_model *m, const rd_training *training, double proximal, const rd_personalisation *p,
                const float *global, float *kept, float *update)
{
    rd_trainer *t;
    rd_error err;
    rd_report report;
    rd_client_evaluation evaluation = {0};
    rd_dataset d = data_of();
    rd_strategy strategy = strategy_named("fedprox");
    set_key(&strategy, "proximal", proximal);
    rd_local_task task = {.training = training,
                          .evaluation = &evaluation,
                          .seed = 1,
                          .round = 2,
                          .client_key = 7,
                          .strategy = &strategy,
                          .personalisation = p,
                          .kept = kept};
    cr_assert_eq(rd_trainer_create(m, training, ROWS, &t, &err), RD_OK);
    cr_assert_eq(rd_local_round_run(t, &task, rd_dataset_all(&d), global, update, &report, &err), RD_OK, "%s",
                 err.message);
    cr_assert_eq(report.steps, STEPS);
    rd_trainer_free(t);
}

/* Two layers of one unit, y = c (a x + b) + d with squared loss; a and b travel, c and d stay with the client (FedPer).
 * a and b are pulled to where they were fetched; c and d, which have long left their initial values, are not. */
Test(proximal, local_tensors_are_not_pulled)
{
    rd_model *m = model_of("{\"input\": 1, \"loss\": \"mse\", \"fine_tuning\": {\"local\": [\"top.*\"]}, "
                           "\"layers\": [{\"type\": \"dense\", \"name\": \"base\", \"units\": 1}, "
                           "{\"type\": \"dense\", \"name\": \"top\", \"units\": 1}]}");
    for (int with_momentum = 0; with_momentum < 2; with_momentum++) {
        rd_training training = training_of(with_momentum ? 0.5f : 0.0f);
        float global[4], kept[2], update[4];
        size_t at[4] = {place_of(m, "base.weight"), place_of(m, "base.bias"), place_of(m, "top.weight"),
                        place_of(m, "top.bias")};
        double p[4] = {0.75, -0.5, 3, -1.5}, start[4], v[4] = {0};
        cr_assert(at[0] < 2 && at[1] < 2 && at[2] >= 2 && at[3] >= 2, "what travels comes first");
        memcpy(start, p, sizeof p);
        global[at[0]] = 0.75f;
        global[at[1]] = -0.5f;
        global[at[2]] = 100; /* what the run began with; the client's own have moved on: */
        global[at[3]] = -100;
        kept[at[2] - 2] = 3;
        kept[at[3] - 2] = -1.5f;
        for (int step = 0; step < STEPS; step++) {
            double g[4] = {0};
            for (int i = 0; i < ROWS; i++) {
                double hidden = p[0] * (double)x[i] + p[1], error = 2 * (p[2] * hidden + p[3] - (double)y[i]) / ROWS;
                g[0] += error * p[2] * (double)x[i];
                g[1] += error * p[2];
                g[2] += error * hidden;
                g[3] += error;
            }
            for (int i = 0; i < 4; i++) {
                v[i] = (with_momentum ? 0.5 : 0) * v[i] + g[i] + (i < 2 ? MU * (p[i] - start[i]) : 0);
                p[i] -= RATE * v[i];
            }
        }
        run(m, &training, MU, NULL, global, kept, update);
        for (int i = 0; i < 2; i++)
            cr_expect_float_eq((double)update[at[i]], p[i] - start[i], 1e-5, "%d: %g, expected %g", i,
                               (double)update[at[i]], p[i] - start[i]);
        for (int i = 2; i < 4; i++)
            cr_expect_float_eq((double)kept[at[i] - 2], p[i], 1e-5, "%d: %g, expected %g", i, (double)kept[at[i] - 2],
                               p[i]);
    }
    rd_model_free(m);
}

/* The running variance follows the data alone: from s it goes to s + 0.1 (variance - s) at each step, over full batches
 * whose mean is 0.4375 and whose variance is 1.548..., whatever mu is; as a local tensor (FedBN) under fedprox, and in
 * Ditto's own model. */
Test(proximal, statistics_are_not_pulled)
{
    static const char *const with[] = {", \"fine_tuning\": {\"local\": [\"bn.*\"]}", ""};
    double mean = 0, variance = 0, expected = 4;
    for (int i = 0; i < ROWS; i++)
        mean += (double)x[i] / ROWS;
    for (int i = 0; i < ROWS; i++)
        variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (ROWS - 1);
    for (int step = 0; step < STEPS; step++)
        expected += 0.1 * (variance - expected);
    for (int ditto = 0; ditto < 2; ditto++) {
        char json[512];
        float global[6], kept[6], update[6];
        rd_training training = training_of(0);
        rd_personalisation own = {.method = RD_PERSONAL_DITTO, .lambda = MU, .epochs = STEPS};
        (void)snprintf(json, sizeof json,
                       "{\"input\": 1, \"loss\": \"mse\"%s, \"layers\": [{\"type\": \"batch_norm\", "
                       "\"name\": \"bn\"}, {\"type\": \"dense\", \"name\": \"fc\", \"units\": 1}]}",
                       with[ditto]);
        rd_model *m = model_of(json);
        size_t at = place_of(m, "bn.running_var"), travelling = rd_model_tensors(m, RD_TENSORS_TRAVELLING).elements;
        rd_model_init(m, 1, global);
        global[at] = 4;
        memcpy(kept, global + (ditto ? 0 : travelling), (ditto ? 6 : 6 - travelling) * sizeof *kept);
        run(m, &training, ditto ? 0 : MU, ditto ? &own : NULL, global, kept, update);
        double found = (double)kept[ditto ? at : at - travelling];
        cr_expect_float_eq(found, expected, 1e-5, "%s: %g, expected %g", ditto ? "ditto" : "fedprox", found, expected);
        rd_model_free(m);
    }
}
