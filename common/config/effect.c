/* effect.c: see effect.h. What a section can see for itself is in its reader; here stand those that look across
 * sections. */
#include "config/effect.h"

#include <stdio.h>

#include "model/counting.h"

static rd_status only(const char *key, const char *when, rd_error *err)
{
    return rd_fail(err, RD_ERR_CONFIG, "%s has a meaning only %s", key, when);
}

static rd_status check_cohort(const rd_config *c, rd_error *err)
{
    const rd_cohort_config *h = &c->cohort;
    bool buffered = rd_cohort_is_asynchronous(h);
    char without[160];
    (void)snprintf(without, sizeof without, "without strategy %s", c->strategy.kind->name);
    if (buffered && h->select != RD_SELECT_ALL)
        return rd_fail(err, RD_ERR_CONFIG,
                       "cohort.select has a meaning only %s, whose clients are as many as strategy.concurrency says",
                       without);
    if (h->over_selection > 1 && (buffered || h->select == RD_SELECT_ALL))
        return only("cohort.over_selection", buffered ? without : "with \"select\": \"fraction\" or \"count\"", err);
    if (h->select == RD_SELECT_COUNT && h->min_updates > h->count)
        return rd_fail(err, RD_ERR_CONFIG,
                       "cohort.min_updates: expected at most cohort.count, %llu, as a round ends with so "
                       "many; found %llu",
                       (unsigned long long)h->count, (unsigned long long)h->min_updates);
    if (buffered && h->max_backoff != RD_COHORT_MAX_BACKOFF)
        return rd_fail(err, RD_ERR_CONFIG, "cohort.max_backoff has a meaning only %s, whose rounds wait for nobody",
                       without);
    if (buffered && h->max_weight > 0)
        return rd_fail(err, RD_ERR_CONFIG, "cohort.max_weight has a meaning only %s, whose rounds have no cohort",
                       without);
    if (h->max_weight > 0 && !rd_strategy_counts_samples(&c->strategy))
        return only("cohort.max_weight", "where clients count by their samples (strategy.weighting)", err);
    if (buffered && h->min_updates > h->buffer_size)
        return rd_fail(err, RD_ERR_CONFIG,
                       "cohort.min_updates: expected at most strategy.buffer_size, %llu, as a round ends "
                       "with so many; found %llu",
                       (unsigned long long)h->buffer_size, (unsigned long long)h->min_updates);
    return RD_OK;
}

/* A model that learns by counting has no gradient, and what its clients count is added up as it is. */
static rd_status check_counting(const rd_config *c, rd_error *err)
{
    char key[96];
    const char *when = "with a model that learns by gradients, not by counting";
    const cJSON *training = cJSON_GetObjectItemCaseSensitive(c->for_clients, "training");
    if (training != NULL && training->child != NULL) {
        (void)snprintf(key, sizeof key, "training.%.60s", training->child->string);
        return only(key, when, err);
    }
    if (c->strategy.server_learning_rate != 1)
        return only("strategy.server_learning_rate", when, err);
    if (c->strategy.uniform)
        return only("strategy.weighting", when, err);
    if (c->personalisation.method != RD_PERSONAL_NONE)
        return only("personalisation", when, err);
    if (c->cohort.max_weight > 0)
        return only("cohort.max_weight", when, err);
    return RD_OK;
}

/* What is kept has to be enough to compute a round again. */
static rd_status check_kept(const rd_config *c, rd_error *err)
{
    char when[200];
    if (c->keep_updates == 0 || !(rd_cohort_is_asynchronous(&c->cohort) || c->strategy.kind->server_trains))
        return RD_OK;
    (void)snprintf(when, sizeof when, "without strategy %s, whose rounds %s", c->strategy.kind->name,
                   c->strategy.kind->server_trains ? "also need data.root, which is not in the state"
                                                   : "hold updates of several models");
    return only("keep_updates", when, err);
}

static rd_status check_evaluation(const rd_config *c, const rd_model *m, rd_error *err)
{
    if (c->evaluation.every > 1 && c->data.test.format == RD_SOURCE_NONE)
        return only("evaluation.every", "with data.test", err);
    if (c->evaluation.target_accuracy > 0 && !rd_model_classifies(m))
        return rd_fail(err, RD_ERR_CONFIG,
                       "evaluation.target_accuracy needs a loss over classes, but the model's is %s",
                       rd_model_loss_name(m));
    return RD_OK;
}

static rd_status check_simulation(const rd_config *c, rd_error *err)
{
    const rd_system_config *s = &c->simulation.system;
    const rd_distribution *there = &s->device[RD_DEVICE_AVAILABILITY];
    bool always = there->kind == RD_DISTRIBUTION_CONSTANT && there->a >= 1 && s->trace[0] == '\0';
    if (s->given && always && s->slot_seconds != RD_SLOT_SECONDS)
        return only("simulation.system.slot_seconds", "with \"availability\" below 1, or a trace", err);
    if (s->partial_work > 0 && s->least_epochs >= c->training.epochs)
        return rd_fail(err, RD_ERR_CONFIG,
                       "simulation.system.partial_work.least_epochs: expected less than training.epochs, %u, "
                       "found %llu: "
                       "nobody would do less",
                       c->training.epochs, (unsigned long long)s->least_epochs);
    return RD_OK;
}

rd_status rd_config_check_effect(const rd_config *c, const rd_model *m, rd_error *err)
{
    rd_status status = RD_OK;
    RD_TRY(check_cohort(c, err));
    if (rd_model_counts(m))
        RD_TRY(check_counting(c, err));
    RD_TRY(check_evaluation(c, m, err));
    RD_TRY(check_kept(c, err));
    if (c->continual.task_count == 1 && c->continual.replay > 0)
        RD_TRY(only("continual.replay", "with two tasks or more", err));
    RD_TRY(check_simulation(c, err));
cleanup:
    return status;
}

void rd_config_say_unreached(const rd_config *c, char *text, size_t size)
{
    const rd_continual *t = &c->continual;
    unsigned long long rounds = c->rounds;
    uint64_t reached = t->task_count > 0 ? 1 + (c->rounds - 1) / t->rounds_per_task : 0;
    text[0] = '\0';
    if (reached < t->task_count)
        (void)snprintf(text, size, "continual: %llu rounds reach %llu of %zu tasks", rounds,
                       (unsigned long long)reached, t->task_count);
    else if (c->pruning.sparsity > 0 && c->pruning.to > c->rounds)
        (void)snprintf(text, size, "pruning: %llu rounds do not reach its last, to_round %llu", rounds,
                       (unsigned long long)c->pruning.to);
}
