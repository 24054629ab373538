/* Whole federated runs of three rounds under every strategy that sums, against the formulas of their papers in NumPy
 * (tests/reference/make_strategies.py). The clients' side is rd_local_round_run, the server's rd_aggregate. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "run/aggregate.h"

enum { D = 3, N = D + 1, CLIENTS = 3, ROWS = 20, ROOT_ROWS = 5, ROUNDS = 3 };
#define TOLERANCE 2e-6

typedef struct bench {
    size_t sizes[CLIENTS], start[CLIENTS];
    rd_dataset data;
    uint32_t index[ROWS];
    float initial[N];
    FILE *reference;
} bench;

static double number(FILE *f)
{
    double x;
    cr_assert_eq(fscanf(f, "%lf", &x), 1);
    return x;
}

static void open_bench(bench *b)
{
    static float x[ROWS * D], y[ROWS];
    b->reference = fopen(RONDO_SOURCE_DIR "/tests/reference/strategies.txt", "r");
    cr_assert_not_null(b->reference);
    size_t next = 0;
    for (size_t k = 0; k < CLIENTS; k++)
        b->sizes[k] = (size_t)number(b->reference);
    for (size_t k = 0; k < CLIENTS; k++) {
        b->start[k] = next;
        next += b->sizes[k];
    }
    cr_assert_eq(next, ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        b->index[i] = (uint32_t)i;
        for (size_t j = 0; j < D; j++)
            x[i * D + j] = (float)number(b->reference);
        y[i] = (float)number(b->reference);
    }
    for (size_t i = 0; i < N; i++)
        b->initial[i] = (float)number(b->reference);
    b->data = (rd_dataset){
        .rows = ROWS, .features = D, .rank = 1, .shape = {D}, .x_f32 = x, .targets = y, .target_count = 1};
}

/* run.json with this strategy and the rest that make_strategies.py has. */
static rd_config config_of(double momentum, const char *strategy)
{
    char json[1024];
    rd_config c;
    rd_error err;
    bool fedsgd = strstr(strategy, "fedsgd") != NULL;
    (void)snprintf(
        json, sizeof json,
        "{\"rounds\": 3, \"model\": {\"preset\": \"linear-regression\", \"input\": 3}, "
        "\"training\": {\"learning_rate\": 0.05, \"epochs\": %d, \"batch_size\": 0, \"momentum\": %g}, "
        "\"evaluation\": {\"train_loss\": true}, \"strategy\": %s}",
        fedsgd ? 1 : 3, momentum, strategy);
    cr_assert_eq(rd_config_parse(json, strlen(json), "test", NULL, &c, &err), RD_OK, "%s", err.message);
    return c;
}

typedef struct federation {
    const bench *bench;
    rd_config config;
    rd_model *model;
    rd_aggregate *updates;
    rd_trainer *trainer;
    float parameters[N], memory[CLIENTS][N];
} federation;

static void open_federation(const bench *b, double momentum, const char *strategy, federation *f)
{
    rd_error err;
    f->bench = b;
    f->config = config_of(momentum, strategy);
    cr_assert_eq(rd_model_create(f->config.model, &f->model, &err), RD_OK, "%s", err.message);
    cr_assert_eq(rd_model_parameter_count(f->model), N);
    cr_assert_eq(rd_aggregate_create(&f->config, f->model, &f->updates, &err), RD_OK);
    cr_assert_eq(rd_trainer_create(f->model, &f->config.training, ROWS, &f->trainer, &err), RD_OK);
    memcpy(f->parameters, b->initial, sizeof f->parameters);
}

static void close_federation(federation *f)
{
    rd_trainer_free(f->trainer);
    rd_aggregate_free(f->updates);
    rd_model_free(f->model);
    rd_config_free(&f->config);
}

static void train(federation *f, uint64_t round, size_t client, uint32_t epochs, rd_rows rows, float *update,
                  rd_report *report)
{
    rd_client_evaluation evaluation = {.train_loss = true};
    rd_error err;
    rd_local_task task = {.training = &f->config.training,
                          .evaluation = &evaluation,
                          .seed = 1,
                          .round = round,
                          .client_key = client + 1,
                          .epochs = epochs,
                          .proximal = f->config.strategy.proximal,
                          .control = rd_aggregate_control(f->updates),
                          .personalisation = &f->config.personalisation,
                          .memory = f->memory[client],
                          .is_new = round == 1};
    cr_assert_eq(
        rd_local_round_run(f->trainer, &task, &f->bench->data, rows, f->parameters, update, report, &err),
        RD_OK, "%s", err.message);
}

/* order: in which the clients' updates come. */
static void run_round(federation *f, uint64_t round, const size_t order[CLIENTS])
{
    rd_strategy_kind kind = f->config.strategy.kind;
    float update[2 * N];
    rd_report report;
    rd_error err;
    if (kind == RD_FLTRUST) {
        train(f, round, 0, 0, (rd_rows){f->bench->index + f->bench->start[2], ROOT_ROWS}, update, &report);
        rd_aggregate_set_root(f->updates, update);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        size_t k = order[i];
        rd_intake in;
        rd_rows rows = {f->bench->index + f->bench->start[k], f->bench->sizes[k]};
        train(f, round, k, kind == RD_FEDNOVA ? (uint32_t)k + 1 : 0, rows, update, &report);
        for (size_t j = 0; j < N && kind == RD_FLTRUST && k == 0; j++)
            update[j] = -update[j];
        cr_assert_eq(
            rd_aggregate_admit(f->updates, k + 1, round, kind == RD_FEDBUFF ? k : 0, &report, &in, &err),
            RD_OK, "%s", err.message);
        rd_aggregate_fold(f->updates, &in, 0, update, 1); /* in two pieces */
        rd_aggregate_fold(f->updates, &in, 1, update + 1, rd_aggregate_update_size(f->updates) - 1);
        rd_aggregate_folded(f->updates, &in);
    }
    rd_round_record record = {0};
    rd_target target = {.parameters = f->parameters, .known_clients = CLIENTS};
    cr_assert_eq(rd_aggregate_finish(f->updates, round, true, &target, &record, &err), RD_OK, "%s",
                 err.message);
    cr_assert_eq(record.samples, ROWS);
    cr_assert_gt(record.update_norm, 0);
}

Test(strategies, three_rounds_of_each_agree_with_numpy)
{
    static const size_t forwards[] = {0, 1, 2}, backwards[] = {2, 1, 0};
    bench b;
    open_bench(&b);
    size_t cases = (size_t)number(b.reference);
    cr_assert_eq(cases, 21);
    for (size_t c = 0; c < cases; c++) {
        char strategy[256];
        federation f, other;
        double momentum = number(b.reference);
        cr_assert_not_null(fgets(strategy, sizeof strategy, b.reference));
        open_federation(&b, momentum, strategy, &f);
        open_federation(&b, momentum, strategy, &other);
        for (uint64_t round = 1; round <= ROUNDS; round++) {
            run_round(&f, round, forwards);
            run_round(&other, round, backwards);
            cr_assert_arr_eq(f.parameters, other.parameters, sizeof f.parameters, "%s: the order matters",
                             strategy);
            for (size_t i = 0; i < N; i++) {
                double expected = number(b.reference), found = (double)f.parameters[i];
                cr_expect_float_eq(found, expected, TOLERANCE, "%s, round %d, parameter %zu: %g, expected %g",
                                   strategy, (int)round, i, found, expected);
            }
        }
        close_federation(&f);
        close_federation(&other);
    }
    fclose(b.reference);
}

Test(strategies, what_cannot_be_used_is_refused_and_changes_nothing)
{
    bench b;
    federation f;
    rd_intake in;
    rd_error err;
    open_bench(&b);
    open_federation(&b, 0, "{\"name\": \"fednova\"}", &f);
    rd_report report = {.samples = 3, .running_loss = NAN, .before = {.loss = NAN, .accuracy = NAN}};
    cr_assert_eq(rd_aggregate_admit(f.updates, 1, 1, 0, &report, &in, &err), RD_ERR_DATA);
    cr_assert(strstr(err.message, "steps") != NULL);
    close_federation(&f);
    open_federation(&b, 0, "{\"name\": \"q-fedavg\", \"q\": 2}", &f);
    cr_assert_eq(rd_aggregate_admit(f.updates, 1, 1, 0, &report, &in, &err), RD_ERR_RANGE,
                 "its loss is not known");
    report.before = (rd_metrics){3, 1e6, NAN};
    cr_assert_eq(rd_aggregate_admit(f.updates, 1, 1, 0, &report, &in, &err), RD_ERR_RANGE,
                 "1e12 is too much");
    rd_round_record record = {0};
    cr_assert_eq(
        rd_aggregate_finish(f.updates, 1, false, &(rd_target){.parameters = f.parameters}, &record, &err),
        RD_OK);
    cr_assert_eq(record.samples, 0);
    close_federation(&f);
}

/* Nobody points where the server does: the model stays. */
Test(strategies, without_anybody_to_trust_the_model_stays)
{
    bench b;
    federation f;
    rd_intake in;
    rd_error err;
    open_bench(&b);
    open_federation(&b, 0, "{\"name\": \"fltrust\"}", &f);
    float root[N] = {1, 0, 0, 0}, update[N] = {-1, 5, 0, 0};
    rd_aggregate_set_root(f.updates, root);
    rd_report report = {.samples = 3, .running_loss = NAN};
    cr_assert_eq(rd_aggregate_admit(f.updates, 1, 1, 0, &report, &in, &err), RD_OK);
    rd_aggregate_fold(f.updates, &in, 0, update, N);
    rd_aggregate_folded(f.updates, &in);
    rd_round_record record = {0};
    cr_assert_eq(
        rd_aggregate_finish(f.updates, 1, true, &(rd_target){.parameters = f.parameters}, &record, &err),
        RD_OK);
    cr_assert_arr_eq(f.parameters, b.initial, sizeof f.parameters);
    close_federation(&f);
}
