/* settings.c: what is played: every strategy, with several kinds of cohorts. */
#include <stdio.h>
#include <string.h>

#include "play.h"

#define SOME "{\"learning_rate\": 0.5, \"batch_size\": 10, \"epochs\": 2}"
#define ONE_STEP "{\"learning_rate\": 0.5, \"batch_size\": 0}"
#define MANY 16 /* clients, of whom a robust rule needs up to 7 updates */

static const play_setting of_strategies[] = {
    {.name = "fedavg", .strategy = "", .training = SOME},
    {.name = "fedavg", .strategy = "", .training = SOME, .cohort = "{\"min_clients\": 3, \"max_weight\": 0.3}"},
    {.name = "fedavg", .strategy = ", \"weighting\": \"uniform\", \"server_learning_rate\": 0.5", .training = SOME},
    {.name = "fedsgd", .strategy = "", .training = ONE_STEP},
    {.name = "fedprox", .strategy = ", \"proximal\": 0.1", .training = SOME},
    {.name = "fedavgm", .strategy = ", \"momentum\": 0.5", .training = SOME},
    {.name = "fedadagrad", .strategy = "", .training = SOME},
    {.name = "fedadam", .strategy = "", .training = SOME},
    {.name = "fedyogi", .strategy = "", .training = SOME},
    {.name = "fednova", .strategy = "", .training = SOME},
    {.name = "scaffold", .strategy = "", .training = SOME},
    {.name = "scaffold", .strategy = ", \"weighting\": \"samples\"", .training = SOME},
    {.name = "q-fedavg", .strategy = ", \"q\": 1", .training = SOME},
    {.name = "norm_clipping", .strategy = ", \"clip_norm\": 0.25", .training = SOME},
    {.name = "fltrust", .strategy = "", .training = SOME},
    {.name = "median", .strategy = "", .training = SOME, .clients = MANY},
    {.name = "trimmed_mean", .strategy = ", \"byzantine\": 1", .training = SOME, .clients = MANY},
    {.name = "krum", .strategy = ", \"byzantine\": 1", .training = SOME, .clients = MANY},
    {.name = "multi_krum", .strategy = ", \"byzantine\": 1", .training = SOME, .clients = MANY},
    {.name = "bulyan", .strategy = ", \"byzantine\": 1", .training = SOME, .clients = MANY},
    {.name = "geometric_median", .strategy = "", .training = SOME, .clients = MANY},
    {.name = "fedbuff",
     .strategy = ", \"buffer_size\": 3, \"concurrency\": 5, \"most_staleness\": 2",
     .training = SOME},
    {.name = "fedbuff",
     .strategy = ", \"buffer_size\": 2, \"concurrency\": 9, \"most_staleness\": 1",
     .training = SOME},
    {.name = "fedbuff",
     .strategy = ", \"buffer_size\": 5, \"concurrency\": 4, \"weighting\": \"samples\"",
     .training = SOME},
};

static const char *const waiting_cohorts[] = {
    "{\"min_clients\": 2}",
    "{\"select\": \"fraction\", \"fraction\": 0.5, \"over_selection\": 1.5, \"min_clients\": 3, \"min_updates\": 2}",
    "{\"select\": \"count\", \"count\": 4, \"over_selection\": 1.4, \"min_updates\": 3}",
    "{\"select\": \"count\", \"count\": 2, \"over_selection\": 2, \"max_abandoned\": 3}",
    "{\"select\": \"fraction\", \"fraction\": 0.34, \"min_clients\": 4, \"max_abandoned\": 100}",
};
static const char *const robust_cohorts[] = {
    "{\"min_clients\": 8}",
    "{\"select\": \"fraction\", \"fraction\": 0.5, \"over_selection\": 1.5, \"max_abandoned\": 100}",
    "{\"select\": \"count\", \"count\": 8, \"over_selection\": 1.25, \"max_abandoned\": 100}",
};
static const char *const asynchronous_cohorts[] = {
    "{\"min_clients\": 2, \"min_updates\": 2}",
    "{\"min_clients\": 1, \"max_abandoned\": 100}",
};

#define PICK(list, random) (list)[rd_random_below((random), sizeof(list) / sizeof *(list))]

play_setting play_choose(uint64_t number, rd_random *random)
{
    play_setting s = of_strategies[number % (sizeof of_strategies / sizeof *of_strategies)];
    const bool robust = s.clients > 0;
    if (s.cohort == NULL)
        s.cohort = strcmp(s.name, "fedbuff") == 0 ? PICK(asynchronous_cohorts, random)
                   : robust                       ? PICK(robust_cohorts, random)
                                                  : PICK(waiting_cohorts, random);
    s.max_backoff = rd_random_below(random, 3) == 0 ? rd_random_below(random, 5) : RD_COHORT_MAX_BACKOFF;
    if (!robust)
        s.clients = 6 + rd_random_below(random, 5);
    return s;
}

void play_config(const play_setting *s, uint64_t seed, const char *root, char text[PLAY_CONFIG])
{
    char data[400] = "", backoff[40] = "";
    if (strcmp(s->name, "fedbuff") != 0)
        (void)snprintf(backoff, sizeof backoff, "\"max_backoff\": %d, ", (int)s->max_backoff);
    if (strcmp(s->name, "fltrust") == 0)
        (void)snprintf(data, sizeof data, ", \"data\": {\"root\": {\"path\": \"%s\"}}", root);
    (void)snprintf(text, PLAY_CONFIG,
                   "{\"seed\": %u, \"rounds\": %d, \"model\": {\"preset\": \"softmax-regression\", \"input\": 2, "
                   "\"classes\": 2}, \"training\": %s, \"strategy\": {\"name\": \"%s\"%s}, \"cohort\": {%s%s, "
                   "\"evaluation\": {\"train_loss\": true}%s}",
                   (unsigned)(seed & 0xffffff), PLAY_ROUNDS, s->training, s->name, s->strategy, backoff, s->cohort + 1,
                   data);
}
