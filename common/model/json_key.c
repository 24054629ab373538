#include "model/json_key.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/number.h"

/* Says what stands in the file, in the words of the person who wrote it. */
static void describe(const cJSON *item, char *text, size_t size)
{
    if (item == NULL)
        (void)snprintf(text, size, "nothing");
    else if (cJSON_IsNumber(item))
        (void)snprintf(text, size, "%.15g", item->valuedouble);
    else if (cJSON_IsString(item))
        (void)snprintf(text, size, "\"%.60s\" (a string)", item->valuestring);
    else if (cJSON_IsBool(item))
        (void)snprintf(text, size, cJSON_IsTrue(item) ? "true" : "false");
    else
        (void)snprintf(text, size, cJSON_IsObject(item) ? "an object" : cJSON_IsArray(item) ? "a list" : "null");
}

/* "a, b or c": the names of two lists, of which the second may be NULL. */
static void list_names(const char *const *first, const char *const *second, char *text, size_t size)
{
    enum { MOST = 64 };
    const char *names[MOST];
    size_t count = 0, used = 0;
    for (; *first != NULL && count < MOST; first++)
        names[count++] = *first;
    for (; second != NULL && *second != NULL && count < MOST; second++)
        names[count++] = *second;
    text[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++) {
        const char *before = i == 0 ? "" : i + 1 == count ? " or " : ", ";
        used += (size_t)snprintf(text + used, size - used, "%s%s", before, names[i]);
    }
}

rd_status rd_json_key_object(rd_json_node at, rd_error *err)
{
    char found[96];
    if (cJSON_IsObject(at.json))
        return RD_OK;
    describe(at.json, found, sizeof found);
    return rd_fail(err, RD_ERR_CONFIG, "%s: expected an object, found %s", at.path, found);
}

static int contains(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return 1;
    return 0;
}

rd_status rd_json_key_known(rd_json_node at, const char *const *common, const char *const *own, rd_error *err)
{
    for (const cJSON *item = at.json->child; item != NULL; item = item->next) {
        if (!contains(common, item->string) && !contains(own, item->string)) {
            char expected[512];
            list_names(common, own, expected, sizeof expected);
            return rd_fail(err, RD_ERR_CONFIG, "%s.%.60s: unknown key; expected %s", at.path, item->string, expected);
        }
        if (cJSON_GetObjectItemCaseSensitive(at.json, item->string) != item)
            return rd_fail(err, RD_ERR_CONFIG, "%s.%.60s: this key stands here twice", at.path, item->string);
    }
    return RD_OK;
}

rd_status rd_json_key_whole(rd_json_node at, const char *key, size_t min, size_t max, size_t *out, rd_error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(at.json, key);
    double value = cJSON_IsNumber(item) ? item->valuedouble : NAN;
    if (value >= (double)min && value <= (double)max && floor(value) == value) {
        *out = (size_t)value;
        return RD_OK;
    }
    char found[96];
    describe(item, found, sizeof found);
    return rd_fail(err, RD_ERR_CONFIG, "%s.%s: expected a whole number from %zu to %zu, found %s", at.path, key, min,
                   max, found);
}

rd_status rd_json_key_number(rd_json_node at, const char *key, double min, double max, double fallback, double *out,
                             rd_error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(at.json, key);
    *out = item == NULL ? fallback : cJSON_IsNumber(item) ? item->valuedouble : NAN;
    float single;
    bool representable = rd_number_narrow(*out, &single) != RD_NUMBER_UNDERFLOW;
    if (item == NULL || (*out >= min && *out <= max && representable))
        return RD_OK;
    char found[96];
    describe(item, found, sizeof found);
    return rd_fail(err, RD_ERR_CONFIG, "%s.%s: expected a number from %g to %g%s, found %s", at.path, key, min, max,
                   representable ? "" : " that single precision holds (1e-45 and more)", found);
}

rd_status rd_json_key_bool(rd_json_node at, const char *key, bool fallback, bool *out, rd_error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(at.json, key);
    *out = item == NULL ? fallback : cJSON_IsTrue(item);
    if (item == NULL || cJSON_IsBool(item))
        return RD_OK;
    char found[96];
    describe(item, found, sizeof found);
    return rd_fail(err, RD_ERR_CONFIG, "%s.%s: expected true or false, found %s", at.path, key, found);
}

rd_status rd_json_key_pair(rd_json_node at, const char *key, size_t min, size_t max, size_t fallback, size_t out[2],
                           rd_error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(at.json, key);
    if (item != NULL && cJSON_IsArray(item) && cJSON_GetArraySize(item) == 2) {
        for (size_t i = 0; i < 2; i++) {
            const cJSON *one = cJSON_GetArrayItem(item, (int)i);
            double value = cJSON_IsNumber(one) ? one->valuedouble : NAN;
            if (!(value >= (double)min && value <= (double)max) || floor(value) != value)
                return rd_fail(err, RD_ERR_CONFIG, "%s.%s[%zu]: expected a whole number from %zu to %zu", at.path, key,
                               i, min, max);
            out[i] = (size_t)value;
        }
        return RD_OK;
    }
    rd_status status = RD_OK;
    size_t value = fallback;
    if (item != NULL || fallback == 0)
        status = rd_json_key_whole(at, key, min, max, &value, err);
    out[0] = out[1] = value;
    return status;
}

rd_status rd_json_key_text(rd_json_node at, const char *key, const char **out, rd_error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(at.json, key);
    *out = NULL;
    if (item == NULL)
        return RD_OK;
    if (!cJSON_IsString(item)) {
        char found[96];
        describe(item, found, sizeof found);
        return rd_fail(err, RD_ERR_CONFIG, "%s.%s: expected a string, found %s", at.path, key, found);
    }
    *out = item->valuestring;
    return RD_OK;
}

rd_status rd_json_key_choice(rd_json_node at, const char *key, const char *const *names, int fallback, size_t *out,
                             rd_error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(at.json, key);
    if (item == NULL && fallback >= 0) {
        *out = (size_t)fallback;
        return RD_OK;
    }
    for (size_t i = 0; cJSON_IsString(item) && names[i] != NULL; i++)
        if (strcmp(names[i], item->valuestring) == 0) {
            *out = i;
            return RD_OK;
        }
    char found[96], expected[512];
    describe(item, found, sizeof found);
    list_names(names, NULL, expected, sizeof expected);
    return rd_fail(err, RD_ERR_CONFIG, "%s.%s: expected %s, found %s", at.path, key, expected, found);
}
