/* Searching for hyperparameters: the Gaussian process against NumPy, spaces and grids by hand, and on
 * Branin's function, whose minimum is known, better than chance. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/random.h"
#include "search/ask.h"
#include "search/gp.h"

enum { PREDICTIONS = 6 };

Test(gaussian_process, agrees_with_numpy)
{
    FILE *f = fopen(RONDO_SOURCE_DIR "/tests/reference/gp.txt", "r");
    size_t n, d;
    double length, noise, x[64], y[16], point[8], mean, variance, gain, work[16], found_mean, found_variance,
        likelihood;
    search_gp g;
    rd_error err;
    cr_assert_not_null(f);
    cr_assert_eq(fscanf(f, "%zu %zu %lf %lf", &n, &d, &length, &noise), 4);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < d; j++)
            cr_assert_eq(fscanf(f, "%lf", &x[i * d + j]), 1);
        cr_assert_eq(fscanf(f, "%lf", &y[i]), 1);
    }
    cr_assert_eq(search_gp_fit(&(search_points){n, d, x, y}, length, noise, &g, &err), RD_OK);
    for (size_t i = 0; i < PREDICTIONS; i++) {
        for (size_t j = 0; j < d; j++)
            cr_assert_eq(fscanf(f, "%lf", &point[j]), 1);
        cr_assert_eq(fscanf(f, "%lf %lf %lf", &mean, &variance, &gain), 3);
        search_gp_predict(&g, point, work, &found_mean, &found_variance);
        cr_expect_float_eq(found_mean, mean, 1e-10);
        cr_expect_float_eq(found_variance, variance, 1e-10);
        cr_expect_float_eq(search_expected_improvement(found_mean, found_variance, 0.3), gain, 1e-10);
    }
    cr_assert_eq(fscanf(f, "%lf", &likelihood), 1);
    cr_expect_float_eq(g.likelihood, likelihood, 1e-9);
    search_gp_free(&g);
    fclose(f);
}

Test(gaussian_process, improvement_has_its_closed_forms)
{
    cr_assert_float_eq(search_expected_improvement(1, 4, 1), 2 / sqrt(2 * 3.14159265358979), 1e-12);
    cr_assert_eq(search_expected_improvement(1, 0, 3), 2);
    cr_assert_eq(search_expected_improvement(3, 0, 1), 0);
    cr_assert_float_eq(search_expected_improvement(-100, 1, 0), 100, 1e-9, "nearly certain");
}

Test(halton, begins_as_it_must)
{
    const double two[] = {1. / 2, 1. / 4, 3. / 4, 1. / 8, 5. / 8, 3. / 8, 7. / 8},
                 three[] = {1. / 3, 2. / 3, 1. / 9, 4. / 9, 7. / 9, 2. / 9};
    for (size_t i = 0; i < 7; i++)
        cr_assert_float_eq(search_van_der_corput(i, 2), two[i], 1e-15);
    for (size_t i = 0; i < 6; i++)
        cr_assert_float_eq(search_van_der_corput(i, 3), three[i], 1e-15);
}

/* ---- spaces ---- */

static rd_status load(const char *text, search_space *s, rd_error *err)
{
    char path[] = "/tmp/rondo-space-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    rd_status status = search_space_load(path, NULL, 0, s, err);
    unlink(path);
    return status;
}

static search_space space_of(const char *text)
{
    search_space s;
    rd_error err = {0};
    cr_assert_eq(load(text, &s, &err), RD_OK, "%s", err.message);
    return s;
}

Test(space, a_grid_is_the_product)
{
    search_space s = space_of("{\"method\": \"grid\", \"keys\": {\"training.learning_rate\": {\"from\": "
                              "0.01, \"to\": 1, \"scale\": \"log\", \"steps\": 3}, "
                              "\"training.epochs\": {\"values\": [1, 5]}}}");
    const double rates[] = {0.01, 0.01, 0.1, 0.1, 1, 1}, epochs[] = {1, 5, 1, 5, 1, 5};
    cr_assert_eq(s.trials, 6);
    for (uint64_t i = 0; i < 6; i++) {
        double point[SEARCH_KEYS];
        search_space_grid_point(&s, i, point);
        cJSON *rate = search_space_value(&s, 0, point[0]), *epoch = search_space_value(&s, 1, point[1]);
        cr_expect_float_eq(rate->valuedouble, rates[i], 1e-12);
        cr_expect_eq(epoch->valuedouble, epochs[i]);
        cJSON_Delete(rate);
        cJSON_Delete(epoch);
    }
    search_space_free(&s);
}

Test(space, values_go_to_their_places)
{
    search_space s = space_of("{\"keys\": {\"model.layers[1].units\": {\"from\": 1, \"to\": 9, \"whole\": "
                              "true}, \"training.schedule.type\": {\"values\": [\"cosine\"]}, "
                              "\"seed\": {\"values\": [7, 8]}}}");
    cJSON *run = cJSON_Parse("{\"model\": {\"layers\": [{\"units\": 3}, {\"units\": 4}]}, \"training\": {}}");
    const double point[] = {0.99, 0, 0.5};
    rd_error err;
    for (size_t k = 0; k < 3; k++)
        cr_assert_eq(search_space_put(&s, k, point[k], run, &err), RD_OK);
    char *text = cJSON_PrintUnformatted(run);
    cr_assert_str_eq(text, "{\"model\":{\"layers\":[{\"units\":3},{\"units\":9}]},\"training\":{\"schedule\":"
                           "{\"type\":\"cosine\"}},\"seed\":8}");
    free(text);
    cJSON_Delete(cJSON_DetachItemFromArray(cJSON_GetObjectItem(cJSON_GetObjectItem(run, "model"), "layers"), 1));
    cr_assert_eq(search_space_put(&s, 0, point[0], run, &err), RD_ERR_CONFIG);
    cr_assert_str_eq(err.message, "run.json has no such place");
    cJSON_Delete(run);
    search_space_free(&s);
}

Test(space, what_is_wrong_is_named)
{
    struct {
        const char *text, *message;
    } cases[] = {
        {"{}", "keys is missing"},
        {"{\"keys\": {}}", "keys: expected 1 to 16 keys of run.json"},
        {"{\"keys\": {\"a\": {\"from\": 1}}}", "keys.a.to is missing"},
        {"{\"keys\": {\"a\": {\"from\": 2, \"to\": 1}}}", "keys.a.to: expected a number above \"from\""},
        {"{\"keys\": {\"a\": {\"from\": 0, \"to\": 1, \"scale\": \"log\"}}}", "keys.a.from: expected a number above 0"},
        {"{\"keys\": {\"a\": {\"values\": [1], \"to\": 1}}}", "keys.a.to"},
        {"{\"method\": \"grid\", \"keys\": {\"a\": {\"from\": 0, \"to\": 1}}}", "keys.a.steps is missing"},
        {"{\"method\": \"grid\", \"trials\": 3, \"keys\": {\"a\": {\"values\": [1]}}}", "trials"},
        {"{\"method\": \"luck\", \"keys\": {\"a\": {\"values\": [1]}}}", "method: expected"},
        {"{\"keys\": {\"a\": {\"values\": [1]}}, \"trails\": 3}", "trails: unknown key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        search_space s;
        rd_error err = {0};
        cr_expect_eq(load(cases[i].text, &s, &err), RD_ERR_CONFIG, "%s", cases[i].text);
        cr_expect(strstr(err.message, cases[i].message) != NULL, "%s: %s", cases[i].text, err.message);
    }
}

Test(space, the_command_line_goes_before_the_file)
{
    search_space s;
    rd_error err;
    char path[] = "/tmp/rondo-space-XXXXXX";
    int fd = mkstemp(path);
    const char text[] = "{\"method\": \"random\", \"trials\": 3, \"keys\": {\"a\": {\"values\": [1, 2]}, "
                        "\"b\": {\"from\": 1, \"to\": 3, \"whole\": true, \"steps\": 2}}}";
    cr_assert_eq(write(fd, text, sizeof text - 1), (ssize_t)sizeof text - 1);
    close(fd);
    cr_assert_eq(search_space_load(path, NULL, 5, &s, &err), RD_OK);
    cr_assert_eq(s.trials, 5);
    search_space_free(&s);
    cr_assert_eq(search_space_load(path, NULL, 50, &s, &err), RD_OK);
    cr_assert_eq(s.trials, 6, "two values and three whole numbers have six points, not %d", (int)s.trials);
    search_space_free(&s);
    cr_assert_eq(search_space_load(path, "grid", 0, &s, &err), RD_OK);
    cr_assert_eq(s.trials, 4);
    search_space_free(&s);
    cr_assert_eq(search_space_load(path, "grid", 5, &s, &err), RD_ERR_USAGE);
    cr_assert_eq(search_space_load(path, "luck", 0, &s, &err), RD_ERR_USAGE);
    unlink(path);
}

/* ---- Branin's function (Dixon and Szegö 1978): minimum 0.397887 ---- */

static double branin(double x, double y)
{
    const double pi = 3.14159265358979323846;
    double a = y - 5.1 / (4 * pi * pi) * x * x + 5 / pi * x - 6;
    return a * a + 10 * (1 - 1 / (8 * pi)) * cos(x) + 10;
}

static double best_after(const char *method, unsigned seed, size_t count)
{
    char text[256];
    search_trial trials[64];
    double best = INFINITY;
    (void)snprintf(text, sizeof text,
                   "{\"method\": \"%s\", \"trials\": 100, \"seed\": %u, \"keys\": {\"x\": {\"from\": -5, "
                   "\"to\": 10}, \"y\": {\"from\": 0, \"to\": 15}}}",
                   method, seed);
    search_space s = space_of(text);
    for (size_t i = 0; i < count; i++) {
        rd_error err;
        cr_assert_eq(search_ask(&s, trials, i, trials[i].point, &err), RD_OK);
        trials[i].objective = branin(-5 + 15 * trials[i].point[0], 15 * trials[i].point[1]);
        best = fmin(best, trials[i].objective);
    }
    search_space_free(&s);
    return best;
}

Test(search, finds_the_minimum_of_branin_sooner_than_chance)
{
    double bayesian = 0, random = 0;
    for (unsigned seed = 1; seed <= 5; seed++) {
        double found = best_after("bayesian", seed, 30);
        cr_expect_lt(found, 0.397887 + 0.1, "seed %u: %g", seed, found);
        bayesian += found / 5;
        random += best_after("random", seed, 30) / 5;
    }
    cr_assert_lt(bayesian, 0.397887 + 0.05);
    cr_assert_gt(random, bayesian + 0.5, "%g by chance, %g", random, bayesian);
}

/* A simulation repeated is a result known. */
Test(search, never_asks_for_a_point_twice_while_there_are_others)
{
    for (size_t m = 0; m < 2; m++) {
        search_space s = space_of(m == 0 ? "{\"method\": \"random\", \"keys\": {\"x\": {\"values\": [1, 2, 3, 4]}, "
                                           "\"y\": {\"values\": [\"a\", \"b\", \"c\"]}}}"
                                         : "{\"method\": \"bayesian\", \"keys\": {\"x\": {\"values\": [1, 2, 3, 4]}, "
                                           "\"y\": {\"values\": [\"a\", \"b\", \"c\"]}}}");
        search_trial trials[12];
        bool seen[4][3] = {{false}};
        rd_error err;
        cr_assert_eq(s.trials, 12);
        for (size_t i = 0; i < 12; i++) {
            cr_assert_eq(search_ask(&s, trials, i, trials[i].point, &err), RD_OK);
            size_t x = (size_t)(4 * trials[i].point[0]), y = (size_t)(3 * trials[i].point[1]);
            cr_expect(!seen[x][y], "method %zu, trial %zu", m, i);
            seen[x][y] = true;
            trials[i].objective = (double)(x + y);
        }
        search_space_free(&s);
    }
}

Test(search, asks_the_same_again_and_goes_elsewhere_while_one_runs)
{
    search_space s = space_of("{\"trials\": 100, \"keys\": {\"x\": {\"from\": 0, \"to\": 1}}}");
    search_trial trials[12];
    double again[SEARCH_KEYS];
    rd_error err;
    for (size_t i = 0; i < 12; i++) {
        cr_assert_eq(search_ask(&s, trials, i, trials[i].point, &err), RD_OK);
        cr_assert_eq(search_ask(&s, trials, i, again, &err), RD_OK);
        cr_assert_eq(memcmp(again, trials[i].point, sizeof again), 0);
        trials[i].objective = i == 3 ? INFINITY : pow(trials[i].point[0] - 0.3, 2); /* one fails */
    }
    double first[SEARCH_KEYS], second[SEARCH_KEYS];
    cr_assert_eq(search_ask(&s, trials, 11, first, &err), RD_OK);
    memcpy(trials[11].point, first, sizeof first);
    trials[11].objective = NAN;
    cr_assert_eq(search_ask(&s, trials, 12, second, &err), RD_OK);
    cr_assert_gt(fabs(first[0] - second[0]), 1e-4);
    search_space_free(&s);
}
