/* compare.c: may this run go on with that run.json, and, simulated, with those clients?
 *
 * A run is what its configuration says, so a run that goes on under another one would be neither. The two
 * are compared key by key, which tells the person exactly what differs. Free to change are the keys that
 * decide when to stop, what to keep and how long to wait, but not what a round computes. */
#include "store/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct comparison {
    const char *directory;
    char key[256]; /* "model.layers[1].units": where we are */
    rd_error *err;
} comparison;

static bool is_free(const char *key)
{
    static const char *const keys[] = {"name",
                                       "rounds",
                                       "keep_every",
                                       "evaluation.target_accuracy",
                                       "early_stopping.patience",
                                       "cohort.deadline_seconds"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* The value as JSON, cut short where it would fill the message. */
static void describe(const cJSON *value, char *text, size_t size)
{
    char *json = value != NULL ? cJSON_PrintUnformatted(value) : NULL;
    if (json == NULL)
        (void)snprintf(text, size, "nothing");
    else if (snprintf(text, size, "%s", json) >= (int)size)
        memcpy(text + size - 4, "...", 4);
    free(json);
}

static rd_status differs(comparison *c, const cJSON *stored, const cJSON *given)
{
    char old[80], new[80];
    describe(stored, old, sizeof old);
    describe(given, new, sizeof new);
    return rd_fail(c->err, RD_ERR_STATE,
                   "%s: its run has %s = %s, but now it would be %s; to continue the run restore the old "
                   "value, to start "
                   "another one give another directory",
                   c->directory, c->key, old, new);
}

/* NULL stands for a value that is not there. */
static rd_status compare(comparison *c, const cJSON *stored, const cJSON *given);

static rd_status compare_member(comparison *c, const char *name, const cJSON *stored, const cJSON *given)
{
    size_t length = strlen(c->key);
    (void)snprintf(c->key + length, sizeof c->key - length, "%s%s", length > 0 ? "." : "", name);
    rd_status status = compare(c, stored, given);
    if (status == RD_OK)
        c->key[length] = '\0';
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

static rd_status compare(comparison *c, const cJSON *stored, const cJSON *given)
{
    if (is_free(c->key))
        return RD_OK;
    bool objects = (stored == NULL || cJSON_IsObject(stored)) && (given == NULL || cJSON_IsObject(given));
    if (objects)
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
static bool rate_looks_at_rounds(const cJSON *config)
{
    const cJSON *training = cJSON_GetObjectItemCaseSensitive(config, "training");
    const cJSON *schedule = cJSON_GetObjectItemCaseSensitive(training, "schedule");
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(schedule, "type"));
    return type != NULL && strcmp(type, "cosine") == 0;
}

rd_status rd_store_compare_settings(const char *directory, const cJSON *stored, const cJSON *given,
                                    rd_error *err)
{
    comparison c = {.directory = directory, .err = err};
    return compare(&c, stored, given);
}

rd_status rd_store_compare_configs(const char *directory, const cJSON *stored, const cJSON *given,
                                   bool *reopened, rd_error *err)
{
    comparison c = {.directory = directory, .err = err};
    rd_status status = compare(&c, stored, given);
    if (status != RD_OK)
        return status;
    double before = number(stored, NULL, "rounds"), now = number(given, NULL, "rounds");
    if (now < before)
        return rd_fail(
            err, RD_ERR_STATE,
            "%s: its run has rounds = %.0f, but run.json has %.0f; rounds of a run may only grow; to "
            "start another one give another directory",
            directory, before, now);
    if (now > before && rate_looks_at_rounds(stored))
        return rd_fail(
            err, RD_ERR_STATE,
            "%s: its run has rounds = %.0f, but run.json has %.0f; with a learning rate that falls "
            "along a cosine to the last round their number cannot change; to start another run "
            "give another directory",
            directory, before, now);
    *reopened =
        now > before ||
        number(stored, "evaluation", "target_accuracy") != number(given, "evaluation", "target_accuracy") ||
        number(stored, "early_stopping", "patience") != number(given, "early_stopping", "patience");
    return RD_OK;
}
