/* compare.c: may this run go on with that run.json, and, simulated, with those clients?
 *
 * A run is what its configuration says, so a run that goes on under another one would be neither. The two
 * are compared key by key, which tells the person exactly what differs: not as they are written, but as
 * config.c settles them, so that a default written out is the default. Free to change are the keys that only
 * the server heeds and that decide when a round begins and ends, when to stop, what to measure and what to
 * keep, but not what a round computes. What has changed is handed back, to be recorded and reported. */
#include "store/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/json_print.h"
#include "model/model.h"

typedef struct comparison {
    const char *directory;
    char key[RD_CHANGE_KEY_MAX]; /* "model.layers[1].units": where we are */
    bool common_only;            /* keys that one side lacks are not looked at */
    rd_changes *changes;
    rd_error *err;
} comparison;

static bool is_free(const char *key)
{
    static const char *const keys[] = {"name",
                                       "rounds",
                                       "keep_every",
                                       "keep_updates",
                                       "evaluation.every",
                                       "evaluation.metrics",
                                       "evaluation.target_accuracy",
                                       "early_stopping.patience",
                                       "cohort.min_clients",
                                       "cohort.min_updates",
                                       "cohort.max_samples",
                                       "cohort.max_weight",
                                       "cohort.max_backoff",
                                       "cohort.max_abandoned",
                                       "cohort.deadline_seconds",
                                       "cohort.grace_seconds"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* The value as JSON, cut short where it would fill the message. */
static void describe(const cJSON *value, char *text, size_t size)
{
    char *json = value != NULL ? rd_json_print(value) : NULL;
    if (json == NULL)
        (void)snprintf(text, size, "nothing");
    else if (snprintf(text, size, "%s", json) >= (int)size)
        memcpy(text + size - 4, "...", 4);
    cJSON_free(json);
}

static rd_status differs(comparison *c, const cJSON *stored, const cJSON *given)
{
    char old[80], new[80];
    describe(stored, old, sizeof old);
    describe(given, new, sizeof new);
    return rd_fail(c->err, RD_ERR_STATE,
                   "%s: its run has %s = %s, but now it would be %s; to continue the run restore the old "
                   "value, to start another one give another directory",
                   c->directory, c->key, old, new);
}

static rd_status has_changed(comparison *c, const cJSON *stored, const cJSON *given)
{
    char old[RD_CHANGE_VALUE_MAX], new[RD_CHANGE_VALUE_MAX];
    describe(stored, old, sizeof old);
    describe(given, new, sizeof new);
    return rd_changes_add(c->changes, c->key, old, new, c->err);
}

/* NULL stands for a value that is not there. */
static rd_status compare(comparison *c, const cJSON *stored, const cJSON *given);

static rd_status compare_member(comparison *c, const char *name, const cJSON *stored, const cJSON *given)
{
    size_t length = strlen(c->key);
    (void)snprintf(c->key + length, sizeof c->key - length, "%s%s", length > 0 ? "." : "", name);
    rd_status status = compare(c, stored, given);
    c->key[length] = status == RD_OK ? '\0' : c->key[length];
    return status;
}

static rd_status compare_objects(comparison *c, const cJSON *stored, const cJSON *given)
{
    rd_status status = RD_OK;
    const cJSON *member;
    cJSON_ArrayForEach(member, given)
    {
        const cJSON *other = cJSON_GetObjectItemCaseSensitive(stored, member->string);
        if (status == RD_OK)
            status = compare_member(c, member->string, other, member);
    }
    cJSON_ArrayForEach(member, stored)
    {
        if (status == RD_OK && cJSON_GetObjectItemCaseSensitive(given, member->string) == NULL)
            status = compare_member(c, member->string, member, NULL);
    }
    return status;
}

static rd_status compare_arrays(comparison *c, const cJSON *stored, const cJSON *given)
{
    rd_status status = RD_OK;
    size_t length = strlen(c->key);
    int have = cJSON_GetArraySize(stored), got = cJSON_GetArraySize(given);
    for (int i = 0; i < (have > got ? have : got) && status == RD_OK; i++) {
        (void)snprintf(c->key + length, sizeof c->key - length, "[%d]", i);
        status = compare(c, cJSON_GetArrayItem(stored, i), cJSON_GetArrayItem(given, i));
    }
    if (status == RD_OK)
        c->key[length] = '\0';
    return status;
}

/* Models are the same where their plans are, however they are written. */
static rd_status compare_models(comparison *c, const cJSON *stored, const cJSON *given)
{
    rd_model *before = NULL, *now = NULL;
    rd_status status = RD_OK;
    if (cJSON_Compare(stored, given, true))
        return RD_OK;
    RD_TRY(rd_model_create(stored, &before, c->err));
    RD_TRY(rd_model_create(given, &now, c->err));
    if (rd_model_same(before, now))
        goto cleanup;
    /* What stands in both and differs explains it better than a default that stands in one. */
    c->common_only = true;
    RD_TRY(compare_objects(c, stored, given));
    c->common_only = false;
    RD_TRY(compare_objects(c, stored, given));
cleanup:
    rd_model_free(before);
    rd_model_free(now);
    return status;
}

/* An empty section or list says as much as none. */
static bool is_nothing(const cJSON *value)
{
    return value == NULL || ((cJSON_IsObject(value) || cJSON_IsArray(value)) && value->child == NULL);
}

static bool is_object_or_nothing(const cJSON *value)
{
    return value == NULL || cJSON_IsObject(value);
}

static rd_status compare(comparison *c, const cJSON *stored, const cJSON *given)
{
    if ((is_nothing(stored) && is_nothing(given)) || (c->common_only && (stored == NULL || given == NULL)))
        return RD_OK;
    if (is_free(c->key))
        return cJSON_Compare(stored, given, true) ? RD_OK : has_changed(c, stored, given);
    if (strcmp(c->key, "model") == 0)
        return compare_models(c, stored, given);
    if (is_object_or_nothing(stored) && is_object_or_nothing(given))
        return compare_objects(c, stored, given);
    if (cJSON_IsArray(stored) && cJSON_IsArray(given))
        return compare_arrays(c, stored, given);
    return cJSON_Compare(stored, given, true) ? RD_OK : differs(c, stored, given);
}

static double number(const cJSON *config, const char *section, const char *key)
{
    const cJSON *where = section != NULL ? cJSON_GetObjectItemCaseSensitive(config, section) : config;
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(where, key);
    return cJSON_IsNumber(value) ? value->valuedouble : 0.0;
}

/* Does the learning rate of every round depend on how many there are? */
static bool rate_depends_on_rounds(const cJSON *config)
{
    const cJSON *training = cJSON_GetObjectItemCaseSensitive(config, "training");
    const cJSON *schedule = cJSON_GetObjectItemCaseSensitive(training, "schedule");
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(schedule, "type"));
    return type != NULL && strcmp(type, "cosine") == 0;
}

static rd_status compare_rounds(const char *directory, const cJSON *stored, const cJSON *given, rd_error *err)
{
    double before = number(stored, NULL, "rounds"), now = number(given, NULL, "rounds");
    if (now < before)
        return rd_fail(err, RD_ERR_STATE,
                       "%s: its run has rounds = %.0f, but run.json has %.0f; rounds of a run may only grow; to "
                       "start another one give another directory",
                       directory, before, now);
    if (now > before && rate_depends_on_rounds(stored))
        return rd_fail(err, RD_ERR_STATE,
                       "%s: its run has rounds = %.0f, but run.json has %.0f; with a learning rate that falls "
                       "along a cosine to the last round their number cannot change; to start another run "
                       "give another directory",
                       directory, before, now);
    return RD_OK;
}

/* run.json as the run needs it: what clients are told, and what a simulation is of beside that. */
static rd_status settle(const cJSON *config, const cJSON *setting, const char *whose, cJSON **out, rd_error *err)
{
    cJSON *whole = cJSON_Duplicate(config, true);
    const cJSON *member;
    bool added = whole != NULL;
    cJSON_ArrayForEach(member, setting)
    {
        cJSON *section = cJSON_GetObjectItemCaseSensitive(whole, member->string);
        if (strcmp(member->string, "clients") == 0)
            continue;
        if (section == NULL)
            added = added && cJSON_AddItemToObject(whole, member->string, cJSON_Duplicate(member, true));
        else if (member->child != NULL) /* "data" has its schema in the one, its partition in the other */
            added =
                added && cJSON_AddItemToObject(section, member->child->string, cJSON_Duplicate(member->child, true));
    }
    rd_status status = added ? rd_config_settle(whole, whose, out, err)
                             : rd_fail(err, RD_ERR_MEMORY, "%s: no memory to compare it", whose);
    cJSON_Delete(whole);
    return status;
}

rd_status rd_store_compare(const char *directory, const rd_run_json *stored, const rd_run_json *given,
                           rd_changes *changes, rd_error *err)
{
    comparison c = {.directory = directory, .changes = changes, .err = err};
    cJSON *before = NULL, *now = NULL;
    rd_status status = RD_OK;
    RD_TRY(settle(stored->config, stored->setting, "the configuration in the state directory", &before, err));
    RD_TRY(settle(given->config, given->setting, "run.json", &now, err));
    RD_TRY(compare_rounds(directory, before, now, err));
    RD_TRY(compare_member(&c, "clients", cJSON_GetObjectItemCaseSensitive(stored->setting, "clients"),
                          cJSON_GetObjectItemCaseSensitive(given->setting, "clients")));
    RD_TRY(compare(&c, before, now));
cleanup:
    cJSON_Delete(before);
    cJSON_Delete(now);
    return status;
}
