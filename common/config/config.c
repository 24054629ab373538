/* config.c: see config.h. One function a section, or a file where a section is long (training_section.c and others), in
 * the order of config.schema.json, which says the same for editors and other programs. */
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/data_section.h"
#include "config/effect.h"
#include "config/evaluation_section.h"
#include "config/fields.h"
#include "config/paths.h"
#include "config/schema_section.h"
#include "config/strategy_section.h"
#include "config/training_section.h"
#include "core/file.h"
#include "format/foreign.h"
#include "model/counting.h"
#include "model/model.h"

#define MAX_CONFIG_BYTES (1 << 20)
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

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
                            .max_abandoned = RD_COHORT_MAX_ABANDONED,
                            .max_samples = RD_COHORT_MAX_SAMPLES,
                            .max_backoff = RD_COHORT_MAX_BACKOFF,
                            .deadline_seconds = 600.0,
                            .grace_seconds = RD_COHORT_GRACE_SECONDS};
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
    rd_fields_count(&f, "max_abandoned", 1, 100000000, &c->max_abandoned);
    rd_fields_count(&f, "max_samples", 1, INT32_MAX, &c->max_samples);
    rd_fields_count(&f, "max_backoff", 0, 100000000, &c->max_backoff);
    rd_fields_number(&f, "max_weight", 0.0, 1.0, true, &c->max_weight);
    rd_fields_number(&f, "deadline_seconds", 1e-3, 1e7, false, &c->deadline_seconds);
    rd_fields_number(&f, "grace_seconds", 0.0, 1e7, false, &c->grace_seconds);
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
    if (cJSON_AddItemToObject(cJSON_AddObjectToObject(c->for_clients, "data"), "schema", schema))
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
    rd_fields_count(f, "keep_updates", 0, 1000000, &out->keep_updates);
    rd_fields_require(f, "model");
    const cJSON *model = rd_fields_item(f, "model", true);
    RD_TRY(f->status);
    RD_TRY(rd_config_read_training(f, &out->training));
    out->training.schedule.rounds = out->rounds;
    RD_TRY(rd_config_read_strategy(f, &out->strategy));
    RD_TRY(rd_config_read_personalisation(f, &out->personalisation));
    RD_TRY(read_cohort(f, &out->cohort));
    RD_TRY(rd_config_read_evaluation(f, &out->evaluation));
    RD_TRY(rd_config_read_early_stopping(f, &out->evaluation, &out->early_stopping));
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
    out->for_clients = cJSON_Duplicate(f->object, true);
    cJSON_DeleteItemFromObjectCaseSensitive(out->for_clients, "data");
    cJSON_DeleteItemFromObjectCaseSensitive(out->for_clients, "initial");
    cJSON_DeleteItemFromObjectCaseSensitive(out->for_clients, "simulation");
    cJSON_DeleteItemFromObjectCaseSensitive(out->for_clients, "$schema");
    RD_TRY(share_schema(out, f->err));
    if (out->model == NULL || out->for_clients == NULL)
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

/* Builds the plan and drops it, so that what is wrong with the model is reported with the file's name; and what
 * is wrong with the training of such a model. */
static rd_status check_model(rd_config *c, const char *path, rd_error *err)
{
    rd_model *m = NULL;
    rd_status status = RD_OK;
    RD_TRY(rd_model_create(c->model, &m, err));
    RD_TRY(rd_config_check_training(&c->training, m, err));
    RD_TRY(rd_config_check_evaluation(&c->evaluation, &c->early_stopping, m, err));
    RD_TRY(rd_config_settle_label(&c->data, m, err));
    RD_TRY(rd_config_check_strategy(c, m, err));
    RD_TRY(rd_config_check_effect(c, m, err));
    if (c->pruning.sparsity > 0.0 && rd_model_counts(m))
        RD_THROW(RD_ERR_CONFIG, "pruning: the model learns by counting, and has no weights to prune");
    if (c->continual.task_count > 0 && !(rd_model_classifies(m) && rd_model_predictions(m) == 1))
        RD_THROW(RD_ERR_CONFIG, "continual.tasks: tasks are classes, but the model's loss %s has none for each sample",
                 rd_model_loss_name(m));
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
    cJSON_Delete(c->for_clients);
    cJSON_Delete(c->setting);
    c->model = c->for_clients = c->setting = c->initial.map = NULL;
}
