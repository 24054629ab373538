/* Local training: steps against PyTorch, least squares against its closed form, and the promises of
 * local_round.h: the same bits whoever computes, hold-out rows that stay out, divergence that is named. */
#include <pthread.h>

#include "core/random.h"
#include "expect_abort.h"
#include "mlp_reference.h"
#include "train/local_round.h"

static rd_training training_of(uint32_t epochs, uint32_t batch_size, float learning_rate)
{
    return (rd_training){.epochs = epochs, .batch_size = batch_size, .learning_rate = learning_rate};
}

/* What run returns, and everything it needs, on the stack of a test. */
typedef struct round_call {
    const rd_model *model;
    rd_training training;
    rd_client_evaluation evaluation;
    uint64_t round, client_key;
    const rd_dataset *data;
    rd_rows rows;
    const float *global;
} round_call;

static rd_status run_with(rd_trainer *t, const round_call *c, float *delta, rd_report *report, rd_error *err)
{
    rd_local_task task = {&c->training, &c->evaluation, 42, c->round, c->client_key};
    return rd_local_round_run(t, &task, (rd_row_set){c->data, c->rows}, c->global, delta, report, err);
}

/* With a trainer of its own. */
static rd_status run(const round_call *c, float *delta, rd_report *report, rd_error *err)
{
    rd_trainer *t;
    cr_assert_eq(rd_trainer_create(c->model, &c->training, c->rows.count, &t, err), RD_OK);
    rd_status status = run_with(t, c, delta, report, err);
    rd_trainer_free(t);
    return status;
}

static void run_well(const round_call *c, float *delta, rd_report *report)
{
    rd_error err = {0};
    cr_assert_eq(run(c, delta, report, &err), RD_OK, "%s", err.message);
}

static rd_dataset table(size_t rows, size_t features, size_t targets, size_t classes)
{
    rd_dataset d = {.rows = rows, .features = features, .rank = 1, .shape = {features}, .classes = classes};
    d.x_f32 = calloc(rows * features, sizeof *d.x_f32);
    d.target_count = targets;
    if (targets > 0)
        d.targets = calloc(rows * targets, sizeof *d.targets);
    else
        d.labels = calloc(rows, sizeof *d.labels), d.label_count = 1;
    return d;
}

static rd_dataset random_classes(size_t rows, size_t features, size_t classes)
{
    rd_random random = rd_random_stream(7, RD_PURPOSE_TEST, 0, 0);
    rd_dataset d = table(rows, features, 0, classes);
    for (size_t i = 0; i < rows * features; i++)
        d.x_f32[i] = (float)rd_random_normal(&random);
    for (size_t i = 0; i < rows; i++)
        d.labels[i] = (int32_t)rd_random_below(&random, (uint32_t)classes);
    return d;
}

/* ---- steps ---- */

/* The reference batch, `copies` times over: the mean gradient of the whole is that of one batch. */
static rd_dataset reference_data(const reference_case *c, size_t copies)
{
    bool regression = reference_find(c, "targets") != NULL;
    rd_dataset d = table(copies * REFERENCE_BATCH, REFERENCE_INPUT, regression ? REFERENCE_OUTPUT : 0,
                         regression ? 0 : REFERENCE_OUTPUT);
    for (size_t i = 0; i < copies; i++) {
        enum { X = REFERENCE_BATCH * REFERENCE_INPUT, Y = REFERENCE_BATCH * REFERENCE_OUTPUT };
        reference_copy(c, "x", d.x_f32 + i * X, X);
        if (regression)
            reference_copy(c, "targets", d.targets + i * Y, Y);
        for (size_t b = 0; b < REFERENCE_BATCH && !regression; b++)
            d.labels[i * REFERENCE_BATCH + b] = (int32_t)reference_find(c, "labels")->values[b];
    }
    return d;
}

/* Three epochs of one batch are three steps. With 50 copies the batch of 300 goes through in pieces. */
static void check_steps(size_t copies)
{
    enum { N = 79 };
    const char *const optimizers[] = {"0.0-0.0", "0.9-0.0", "0.0-0.05", "0.9-0.05"};
    FILE *f = reference_open();
    reference_case c;
    while (reference_next(f, &c)) {
        rd_model *m = reference_model(&c);
        rd_dataset d = reference_data(&c, copies);
        float global[N], delta[N];
        reference_copy(&c, "parameters", global, N);
        for (size_t i = 0; i < 4; i++) {
            char name[32];
            rd_report report;
            round_call call = {m, training_of(3, 0, 0.1f), {0}, 1, 1, &d, rd_dataset_all_rows(&d), global};
            cr_assert_eq(sscanf(optimizers[i], "%f-%f", &call.training.momentum, &call.training.weight_decay), 2);
            run_well(&call, delta, &report);
            for (size_t j = 0; j < N; j++)
                delta[j] += global[j];
            (void)snprintf(name, sizeof name, "after-%s", optimizers[i]);
            reference_expect(&c, name, delta, N);
            cr_assert_eq(report.samples, copies * REFERENCE_BATCH);
        }
        rd_dataset_free(&d);
        rd_model_free(m);
        reference_free(&c);
    }
    fclose(f);
}

Test(steps, agree_with_pytorch)
{
    check_steps(1);
}

Test(steps, on_batches_that_go_through_in_pieces_agree_with_pytorch)
{
    check_steps(50);
}

/* Ten samples x = 1, t = 1 in batches of three: from w = b = 0 the error e = w + b - t starts at -1, and each
 * of the four steps (the last on one sample) multiplies it by 1 - 4 lr. */
Test(steps, the_last_partial_batch_is_trained_and_losses_are_weighted_by_samples)
{
    rd_model *m = model_from_text("{\"preset\": \"linear-regression\", \"input\": 1}");
    rd_dataset d = table(10, 1, 1, 0);
    float global[2] = {0, 0}, delta[2];
    rd_report report;
    for (size_t i = 0; i < 10; i++)
        d.x_f32[i] = d.targets[i] = 1;
    round_call call = {m, training_of(2, 3, 0.1f), {.train_loss = true}, 1, 1, &d, rd_dataset_all_rows(&d), global};
    run_well(&call, delta, &report);

    const double q = 1 - 4 * 0.1, second = pow(q, 8); /* squared error at the start of epoch 2 */
    cr_assert_float_eq(delta[0], (1 - pow(q, 8)) / 2, 1e-6);
    cr_assert_float_eq(delta[1], (1 - pow(q, 8)) / 2, 1e-6);
    cr_assert_float_eq(report.running_loss, second * (3 + 3 * q * q + 3 * pow(q, 4) + pow(q, 6)) / 10, 1e-7);
    cr_assert_float_eq(report.delta_norm, (1 - pow(q, 8)) / 2 * sqrt(2), 1e-6);
    cr_assert_eq(report.samples, 10);
    cr_assert_eq(report.before.samples, 10);
    cr_assert_float_eq(report.before.loss, 1, 1e-9);
    cr_assert(isnan(report.before.accuracy), "regression has no accuracy");
    cr_assert_eq(report.holdout.samples, 0);
    rd_dataset_free(&d);
    rd_model_free(m);
}

Test(steps, the_learning_rate_decays_by_round)
{
    rd_model *m = model_from_text("{\"preset\": \"softmax-regression\", \"input\": 4, \"classes\": 3}");
    rd_dataset d = random_classes(20, 4, 3);
    float global[15] = {0}, constant[15], first[15], third[15];
    rd_report report;
    round_call call = {m, training_of(1, 0, 0.1f), {0}, 1, 1, &d, rd_dataset_all_rows(&d), global};
    run_well(&call, constant, &report);
    call.training.schedule = (rd_schedule){.kind = RD_SCHEDULE_EXPONENTIAL, .decay = 0.5};
    run_well(&call, first, &report);
    call.round = 3;
    run_well(&call, third, &report);
    for (size_t i = 0; i < 15; i++) { /* one step each: the delta is -lr * gradient */
        cr_assert_eq(first[i], constant[i], "round 1 has the full rate");
        cr_assert_float_eq(third[i], 0.25 * first[i], 1e-7);
    }
    rd_dataset_free(&d);
    rd_model_free(m);
}

/* ---- least squares ---- */

enum { SLOPES = 3, UNKNOWNS = SLOPES + 1 };

/* Solves the normal equations (X^T X) w = X^T t in double, with a column of ones for the intercept. */
static void least_squares(const rd_dataset *d, double w[UNKNOWNS])
{
    double a[UNKNOWNS][UNKNOWNS + 1] = {{0}};
    for (size_t r = 0; r < d->rows; r++) {
        double x[UNKNOWNS] = {d->x_f32[r * SLOPES], d->x_f32[r * SLOPES + 1], d->x_f32[r * SLOPES + 2], 1};
        for (size_t i = 0; i < UNKNOWNS; i++) {
            for (size_t j = 0; j < UNKNOWNS; j++)
                a[i][j] += x[i] * x[j];
            a[i][UNKNOWNS] += x[i] * d->targets[r];
        }
    }
    for (size_t i = 0; i < UNKNOWNS; i++) /* Gauss-Jordan; X^T X is positive definite, so no pivoting */
        for (size_t k = 0; k < UNKNOWNS; k++) {
            double factor = a[k][i] / a[i][i];
            for (size_t j = i; j <= UNKNOWNS && k != i; j++)
                a[k][j] -= factor * a[i][j];
        }
    for (size_t i = 0; i < UNKNOWNS; i++)
        w[i] = a[i][UNKNOWNS] / a[i][i];
}

static void check_least_squares(double noise, rd_training training, double tolerance)
{
    rd_model *m = model_from_text("{\"preset\": \"linear-regression\", \"input\": 3}");
    rd_random random = rd_random_stream(11, RD_PURPOSE_TEST, 0, 0);
    rd_dataset d = table(300, SLOPES, 1, 0);
    for (size_t r = 0; r < d.rows; r++) {
        float *x = d.x_f32 + r * SLOPES;
        for (size_t i = 0; i < SLOPES; i++)
            x[i] = (float)rd_random_normal(&random);
        x[2] += 0.5f * x[0]; /* correlated, so that the answer is not the plain covariances */
        d.targets[r] = (float)(2.0 * x[0] - 3.0 * x[1] + 0.5 * x[2] + 1.5 + noise * rd_random_normal(&random));
    }
    double expected[UNKNOWNS];
    float global[UNKNOWNS], delta[UNKNOWNS];
    rd_report report;
    least_squares(&d, expected);
    rd_model_init(m, 1, global);
    round_call call = {m, training, {0}, 1, 1, &d, rd_dataset_all_rows(&d), global};
    run_well(&call, delta, &report);
    for (size_t i = 0; i < UNKNOWNS; i++)
        cr_assert_float_eq(global[i] + delta[i], expected[i], tolerance, "coefficient %zu", i);
    rd_dataset_free(&d);
    rd_model_free(m);
}

Test(least_squares, full_batches_reach_the_closed_form)
{
    check_least_squares(1.0, training_of(400, 0, 0.1f), 2e-6);
}

Test(least_squares, full_batches_with_momentum_reach_the_closed_form)
{
    rd_training training = training_of(400, 0, 0.02f);
    training.momentum = 0.9f;
    check_least_squares(1.0, training, 2e-6);
}

Test(least_squares, mini_batches_reach_it_where_there_is_no_noise)
{
    check_least_squares(0, training_of(60, 16, 0.1f), 2e-6);
}

/* ---- the same bits ---- */

enum { SMALL_ROWS = 37, SMALL_FEATURES = 12, SMALL_CLASSES = 4 };
static const char small_model[] = "{\"input\": 12, \"loss\": \"softmax_cross_entropy\", \"layers\": ["
                                  "{\"type\": \"dense\", \"units\": 33, \"activation\": \"relu\"},"
                                  "{\"type\": \"dense\", \"units\": 4}]}";

static round_call small_call(const rd_model *m, const rd_dataset *d, const float *global)
{
    return (round_call){
        m, training_of(3, 10, 0.1f), {.train_loss = true, .holdout = 0.2}, 2, 99, d, {NULL, d->rows}, global};
}

typedef struct thread_work {
    round_call call;
    float *delta;
    rd_report report;
} thread_work;

static void *thread_run(void *user)
{
    thread_work *w = user;
    run_well(&w->call, w->delta, &w->report);
    return NULL;
}

static void check_bits(float momentum)
{
    rd_model *m = model_from_text(small_model);
    size_t n = rd_model_parameter_count(m), bytes = n * sizeof(float);
    rd_dataset d = random_classes(SMALL_ROWS, SMALL_FEATURES, SMALL_CLASSES);
    float *global = malloc(bytes), *once = malloc(bytes), *again = malloc(bytes), *other = malloc(bytes);
    rd_report report, repeated;
    rd_error err;
    rd_trainer *t;
    rd_model_init(m, 5, global);
    round_call call = small_call(m, &d, global);
    call.training.momentum = momentum;
    run_well(&call, once, &report);

    /* a larger trainer that has served another client before */
    cr_assert_eq(rd_trainer_create(m, &call.training, 1000, &t, &err), RD_OK);
    round_call another = call;
    another.client_key = 100;
    another.rows.count = 20;
    cr_assert_eq(run_with(t, &another, other, &repeated, &err), RD_OK);
    cr_assert_eq(run_with(t, &call, again, &repeated, &err), RD_OK);
    cr_assert_eq(memcmp(once, again, bytes), 0);
    cr_assert_eq(memcmp(&report, &repeated, sizeof report), 0);
    rd_trainer_free(t);

    /* other clients and other rounds shuffle otherwise */
    another = call;
    another.client_key = 100;
    run_well(&another, other, &repeated);
    cr_assert_neq(memcmp(once, other, bytes), 0);
    another = call;
    another.round = 3;
    run_well(&another, other, &repeated);
    cr_assert_neq(memcmp(once, other, bytes), 0);

    /* two threads at the same time */
    pthread_t ids[2];
    thread_work works[2] = {{call, again, {0}}, {call, other, {0}}};
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(pthread_create(&ids[i], NULL, thread_run, &works[i]), 0);
    for (size_t i = 0; i < 2; i++)
        pthread_join(ids[i], NULL);
    cr_assert_eq(memcmp(once, again, bytes), 0);
    cr_assert_eq(memcmp(once, other, bytes), 0);

    free(global);
    free(once);
    free(again);
    free(other);
    rd_dataset_free(&d);
    rd_model_free(m);
}

Test(bits, depend_on_the_client_and_the_round_alone)
{
    check_bits(0);
}

/* A velocity left over from another client would show. */
Test(bits, depend_on_the_client_and_the_round_alone_with_momentum)
{
    check_bits(0.9f);
}

/* A simulated client owns some rows of a large set, a deployed one has a file of its own with the same rows.
 */
Test(bits, are_the_same_for_rows_of_a_large_set_and_for_a_set_of_their_own)
{
    rd_model *m = model_from_text(small_model);
    size_t n = rd_model_parameter_count(m), bytes = n * sizeof(float);
    rd_dataset all = random_classes(500, SMALL_FEATURES, SMALL_CLASSES);
    rd_dataset own = table(SMALL_ROWS, SMALL_FEATURES, 0, SMALL_CLASSES);
    uint32_t index[SMALL_ROWS];
    for (size_t i = 0; i < SMALL_ROWS; i++) {
        index[i] = (uint32_t)((i * 211 + 17) % 500);
        memcpy(own.x_f32 + i * SMALL_FEATURES, all.x_f32 + index[i] * SMALL_FEATURES, SMALL_FEATURES * sizeof(float));
        own.labels[i] = all.labels[index[i]];
    }
    float *global = malloc(bytes), *simulated = malloc(bytes), *deployed = malloc(bytes);
    rd_report first, second;
    rd_model_init(m, 5, global);
    round_call call = small_call(m, &all, global);
    call.rows = (rd_rows){index, SMALL_ROWS};
    run_well(&call, simulated, &first);
    call.data = &own;
    call.rows = rd_dataset_all_rows(&own);
    run_well(&call, deployed, &second);
    cr_assert_eq(memcmp(simulated, deployed, bytes), 0);
    cr_assert_eq(memcmp(&first, &second, sizeof first), 0);
    free(global);
    free(simulated);
    free(deployed);
    rd_dataset_free(&all);
    rd_dataset_free(&own);
    rd_model_free(m);
}

/* ---- hold-out ---- */

/* Sample i has feature i alone, so weight i changes if and only if sample i is trained on. */
Test(holdout, rows_stay_out_of_training_and_are_the_same_in_every_round)
{
    rd_model *m = model_from_text("{\"preset\": \"linear-regression\", \"input\": 10}");
    rd_dataset d = table(10, 10, 1, 0);
    float global[11] = {0}, delta[11];
    bool trained[2][10];
    rd_report report;
    for (size_t i = 0; i < 10; i++) {
        d.x_f32[i * 10 + i] = 1;
        d.targets[i] = (float)(1 + i);
    }
    for (size_t r = 0; r < 2; r++) {
        round_call call = {m,
                           training_of(2, 3, 0.01f),
                           {.train_loss = true, .holdout = 0.3},
                           1 + 4 * r,
                           5,
                           &d,
                           rd_dataset_all_rows(&d),
                           global};
        double squares = 0;
        size_t count = 0;
        run_well(&call, delta, &report);
        for (size_t i = 0; i < 10; i++) {
            trained[r][i] = delta[i] != 0;
            count += trained[r][i];
            squares += trained[r][i] ? 0 : (double)(1 + i) * (1 + i);
        }
        cr_assert_eq(count, 7);
        cr_assert_eq(report.samples, 7);
        cr_assert_eq(report.before.samples, 7);
        cr_assert_eq(report.holdout.samples, 3);
        cr_assert_float_eq(report.holdout.loss, squares / 3, 1e-9); /* the model says 0 everywhere */
        cr_assert_float_eq(report.before.loss, (385 - squares) / 7, 1e-9);
    }
    cr_assert_eq(memcmp(trained[0], trained[1], sizeof trained[0]), 0);
    rd_dataset_free(&d);
    rd_model_free(m);
}

Test(holdout, never_takes_the_last_row)
{
    rd_model *m = model_from_text("{\"preset\": \"linear-regression\", \"input\": 1}");
    rd_dataset d = table(1, 1, 1, 0);
    float global[2] = {0}, delta[2];
    rd_report report;
    round_call call = {m, training_of(1, 1, 0.1f), {.holdout = 0.9}, 1, 1, &d, rd_dataset_all_rows(&d), global};
    run_well(&call, delta, &report);
    cr_assert_eq(report.samples, 1);
    cr_assert_eq(report.holdout.samples, 0);
    rd_dataset_free(&d);
    rd_model_free(m);
}

/* ---- what goes wrong ---- */

/* Samples x = 1, t = 1: a step multiplies the error w + b - t by 1 - 4 lr, here -10^6. From -1 it passes the
 * largest float, 3.4 10^38, with the seventh step, which the loss of the eighth shows. */
Test(errors, divergence_names_round_epoch_and_learning_rate)
{
    rd_model *m = model_from_text("{\"preset\": \"linear-regression\", \"input\": 1}");
    rd_dataset d = table(10, 1, 1, 0);
    float global[2] = {0}, delta[2];
    rd_report report;
    rd_error err;
    for (size_t i = 0; i < 10; i++)
        d.x_f32[i] = d.targets[i] = 1;
    round_call call = {m, training_of(100, 10, 250000), {0}, 3, 1, &d, rd_dataset_all_rows(&d), global};
    cr_assert_eq(run(&call, delta, &report, &err), RD_ERR_RANGE);
    cr_assert_not_null(strstr(err.message, "round 3, epoch 8: training diverged at learning rate 250000"), "%s",
                       err.message);
    call.training = training_of(1, 10, 1e9f); /* one step: the loss is fine, the parameters are far away */
    cr_assert_eq(run(&call, delta, &report, &err), RD_ERR_RANGE);
    cr_assert_not_null(strstr(err.message, "round 3, after epoch 1: training diverged at learning rate 1e+09: "
                                           "element 0 of fc1.weight changed by 2e+09"),
                       "%s", err.message);
    global[1] = NAN;
    call.evaluation.train_loss = true;
    cr_assert_eq(run(&call, delta, &report, &err), RD_ERR_RANGE);
    cr_assert_not_null(strstr(err.message, "global model on the training rows"), "%s", err.message);
    rd_dataset_free(&d);
    rd_model_free(m);
}

Test(errors, a_call_that_does_not_fit_the_trainer_is_refused)
{
    rd_model *m = model_from_text("{\"preset\": \"linear-regression\", \"input\": 1}");
    rd_dataset d = table(300, 1, 1, 0);
    float global[2] = {0}, delta[2];
    rd_report report;
    rd_error err;
    rd_trainer *t;
    round_call call = {m, training_of(1, 10, 0.1f), {0}, 1, 1, &d, {NULL, 0}, global};
    cr_assert_eq(rd_trainer_create(m, &call.training, 299, &t, &err), RD_OK);
    cr_assert_eq(run_with(t, &call, delta, &report, &err), RD_ERR_DATA);
    call.rows.count = 300;
    cr_assert_eq(run_with(t, &call, delta, &report, &err), RD_ERR_INTERNAL);
    call.rows.count = 299;
    call.training.batch_size = 0;
    cr_assert_eq(run_with(t, &call, delta, &report, &err), RD_ERR_INTERNAL, "no vector for a large batch");
    call.training.batch_size = 10;
    call.training.momentum = 0.5f;
    cr_assert_eq(run_with(t, &call, delta, &report, &err), RD_ERR_INTERNAL, "no vector for momentum");
    rd_trainer_free(t);
    rd_dataset_free(&d);
    rd_model_free(m);
}

Test(errors, data_that_do_not_fit_the_model_are_refused)
{
    rd_model *classes = model_from_text("{\"preset\": \"softmax-regression\", \"input\": 4, \"classes\": 3}");
    rd_model *real = model_from_text("{\"preset\": \"linear-regression\", \"input\": 4}");
    rd_dataset labelled = random_classes(20, 4, 3), narrow = random_classes(20, 5, 3);
    rd_dataset targets = table(20, 4, 1, 0), two_targets = table(20, 4, 2, 0), empty = {.features = 4};
    rd_error err;
    cr_assert_eq(rd_data_check(classes, &labelled, "d", &err), RD_OK);
    cr_assert_eq(rd_data_check(real, &targets, "d", &err), RD_OK);

    labelled.labels[17] = 3;
    const struct {
        const rd_model *model;
        const rd_dataset *data;
        const char *message;
    } cases[] = {
        {classes, &empty, "a.csv: holds no samples"},
        {classes, &narrow, "a.csv: a sample has 5 features, (5), but the model's input is (4)"},
        {classes, &labelled,
         "a.csv: sample 17 (the first is 0) has class 3, but the model's 3 outputs stand for classes 0 to 2"},
        {classes, &targets,
         "a.csv: holds real targets (regression), but the model's loss softmax_cross_entropy needs classes"},
        {real, &labelled, "a.csv: holds classes, but the model's loss mse needs real targets (regression)"},
        {real, &two_targets, "a.csv: a sample has 2 targets, but the model's output is 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(rd_data_check(cases[i].model, cases[i].data, "a.csv", &err), RD_ERR_DATA);
        cr_expect_str_eq(err.message, cases[i].message);
    }
    labelled.labels[17] = -1;
    cr_assert_eq(rd_data_check(classes, &labelled, "a.csv", &err), RD_ERR_DATA);
    rd_dataset_free(&labelled);
    rd_dataset_free(&narrow);
    rd_dataset_free(&targets);
    rd_dataset_free(&two_targets);
    rd_model_free(classes);
    rd_model_free(real);
}

/* ---- evaluation ---- */

Test(evaluation, of_a_model_that_knows_nothing_is_log_c)
{
    rd_model *m = model_from_text("{\"preset\": \"softmax-regression\", \"input\": 4, \"classes\": 3}");
    rd_training t = training_of(1, 10, 0.1f);
    rd_dataset d = random_classes(700, 4, 3);
    rd_trainer *trainer;
    rd_evaluation sums = {0};
    rd_error err;
    float zero[15] = {0};
    size_t of_class_0 = 0;
    for (size_t i = 0; i < d.rows; i++)
        of_class_0 += d.labels[i] == 0;
    cr_assert_eq(rd_trainer_create(m, &t, 1, &trainer, &err), RD_OK);
    cr_assert_eq(rd_evaluation_metrics(&sums, m).samples, 0);
    cr_assert_eq(rd_evaluate(trainer, zero, rd_dataset_all(&d), 0, 700, &sums, &err), RD_OK);
    rd_metrics metrics = rd_evaluation_metrics(&sums, m);
    cr_assert_eq(metrics.samples, 700);
    cr_assert_float_eq(metrics.loss, log(3), 1e-7);
    cr_assert_float_eq(metrics.accuracy, of_class_0 / 700.0, 1e-12); /* equal logits: the first class wins */
    rd_trainer_free(trainer);
    rd_dataset_free(&d);
    rd_model_free(m);
}

Test(evaluation, gives_the_same_bits_however_it_is_shared)
{
    rd_model *m = model_from_text(small_model);
    rd_training t = training_of(1, 10, 0.1f);
    rd_dataset d = random_classes(1000, SMALL_FEATURES, SMALL_CLASSES);
    rd_trainer *trainers[2];
    rd_evaluation whole = {0}, front = {0}, back = {0};
    rd_error err;
    float *p = malloc(rd_model_parameter_count(m) * sizeof *p);
    rd_rows rows = rd_dataset_all_rows(&d);
    rd_model_init(m, 1, p);
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(rd_trainer_create(m, &t, 1, &trainers[i], &err), RD_OK);
    cr_assert_eq(rd_evaluate(trainers[0], p, (rd_row_set){&d, rows}, 0, 1000, &whole, &err), RD_OK);
    cr_assert_eq(rd_evaluate(trainers[1], p, (rd_row_set){&d, rows}, 512, 488, &back, &err), RD_OK);
    cr_assert_eq(rd_evaluate(trainers[0], p, (rd_row_set){&d, rows}, 256, 256, &back, &err), RD_OK);
    cr_assert_eq(rd_evaluate(trainers[1], p, (rd_row_set){&d, rows}, 0, 256, &front, &err), RD_OK);
    expect_abort(!rd_evaluate(trainers[1], p, (rd_row_set){&d, rows}, 100, 256, &front, &err));
    rd_evaluation_merge(&back, &front);
    rd_metrics a = rd_evaluation_metrics(&whole, m), b = rd_evaluation_metrics(&back, m);
    cr_assert_eq(memcmp(&a, &b, sizeof a), 0);
    cr_assert_eq(a.samples, 1000);
    for (size_t i = 0; i < 2; i++)
        rd_trainer_free(trainers[i]);
    free(p);
    rd_dataset_free(&d);
    rd_model_free(m);
}
