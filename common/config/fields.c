/* fields.c: see fields.h. */
#include "config/fields.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/number.h"
#include "core/spelling.h"

/* "0.1 (a number)", "\"0.1\" (a string)": what stands there, for the message. */
static void describe(const cJSON *item, char *text, size_t size)
{
    if (cJSON_IsNumber(item))
        (void)snprintf(text, size, "%.17g", item->valuedouble);
    else if (cJSON_IsString(item))
        (void)snprintf(text, size, "\"%.60s\" (a string)", item->valuestring);
    else if (cJSON_IsBool(item))
        (void)snprintf(text, size, "%s", cJSON_IsTrue(item) ? "true" : "false");
    else if (cJSON_IsNull(item))
        (void)snprintf(text, size, "null");
    else
        (void)snprintf(text, size, "%s", cJSON_IsArray(item) ? "an array" : "an object");
}

void rd_fields_fail(rd_fields *f, const char *key, const char *expected)
{
    char found[96] = "nothing";
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(f->object, key);
    if (f->status != RD_OK)
        return;
    if (item != NULL)
        describe(item, found, sizeof found);
    f->status = rd_fail(f->err, RD_ERR_CONFIG, "%s: %s%s%s: expected %s, found %s", f->whose, f->path,
                        f->path[0] != '\0' ? "." : "", key, expected, found);
}

void rd_fields_fail_at(rd_fields *f, const char *key, size_t i, const char *expected)
{
    char found[96];
    const cJSON *item = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(f->object, key), (int)i);
    if (f->status != RD_OK)
        return;
    describe(item, found, sizeof found);
    f->status = rd_fail(f->err, RD_ERR_CONFIG, "%s: %s%s%s[%zu]: expected %s, found %s", f->whose, f->path,
                        f->path[0] != '\0' ? "." : "", key, i, expected, found);
}

/* Notes that the key is known, and returns what it holds. */
static const cJSON *ask(rd_fields *f, const char *key)
{
    for (size_t i = 0; i < f->asked_count; i++)
        if (strcmp(f->asked[i], key) == 0)
            return cJSON_GetObjectItemCaseSensitive(f->object, key);
    if (f->asked_count < RD_FIELDS_MOST)
        f->asked[f->asked_count++] = key;
    return cJSON_GetObjectItemCaseSensitive(f->object, key);
}

/* ---- what it comes to ---- */

void rd_fields_settle(rd_fields *f, const char *key, cJSON *value)
{
    if (f->settled == NULL) {
        cJSON_Delete(value);
        return;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(f->settled, key);
    if (value != NULL && cJSON_AddItemToObject(f->settled, key, value))
        return;
    cJSON_Delete(value);
    if (f->status == RD_OK)
        f->status = rd_fail(f->err, RD_ERR_MEMORY, "%s: no memory for the configuration", f->whose);
}

void rd_fields_settle_nothing(rd_fields *f)
{
    while (f->settled != NULL && f->settled->child != NULL)
        cJSON_Delete(cJSON_DetachItemViaPointer(f->settled, f->settled->child));
}

/* ---- readers ---- */

static const cJSON *find_item(rd_fields *f, const char *key, bool object)
{
    const cJSON *item = ask(f, key);
    if (item != NULL && object && !cJSON_IsObject(item))
        rd_fields_fail(f, key, "an object");
    return item;
}

rd_fields rd_fields_section(rd_fields *parent, const char *name, const char *path)
{
    const cJSON *object = find_item(parent, name, true);
    if (parent->settled != NULL)
        rd_fields_settle(parent, name, cJSON_CreateObject());
    rd_fields f = {.object = object,
                   .settled = cJSON_GetObjectItemCaseSensitive(parent->settled, name),
                   .whose = parent->whose,
                   .path = path,
                   .status = parent->status,
                   .err = parent->err};
    return f;
}

const cJSON *rd_fields_item(rd_fields *f, const char *key, bool object)
{
    const cJSON *item = find_item(f, key, object);
    if (item != NULL && f->settled != NULL)
        rd_fields_settle(f, key, cJSON_Duplicate(item, true));
    return item;
}

void rd_fields_require(rd_fields *f, const char *key)
{
    if (ask(f, key) == NULL && f->missing == NULL)
        f->missing = key;
}

rd_status rd_fields_required(rd_fields *f)
{
    if (f->missing != NULL && f->status == RD_OK)
        f->status = rd_fail(f->err, RD_ERR_CONFIG, "%s: %s%s%s is missing", f->whose, f->path,
                            f->path[0] != '\0' ? "." : "", f->missing);
    return f->status;
}

bool rd_fields_has(const rd_fields *f, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(f->object, key) != NULL;
}

void rd_fields_only(rd_fields *f, const char *key, bool allowed, const char *when)
{
    if (ask(f, key) != NULL && !allowed && f->status == RD_OK)
        f->status = rd_fail(f->err, RD_ERR_CONFIG, "%s: %s%s%s has a meaning only %s", f->whose, f->path,
                            f->path[0] != '\0' ? "." : "", key, when);
}

static void read_number(rd_fields *f, const char *key, double min, double max, bool min_excluded, double *out)
{
    char expected[160];
    const cJSON *item = ask(f, key);
    if (item == NULL)
        return;
    double x = item->valuedouble;
    float single;
    bool representable = rd_number_narrow(x, &single) != RD_NUMBER_UNDERFLOW;
    if (cJSON_IsNumber(item) && isfinite(x) && (min_excluded ? x > min : x >= min) && x <= max && representable) {
        *out = x;
        return;
    }
    (void)snprintf(expected, sizeof expected, "a number %s %g%s%.6g%s", min_excluded ? "above" : "from", min,
                   min_excluded ? " up to " : " to ", max,
                   cJSON_IsNumber(item) && !representable ? " that single precision holds (1e-45 and more)" : "");
    rd_fields_fail(f, key, expected);
}

void rd_fields_number(rd_fields *f, const char *key, double min, double max, bool min_excluded, double *out)
{
    read_number(f, key, min, max, min_excluded, out);
    if (f->settled != NULL)
        rd_fields_settle(f, key, cJSON_CreateNumber(*out));
}

static void read_count(rd_fields *f, const char *key, uint64_t min, uint64_t max, uint64_t *out)
{
    char expected[96];
    const cJSON *item = ask(f, key);
    if (item == NULL)
        return;
    double x = item->valuedouble;
    if (cJSON_IsNumber(item) && x >= (double)min && x <= (double)max && x == floor(x)) {
        *out = (uint64_t)x;
        return;
    }
    (void)snprintf(expected, sizeof expected, "a whole number from %llu to %llu", (unsigned long long)min,
                   (unsigned long long)max);
    rd_fields_fail(f, key, expected);
}

void rd_fields_count(rd_fields *f, const char *key, uint64_t min, uint64_t max, uint64_t *out)
{
    read_count(f, key, min, max, out);
    if (f->settled != NULL)
        rd_fields_settle(f, key, cJSON_CreateNumber((double)*out));
}

void rd_fields_bool(rd_fields *f, const char *key, bool *out)
{
    const cJSON *item = ask(f, key);
    if (cJSON_IsBool(item))
        *out = cJSON_IsTrue(item);
    else if (item != NULL)
        rd_fields_fail(f, key, "true or false");
    if (f->settled != NULL)
        rd_fields_settle(f, key, cJSON_CreateBool(*out));
}

static void read_text(rd_fields *f, const char *key, char *out, size_t size)
{
    char expected[64];
    const cJSON *item = ask(f, key);
    if (item == NULL)
        return;
    if (cJSON_IsString(item) && item->valuestring[0] != '\0' && strlen(item->valuestring) < size) {
        (void)snprintf(out, size, "%s", item->valuestring);
        return;
    }
    (void)snprintf(expected, sizeof expected, "a string of 1 to %zu bytes", size - 1);
    rd_fields_fail(f, key, expected);
}

void rd_fields_text(rd_fields *f, const char *key, char *out, size_t size)
{
    read_text(f, key, out, size);
    if (f->settled != NULL && out[0] != '\0')
        rd_fields_settle(f, key, cJSON_CreateString(out));
}

static void read_choice(rd_fields *f, const char *key, const char *const *words, size_t word_count, int *out)
{
    char expected[400] = "one of"; /* the strategies' names take 270 */
    const cJSON *item = ask(f, key);
    if (item == NULL)
        return;
    for (size_t i = 0; i < word_count; i++) {
        if (cJSON_IsString(item) && strcmp(item->valuestring, words[i]) == 0) {
            *out = (int)i;
            return;
        }
        size_t used = strlen(expected);
        (void)snprintf(expected + used, sizeof expected - used, "%s \"%s\"", i == 0 ? "" : ",", words[i]);
    }
    rd_fields_fail(f, key, expected);
}

void rd_fields_choice(rd_fields *f, const char *key, const char *const *words, size_t word_count, int *out)
{
    read_choice(f, key, words, word_count, out);
    if (f->settled != NULL)
        rd_fields_settle(f, key, cJSON_CreateString(words[*out]));
}

static void refuse_unknown(rd_fields *f, const char *key)
{
    const char *nearest = NULL, *dot = f->path[0] != '\0' ? "." : "";
    size_t best = rd_spelling_limit(key);
    for (size_t i = 0; i < f->asked_count; i++) {
        size_t distance = rd_edit_distance(key, f->asked[i]);
        if (distance < best) {
            best = distance;
            nearest = f->asked[i];
        }
    }
    f->status = rd_fail(f->err, RD_ERR_CONFIG, "%s: %s%s%.60s: unknown key%s%s%s", f->whose, f->path, dot, key,
                        nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                        nearest != NULL ? "\"?" : "");
}

rd_status rd_fields_finish(rd_fields *f)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, f->object)
    {
        bool known = false;
        if (f->status != RD_OK)
            break;
        for (size_t i = 0; i < f->asked_count && !known; i++)
            known = strcmp(f->asked[i], item->string) == 0;
        if (!known)
            refuse_unknown(f, item->string);
    }
    return rd_fields_required(f);
}
