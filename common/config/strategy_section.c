/* strategy_section.c: see strategy_section.h. Which keys "strategy" has, and what they may be, the strategies say
 * themselves (round/strategy.h). */
#include "config/strategy_section.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/counting.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static const rd_strategy_key *find_key(const rd_strategy_kind *kind, const char *name)
{
    for (size_t i = 0; i < rd_strategy_key_count(kind); i++)
        if (strcmp(kind->keys[i].name, name) == 0)
            return &kind->keys[i];
    return NULL;
}

/* name NULL: "weighting" */
static bool knows(const rd_strategy_kind *kind, const char *name)
{
    return name != NULL ? find_key(kind, name) != NULL : kind->weighted;
}

/* with "name": "a" or "b" */
static void describe(const char *key, char *text, size_t size)
{
    size_t at = (size_t)snprintf(text, size, "with \"name\":"), named = 0;
    for (size_t k = 0; k < rd_strategy_kind_count && at < size; k++)
        if (knows(rd_strategy_kinds[k], key))
            at += (size_t)snprintf(text + at, size - at, "%s \"%s\"", named++ > 0 ? " or" : "",
                                   rd_strategy_kinds[k]->name);
}

/* The keys of all strategies: those of others are refused, with the names of those who know them. */
static void check_keys(rd_fields *f, const rd_strategy_kind *kind)
{
    char when[400];
    describe(NULL, when, sizeof when);
    rd_fields_only(f, "weighting", kind->weighted, when);
    for (size_t k = 0; k < rd_strategy_kind_count; k++)
        for (size_t i = 0; i < rd_strategy_key_count(rd_strategy_kinds[k]); i++) {
            const char *key = rd_strategy_kinds[k]->keys[i].name;
            describe(key, when, sizeof when);
            rd_fields_only(f, key, knows(kind, key), when);
        }
}

static void read_key(rd_fields *f, const rd_strategy_key *key, double *value)
{
    uint64_t whole = (uint64_t)*value;
    if (key->required)
        rd_fields_require(f, key->name);
    if (key->whole) {
        rd_fields_count(f, key->name, (uint64_t)key->least, (uint64_t)key->most, &whole);
        *value = (double)whole;
    } else {
        rd_fields_number(f, key->name, key->least, key->most, key->above, value);
    }
}

rd_status rd_config_read_strategy(rd_fields *top, rd_strategy *s)
{
    static const char *const weightings[] = {"samples", "uniform"};
    const char *names[RD_STRATEGIES_MAX];
    rd_fields f = rd_fields_section(top, "strategy", "strategy");
    int kind = 0;
    for (size_t k = 0; k < rd_strategy_kind_count; k++)
        names[k] = rd_strategy_kinds[k]->name;
    rd_fields_choice(&f, "name", names, rd_strategy_kind_count, &kind);
    *s = rd_strategy_of(rd_strategy_kinds[kind]);
    int weighting = s->uniform;
    check_keys(&f, s->kind);
    rd_fields_number(&f, "server_learning_rate", 0.0, 1e6, true, &s->server_learning_rate);
    rd_fields_choice(&f, "weighting", weightings, COUNT_OF(weightings), &weighting);
    s->uniform = weighting == 1;
    for (size_t i = 0; i < rd_strategy_key_count(s->kind); i++)
        read_key(&f, &s->kind->keys[i], &s->value[i]);
    return rd_fields_finish(&f);
}

rd_status rd_config_read_personalisation(rd_fields *top, rd_personalisation *p)
{
    static const char *const methods[] = {
        [RD_PERSONAL_NONE] = "none", [RD_PERSONAL_FINE_TUNE] = "fine_tune", [RD_PERSONAL_DITTO] = "ditto"};
    rd_fields f = rd_fields_section(top, "personalisation", "personalisation");
    int method = RD_PERSONAL_NONE;
    uint64_t epochs = 1;
    if (f.object == NULL)
        return f.status;
    rd_fields_require(&f, "method");
    rd_fields_choice(&f, "method", methods, COUNT_OF(methods), &method);
    p->method = (rd_personal_method)method;
    rd_fields_only(&f, "lambda", p->method == RD_PERSONAL_DITTO, "with \"method\": \"ditto\"");
    rd_fields_only(&f, "epochs", p->method == RD_PERSONAL_DITTO, "with \"method\": \"ditto\"");
    if (p->method == RD_PERSONAL_DITTO)
        rd_fields_require(&f, "lambda");
    rd_fields_number(&f, "lambda", 0.0, 1e6, false, &p->lambda);
    rd_fields_count(&f, "epochs", 1, 1000000, &epochs);
    p->epochs = (uint32_t)epochs;
    if (p->method == RD_PERSONAL_NONE)
        rd_fields_settle_nothing(&f);
    return rd_fields_finish(&f);
}

/* ---- beside the rest ---- */

/* A robust rule among fewer updates than it needs would promise what it cannot keep. */
static rd_status check_tolerance(const rd_config *c, rd_error *err)
{
    const rd_cohort_config *h = &c->cohort;
    char promise[160];
    size_t least = rd_strategy_least_updates(&c->strategy);
    if (h->select != RD_SELECT_COUNT || h->count >= least)
        return RD_OK;
    rd_strategy_promise(&c->strategy, promise, sizeof promise);
    return rd_fail(err, RD_ERR_CONFIG, "cohort.count: %s only among %zu updates and more, not among %llu", promise,
                   least, (unsigned long long)h->count);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const rd_strategy_kind *const *)a)->name, (*(const rd_strategy_kind *const *)b)->name);
}

/* The names of the strategies of which something holds: "a, b or c". */
static void name_those(bool (*holds)(const rd_strategy_kind *kind), char *text, size_t size)
{
    const rd_strategy_kind *those[RD_STRATEGIES_MAX];
    size_t count = 0, at = 0;
    for (size_t k = 0; k < rd_strategy_kind_count; k++)
        if (holds(rd_strategy_kinds[k]))
            those[count++] = rd_strategy_kinds[k];
    qsort(those, count, sizeof *those, by_name);
    text[0] = '\0';
    for (size_t i = 0; i < count && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s",
                               i == 0          ? ""
                               : i + 1 < count ? ", "
                                               : " or ",
                               those[i]->name);
}

static bool prunes(const rd_strategy_kind *kind)
{
    return kind->prunes;
}

static bool counts(const rd_strategy_kind *kind)
{
    return kind->counts;
}

static bool server_trains(const rd_strategy_kind *kind)
{
    return kind->server_trains;
}

/* data.root and those who train on it. */
static rd_status check_root(const rd_config *c, bool local, rd_error *err)
{
    char names[400];
    const rd_strategy_kind *kind = c->strategy.kind;
    name_those(server_trains, names, sizeof names);
    if (kind->server_trains && c->data.root.format == RD_SOURCE_NONE && c->data.given)
        return rd_fail(err, RD_ERR_CONFIG, "data.root is missing: strategy %s trains on it at the server", kind->name);
    if (!kind->server_trains && c->data.root.format != RD_SOURCE_NONE)
        return rd_fail(err, RD_ERR_CONFIG, "data.root has a meaning only with strategy %s, not %s", names, kind->name);
    if (kind->server_trains && local)
        return rd_fail(err, RD_ERR_CONFIG,
                       "model.fine_tuning.local: not with strategy %s, whose server has no tensors of its own",
                       kind->name);
    return RD_OK;
}

static rd_status check_model(const rd_config *c, const rd_model *m, bool local, rd_error *err)
{
    char names[400];
    const rd_strategy_kind *kind = c->strategy.kind;
    name_those(counts, names, sizeof names);
    if (rd_model_counts(m) && !kind->counts)
        return rd_fail(err, RD_ERR_CONFIG, "strategy.name: the model learns by counting, which only %s sums", names);
    name_those(prunes, names, sizeof names);
    if (c->pruning.sparsity > 0 && (!kind->prunes || local || c->personalisation.method == RD_PERSONAL_DITTO))
        return rd_fail(err, RD_ERR_CONFIG, "pruning: only with strategy %s, and without models of the clients' own",
                       names);
    return RD_OK;
}

rd_status rd_config_check_strategy(const rd_config *c, const rd_model *m, rd_error *err)
{
    const rd_training *t = &c->training;
    const rd_strategy_setting setting = {.sgd = t->optimizer == RD_OPTIMIZER_SGD,
                                         .momentum = (double)t->momentum,
                                         .learning_rate = (double)t->learning_rate,
                                         .epochs = t->epochs,
                                         .batch_size = t->batch_size,
                                         .train_loss = c->evaluation.clients.train_loss};
    bool local =
        rd_model_tensors(m, RD_TENSORS_CHANGING).elements > rd_model_tensors(m, RD_TENSORS_TRAVELLING).elements;
    rd_status status = RD_OK;
    RD_TRY(check_model(c, m, local, err));
    RD_TRY(check_root(c, local, err));
    if (c->personalisation.method == RD_PERSONAL_FINE_TUNE && c->evaluation.clients.holdout == 0)
        RD_THROW(RD_ERR_CONFIG,
                 "personalisation: evaluation.holdout must be above 0: the fine-tuned model is judged on it");
    if (c->strategy.kind->check != NULL)
        RD_TRY(c->strategy.kind->check(&c->strategy, &setting, err));
    RD_TRY(rd_strategy_check_proximal("personalisation.lambda", c->personalisation.lambda, &setting, err));
    RD_TRY(check_tolerance(c, err));
cleanup:
    return status;
}
