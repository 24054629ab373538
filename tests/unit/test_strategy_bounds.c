/* Where what a strategy takes ends, on both sides of each bound; and how it says what it withstands. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "strategy_named.h"

/* Li et al. 2020: h = q F^(q-1) |L delta|^2 + L F^q with L = 1/lr, which has to be below 2^40; F^q is at most 2^20. */
Test(strategy_bounds, q_fedavg_weighs_below_2_to_the_40)
{
    static const struct {
        double q, loss, rate, norm;
        bool fits;
        double scale, extra;
    } cases[] = {
        {0, 3, 0x1p-40, 5, false, 0, 0},         /* L F^0 = 2^40 */
        {0, 3, 0x1p-39, 5, true, 1, 0x1p39},     /* |delta| has no part in it */
        {1, 2, 0.5, 3, true, 2, 4 + 36},         /* 2 2 + (2 3)^2 */
        {2, 4, 0.5, 3, true, 16, 32 + 288},      /* 2 16 + 2 4 (2 3)^2 */
        {2, 0, 0.5, 3, true, 0, 0},              /* nothing is left to learn */
        {0, 0, 0.5, 3, true, 1, 2},              /* 0^0 is 1 */
        {1, 0x1p20, 1, 0, true, 0x1p20, 0x1p20}, /* the largest power */
        {1, 0x1.00001p20, 1, 0, false, 0, 0},
        {1, 1, 1, 0x1p20, false, 0, 0}, /* 1 + 2^40 */
        {1, 1, 1, 0x1.fffffp19, true, 1, 1 + 0x1.ffffe00001p39},
        {1, -1, 1, 1, false, 0, 0},
        {1, NAN, 1, 1, false, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rd_strategy s = strategy_named("q-fedavg");
        set_key(&s, "q", cases[i].q);
        const rd_update_facts facts = {
            .samples = 7, .loss = cases[i].loss, .learning_rate = cases[i].rate, .norm = cases[i].norm};
        rd_contribution c = {0};
        rd_error err = {0};
        const rd_status status = rd_strategy_weigh(&s, &facts, &c, &err);
        cr_expect_eq(status, cases[i].fits ? RD_OK : RD_ERR_RANGE, "case %zu: %s", i, err.message);
        if (!cases[i].fits || status != RD_OK)
            continue;
        cr_expect_eq(c.weight, 1, "all count the same");
        cr_expect_float_eq(c.scale, cases[i].scale, 1e-12 * cases[i].scale, "case %zu: %g", i, c.scale);
        cr_expect_float_eq(c.extra, cases[i].extra, 1e-12 * cases[i].extra, "case %zu: %g", i, c.extra);
    }
}

Test(strategy_bounds, what_is_withstood_is_said_with_what_is_averaged)
{
    char text[96], little[12] = "...........";
    rd_strategy krum = strategy_named("krum"), some = strategy_named("multi_krum"), bulyan = strategy_named("bulyan");
    set_key(&krum, "byzantine", 2);
    set_key(&some, "byzantine", 3);
    set_key(&some, "chosen", 4);
    rd_strategy_promise(&krum, text, sizeof text);
    cr_expect_str_eq(text, "krum withstands strategy.byzantine 2");
    rd_strategy_promise(&some, text, sizeof text);
    cr_expect_str_eq(text, "multi_krum withstands strategy.byzantine 3 and averages strategy.chosen 4");
    set_key(&bulyan, "byzantine", 0);
    rd_strategy_promise(&bulyan, text, sizeof text);
    cr_expect_str_eq(text, "bulyan withstands strategy.byzantine 0");
    rd_strategy_promise(&some, little, sizeof little);
    cr_expect_str_eq(little, "multi_krum ");
}

static const struct {
    const char *name, *key;
    double value;
    rd_strategy_setting setting;
    rd_status status;
} settings[] = {
    /* Only sgd; of what remembers, only where the formula has it. */
    {"scaffold", NULL, 0, {.sgd = true, .momentum = 0, .learning_rate = 0.1}, RD_OK},
    {"scaffold", NULL, 0, {.sgd = true, .momentum = 0.5, .learning_rate = 0.1}, RD_ERR_CONFIG},
    {"scaffold", NULL, 0, {.sgd = false, .momentum = 0, .learning_rate = 0.1}, RD_ERR_CONFIG},
    {"fednova", NULL, 0, {.sgd = true, .momentum = 0.5, .learning_rate = 0.1}, RD_OK},
    {"fednova", NULL, 0, {.sgd = false, .momentum = 0, .learning_rate = 0.1}, RD_ERR_CONFIG},
    {"q-fedavg", NULL, 0, {.sgd = true, .learning_rate = 0.1, .train_loss = true}, RD_OK},
    {"q-fedavg", NULL, 0, {.sgd = true, .learning_rate = 0.1, .train_loss = false}, RD_ERR_CONFIG},
    /* Each step goes (1 - lr mu) of the way to the anchor: lr mu < 2. */
    {"fedprox", "proximal", 19, {.sgd = true, .learning_rate = 0.1}, RD_OK},
    {"fedprox", "proximal", 32, {.sgd = true, .learning_rate = 0.0625}, RD_ERR_CONFIG},
    {"fedprox", "proximal", 31, {.sgd = true, .learning_rate = 0.0625}, RD_OK},
    {"fedprox", "proximal", 99, {.sgd = true, .momentum = 0.5, .learning_rate = 0.1}, RD_OK},
    {"fedprox", "proximal", 99, {.sgd = false, .learning_rate = 0.1}, RD_OK},
};

Test(strategy_bounds, settings_that_a_strategy_is_not_for)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        rd_strategy s = strategy_named(settings[i].name);
        rd_error err = {0};
        if (settings[i].key != NULL)
            set_key(&s, settings[i].key, settings[i].value);
        cr_assert_not_null(s.kind->check, "%s", settings[i].name);
        cr_expect_eq(s.kind->check(&s, &settings[i].setting, &err), settings[i].status, "case %zu: %s", i, err.message);
        cr_expect_eq(err.message[0] != '\0', settings[i].status != RD_OK);
    }
}

static bool is_one_of(const char *name, const char *names)
{
    char word[40];
    (void)snprintf(word, sizeof word, " %s ", name);
    return strstr(names, word) != NULL;
}

/* common/round/README.md: what an update counts unless `weighting` says otherwise, and who knows no weights. Those that
 * multiply each update with a number of their own take no other. */
Test(strategy_bounds, who_counts_samples_and_who_clients)
{
    for (size_t i = 0; i < rd_strategy_kind_count; i++) {
        const rd_strategy_kind *k = rd_strategy_kinds[i];
        const rd_strategy s = rd_strategy_of(k);
        cr_expect_eq(s.uniform, is_one_of(k->name, " scaffold q-fedavg fedbuff norm_clipping geometric_median "), "%s",
                     k->name);
        cr_expect_neq(k->weighted, is_one_of(k->name, " q-fedavg fltrust median trimmed_mean krum multi_krum bulyan "),
                      "%s", k->name);
        cr_expect_eq(k->counts, is_one_of(k->name, " fedavg "), "%s", k->name);
        cr_expect_eq(k->prunes, is_one_of(k->name, " fedavg fedsgd fedprox "), "%s", k->name);
        cr_expect_eq(k->server_trains, is_one_of(k->name, " fltrust "), "%s", k->name);
    }
}

/* w += 0.5 d of two elements; what stands behind them is somebody else's. */
Test(strategy_bounds, a_step_is_of_so_many_elements)
{
    rd_strategy s = strategy_named("fedavg");
    s.server_learning_rate = 0.5;
    double mean[] = {4, -2, 8};
    float parameters[] = {1, 1, 1}, *const none[RD_COMPANIONS_MAX] = {NULL};
    cr_expect_eq(rd_server_step(&s, mean, 2, parameters, none), 2 * 2 + 1 * 1);
    cr_expect(mean[0] == 2 && mean[1] == -1 && mean[2] == 8);
    cr_expect(parameters[0] == 3 && parameters[1] == 0 && parameters[2] == 1);
}
