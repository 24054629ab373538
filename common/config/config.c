/* config.c: see config.h. One function a section, in the order of config.schema.json, which says the same for
 * editors and other programs. */
#include "config/config.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/data_section.h"
#include "config/effect.h"
#include "config/fields.h"
#include "config/paths.h"
#include "config/schema_section.h"
#include "config/strategy_section.h"
#include "core/file.h"
#include "format/foreign.h"
#include "model/counting.h"
#include "model/model.h"

#define MAX_CONFIG_BYTES (1 << 20)
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static rd_status read_schedule(rd_fields *training, rd_schedule *s)
{
    static const char *const kinds[] = {[RD_SCHEDULE_CONSTANT] = "constant",
                                        [RD_SCHEDULE_EXPONENTIAL] = "exponential",
                                        [RD_SCHEDULE_STEP] = "step",
                                        [RD_SCHEDULE_COSINE] = "cosine"};
    rd_fields f = rd_fields_section(training, "schedule", "training.schedule");
    int kind = RD_SCHEDULE_CONSTANT;
    rd_fields_choice(&f, "type", kinds, COUNT_OF(kinds), &kind);
    bool decays = kind == RD_SCHEDULE_EXPONENTIAL || kind == RD_SCHEDULE_STEP;
    rd_fields_only(&f, "decay", decays, "with \"type\": \"exponential\" or \"step\"");
    rd_fields_only(&f, "every", kind == RD_SCHEDULE_STEP, "with \"type\": \"step\"");
    rd_fields_only(&f, "final", kind == RD_SCHEDULE_COSINE, "with \"type\": \"cosine\"");
    if (decays)
        rd_fields_require(&f, "decay");
    if (kind == RD_SCHEDULE_STEP)
        rd_fields_require(&f, "every");
    *s = (rd_schedule){.kind = (rd_schedule_kind)kind, .decay = 1, .every = 1};
    rd_fields_number(&f, "decay", 0.0, 1.0, true, &s->decay);
    rd_fields_count(&f, "every", 1, 1000000000, &s->every);
    rd_fields_number(&f, "final", 0.0, 1.0, false, &s->final);
    rd_fields_count(&f, "warmup_rounds", 0, 1000000000, &s->warmup);
    return rd_fields_finish(&f);
}

static void read_skips(rd_fields *f, rd_training *t)
{
    const cJSON *list = rd_fields_item(f, "weight_decay_skips", false), *item;
    if (list == NULL)
        return;
    bool good = cJSON_IsArray(list) && cJSON_GetArraySize(list) <= RD_DECAY_SKIPS;
    cJSON_ArrayForEach(item, list) good =
        good && cJSON_IsString(item) && strlen(item->valuestring) < RD_TENSOR_NAME_MAX;
    if (!good) {
        rd_fields_fail(f, "weight_decay_skips", "a list of at most 8 names of tensors, which may hold * and ?");
        return;
    }
    cJSON_ArrayForEach(item, list)(void)
        snprintf(t->decay_skips[t->decay_skip_count++], RD_TENSOR_NAME_MAX, "%s", item->valuestring);
}

/* What only some optimizers know. */
static void read_optimizer(rd_fields *f, rd_training *t)
{
    static const char *const names[] = {[RD_OPTIMIZER_SGD] = "sgd",
                                        [RD_OPTIMIZER_ADAM] = "adam",
                                        [RD_OPTIMIZER_ADAMW] = "adamw",
                                        [RD_OPTIMIZER_ADAGRAD] = "adagrad",
                                        [RD_OPTIMIZER_RMSPROP] = "rmsprop"};
    int kind = RD_OPTIMIZER_SGD;
    rd_fields_choice(f, "optimizer", names, COUNT_OF(names), &kind);
    t->optimizer = (rd_optimizer_kind)kind;
    bool adam = kind == RD_OPTIMIZER_ADAM || kind == RD_OPTIMIZER_ADAMW, sgd = kind == RD_OPTIMIZER_SGD;
    double momentum = 0.0, beta1 = 0.9, beta2 = 0.999, alpha = 0.99,
           epsilon = kind == RD_OPTIMIZER_ADAGRAD ? 1e-10 : 1e-8;
    rd_fields_only(f, "momentum", sgd || kind == RD_OPTIMIZER_RMSPROP, "with \"optimizer\": \"sgd\" or \"rmsprop\"");
    rd_fields_only(f, "nesterov", sgd, "with \"optimizer\": \"sgd\"");
    rd_fields_only(f, "beta1", adam, "with \"optimizer\": \"adam\" or \"adamw\"");
    rd_fields_only(f, "beta2", adam, "with \"optimizer\": \"adam\" or \"adamw\"");
    rd_fields_only(f, "alpha", kind == RD_OPTIMIZER_RMSPROP, "with \"optimizer\": \"rmsprop\"");
    rd_fields_only(f, "epsilon", !sgd, "with another \"optimizer\" than \"sgd\"");
    rd_fields_number(f, "momentum", 0.0, 0.999999, false, &momentum);
    rd_fields_bool(f, "nesterov", &t->nesterov);
    rd_fields_number(f, "beta1", 0.0, 0.999999, false, &beta1);
    rd_fields_number(f, "beta2", 0.0, 0.999999, false, &beta2);
    rd_fields_number(f, "alpha", 0.0, 0.999999, false, &alpha);
    rd_fields_number(f, "epsilon", 0.0, 1.0, true, &epsilon);
    if (t->nesterov && momentum == 0.0)
        rd_fields_fail(f, "nesterov", "momentum above 0 beside it");
    t->momentum = (float)momentum;
    t->beta1 = (float)beta1;
    t->beta2 = (float)beta2;
    t->alpha = (float)alpha;
    t->epsilon = (float)epsilon;
}

static rd_status read_training(rd_fields *top, rd_training *t)
{
    rd_fields f = rd_fields_section(top, "training", "training");
    double rate = 0.0, weight_decay = 0.0, clip = 0.0;
    uint64_t epochs = 1, batch = 32;
    *t = (rd_training){.epochs = 1};
    rd_fields_number(&f, "learning_rate", 0.0, 1e6, true, &rate);
    rd_fields_count(&f, "epochs", 1, 1000000, &epochs);
    rd_fields_count(&f, "batch_size", 0, 1000000, &batch);
    rd_fields_number(&f, "weight_decay", 0.0, 1e6, false, &weight_decay);
    rd_fields_number(&f, "clip_norm", 0.0, 1e9, true, &clip);
    read_optimizer(&f, t);
    read_skips(&f, t);
    /* An empty list asks for nothing. */
    rd_fields_only(&f, "weight_decay_skips", weight_decay > 0.0 || t->decay_skip_count == 0,
                   "with \"weight_decay\" above 0");
    t->epochs = (uint32_t)epochs;
    t->batch_size = (uint32_t)batch;
    t->learning_rate = (float)rate;
    t->weight_decay = (float)weight_decay;
    t->clip_norm = (float)clip;
    rd_status status = f.status;
    if (status == RD_OK)
        status = read_schedule(&f, &t->schedule);
    return status == RD_OK ? rd_fields_finish(&f) : status;
}

static rd_status read_cohort(rd_fields *top, rd_cohort_config *c)
{
    static const char *const kinds[] = {
        [RD_SELECT_ALL] = "all", [RD_SELECT_FRACTION] = "fraction", [RD_SELECT_COUNT] = "count"};
    rd_fields f = rd_fields_section(top, "cohort", "cohort");
    int select = RD_SELECT_ALL;
    *c = (rd_cohort_config){.fraction = 1.0,
                            .count = 1,
                            .over_selection = 1.0,
                            .min_clients = 1,
                            .min_updates = 1,
                            .deadline_seconds = 600.0};
    rd_fields_choice(&f, "select", kinds, COUNT_OF(kinds), &select);
    c->select = (rd_selection)select;
    rd_fields_only(&f, "fraction", select == RD_SELECT_FRACTION, "with \"select\": \"fraction\"");
    rd_fields_only(&f, "count", select == RD_SELECT_COUNT, "with \"select\": \"count\"");
    if (select == RD_SELECT_FRACTION)
        rd_fields_require(&f, "fraction");
    if (select == RD_SELECT_COUNT)
        rd_fields_require(&f, "count");
    rd_fields_number(&f, "fraction", 1e-8, 1.0, false, &c->fraction);
    rd_fields_count(&f, "count", 1, 100000000, &c->count);
    rd_fields_number(&f, "over_selection", 1.0, 100.0, false, &c->over_selection);
    rd_fields_count(&f, "min_clients", 1, 100000000, &c->min_clients);
    rd_fields_count(&f, "min_updates", 1, 100000000, &c->min_updates);
    rd_fields_number(&f, "deadline_seconds", 1e-3, 1e7, false, &c->deadline_seconds);
    return rd_fields_finish(&f);
}

static void read_scores(rd_fields *f, rd_evaluation_config *e)
{
    const cJSON *list = rd_fields_item(f, "metrics", false), *item;
    size_t i = 0;
    if (list != NULL && !cJSON_IsArray(list))
        rd_fields_fail(f, "metrics", "a list");
    cJSON_ArrayForEach(item, list)
    {
        size_t score = 0;
        while (score < RD_SCORES && !(cJSON_IsString(item) && strcmp(item->valuestring, rd_score_names[score]) == 0))
            score++;
        if (score == RD_SCORES)
            rd_fields_fail_at(f, "metrics", i, "top2 to top10, f1, auc, rmse, r2 or perplexity");
        else if ((e->scores >> score & 1u) != 0)
            rd_fields_fail_at(f, "metrics", i, "each metric once");
        else
            e->scores |= 1u << score;
        i++;
    }
}

static rd_status read_early_stopping(rd_fields *top, rd_config *c)
{
    static const char *const metrics[] = {[RD_STOP_HOLDOUT_LOSS] = "holdout_loss",
                                          [RD_STOP_TEST_LOSS] = "test_loss",
                                          [RD_STOP_TEST_ACCURACY] = "test_accuracy"};
    rd_fields f = rd_fields_section(top, "early_stopping", "early_stopping");
    int metric = RD_STOP_HOLDOUT_LOSS;
    if (f.object == NULL)
        return f.status;
    rd_fields_require(&f, "metric");
    rd_fields_require(&f, "patience");
    rd_fields_choice(&f, "metric", metrics, COUNT_OF(metrics), &metric);
    rd_fields_count(&f, "patience", 1, 1000000000, &c->early_stopping.patience);
    rd_fields_number(&f, "min_delta", 0.0, 1e9, false, &c->early_stopping.min_delta);
    c->early_stopping.metric = (rd_stopping_metric)metric;
    if (metric == RD_STOP_HOLDOUT_LOSS && c->evaluation.clients.holdout == 0.0)
        rd_fields_fail(&f, "metric",
                       "another metric, or evaluation.holdout above 0, without which there is no hold-out loss");
    return rd_fields_finish(&f);
}

/* "tasks": [[0, 1], [2, 3]] */
static void read_tasks(rd_fields *f, const cJSON *list, rd_continual *c)
{
    uint64_t seen = 0;
    const cJSON *task, *label;
    cJSON_ArrayForEach(task, list)
    {
        uint64_t *classes = &c->classes[c->task_count < RD_CONTINUAL_TASKS ? c->task_count : 0];
        bool good = cJSON_IsArray(task) && cJSON_GetArraySize(task) > 0 && c->task_count < RD_CONTINUAL_TASKS;
        cJSON_ArrayForEach(label, task)
        {
            double value = cJSON_IsNumber(label) ? label->valuedouble : -1;
            good = good && value >= 0 && value < RD_CONTINUAL_CLASSES && value == (double)(int)value &&
                   (seen >> (int)value & 1u) == 0;
            if (good)
                seen |= UINT64_C(1) << (int)value;
            if (good)
                *classes |= UINT64_C(1) << (int)value;
        }
        if (!good) {
            rd_fields_fail(f, "tasks", "a list of at most 16 lists of classes from 0 to 63, each class in one of them");
            return;
        }
        c->task_count++;
    }
}

static rd_status read_continual(rd_fields *top, rd_continual *c)
{
    rd_fields f = rd_fields_section(top, "continual", "continual");
    if (f.object == NULL)
        return f.status;
    rd_fields_require(&f, "tasks");
    rd_fields_require(&f, "rounds_per_task");
    const cJSON *tasks = rd_fields_item(&f, "tasks", false);
    if (tasks != NULL && (!cJSON_IsArray(tasks) || cJSON_GetArraySize(tasks) == 0))
        rd_fields_fail(&f, "tasks", "a list of lists of classes");
    else
        read_tasks(&f, tasks, c);
    rd_fields_count(&f, "rounds_per_task", 1, 1000000000, &c->rounds_per_task);
    rd_fields_number(&f, "replay", 0.0, 1.0, false, &c->replay);
    return rd_fields_finish(&f);
}

static rd_status read_pruning(rd_fields *top, rd_pruning *p)
{
    rd_fields f = rd_fields_section(top, "pruning", "pruning");
    const cJSON *item;
    if (f.object == NULL)
        return f.status;
    rd_fields_require(&f, "sparsity");
    rd_fields_require(&f, "from_round");
    rd_fields_require(&f, "to_round");
    rd_fields_number(&f, "sparsity", 0.0, 0.9999, true, &p->sparsity);
    rd_fields_count(&f, "from_round", 1, 1000000000, &p->from);
    rd_fields_count(&f, "to_round", 1, 1000000000, &p->to);
    if (f.status == RD_OK && f.missing == NULL && p->to < p->from)
        rd_fields_fail(&f, "to_round", "from_round or a later one");
    const cJSON *targets = rd_fields_item(&f, "targets", false);
    bool good = targets == NULL || (cJSON_IsArray(targets) && cJSON_GetArraySize(targets) >= 1 &&
                                    cJSON_GetArraySize(targets) <= RD_PRUNING_TARGETS);
    cJSON_ArrayForEach(item, targets) good =
        good && cJSON_IsString(item) && strlen(item->valuestring) < RD_TENSOR_NAME_MAX;
    if (!good) {
        rd_fields_fail(&f, "targets", "a list of 1 to 8 names of tensors, which may hold * and ?");
        return rd_fields_finish(&f);
    }
    if (targets == NULL) {
        static const char *const every_weight[] = {"*.weight"};
        (void)snprintf(p->targets[p->target_count++], RD_TENSOR_NAME_MAX, "%s", every_weight[0]);
        if (f.settled != NULL)
            rd_fields_settle(&f, "targets", cJSON_CreateStringArray(every_weight, 1));
    }
    cJSON_ArrayForEach(item, targets)
    {
        (void)snprintf(p->targets[p->target_count++], RD_TENSOR_NAME_MAX, "%s", item->valuestring);
    }
    return rd_fields_finish(&f);
}

static rd_status read_evaluation(rd_fields *top, rd_evaluation_config *e)
{
    rd_fields f = rd_fields_section(top, "evaluation", "evaluation");
    e->every = 1;
    rd_fields_count(&f, "every", 1, 1000000000, &e->every);
    rd_fields_number(&f, "target_accuracy", 0.0, 1.0, true, &e->target_accuracy);
    rd_fields_bool(&f, "train_loss", &e->clients.train_loss);
    read_scores(&f, e);
    rd_fields_number(&f, "holdout", 0.0, 0.9, false, &e->clients.holdout);
    return rd_fields_finish(&f);
}

/* ---- the whole ---- */

static cJSON *setting_of(const cJSON *run)
{
    const cJSON *simulation = cJSON_GetObjectItemCaseSensitive(run, "simulation"),
                *partition =
                    cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(run, "data"), "partition");
    cJSON *setting = cJSON_CreateObject();
    bool whole = setting != NULL;
    if (whole && simulation != NULL)
        whole = cJSON_AddItemToObject(setting, "simulation", cJSON_Duplicate(simulation, true));
    if (whole && partition != NULL)
        whole = cJSON_AddItemToObject(cJSON_AddObjectToObject(setting, "data"), "partition",
                                      cJSON_Duplicate(partition, true));
    if (whole)
        return setting;
    cJSON_Delete(setting);
    return NULL;
}

/* Of "data", clients are told what columns mean. */
static rd_status share_schema(rd_config *c, rd_error *err)
{
    cJSON *schema = rd_schema_json(&c->data.schema);
    if (schema != NULL && schema->child == NULL) { /* nothing is said */
        cJSON_Delete(schema);
        return RD_OK;
    }
    if (cJSON_AddItemToObject(cJSON_AddObjectToObject(c->shared, "data"), "schema", schema))
        return RD_OK;
    cJSON_Delete(schema);
    return rd_fail(err, RD_ERR_MEMORY, "no memory for the configuration");
}

static rd_status read_top(rd_fields *f, rd_config *out)
{
    rd_status status = RD_OK;
    (void)snprintf(out->name, sizeof out->name, "run");
    out->seed = 1;
    rd_fields_item(f, "$schema", false);
    rd_fields_text(f, "name", out->name, sizeof out->name);
    rd_fields_count(f, "seed", 0, UINT64_C(1) << 53, &out->seed);
    rd_fields_require(f, "rounds");
    rd_fields_count(f, "rounds", 1, 1000000000, &out->rounds);
    rd_fields_count(f, "keep_every", 0, 1000000000, &out->keep_every);
    rd_fields_require(f, "model");
    const cJSON *model = rd_fields_item(f, "model", true);
    RD_TRY(f->status);
    RD_TRY(read_training(f, &out->training));
    out->training.schedule.rounds = out->rounds;
    RD_TRY(rd_config_read_strategy(f, &out->strategy));
    RD_TRY(rd_config_read_personalisation(f, &out->personalisation));
    RD_TRY(read_cohort(f, &out->cohort));
    RD_TRY(read_evaluation(f, &out->evaluation));
    RD_TRY(read_early_stopping(f, out));
    RD_TRY(read_continual(f, &out->continual));
    RD_TRY(read_pruning(f, &out->pruning));
    RD_TRY(rd_config_read_data(f, &out->data));
    RD_TRY(rd_config_read_simulation(f, &out->simulation));
    RD_TRY(rd_config_read_initial(f, &out->initial));
    RD_TRY(rd_fields_finish(f));
    if (out->strategy.kind->buffering != NULL) {
        const rd_buffering b = out->strategy.kind->buffering(&out->strategy);
        out->cohort.buffer_size = b.buffer_size;
        out->cohort.concurrency = b.concurrency;
        out->cohort.most_staleness = b.most_staleness;
    }
    if (out->cohort.min_updates < rd_strategy_least_updates(&out->strategy)) /* fewer would not be robust */
        out->cohort.min_updates = rd_strategy_least_updates(&out->strategy);
    out->model = cJSON_Duplicate(model, true);
    out->shared = cJSON_Duplicate(f->object, true);
    cJSON_DeleteItemFromObjectCaseSensitive(out->shared, "data");
    cJSON_DeleteItemFromObjectCaseSensitive(out->shared, "initial");
    cJSON_DeleteItemFromObjectCaseSensitive(out->shared, "simulation");
    cJSON_DeleteItemFromObjectCaseSensitive(out->shared, "$schema");
    RD_TRY(share_schema(out, f->err));
    if (out->model == NULL || out->shared == NULL)
        status = rd_fail(f->err, RD_ERR_MEMORY, "%s: no memory for the configuration", f->whose);
cleanup:
    return status;
}

rd_status rd_config_settle(const cJSON *run, const char *whose, cJSON **out, rd_error *err)
{
    rd_config config = {0};
    cJSON *settled = cJSON_CreateObject();
    rd_fields f = {.object = run, .settled = settled, .whose = whose, .path = "", .err = err};
    rd_status status =
        settled != NULL ? read_top(&f, &config) : rd_fail(err, RD_ERR_MEMORY, "%s: no memory to compare it", whose);
    rd_config_free(&config);
    if (status == RD_OK)
        *out = settled;
    else
        cJSON_Delete(settled);
    return status;
}

rd_status rd_config_parse(const char *json, size_t size, const char *whose, const char *folder, rd_config *out,
                          rd_error *err)
{
    rd_foreign_fault fault;
    memset(out, 0, sizeof *out);
    cJSON *root = rd_foreign_json(json, size, &fault);
    if (root == NULL)
        return rd_fail(err, RD_ERR_CONFIG, "%s: line %zu, column %zu: %s", whose, fault.line, fault.column, fault.what);
    rd_status status = RD_OK;
    out->setting = setting_of(root); /* with its paths as they are written: a folder may be moved */
    if (!cJSON_IsObject(root))
        status = rd_fail(err, RD_ERR_CONFIG, "%s: expected a JSON object", whose);
    else if (out->setting == NULL)
        status = rd_fail(err, RD_ERR_MEMORY, "%s: no memory for the configuration", whose);
    if (status == RD_OK && folder != NULL)
        status = rd_config_resolve_paths(root, folder, err);
    if (status == RD_OK)
        status = read_top(&(rd_fields){.object = root, .whose = whose, .path = "", .err = err}, out);
    cJSON_Delete(root);
    if (status != RD_OK) {
        rd_config_free(out);
        rd_foreign_plain(err->message);
    }
    return status;
}

static rd_status check_decay_skips(const rd_training *t, const rd_model *m, rd_error *err)
{
    const rd_tensor_table table = rd_model_tensors(m, RD_TENSORS_ALL);
    for (size_t i = 0; i < t->decay_skip_count; i++) {
        bool found = false;
        for (size_t k = 0; k < table.count && !found; k++)
            found = fnmatch(t->decay_skips[i], table.tensors[k].name, 0) == 0;
        if (!found)
            return rd_fail(err, RD_ERR_CONFIG,
                           "training.weight_decay_skips[%zu]: no tensor of the model is called \"%s\"; the "
                           "first is '%s'",
                           i, t->decay_skips[i], table.tensors[0].name);
    }
    return RD_OK;
}

/* The model's loss says whether the label is a class or a target. RD_ERR_CONFIG where run.json says otherwise. */
static rd_status settle_label(rd_config *c, const rd_model *m, rd_error *err)
{
    const bool real = !rd_model_classifies(m) && rd_model_loss(m) != RD_LOSS_INERTIA;
    const rd_column_type type = real ? RD_COLUMN_NUMBER : RD_COLUMN_CATEGORY;
    const rd_source *sources[] = {&c->data.train, &c->data.test, &c->data.root};
    for (size_t i = 0; i < COUNT_OF(sources); i++)
        if (sources[i]->regression == (real ? RD_NO : RD_YES))
            return rd_fail(err, RD_ERR_CONFIG, "data.%s.regression: the model's loss is %s, which predicts %s",
                           i == 0   ? "train"
                           : i == 1 ? "test"
                                    : "root",
                           rd_model_loss_name(m), real ? "a number" : "classes");
    if (c->data.schema.label.type != RD_COLUMN_OPEN && c->data.schema.label.type != type)
        return rd_fail(err, RD_ERR_CONFIG, "data.schema.label: %s, but the model's loss is %s, which predicts %s",
                       real ? "classes" : "a target", rd_model_loss_name(m), real ? "a number" : "classes");
    c->data.schema.label.type = type;
    return RD_OK;
}

/* What is asked of the training of this model, but makes no sense for it. */
static rd_status check_training(const rd_config *c, const rd_model *m, rd_error *err)
{
    const rd_early_stopping *e = &c->early_stopping;
    if (!rd_model_counts(m) && c->training.learning_rate == 0.0f)
        return rd_fail(err, RD_ERR_CONFIG, "training.learning_rate is missing");
    if (c->training.batch_size == 1 && rd_model_least_rows(m) > 1)
        return rd_fail(err, RD_ERR_CONFIG,
                       "training.batch_size: one row says nothing of how features vary, which the model's batch norm "
                       "is to learn; expected 2 or more, or 0, found 1");
    if (e->patience > 0 && e->metric == RD_STOP_TEST_ACCURACY && !rd_model_classifies(m))
        return rd_fail(err, RD_ERR_CONFIG,
                       "early_stopping.metric: test_accuracy needs a loss over classes, but the model's is %s",
                       rd_model_loss_name(m));
    return check_decay_skips(&c->training, m, err);
}

/* Builds the plan and drops it, so that what is wrong with the model is reported with the file's name; and what
 * is wrong with the training of such a model. */
static rd_status check_model(rd_config *c, const char *path, rd_error *err)
{
    rd_model *m = NULL;
    rd_status status = RD_OK;
    RD_TRY(rd_model_create(c->model, &m, err));
    RD_TRY(check_training(c, m, err));
    RD_TRY(settle_label(c, m, err));
    RD_TRY(rd_config_check_strategy(c, m, err));
    RD_TRY(rd_config_check_effect(c, m, err));
    if (c->pruning.sparsity > 0.0 && rd_model_counts(m))
        RD_THROW(RD_ERR_CONFIG, "pruning: the model learns by counting, and has no weights to prune");
    if (c->continual.task_count > 0 && !(rd_model_classifies(m) && rd_model_predictions(m) == 1))
        RD_THROW(RD_ERR_CONFIG, "continual.tasks: tasks are classes, but the model's loss %s has none for each sample",
                 rd_model_loss_name(m));
    for (unsigned i = 0; i < RD_SCORES; i++)
        if ((c->evaluation.scores >> i & 1u) != 0)
            RD_TRY(rd_score_check((rd_score)i, m, err));
cleanup:
    rd_model_free(m);
    if (status == RD_OK)
        return RD_OK;
    rd_config_free(c);
    return rd_fail_context(err, status, "%s", path);
}

rd_status rd_config_load(const char *path, rd_config *out, rd_error *err)
{
    char *json = NULL, folder[RD_SOURCE_PATH_MAX];
    size_t size;
    memset(out, 0, sizeof *out);
    rd_status status = rd_file_read(path, MAX_CONFIG_BYTES, &json, &size, err);
    if (status != RD_OK)
        return status;
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - path) : 1, slash != NULL ? path : ".");
    status = rd_config_parse(json, size, path, folder, out, err);
    if (status == RD_OK)
        status = check_model(out, path, err);
    free(json);
    return status;
}

void rd_config_free(rd_config *c)
{
    rd_schema_free(&c->data.schema);
    cJSON_Delete(c->initial.map);
    cJSON_Delete(c->model);
    cJSON_Delete(c->shared);
    cJSON_Delete(c->setting);
    c->model = c->shared = c->setting = c->initial.map = NULL;
}
