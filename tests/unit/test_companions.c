/* A strategy that no program knows, with tensors of its own on the wire, through the same training and sums as all others:
 * whoever adds one writes what stands before the first test, and nothing else. Expected values are worked out here in
 * plain arithmetic. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run/aggregate_state.h"
#include "train/companions.h"

/* ---- the strategy: clients follow the mean gradient of the round before (as in FedCM, Xu et al. 2021) ----
 *
 *   down, kept by the server   m, the mean gradient of the last round
 *   up                         the mean gradient along which the client has gone, -d / (K lr)
 *   clients step along         g + beta m
 * and, to have one of each sort, clients count their rounds in a vector of their own, and the server sums up |d|. */

enum { BETA };
enum { MEAN_GRADIENT, ROUNDS_OF_CLIENT, WAY };

static void before(const rd_strategy *s, const rd_client_view *v, float *correction)
{
    for (size_t i = 0; i < v->count; i++)
        correction[i] = (float)-s->value[BETA] * v->down[MEAN_GRADIENT][i];
}

static void after(const rd_strategy *s, const rd_client_view *v)
{
    (void)s;
    for (size_t i = 0; i < v->count; i++) {
        v->up[MEAN_GRADIENT][i] = -v->delta[i] / (float)((double)v->steps * v->learning_rate);
        v->up[WAY][i] = fabsf(v->delta[i]);
        v->kept[ROUNDS_OF_CLIENT][i] += 1;
    }
}

static void take_gradient(const rd_strategy *s, const rd_round_facts *facts, const double *mean, size_t count,
                          float *const companions[RD_COMPANIONS_MAX])
{
    (void)s;
    (void)facts;
    for (size_t i = 0; i < count; i++)
        companions[MEAN_GRADIENT][i] = (float)mean[i];
}

static void take_way(const rd_strategy *s, const rd_round_facts *facts, const double *mean, size_t count,
                     float *const companions[RD_COMPANIONS_MAX])
{
    (void)s;
    for (size_t i = 0; i < count; i++)
        companions[WAY][i] += (float)(mean[i] * (double)facts->updates);
}

static double start_of_way(const rd_strategy *s)
{
    (void)s;
    return 100;
}

static const rd_strategy_kind example = {
    .name = "example",
    .keys = {[BETA] = {.name = "beta", .most = 1, .preset = 0.5}},
    .companions = {[MEAN_GRADIENT] = {.where = RD_KEPT_SERVER | RD_GOES_DOWN | RD_GOES_UP,
                                      .prefix = "gradient.",
                                      .file = "gradient",
                                      .take = take_gradient},
                   [ROUNDS_OF_CLIENT] = {.where = RD_KEPT_CLIENT},
                   [WAY] = {.where = RD_KEPT_SERVER | RD_GOES_UP,
                            .prefix = "way.",
                            .file = "way",
                            .start = start_of_way,
                            .take = take_way}},
    .uniform = true,
    .before = before,
    .after = after,
};

/* ---- what comes of it ---- */

enum { CLIENTS = 2, ROWS = 2, ROUNDS = 3, STEPS = 2, N = 2 };
static const double RATE = 0.125;
static float x[CLIENTS][ROWS] = {{1, -0.5f}, {2, 0.25f}}, y[CLIENTS][ROWS] = {{0.5f, 1}, {-1, 0}};

typedef struct bench {
    rd_config config;
    rd_model *model;
    rd_aggregate *updates;
    rd_trainer *trainer;
} bench;

static void open_bench(bench *b)
{
    rd_error err;
    static const char json[] = "{\"rounds\": 3, \"model\": {\"preset\": \"linear-regression\", \"input\": 1}, "
                               "\"training\": {\"learning_rate\": 0.125, \"epochs\": 2, \"batch_size\": 0}}";
    cr_assert_eq(rd_config_parse(json, strlen(json), "test", NULL, &b->config, &err), RD_OK, "%s", err.message);
    b->config.strategy = rd_strategy_of(&example);
    cr_assert_eq(rd_model_create(b->config.model, &b->model, &err), RD_OK, "%s", err.message);
    cr_assert_eq(rd_aggregate_create(&b->config.strategy, &b->config.training, b->model, &b->updates, &err), RD_OK,
                 "%s", err.message);
    cr_assert_eq(rd_trainer_create(b->model, &b->config.training, ROWS, &b->trainer, &err), RD_OK);
}

static void close_bench(bench *b)
{
    rd_trainer_free(b->trainer);
    rd_aggregate_free(b->updates);
    rd_model_free(b->model);
    rd_config_free(&b->config);
}

static void check_names(rd_tensor_table found, const char *const *names, size_t count)
{
    cr_assert_eq(found.count, count);
    for (size_t i = 0; i < count; i++) {
        cr_expect_str_eq(found.tensors[i].name, names[i]);
        cr_expect_eq(found.tensors[i].offset, i * found.tensors[i].count, "%s", names[i]);
    }
}

Test(companions, travel_behind_the_model_under_their_names)
{
    static const char *const down[] = {"fc1.weight", "fc1.bias", "gradient.fc1.weight", "gradient.fc1.bias"},
                             *const up[] = {"fc1.weight",        "fc1.bias",       "gradient.fc1.weight",
                                            "gradient.fc1.bias", "way.fc1.weight", "way.fc1.bias"},
                             *const kept[] = {"gradient", "way"};
    bench b;
    rd_error err;
    rd_tensor_table table;
    open_bench(&b);
    rd_tensor_table travelling = rd_model_tensors(b.model, RD_TENSORS_TRAVELLING);
    cr_assert_eq(travelling.elements, N);
    cr_assert_eq(rd_companions_wire_table(travelling, &b.config.strategy, RD_GOES_DOWN, &table, &err), RD_OK);
    check_names(table, down, 4);
    rd_tensor_table_free(&table);
    cr_assert_eq(rd_companions_wire_table(travelling, &b.config.strategy, RD_GOES_UP, &table, &err), RD_OK);
    check_names(table, up, 6);
    rd_tensor_table_free(&table);
    check_names(rd_aggregate_companion_table(b.updates), kept, 2);
    cr_expect_eq(b.updates->update_size, 3 * N);
    cr_expect_eq(rd_client_kept_size(b.model, &b.config.strategy, NULL), N);
    cr_expect_eq(rd_local_round_room(b.model, &b.config.strategy), 3 * N);
    close_bench(&b);
}

/* One client's steps of gradient descent on the mean squared error of w x + c, along g + 0.5 m. */
static void train_by_hand(size_t client, const double global[N], const double m[N], double delta[N])
{
    double p[N] = {global[0], global[1]};
    for (int step = 0; step < STEPS; step++) {
        double g[N] = {0};
        for (int i = 0; i < ROWS; i++) {
            double error = 2 * (p[0] * (double)x[client][i] + p[1] - (double)y[client][i]) / ROWS;
            g[0] += error * (double)x[client][i];
            g[1] += error;
        }
        for (int j = 0; j < N; j++)
            p[j] -= RATE * (g[j] + 0.5 * m[j]);
    }
    for (int j = 0; j < N; j++)
        delta[j] = p[j] - global[j];
}

static void train_and_deliver(bench *b, uint64_t round, size_t client, const float *parameters, float *kept)
{
    rd_error err;
    rd_report report;
    rd_admission in;
    float update[3 * N];
    rd_client_evaluation evaluation = {0};
    rd_dataset d = {.rows = ROWS,
                    .features = 1,
                    .rank = 1,
                    .shape = {1},
                    .x_f32 = x[client],
                    .targets = y[client],
                    .target_count = 1};
    rd_local_task task = {.training = &b->config.training,
                          .evaluation = &evaluation,
                          .seed = 1,
                          .round = round,
                          .client_key = client + 1,
                          .strategy = &b->config.strategy,
                          .kept = kept,
                          .is_new = round == 1};
    rd_aggregate_down(b->updates, task.down);
    cr_assert(task.down[MEAN_GRADIENT] != NULL && task.down[ROUNDS_OF_CLIENT] == NULL && task.down[WAY] == NULL);
    cr_assert_eq(rd_local_round_run(b->trainer, &task, rd_dataset_all(&d), parameters, update, &report, &err), RD_OK,
                 "%s", err.message);
    const rd_arrival arrival = {client + 1, round, 0, &report, rd_exact_largest(update, 3 * N)};
    cr_assert_eq(rd_aggregate_admit(b->updates, &arrival, &in, &err), RD_OK, "%s", err.message);
    rd_aggregate_add(b->updates, &in, 0, update, 3 * N);
    cr_assert_eq(rd_aggregate_complete(b->updates, &in, &err), RD_OK, "%s", err.message);
}

Test(companions, go_down_up_and_stay_as_declared)
{
    bench b;
    rd_error err;
    float parameters[N] = {0.25f, -0.5f}, kept[CLIENTS][N] = {{-7, -7}, {-7, -7}}; /* what was there is not read */
    double w[N] = {0.25, -0.5}, m[N] = {0}, way[N] = {100, 100};
    open_bench(&b);
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        double next[N] = {w[0], w[1]}, gradient[N] = {0};
        for (size_t client = 0; client < CLIENTS; client++) {
            double delta[N];
            train_and_deliver(&b, round, client, parameters, kept[client]);
            train_by_hand(client, w, m, delta);
            for (int j = 0; j < N; j++) {
                next[j] += delta[j] / CLIENTS;
                gradient[j] += -delta[j] / (STEPS * RATE) / CLIENTS;
                way[j] += fabs(delta[j]);
                cr_expect_eq(kept[client][j], (float)round);
            }
        }
        memcpy(w, next, sizeof w);
        memcpy(m, gradient, sizeof m);
        rd_round_record record = {0};
        cr_assert_eq(rd_aggregate_finish(b.updates, round, true, &(rd_target){.parameters = parameters, .clients = 9},
                                         &record, &err),
                     RD_OK, "%s", err.message);
        const float *companions = rd_aggregate_companions(b.updates); /* gradient (N), way (N) */
        for (int j = 0; j < N; j++) {
            cr_expect_float_eq((double)parameters[j], w[j], 1e-6, "round %d, %d", (int)round, j);
            cr_expect_float_eq((double)companions[j], m[j], 1e-5, "round %d, %d", (int)round, j);
            cr_expect_float_eq((double)companions[N + j], way[j], 1e-4, "round %d, %d", (int)round, j);
        }
    }
    close_bench(&b);
}
