/* Whole federated runs of three rounds under every strategy that sums, against the formulas of their papers in NumPy
 * (tests/reference/make_strategies.py). The clients' side is rd_local_round_run, the server's rd_aggregate. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/strategy_section.h"
#include "core/random.h"
#include "run/aggregate_state.h"
#include "strategy_named.h"

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
    b->data =
        (rd_dataset){.rows = ROWS, .features = D, .rank = 1, .shape = {D}, .x_f32 = x, .targets = y, .target_count = 1};
}

/* run.json with this strategy and the rest that make_strategies.py has. */
static rd_config config_of(double momentum, const char *strategy)
{
    char json[1024];
    rd_config c;
    rd_error err;
    bool fedsgd = strstr(strategy, "fedsgd") != NULL;
    (void)snprintf(json, sizeof json,
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
    float parameters[N], kept[CLIENTS][N];
} federation;

static void open_federation(const bench *b, double momentum, const char *strategy, federation *f)
{
    rd_error err;
    f->bench = b;
    f->config = config_of(momentum, strategy);
    cr_assert_eq(rd_model_create(f->config.model, &f->model, &err), RD_OK, "%s", err.message);
    cr_assert_eq(rd_model_parameter_count(f->model), N);
    cr_assert_eq(rd_aggregate_create(&f->config.strategy, &f->config.training, f->model, &f->updates, &err), RD_OK);
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
                          .strategy = &f->config.strategy,
                          .personalisation = &f->config.personalisation,
                          .kept = f->kept[client],
                          .is_new = round == 1};
    rd_aggregate_down(f->updates, task.down);
    cr_assert_eq(
        rd_local_round_run(f->trainer, &task, (rd_row_set){&f->bench->data, rows}, f->parameters, update, report, &err),
        RD_OK, "%s", err.message);
}

static bool is(const federation *f, const char *name)
{
    return strcmp(f->config.strategy.kind->name, name) == 0;
}

/* order: in which the clients' updates come. */
static void run_round(federation *f, uint64_t round, const size_t order[CLIENTS])
{
    float update[2 * N];
    rd_report report;
    rd_error err;
    if (is(f, "fltrust")) {
        train(f, round, 0, 0, (rd_rows){f->bench->index + f->bench->start[2], ROOT_ROWS}, update, &report);
        cr_assert_eq(rd_aggregate_set_own(f->updates, update, &err), RD_OK);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        size_t k = order[i];
        rd_admission in;
        rd_rows rows = {f->bench->index + f->bench->start[k], f->bench->sizes[k]};
        train(f, round, k, is(f, "fednova") ? (uint32_t)k + 1 : 0, rows, update, &report);
        for (size_t j = 0; j < N && is(f, "fltrust") && k == 0; j++)
            update[j] = -update[j];
        const rd_arrival arrival = {k + 1, round, is(f, "fedbuff") ? k : 0, &report,
                                    rd_exact_largest(update, f->updates->update_size)};
        cr_assert_eq(rd_aggregate_admit(f->updates, &arrival, &in, &err), RD_OK, "%s", err.message);
        rd_aggregate_add(f->updates, &in, 0, update, 1); /* in two pieces */
        rd_aggregate_add(f->updates, &in, 1, update + 1, f->updates->update_size - 1);
        cr_assert_eq(rd_aggregate_complete(f->updates, &in, &err), RD_OK, "%s", err.message);
    }
    rd_round_record record = {0};
    rd_target target = {.parameters = f->parameters, .clients = CLIENTS};
    cr_assert_eq(rd_aggregate_finish(f->updates, round, true, &target, &record, &err), RD_OK, "%s", err.message);
    cr_assert_eq(record.samples, ROWS);
    cr_assert_gt(record.update_norm, 0);
}

Test(strategies, three_rounds_of_each_agree_with_numpy)
{
    static const size_t forwards[] = {0, 1, 2}, backwards[] = {2, 1, 0};
    bench b;
    open_bench(&b);
    size_t cases = (size_t)number(b.reference);
    cr_assert_eq(cases, 22);
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
            cr_assert_arr_eq(f.parameters, other.parameters, sizeof f.parameters, "%s: the order matters", strategy);
            for (size_t i = 0; i < N; i++) {
                double expected = number(b.reference), found = (double)f.parameters[i];
                cr_expect_float_eq(found, expected, TOLERANCE, "%s, round %d, parameter %zu: %g, expected %g", strategy,
                                   (int)round, i, found, expected);
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
    rd_admission in;
    rd_error err;
    open_bench(&b);
    open_federation(&b, 0, "{\"name\": \"fednova\"}", &f);
    rd_report report = {.samples = 3, .running_loss = NAN, .before = {.loss = NAN, .accuracy = NAN}};
    const rd_arrival arrival = {.key = 1, .round = 1, .report = &report, .largest = 1};
    cr_assert_eq(rd_aggregate_admit(f.updates, &arrival, &in, &err), RD_ERR_DATA);
    cr_assert(strstr(err.message, "steps") != NULL);
    close_federation(&f);
    open_federation(&b, 0, "{\"name\": \"q-fedavg\", \"q\": 2}", &f);
    cr_assert_eq(rd_aggregate_admit(f.updates, &arrival, &in, &err), RD_ERR_RANGE, "its loss is not known");
    report.before = (rd_metrics){3, 1e6, NAN};
    cr_assert_eq(rd_aggregate_admit(f.updates, &arrival, &in, &err), RD_ERR_RANGE, "1e12 is too much");
    rd_round_record record = {0};
    cr_assert_eq(rd_aggregate_finish(f.updates, 1, false, &(rd_target){.parameters = f.parameters}, &record, &err),
                 RD_OK);
    cr_assert_eq(record.samples, 0);
    close_federation(&f);
}

/* ---- the gate before the sum ---- */

/* One update by hand, from admission to the end. */
static rd_status add_update(federation *f, uint64_t key, const float *update, const rd_report *report, rd_error *err)
{
    rd_admission in;
    size_t n = f->updates->update_size;
    rd_status status =
        rd_aggregate_admit(f->updates, &(rd_arrival){key, 1, 0, report, rd_exact_largest(update, n)}, &in, err);
    if (status != RD_OK)
        return status;
    rd_aggregate_add(f->updates, &in, 0, update, n);
    return rd_aggregate_complete(f->updates, &in, err);
}

static rd_status finish(federation *f, rd_round_record *record, rd_error *err)
{
    *record = (rd_round_record){0};
    return rd_aggregate_finish(f->updates, 1, true, &(rd_target){.parameters = f->parameters, .clients = CLIENTS},
                               record, err);
}

static rd_report good_report(void)
{
    rd_metrics nothing = {.loss = NAN, .accuracy = NAN};
    return (rd_report){
        .samples = 3, .steps = 2, .running_loss = NAN, .before = {3, 1, NAN}, .holdout = nothing, .personal = nothing};
}

/* ---- the step ---- */

/* Every update is fit, and so is their mean; what the server makes of it is not. */
Test(strategies, a_step_that_clients_would_refuse_leaves_everything_as_it_was)
{
    static const char *const strategies[] = {"{\"name\": \"fedavgm\", \"server_learning_rate\": 2}",
                                             "{\"name\": \"scaffold\"}",
                                             "{\"name\": \"median\", \"server_learning_rate\": 2}"};
    for (size_t c = 0; c < sizeof strategies / sizeof *strategies; c++) {
        bench b;
        federation f;
        rd_error err;
        rd_round_record record;
        const rd_report report = good_report();
        float update[2 * N] = {0}, before[N], companions[N] = {0};
        open_bench(&b);
        open_federation(&b, 0, strategies[c], &f);
        const size_t elements = rd_aggregate_companion_table(f.updates).elements, last = f.updates->update_size - 1;
        for (uint64_t round = 1; round <= 2; round++) {
            update[last] = round == 1 ? 1.0f : 8388000.0f;
            cr_assert_eq(add_update(&f, 1, update, &report, &err), RD_OK, "%s", err.message);
            memcpy(before, f.parameters, sizeof before);
            if (elements > 0)
                memcpy(companions, rd_aggregate_companions(f.updates), sizeof companions);
            if (round == 1)
                cr_assert_eq(finish(&f, &record, &err), RD_OK, "%s", err.message);
        }
        if (is(&f, "scaffold")) { /* a third of it each time: the sum of the parts goes down with the model */
            for (int i = 0; i < 4 && finish(&f, &record, &err) == RD_OK; i++) {
                memcpy(before, f.parameters, sizeof before);
                memcpy(companions, rd_aggregate_companions(f.updates), sizeof companions);
                cr_assert_eq(add_update(&f, 1, update, &report, &err), RD_OK, "%s", err.message);
            }
            cr_assert(strstr(err.message, "of what strategy scaffold keeps (c) becomes 2^23 or more") != NULL, "%s",
                      err.message);
        } else {
            cr_assert_eq(finish(&f, &record, &err), RD_ERR_RANGE);
            cr_assert(strstr(err.message, "the global model diverged: element ") != NULL, "%s", err.message);
        }
        cr_assert_arr_eq(f.parameters, before, sizeof before);
        if (elements > 0)
            cr_assert_arr_eq(rd_aggregate_companions(f.updates), companions, sizeof companions);
        /* The sums are empty again. */
        update[last] = 0.5f;
        cr_assert_eq(add_update(&f, 1, update, &report, &err), RD_OK, "%s", err.message);
        cr_assert_eq(finish(&f, &record, &err), RD_OK, "%s", err.message);
        close_federation(&f);
        fclose(b.reference);
    }
}

static const char *const one_of_each_kind[] = {
    "{\"name\": \"fedavg\"}",
    "{\"name\": \"scaffold\"}",
    "{\"name\": \"fednova\"}",
    "{\"name\": \"fedbuff\", \"buffer_size\": 3, \"concurrency\": 3}",
    "{\"name\": \"q-fedavg\", \"q\": 1}",
    "{\"name\": \"norm_clipping\", \"clip_norm\": 1}",
    "{\"name\": \"fltrust\"}",
    "{\"name\": \"median\"}",
    "{\"name\": \"geometric_median\"}",
};

/* Whatever stands in an update: it is refused in every strategy, and the round is as if it had not come. In scaffold
 * also where it stands in the second half. */
Test(strategies, nothing_unfit_enters_a_sum)
{
    static const float unfit[] = {NAN, -NAN, INFINITY, -INFINITY, 0x1p23f, -0x1p24f, 3e38f};
    static const float root[N] = {1, 1, 1, 1}, good[2 * N] = {0.5f, -0.25f, 1, 0.125f, 1, 2, 3, 4};
    bench b;
    rd_error err;
    rd_round_record record;
    open_bench(&b);
    for (size_t s = 0; s < sizeof one_of_each_kind / sizeof *one_of_each_kind; s++) {
        federation with, without;
        open_federation(&b, 0, one_of_each_kind[s], &with);
        open_federation(&b, 0, one_of_each_kind[s], &without);
        size_t n = with.updates->update_size;
        rd_report report = good_report();
        if (is(&with, "fltrust"))
            cr_assert(rd_aggregate_set_own(with.updates, root, &err) == RD_OK &&
                      rd_aggregate_set_own(without.updates, root, &err) == RD_OK);
        cr_assert_eq(add_update(&with, 1, good, &report, &err), RD_OK, "%s: %s", one_of_each_kind[s], err.message);
        cr_assert_eq(add_update(&without, 1, good, &report, &err), RD_OK);
        for (size_t at = 0; at < n; at++)
            for (size_t u = 0; u < sizeof unfit / sizeof *unfit; u++) {
                float bad[2 * N];
                memcpy(bad, good, sizeof bad);
                bad[at] = unfit[u];
                cr_assert_eq(add_update(&with, 2, bad, &report, &err), RD_ERR_RANGE, "%s: %g at %zu",
                             one_of_each_kind[s], (double)unfit[u], at);
            }
        report.samples = 0;
        cr_assert_eq(add_update(&with, 2, good, &report, &err), RD_ERR_RANGE, "no samples");
        report.samples = UINT64_C(1) << 31;
        cr_assert_eq(add_update(&with, 2, good, &report, &err), RD_ERR_RANGE, "too many samples");
        cr_assert(finish(&without, &record, &err) == RD_OK && record.samples == 3, "%s", err.message);
        cr_assert(finish(&with, &record, &err) == RD_OK && record.samples == 3, "%s", err.message);
        cr_assert_arr_eq(with.parameters, without.parameters, sizeof with.parameters, "%s", one_of_each_kind[s]);
        close_federation(&with);
        close_federation(&without);
    }
}

/* What is fit as it comes but not after the strategy's factor: q-fedavg multiplies by F^q = 2^20. */
Test(strategies, what_scaling_would_make_unfit_is_refused)
{
    bench b;
    federation f;
    rd_error err;
    rd_round_record record;
    float update[N] = {8, 0, 0, 0};
    open_bench(&b);
    open_federation(&b, 0, "{\"name\": \"q-fedavg\", \"q\": 1}", &f);
    rd_report report = good_report();
    report.before.loss = 1 << 20;
    cr_assert_eq(add_update(&f, 1, update, &report, &err), RD_ERR_RANGE);
    cr_assert(strstr(err.message, "q-fedavg multiplies the update by 1.04858e+06") != NULL, "%s", err.message);
    update[0] = 7;
    cr_assert_eq(add_update(&f, 1, update, &report, &err), RD_OK, "%s", err.message);
    /* By hand: L = 20, F = 2^20, d = (7, 0, 0, 0): w += L F d / (|L d|^2 + L F). */
    double expected = (double)b.initial[0] + 20.0 * 0x1p20 * 7 / (140.0 * 140 + 20 * 0x1p20);
    cr_assert(finish(&f, &record, &err) == RD_OK);
    cr_assert_float_eq((double)f.parameters[0], expected, 1e-6 * fabs(expected));
    close_federation(&f);
}

/* A delta almost without length: all of it is brought to the length of the server's own, or, where even its norm is no
 * normal float, it counts nothing. */
Test(strategies, fltrust_and_a_delta_of_no_length)
{
    bench b;
    rd_error err;
    rd_round_record record;
    static const struct {
        float value;
        bool counts;
    } cases[] = {{1e-20f, true}, {2e-38f, true}, {1e-38f, false}, {1e-40f, false}, {0x1p-149f, false}, {0, false}};
    open_bench(&b);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        federation f;
        float root[N] = {2, 0, 0, 0}, update[N] = {cases[i].value, 0, 0, 0};
        rd_report report = good_report();
        open_federation(&b, 0, "{\"name\": \"fltrust\"}", &f);
        cr_assert_eq(rd_aggregate_set_own(f.updates, root, &err), RD_OK);
        cr_assert_eq(add_update(&f, 1, update, &report, &err), RD_OK, "%s", err.message);
        cr_assert_eq(finish(&f, &record, &err), cases[i].counts ? RD_OK : RD_ERR_RANGE, "%g", (double)cases[i].value);
        cr_assert_float_eq(f.parameters[0], b.initial[0] + (cases[i].counts ? 2.0f : 0.0f), 1e-6, "%g: %g",
                           (double)cases[i].value, (double)f.parameters[0]);
        cr_assert_arr_eq(f.parameters + 1, b.initial + 1, sizeof f.parameters - sizeof *f.parameters);
        close_federation(&f);
    }
}

Test(strategies, the_servers_own_delta_has_to_be_fit_too)
{
    static const float unfit[][N] = {{NAN, 0, 0, 0}, {0, INFINITY, 0, 0}, {0, 0, 0x1p23f, 0}, {6e6f, 6e6f, 0, 0}};
    bench b;
    federation f;
    rd_error err;
    float update[N] = {1, 1, 1, 1};
    rd_report report = good_report();
    rd_round_record record;
    open_bench(&b);
    open_federation(&b, 0, "{\"name\": \"fltrust\"}", &f);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(rd_aggregate_set_own(f.updates, unfit[i], &err), RD_ERR_RANGE, "case %zu", i);
        cr_assert_eq(add_update(&f, 1, update, &report, &err), RD_OK, "%s", err.message);
        cr_assert_eq(finish(&f, &record, &err), RD_ERR_RANGE, "nobody is trusted");
        cr_assert_arr_eq(f.parameters, b.initial, sizeof f.parameters);
    }
    close_federation(&f);
}

/* The length of two steps at learning rate x mu = 2 is 0 by the formula, and of four at 3 it is -5: such
 * configurations are refused, and such an update is, too (schedules, other clients). By hand: shrink s = lr mu, a = (1 -
 * (1 - s)^steps) / s; s = 1.5, two steps: (1 - 0.25) / 1.5 = 0.5, so w += a d / a = d with one client. */
Test(strategies, fednova_with_steps_of_no_length)
{
    static const char *const text = "{\"rounds\": 1, \"model\": {\"preset\": \"linear-regression\", \"input\": 3}, "
                                    "\"training\": {\"learning_rate\": 0.5}, "
                                    "\"strategy\": {\"name\": \"%s\", \"proximal\": %g}}";
    static const double refused[] = {4, 4.5, 100};
    char json[512];
    rd_config c;
    rd_error err;
    for (size_t i = 0; i < 3; i++) {
        rd_model *m;
        (void)snprintf(json, sizeof json, text, "fednova", refused[i]);
        cr_assert(rd_config_parse(json, strlen(json), "test", NULL, &c, &err) == RD_OK &&
                  rd_model_create(c.model, &m, &err) == RD_OK);
        cr_assert_eq(rd_config_check_strategy(&c, m, &err), RD_ERR_CONFIG);
        rd_model_free(m);
        rd_config_free(&c);
        cr_assert(strstr(err.message, "strategy.proximal: with training.learning_rate 0.5 it must be below 4") != NULL,
                  "%s", err.message);
    }
    (void)snprintf(json, sizeof json, text, "fednova", 3.0);
    cr_assert_eq(rd_config_parse(json, strlen(json), "test", NULL, &c, &err), RD_OK, "%s", err.message);
    rd_update_facts facts = {.samples = 10, .steps = 2, .learning_rate = 0.5};
    rd_contribution out;
    cr_assert_eq(rd_strategy_weigh(&c.strategy, &facts, &out, &err), RD_OK);
    cr_assert(out.extra == 0.5 && out.scale == 2 && out.weight == 10);
    set_key(&c.strategy, "proximal", 4);
    cr_assert_eq(rd_strategy_weigh(&c.strategy, &facts, &out, &err), RD_ERR_RANGE);
    set_key(&c.strategy, "proximal", 6);
    facts.steps = 4; /* (1 - 16) / 3 */
    cr_assert_eq(rd_strategy_weigh(&c.strategy, &facts, &out, &err), RD_ERR_RANGE);
    cr_assert(strstr(err.message, "amount to -5") != NULL, "%s", err.message);
    rd_config_free(&c);
}

/* Five clients of q-fedavg, one of whose h is beyond what sums hold, in every order: the same bits, and those of the
 * other four alone. */
Test(strategies, no_order_matters_with_an_overflow_in_it)
{
    enum { K = 5, ORDERS = 120 };
    static const float updates[K][N] = {{0.5f, 0, 1, 0}, {0, -1, 0, 2}, {1e6f, 0, 0, 0}, {3, 3, 3, 3}, {0, 0, 0, -1}};
    static const double losses[K] = {1, 2.5, 1, 0.25, 0};
    bench b;
    rd_error err;
    rd_round_record record;
    float alone[N];
    open_bench(&b);
    for (int number = -1; number < ORDERS; number++) {
        federation f;
        size_t left[K] = {0, 1, 2, 3, 4}, order[K];
        for (int i = 0, code = number < 0 ? 0 : number; i < K;
             i++) { /* the number's digits choose, one after another */
            int pick = code % (K - i);
            code /= K - i;
            order[i] = left[pick];
            memmove(left + pick, left + pick + 1, (size_t)(K - 1 - pick) * sizeof *left);
        }
        open_federation(&b, 0, "{\"name\": \"q-fedavg\", \"q\": 2}", &f);
        for (size_t i = 0; i < K; i++) {
            rd_report report = good_report();
            report.before.loss = losses[order[i]];
            if (number < 0 && order[i] == 2)
                continue;
            cr_assert_eq(add_update(&f, order[i] + 1, updates[order[i]], &report, &err),
                         order[i] == 2 ? RD_ERR_RANGE : RD_OK, "%s", err.message);
            cr_assert(order[i] != 2 || strstr(err.message, "below 2^40") != NULL, "%s", err.message);
        }
        cr_assert(finish(&f, &record, &err) == RD_OK && record.samples == 12, "%s", err.message);
        if (number < 0)
            memcpy(alone, f.parameters, sizeof alone);
        cr_assert_arr_eq(f.parameters, alone, sizeof alone, "order %d", number);
        cr_assert(f.parameters[0] != b.initial[0]);
        close_federation(&f);
    }
}

/* ---- rounds of which nothing can be made ---- */

/* Least updates by every key of a rule, worked out by hand; one less leaves the model alone. */
Test(strategies, least_updates_are_enough_and_one_less_is_not)
{
    static const struct {
        const char *strategy;
        size_t least;
    } table[] = {
        {"{\"name\": \"median\"}", 1},
        {"{\"name\": \"geometric_median\", \"iterations\": 3}", 1},
        {"{\"name\": \"trimmed_mean\", \"byzantine\": 0}", 1},
        {"{\"name\": \"trimmed_mean\", \"byzantine\": 3}", 7},
        {"{\"name\": \"krum\", \"byzantine\": 0}", 3},
        {"{\"name\": \"krum\", \"byzantine\": 2}", 7},
        {"{\"name\": \"multi_krum\", \"byzantine\": 2}", 7},
        {"{\"name\": \"multi_krum\", \"byzantine\": 2, \"chosen\": 1}", 7},
        {"{\"name\": \"multi_krum\", \"byzantine\": 2, \"chosen\": 5}", 7},
        {"{\"name\": \"multi_krum\", \"byzantine\": 2, \"chosen\": 6}", 8},
        {"{\"name\": \"multi_krum\", \"byzantine\": 2, \"chosen\": 12}", 14},
        {"{\"name\": \"multi_krum\", \"byzantine\": 0, \"chosen\": 9}", 9},
        {"{\"name\": \"bulyan\", \"byzantine\": 0}", 3},
        {"{\"name\": \"bulyan\", \"byzantine\": 2}", 11},
    };
    bench b;
    rd_error err;
    rd_round_record record;
    open_bench(&b);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        federation f;
        open_federation(&b, 0, table[i].strategy, &f);
        cr_expect_eq(rd_strategy_least_updates(&f.config.strategy), table[i].least, "%s", table[i].strategy);
        cr_expect_eq(f.config.cohort.min_updates, table[i].least, "%s", table[i].strategy);
        for (size_t less = 2; less-- > 0;) {
            memcpy(f.parameters, b.initial, sizeof f.parameters);
            for (uint64_t k = 0; k < table[i].least - less; k++) {
                rd_report report = good_report();
                float update[N] = {1 + 0.01f * (float)k, 1, 1, 1};
                cr_assert_eq(add_update(&f, k + 1, update, &report, &err), RD_OK, "%s", err.message);
            }
            if (table[i].least == less)
                continue; /* no update at all: the core does not aggregate that */
            rd_status status = finish(&f, &record, &err);
            cr_expect_eq(status, less > 0 ? RD_ERR_RANGE : RD_OK, "%s, %zu less: %s", table[i].strategy, less,
                         err.message);
            cr_expect((memcmp(f.parameters, b.initial, sizeof f.parameters) == 0) == (less > 0), "%s",
                      table[i].strategy);
        }
        close_federation(&f);
    }
}

/* Nobody points where the server does: the model stays. */
Test(strategies, without_anybody_to_trust_the_model_stays)
{
    bench b;
    federation f;
    rd_error err;
    open_bench(&b);
    open_federation(&b, 0, "{\"name\": \"fltrust\"}", &f);
    float root[N] = {1, 0, 0, 0}, update[N] = {-1, 5, 0, 0};
    cr_assert_eq(rd_aggregate_set_own(f.updates, root, &err), RD_OK);
    rd_report report = good_report();
    rd_round_record record;
    cr_assert_eq(add_update(&f, 1, update, &report, &err), RD_OK);
    cr_assert_eq(finish(&f, &record, &err), RD_ERR_RANGE);
    cr_assert_str_eq(err.message, "none of 1 updates is trusted");
    cr_assert_arr_eq(f.parameters, b.initial, sizeof f.parameters);
    close_federation(&f);
}

/* What clients train with: scaffold's and fedsgd's formulas hold for plain SGD, fednova's with momentum, too. */
Test(strategies, some_are_for_sgd_alone)
{
    static const struct {
        bool sgd, momentum_too;
        double momentum;
        rd_status expected;
    } table[] = {{true, false, 0, RD_OK},           {true, true, 0, RD_OK},          {true, true, 0.9, RD_OK},
                 {true, false, 0.9, RD_ERR_CONFIG}, {false, true, 0, RD_ERR_CONFIG}, {false, false, 0, RD_ERR_CONFIG}};
    const rd_strategy s = strategy_named("scaffold");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        rd_error err;
        const rd_strategy_setting c = {.sgd = table[i].sgd, .momentum = table[i].momentum, .learning_rate = 0.1};
        cr_expect_eq(rd_strategy_needs_sgd(&s, &c, table[i].momentum_too, &err), table[i].expected, "case %zu", i);
    }
}

/* One step on all of a client's samples, and no other way to train. */
Test(strategies, fedsgd_is_one_step_on_all_samples)
{
    static const struct {
        rd_strategy_setting setting;
        rd_status expected;
    } table[] = {{{.sgd = true, .epochs = 1, .batch_size = 0, .learning_rate = 0.1}, RD_OK},
                 {{.sgd = true, .epochs = 2, .batch_size = 0, .learning_rate = 0.1}, RD_ERR_CONFIG},
                 {{.sgd = true, .epochs = 1, .batch_size = 8, .learning_rate = 0.1}, RD_ERR_CONFIG},
                 {{.sgd = false, .epochs = 1, .batch_size = 0, .learning_rate = 0.1}, RD_ERR_CONFIG}};
    const rd_strategy s = strategy_named("fedsgd");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        rd_error err;
        cr_expect_eq(s.kind->check(&s, &table[i].setting, &err), table[i].expected, "case %zu", i);
    }
}

/* A step of rate a and strength mu goes a mu of the way towards w: from 2 on it ends further away than it began. */
Test(strategies, a_proximal_term_pulls_and_does_not_push)
{
    static const struct {
        rd_strategy_setting setting;
        double mu;
        rd_status expected;
    } table[] = {{{.sgd = true, .learning_rate = 0.5}, 3.9, RD_OK},
                 {{.sgd = true, .learning_rate = 0.5}, 4, RD_ERR_CONFIG},
                 {{.sgd = true, .learning_rate = 0.5}, 5, RD_ERR_CONFIG},
                 {{.sgd = false, .learning_rate = 0.5}, 5, RD_OK}, /* Adam's steps are no such thing */
                 {{.sgd = true, .momentum = 0.5, .learning_rate = 0.5}, 5, RD_OK}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        rd_error err;
        cr_expect_eq(rd_strategy_check_proximal("mu", table[i].mu, &table[i].setting, &err), table[i].expected,
                     "case %zu", i);
    }
}
