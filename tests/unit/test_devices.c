/* Simulated devices and attackers against closed forms and hand computation. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attack.h"
#include "core/random.h"
#include "system_model.h"

static rd_system_model *make(const rd_system_config *c)
{
    rd_system_model *m;
    rd_error err;
    cr_assert_eq(rd_system_model_create(c, 7, &m, &err), RD_OK, "%s", err.message);
    return m;
}

static rd_system_config nothing(void)
{
    rd_system_config c = {.given = true, .slot_seconds = 100, .least_epochs = 1};
    c.device[RD_DEVICE_AVAILABILITY].a = 1;
    return c;
}

Test(timing, by_hand)
{
    rd_system_config c = nothing();
    c.device[RD_DEVICE_SECONDS_PER_SAMPLE].a = 0.01;
    c.device[RD_DEVICE_DOWNLOAD].a = 1000;
    c.device[RD_DEVICE_UPLOAD].a = 500;
    c.device[RD_DEVICE_LATENCY].a = 0.25;
    rd_system_model *m = make(&c);
    rd_timing t = rd_system_timing(m, 3, 1, 60, 5, 8000, 2000);
    cr_assert(t.answers);
    cr_assert_eq(t.epochs, 5);
    cr_assert_float_eq(t.seconds, 0.5 + 8 + 60 * 5 * 0.01 + 4, 1e-12);
    rd_system_model_free(m);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Medians: uniform (a + b) / 2, exponential mean ln 2, lognormal its own, Pareto minimum 2^(1/shape). */
Test(timing, distributions_have_their_medians)
{
    enum { N = 4001 };
    const rd_distribution d[] = {{RD_DISTRIBUTION_UNIFORM, 1, 5},
                                 {RD_DISTRIBUTION_EXPONENTIAL, 3, 0},
                                 {RD_DISTRIBUTION_LOGNORMAL, 2, 0.7},
                                 {RD_DISTRIBUTION_PARETO, 1.5, 2}};
    const double median[] = {3, 3 * log(2), 2, 1.5 * sqrt(2)};
    static double seconds[N];
    for (size_t k = 0; k < 4; k++) {
        rd_system_config c = nothing();
        c.device[RD_DEVICE_LATENCY] = d[k];
        rd_system_model *m = make(&c);
        for (size_t i = 0; i < N; i++)
            seconds[i] = rd_system_timing(m, 1000 + i, 1, 1, 1, 0, 0).seconds / 2;
        qsort(seconds, N, sizeof *seconds, compare);
        cr_expect_float_eq(seconds[N / 2], median[k], 0.07 * median[k], "%zu: %g, not %g", k, seconds[N / 2],
                           median[k]);
        cr_expect_eq(rd_system_timing(m, 1005, 1, 1, 1, 0, 0).seconds, rd_system_timing(m, 1005, 9, 1, 1, 0, 0).seconds,
                     "a device stays the same");
        rd_system_model_free(m);
    }
}

Test(timing, availability_dropout_and_partial_work_have_their_rates)
{
    enum { N = 20000 };
    rd_system_config c = nothing();
    c.device[RD_DEVICE_AVAILABILITY].a = 0.3;
    c.device[RD_DEVICE_DROPOUT].a = 0.2;
    c.partial_work = 0.5;
    rd_system_model *m = make(&c);
    int available = 0, same = 0, answers = 0, epochs[6] = {0};
    for (uint64_t i = 0; i < N; i++) {
        available += rd_system_available(m, i, 50);
        same += rd_system_available(m, i, 10) == rd_system_available(m, i, 99.9);
        rd_timing t = rd_system_timing(m, i, 1, 1, 5, 0, 0);
        answers += t.answers;
        epochs[t.epochs]++;
    }
    cr_expect_eq(same, N, "within a slot nobody comes or goes");
    cr_expect_float_eq(available / (double)N, 0.3, 0.015); /* 4.6 deviations */
    cr_expect_float_eq(answers / (double)N, 0.8, 0.015);
    for (int e = 1; e <= 5; e++)
        cr_expect_float_eq(epochs[e] / (double)N, e == 5 ? 0.6 : 0.1, 0.015, "%d epochs", e);
    rd_system_model_free(m);
}

static rd_status open_trace(const char *text, rd_system_config *c, rd_system_model **m, rd_error *err)
{
    FILE *f;
    (void)snprintf(c->trace, sizeof c->trace, "/tmp/rondo-trace-%d.csv", (int)getpid());
    f = fopen(c->trace, "w");
    cr_assert_not_null(f);
    (void)fputs(text, f);
    fclose(f);
    rd_status status = rd_system_model_create(c, 7, m, err);
    unlink(c->trace);
    return status;
}

Test(trace, rows_are_devices)
{
    rd_system_config c = nothing();
    rd_system_model *m;
    rd_error err;
    c.device[RD_DEVICE_LATENCY].a = 5; /* not in the file */
    cr_assert_eq(open_trace("seconds_per_sample,upload_bytes_per_second\r\n1,10\r\n2,20\n4,40\n", &c, &m, &err), RD_OK,
                 "%s", err.message);
    int seen[5] = {0};
    for (uint64_t i = 0; i < 3000; i++) {
        double s = rd_system_timing(m, i, 1, 1, 1, 0, 0).seconds - 10;
        cr_assert(s == 1 || s == 2 || s == 4);
        cr_assert_float_eq(rd_system_timing(m, i, 1, 1, 1, 0, 100).seconds - 10 - s, 10 / s, 1e-9,
                           "columns belong together");
        seen[(int)s]++;
    }
    for (int s = 1; s <= 4; s *= 2)
        cr_expect(seen[s] > 880 && seen[s] < 1120, "%d: %d", s, seen[s]);
    rd_system_model_free(m);
    cr_assert_eq(open_trace("speed\n1\n", &c, &m, &err), RD_ERR_DATA);
    cr_assert(strstr(err.message, "line 1: 'speed' is no column") != NULL, "%s", err.message);
    cr_assert_eq(open_trace("dropout\n0.5\nx\n", &c, &m, &err), RD_ERR_DATA);
    cr_assert(strstr(err.message, "line 3: dropout: expected a number") != NULL, "%s", err.message);
    cr_assert_eq(open_trace("dropout\n", &c, &m, &err), RD_ERR_DATA);
    cr_assert_eq(open_trace("latency_seconds,dropout,latency_seconds\n1,0,2\n", &c, &m, &err), RD_ERR_DATA);
    cr_assert(strstr(err.message, "line 1: the column latency_seconds is there twice") != NULL, "%s", err.message);
    static const char *const numbers[] = {"0x1", "inf", "nan", "1e-400", "1 2", ""};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "dropout,latency_seconds\n%s,1\n", numbers[i]);
        cr_assert_eq(open_trace(text, &c, &m, &err), RD_ERR_DATA, "%s", numbers[i]);
        cr_assert(strstr(err.message, "line 2: dropout: expected a number") != NULL, "%s", err.message);
    }
}

/* With a byte order mark, CR line ends, blanks, quotes, an empty line and a comment. */
Test(trace, however_it_was_written)
{
    rd_system_config c = nothing();
    rd_system_model *m;
    rd_error err;
    cr_assert_eq(open_trace("\xef\xbb\xbf# two phones\r\"latency_seconds\" , dropout\r\r 1 ,\t0 \r1,0  # the other\r",
                            &c, &m, &err),
                 RD_OK, "%s", err.message);
    for (uint64_t i = 0; i < 20; i++)
        cr_assert_eq(rd_system_timing(m, i, 1, 1, 1, 0, 0).seconds, 2);
    rd_system_model_free(m);
}

/* ---- attacks ---- */

Test(attack, so_many_clients_attack_and_they_are_spread)
{
    rd_attack_config a = {.kind = RD_ATTACK_SIGN_FLIP, .fraction = 0.3};
    for (size_t clients = 1; clients < 200; clients += 13) {
        size_t count = 0;
        for (size_t i = 0; i < clients; i++)
            count += rd_attack_is_attacker(&a, 5, i, clients);
        cr_expect_eq(count, (size_t)(0.3 * (double)clients + 0.5), "%zu of %zu", count, clients);
    }
    size_t front = 0;
    for (size_t i = 0; i < 5000; i++)
        front += rd_attack_is_attacker(&a, 5, i, 10000);
    cr_expect(front > 1350 && front < 1650, "%zu of the first half", front);
}

Test(attack, deltas_by_hand)
{
    float delta[4] = {1, -2, 0.5f, 0}, out[2];
    rd_attack_config a = {.kind = RD_ATTACK_SIGN_FLIP, .scale = 3};
    rd_attack_change(&a, 1, 1, 1, delta, 4);
    cr_expect_arr_eq(delta, ((float[]){-3, 6, -1.5f, -0.0f}), sizeof delta);
    const float r0[2] = {1, 0}, r1[2] = {3, 0}, r2[2] = {5, 6}, *rows[3] = {r0, r1, r2};
    a = (rd_attack_config){.kind = RD_ATTACK_INNER_PRODUCT, .epsilon = 0.5};
    rd_attack_craft(&a, rows, 3, 10, 2, out);
    cr_expect_float_eq(out[0], -1.5, 1e-6);
    cr_expect_float_eq(out[1], -1, 1e-6);
    a = (rd_attack_config){.kind = RD_ATTACK_LITTLE_IS_ENOUGH, .z = 2}; /* means 3, 2; deviations sqrt(8/3), sqrt(8) */
    rd_attack_craft(&a, rows, 3, 10, 2, out);
    cr_expect_float_eq(out[0], 3 - 2 * sqrt(8.0 / 3), 1e-6);
    cr_expect_float_eq(out[1], 2 - 2 * sqrt(8.0), 1e-6);
    /* Baruch et al. 2019: n = 50, m = 24 gives s = 2 and z = quantile(24 / 26) = 1.4261 */
    cr_expect_float_eq(rd_attack_z(50, 24), 1.4261, 1e-3);
}

Test(attack, poison_and_stamp)
{
    rd_error err;
    rd_model *m;
    cJSON *json = cJSON_Parse("{\"input\": [1, 4, 4], \"loss\": \"softmax_cross_entropy\", \"layers\": [{\"type\": "
                              "\"flatten\"}, {\"type\": \"dense\", \"units\": 3}]}");
    cr_assert_eq(rd_model_create(json, &m, &err), RD_OK, "%s", err.message);
    float x[32] = {0};
    int32_t labels[2] = {0, 2};
    rd_attack_config a = {.kind = RD_ATTACK_LABEL_FLIP};
    rd_poison p = {&a, m, 1};
    rd_attack_poison(&p, x, labels, 2);
    cr_expect_eq(labels[0], 2);
    cr_expect_eq(labels[1], 0);
    a = (rd_attack_config){.kind = RD_ATTACK_BACKDOOR, .target = 1, .size = 2, .value = 1, .share = 1};
    rd_attack_poison(&p, x, labels, 2);
    for (size_t i = 0; i < 32; i++)
        cr_expect_eq(x[i], i % 16 / 4 >= 2 && i % 4 >= 2 ? 1.0f : 0.0f, "pixel %zu", i);
    cr_expect_eq(labels[0], 1);
    float test_x[48] = {0};
    int32_t test_labels[3] = {0, 1, 2};
    rd_dataset test = {.rows = 3,
                       .features = 16,
                       .rank = 3,
                       .shape = {1, 4, 4},
                       .x_f32 = test_x,
                       .labels = test_labels,
                       .label_count = 1,
                       .classes = 3},
               stamped;
    cr_assert_eq(rd_attack_stamp(&a, m, &test, &stamped, &err), RD_OK);
    cr_expect_eq(stamped.rows, 2, "a sample of the target class says nothing");
    cr_expect_eq(stamped.labels[1], 1);
    cr_expect_eq(stamped.x_f32[15], 1.0f);
    cr_expect_eq(test_x[15], 0.0f);
    rd_dataset_free(&stamped);
    a.target = 3;
    cr_expect_eq(rd_attack_check(&a, m, &err), RD_ERR_CONFIG);
    rd_model_free(m);
    cJSON_Delete(json);
}
