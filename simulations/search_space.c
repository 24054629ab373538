/* search_space.c: see search_space.h. */
#include "search_space.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/fields.h"
#include "core/file.h"
#include "format/foreign.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

const char *const search_objective_names[] = {[SEARCH_TEST_LOSS] = "test_loss",
                                              [SEARCH_TEST_ACCURACY] = "test_accuracy",
                                              [SEARCH_HOLDOUT_LOSS] = "holdout_loss",
                                              [SEARCH_TRAIN_LOSS] = "train_loss"};

/* ---- reading ---- */

static rd_status read_key(rd_fields *keys, const cJSON *item, search_space *s)
{
    static const char *const scales[] = {"linear", "log"};
    char path[160];
    search_key *k = &s->keys[s->key_count];
    (void)snprintf(path, sizeof path, "keys.%.120s", item->string);
    rd_fields f = rd_fields_section(keys, item->string, path);
    int scale = 0;
    uint64_t steps = 0;
    if (f.object == NULL)
        return f.status;
    *k = (search_key){.path = item->string};
    const cJSON *values = rd_fields_item(&f, "values", false);
    bool range = values == NULL;
    rd_fields_only(&f, "from", range, "without \"values\"");
    rd_fields_only(&f, "to", range, "without \"values\"");
    rd_fields_only(&f, "scale", range, "without \"values\"");
    rd_fields_only(&f, "whole", range, "without \"values\"");
    rd_fields_only(&f, "steps", range, "without \"values\"");
    if (range) {
        rd_fields_require(&f, "from");
        rd_fields_require(&f, "to");
    }
    rd_fields_number(&f, "from", -1e12, 1e12, false, &k->from);
    rd_fields_number(&f, "to", -1e12, 1e12, false, &k->to);
    rd_fields_choice(&f, "scale", scales, COUNT_OF(scales), &scale);
    rd_fields_bool(&f, "whole", &k->whole);
    rd_fields_count(&f, "steps", 1, 1000, &steps);
    k->log = scale == 1;
    k->steps = (size_t)steps;
    k->values = values;
    if (!range &&
        !(cJSON_IsArray(values) && cJSON_GetArraySize(values) >= 1 && cJSON_GetArraySize(values) <= 16))
        rd_fields_fail(&f, "values", "a list of 1 to 16 values");
    if (range && f.status == RD_OK && f.missing == NULL && !(k->to > k->from))
        rd_fields_fail(&f, "to", "a number above \"from\"");
    if (range && k->log && f.status == RD_OK && f.missing == NULL && !(k->from > 0))
        rd_fields_fail(&f, "from", "a number above 0 with \"scale\": \"log\"");
    if (range && s->method == SEARCH_GRID && steps == 0)
        rd_fields_require(&f, "steps");
    s->key_count++;
    return rd_fields_finish(&f);
}

static rd_status read_space(rd_fields *f, search_space *s)
{
    static const char *const methods[] = {
        [SEARCH_GRID] = "grid", [SEARCH_RANDOM] = "random", [SEARCH_BAYESIAN] = "bayesian"};
    int method = SEARCH_BAYESIAN, objective = SEARCH_TEST_LOSS;
    s->trials = 20;
    s->seed = 1;
    rd_fields_choice(f, "method", methods, COUNT_OF(methods), &method);
    rd_fields_choice(f, "objective", search_objective_names, COUNT_OF(search_objective_names), &objective);
    s->method = (search_method)method;
    s->objective = (search_objective)objective;
    rd_fields_only(f, "trials", s->method != SEARCH_GRID,
                   "without \"method\": \"grid\", which has as many as its product");
    rd_fields_count(f, "trials", 1, 100000, &s->trials);
    rd_fields_count(f, "seed", 0, UINT64_C(1) << 53, &s->seed);
    rd_fields_require(f, "keys");
    const cJSON *keys = rd_fields_item(f, "keys", true), *item;
    rd_fields inner = rd_fields_section(f, "keys", "keys");
    if (keys != NULL && (cJSON_GetArraySize(keys) < 1 || cJSON_GetArraySize(keys) > SEARCH_KEYS))
        rd_fields_fail(f, "keys", "1 to 16 keys of run.json");
    cJSON_ArrayForEach(item, keys)
    {
        rd_status status = f->status == RD_OK ? read_key(&inner, item, s) : f->status;
        if (status != RD_OK)
            return status;
    }
    if (s->method == SEARCH_GRID)
        s->trials = search_space_grid_size(s);
    return rd_fields_finish(f);
}

rd_status search_space_load(const char *path, search_space *out, rd_error *err)
{
    char *text = NULL;
    const char *what;
    size_t size, at;
    memset(out, 0, sizeof *out);
    rd_status status = rd_file_read(path, 1 << 20, &text, &size, err);
    if (status != RD_OK)
        return status;
    out->json = rd_foreign_json(text, size, &at, &what);
    free(text);
    if (!cJSON_IsObject(out->json))
        status =
            rd_fail(err, RD_ERR_CONFIG, "%s: %s", path, out->json == NULL ? what : "expected a JSON object");
    else
        status = read_space(&(rd_fields){.object = out->json, .whose = path, .path = "", .err = err}, out);
    if (status != RD_OK)
        search_space_free(out);
    return status;
}

void search_space_free(search_space *s)
{
    cJSON_Delete(s->json);
    memset(s, 0, sizeof *s);
}

/* ---- points ---- */

static size_t choices(const search_key *k)
{
    return k->values != NULL ? (size_t)cJSON_GetArraySize(k->values) : k->steps;
}

uint64_t search_space_grid_size(const search_space *s)
{
    uint64_t product = 1;
    for (size_t i = 0; i < s->key_count; i++)
        if (__builtin_mul_overflow(product, choices(&s->keys[i]), &product))
            return UINT64_MAX;
    return product;
}

/* The last key changes fastest. The ends of a range are on the grid. */
void search_space_grid_point(const search_space *s, uint64_t number, double point[SEARCH_KEYS])
{
    for (size_t i = s->key_count; i-- > 0;) {
        const search_key *k = &s->keys[i];
        size_t n = choices(k), at = (size_t)(number % n);
        number /= n;
        point[i] = k->values != NULL ? ((double)at + 0.5) / (double)n
                   : n > 1           ? (double)at / ((double)n - 1)
                                     : 0.5;
    }
}

static size_t index_of(const search_key *k, double u)
{
    size_t n = (size_t)cJSON_GetArraySize(k->values), at = (size_t)(u * (double)n);
    return at < n ? at : n - 1;
}

cJSON *search_space_value(const search_space *s, size_t k, double u)
{
    const search_key *key = &s->keys[k];
    if (key->values != NULL)
        return cJSON_Duplicate(cJSON_GetArrayItem(key->values, (int)index_of(key, u)), true);
    double value = key->log ? exp(log(key->from) + u * (log(key->to) - log(key->from)))
                            : key->from + u * (key->to - key->from);
    value = key->whole ? rint(value) : value;
    return cJSON_CreateNumber(value < key->from ? key->from : value > key->to ? key->to : value);
}

size_t search_space_features(const search_space *s, const double point[SEARCH_KEYS],
                             double features[SEARCH_FEATURES])
{
    size_t count = 0;
    for (size_t i = 0; i < s->key_count; i++) {
        const search_key *k = &s->keys[i];
        if (k->values == NULL) {
            features[count++] = point[i];
            continue;
        }
        size_t n = (size_t)cJSON_GetArraySize(k->values), at = index_of(k, point[i]);
        if (cJSON_IsNumber(cJSON_GetArrayItem(k->values, 0)) ||
            count + n > SEARCH_FEATURES - (s->key_count - i)) {
            features[count++] = n > 1 ? (double)at / ((double)n - 1) : 0; /* numbers have an order */
            continue;
        }
        for (size_t j = 0; j < n; j++)
            features[count++] = j == at ? sqrt(0.5) : 0; /* two different ones are 1 apart */
    }
    return count;
}

/* ---- run.json ---- */

/* The object or list that holds the last part of "model.layers[0].units", and that part. */
static cJSON *find_place(cJSON *root, const char *path, char last[64], bool *in_list, int *index)
{
    cJSON *at = root;
    *in_list = false;
    for (;;) {
        size_t length = strcspn(path, ".[");
        if (length == 0 || length > 63)
            return NULL;
        memcpy(last, path, length);
        last[length] = '\0';
        path += length;
        *in_list = false;
        while (*path == '[') {
            char *end;
            cJSON *list =
                *in_list ? cJSON_GetArrayItem(at, *index) : cJSON_GetObjectItemCaseSensitive(at, last);
            long n = strtol(path + 1, &end, 10);
            if (*end != ']' || !cJSON_IsArray(list) || n < 0 || n >= cJSON_GetArraySize(list))
                return NULL;
            at = list;
            *index = (int)n;
            *in_list = true;
            path = end + 1;
        }
        if (*path == '\0')
            return at;
        if (*path++ != '.')
            return NULL;
        cJSON *next = *in_list ? cJSON_GetArrayItem(at, *index) : cJSON_GetObjectItemCaseSensitive(at, last);
        if (next == NULL && !*in_list)
            next = cJSON_AddObjectToObject(at, last);
        if (!cJSON_IsObject(next))
            return NULL;
        at = next;
    }
}

rd_status search_space_apply(const search_space *s, const double point[SEARCH_KEYS], const cJSON *run,
                             cJSON **out, rd_error *err)
{
    cJSON *copy = cJSON_Duplicate(run, true);
    *out = NULL;
    if (copy == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a trial");
    for (size_t i = 0; i < s->key_count; i++) {
        char last[64];
        bool in_list = false, done = false;
        int index = 0;
        cJSON *value = search_space_value(s, i, point[i]);
        cJSON *place = value != NULL ? find_place(copy, s->keys[i].path, last, &in_list, &index) : NULL;
        if (place != NULL && in_list)
            done = cJSON_ReplaceItemInArray(place, index, value);
        else if (place != NULL && cJSON_GetObjectItemCaseSensitive(place, last) != NULL)
            done = cJSON_ReplaceItemInObjectCaseSensitive(place, last, value);
        else if (place != NULL)
            done = cJSON_AddItemToObject(place, last, value);
        if (!done) {
            cJSON_Delete(value);
            cJSON_Delete(copy);
            return rd_fail(err, RD_ERR_CONFIG, "keys.%s: run.json has no such place", s->keys[i].path);
        }
    }
    *out = copy;
    return RD_OK;
}
