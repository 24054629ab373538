/* strategy_section.c: see strategy_section.h. A table says which strategies know which key. */
#include "config/strategy_section.h"

#include <stdio.h>
#include <string.h>

#include "model/counting.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

typedef unsigned strategy_set; /* bit 1 << rd_strategy_kind */
#define ONLY(kind) (1u << (kind))
#define ADAPTIVE (ONLY(RD_FEDADAGRAD) | ONLY(RD_FEDADAM) | ONLY(RD_FEDYOGI))
#define WEIGHTED                                                                                              \
    (ONLY(RD_FEDAVG) | ONLY(RD_FEDSGD) | ONLY(RD_FEDPROX) | ONLY(RD_FEDAVGM) | ADAPTIVE | ONLY(RD_SCAFFOLD) | \
     ONLY(RD_FEDNOVA) | ONLY(RD_FEDBUFF) | ONLY(RD_NORM_CLIPPING) | ONLY(RD_GEOMETRIC_MEDIAN))

typedef struct key_line {
    const char *key;
    strategy_set known_by, required_by;
} key_line;

static const key_line keys[] = {
    {"weighting", WEIGHTED, 0},
    {"momentum", ONLY(RD_FEDAVGM), 0},
    {"beta1", ADAPTIVE, 0},
    {"beta2", ONLY(RD_FEDADAM) | ONLY(RD_FEDYOGI), 0},
    {"tau", ADAPTIVE, 0},
    {"proximal", ONLY(RD_FEDPROX) | ONLY(RD_FEDNOVA), ONLY(RD_FEDPROX)},
    {"q", ONLY(RD_QFEDAVG), ONLY(RD_QFEDAVG)},
    {"clip_norm", ONLY(RD_NORM_CLIPPING), ONLY(RD_NORM_CLIPPING)},
    {"byzantine", ONLY(RD_TRIMMED_MEAN) | ONLY(RD_KRUM) | ONLY(RD_MULTI_KRUM) | ONLY(RD_BULYAN),
     ONLY(RD_TRIMMED_MEAN) | ONLY(RD_KRUM) | ONLY(RD_MULTI_KRUM) | ONLY(RD_BULYAN)},
    {"chosen", ONLY(RD_MULTI_KRUM), 0},
    {"smoothing", ONLY(RD_GEOMETRIC_MEDIAN), 0},
    {"iterations", ONLY(RD_GEOMETRIC_MEDIAN), 0},
    {"buffer_size", ONLY(RD_FEDBUFF), ONLY(RD_FEDBUFF)},
    {"concurrency", ONLY(RD_FEDBUFF), ONLY(RD_FEDBUFF)},
    {"most_staleness", ONLY(RD_FEDBUFF), 0},
    {"staleness_exponent", ONLY(RD_FEDBUFF), 0},
};

/* with "name": "krum" or "bulyan" */
static void describe(strategy_set known_by, char *text, size_t size)
{
    size_t at = (size_t)snprintf(text, size, "with \"name\":"), named = 0;
    for (unsigned k = 0; k < RD_STRATEGIES && at < size; k++)
        if ((known_by >> k & 1u) != 0)
            at += (size_t)snprintf(text + at, size - at, "%s \"%s\"", named++ > 0 ? " or" : "", rd_strategy_names[k]);
}

static void check_keys(rd_fields *f, rd_strategy_kind kind)
{
    char when[400];
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        describe(keys[i].known_by, when, sizeof when);
        rd_fields_only(f, keys[i].key, (keys[i].known_by >> kind & 1u) != 0, when);
        if ((keys[i].required_by >> kind & 1u) != 0)
            rd_fields_require(f, keys[i].key);
    }
}

static void read_robust(rd_fields *f, rd_strategy *s)
{
    uint64_t iterations = 100;
    s->robust = (rd_robust_config){.rule = rd_strategy_rule(s), .smoothing = 1e-6};
    rd_fields_count(f, "byzantine", 0, 1000000, &s->robust.byzantine);
    rd_fields_count(f, "chosen", 1, 1000000, &s->robust.chosen);
    rd_fields_number(f, "smoothing", 0.0, 1e6, true, &s->robust.smoothing);
    rd_fields_count(f, "iterations", 1, 100000, &iterations);
    s->robust.iterations = (uint32_t)iterations;
}

rd_status rd_config_read_strategy(rd_fields *top, rd_strategy *s)
{
    static const char *const weightings[] = {"samples", "uniform"};
    rd_fields f = rd_fields_section(top, "strategy", "strategy");
    int kind = RD_FEDAVG;
    rd_fields_choice(&f, "name", rd_strategy_names, RD_STRATEGIES, &kind);
    *s = (rd_strategy){.kind = (rd_strategy_kind)kind, .staleness_exponent = 0.5, .most_staleness = 100};
    bool adaptive = (ADAPTIVE >> kind & 1u) != 0;
    s->server_learning_rate = adaptive ? 0.1 : 1;
    s->beta1 = kind == RD_FEDADAGRAD ? 0 : 0.9;
    s->beta2 = 0.99;
    s->tau = 0.001;
    int weighting = kind == RD_SCAFFOLD || kind == RD_QFEDAVG || kind == RD_FEDBUFF; /* as in their papers */
    check_keys(&f, s->kind);
    rd_fields_number(&f, "server_learning_rate", 0.0, 1e6, true, &s->server_learning_rate);
    rd_fields_choice(&f, "weighting", weightings, COUNT_OF(weightings), &weighting);
    rd_fields_number(&f, "momentum", 0.0, 0.999999, false, &s->beta1);
    rd_fields_number(&f, "beta1", 0.0, 0.999999, false, &s->beta1);
    rd_fields_number(&f, "beta2", 0.0, 0.999999, false, &s->beta2);
    rd_fields_number(&f, "tau", 0.0, 1e6, true, &s->tau);
    rd_fields_number(&f, "proximal", 0.0, 1e6, false, &s->proximal);
    rd_fields_number(&f, "q", 0.0, 100.0, false, &s->q);
    rd_fields_number(&f, "clip_norm", 0.0, 1e9, true, &s->clip_norm);
    rd_fields_count(&f, "buffer_size", 1, 1000000, &s->buffer_size);
    rd_fields_count(&f, "concurrency", 1, 100000000, &s->concurrency);
    rd_fields_count(&f, "most_staleness", 0, 1000000, &s->most_staleness);
    rd_fields_number(&f, "staleness_exponent", 0.0, 10.0, false, &s->staleness_exponent);
    s->uniform = weighting == 1;
    read_robust(&f, s);
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

/* Strategies whose arithmetic follows from the steps of plain SGD. */
static rd_status check_optimizer(const rd_config *c, rd_error *err)
{
    const rd_training *t = &c->training;
    const char *name = rd_strategy_names[c->strategy.kind];
    if (c->strategy.kind != RD_SCAFFOLD && c->strategy.kind != RD_FEDNOVA && c->strategy.kind != RD_FEDSGD)
        return RD_OK;
    if (t->optimizer != RD_OPTIMIZER_SGD)
        return rd_fail(err, RD_ERR_CONFIG, "training.optimizer: strategy %s is for clients that train with sgd", name);
    if (c->strategy.kind != RD_FEDNOVA && t->momentum != 0.0f)
        return rd_fail(err, RD_ERR_CONFIG, "training.momentum: strategy %s is for sgd without momentum", name);
    if (t->momentum != 0.0f && c->strategy.proximal > 0)
        return rd_fail(err, RD_ERR_CONFIG, "strategy.proximal: not together with training.momentum");
    if (c->strategy.kind == RD_FEDSGD && (t->epochs != 1 || t->batch_size != 0))
        return rd_fail(err, RD_ERR_CONFIG,
                       "strategy fedsgd is one step on all of a client's samples: training.epochs must be 1 and "
                       "training.batch_size 0");
    return RD_OK;
}

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

/* A step of plain SGD along mu (w - w0) leaves 1 - lr mu of the distance: from lr mu = 2 on, that is more than there
 * was, on the other side. */
static rd_status check_pull(const rd_config *c, const char *key, double mu, rd_error *err)
{
    const rd_training *t = &c->training;
    bool plain = t->optimizer == RD_OPTIMIZER_SGD && t->momentum == 0.0f;
    if (!plain || (double)t->learning_rate * mu < 2)
        return RD_OK;
    return rd_fail(err, RD_ERR_CONFIG,
                   "%s: with training.learning_rate %g it must be below %g, found %g: each step would end further from "
                   "what it pulls to than it began",
                   key, (double)t->learning_rate, 2 / (double)t->learning_rate, mu);
}

rd_status rd_config_check_strategy(const rd_config *c, const rd_model *m, rd_error *err)
{
    const rd_strategy *s = &c->strategy;
    const char *name = rd_strategy_names[s->kind];
    bool plain = s->kind == RD_FEDAVG || s->kind == RD_FEDPROX || s->kind == RD_FEDSGD;
    bool local =
        rd_model_tensors(m, RD_TENSORS_CHANGING).elements > rd_model_tensors(m, RD_TENSORS_TRAVELLING).elements;
    if (rd_model_counts(m) && s->kind != RD_FEDAVG)
        return rd_fail(err, RD_ERR_CONFIG, "strategy.name: the model learns by counting, which only fedavg sums");
    if (c->pruning.sparsity > 0 && (!plain || local || c->personalisation.method == RD_PERSONAL_DITTO))
        return rd_fail(err, RD_ERR_CONFIG,
                       "pruning: only with strategy fedavg, fedprox or fedsgd, and without models of the clients' own");
    if (s->kind == RD_QFEDAVG && !c->client_evaluation.train_loss)
        return rd_fail(err, RD_ERR_CONFIG,
                       "strategy q-fedavg needs evaluation.train_loss true: it weighs by that loss");
    if (s->kind == RD_FLTRUST && c->root.format == RD_SOURCE_NONE && c->has_data)
        return rd_fail(err, RD_ERR_CONFIG, "data.root is missing: strategy fltrust trains on it at the server");
    if (s->kind != RD_FLTRUST && c->root.format != RD_SOURCE_NONE)
        return rd_fail(err, RD_ERR_CONFIG, "data.root has a meaning only with strategy fltrust, not %s", name);
    if (s->kind == RD_FLTRUST && local)
        return rd_fail(err, RD_ERR_CONFIG,
                       "model.fine_tuning.local: not with strategy fltrust, whose server has no tensors of its own");
    if (c->personalisation.method == RD_PERSONAL_FINE_TUNE && c->client_evaluation.holdout == 0)
        return rd_fail(err, RD_ERR_CONFIG,
                       "personalisation: evaluation.holdout must be above 0: the fine-tuned model is judged on it");
    rd_status status = RD_OK;
    RD_TRY(check_optimizer(c, err));
    RD_TRY(check_pull(c, "strategy.proximal", s->proximal, err));
    RD_TRY(check_pull(c, "personalisation.lambda", c->personalisation.lambda, err));
    RD_TRY(check_tolerance(c, err));
cleanup:
    return status;
}
