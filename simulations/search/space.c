/* space.c: see space.h. */
#include "search/space.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/fields.h"
#include "core/file.h"
#include "core/number.h"
#include "format/foreign.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

const char *const search_objective_names[] = {[SEARCH_TEST_LOSS] = "test_loss",
                                              [SEARCH_TEST_ACCURACY] = "test_accuracy",
                                              [SEARCH_HOLDOUT_LOSS] = "holdout_loss",
                                              [SEARCH_TRAIN_LOSS] = "train_loss"};

/* ---- reading ---- */

/* A Gaussian process over n trials solves systems of n equations. */
static uint64_t most_trials(search_method method)
{
    return method == SEARCH_BAYESIAN ? 1000 : 100000;
}

/* 0: the range is continuous. */
static uint64_t whole_numbers(const search_key *k)
{
    return k->whole ? (uint64_t)(k->to - k->from) + 1 : 0;
}

static void check_range(rd_fields *f, const search_key *k, bool grid)
{
    if (f->status != RD_OK || f->missing != NULL)
        return;
    if (!(k->to > k->from))
        rd_fields_fail(f, "to", "a number above \"from\"");
    if (k->log && !(k->from > 0))
        rd_fields_fail(f, "from", "a number above 0 with \"scale\": \"log\"");
    if (k->whole && k->from != rint(k->from))
        rd_fields_fail(f, "from", "a whole number with \"whole\": true");
    if (k->whole && k->to != rint(k->to))
        rd_fields_fail(f, "to", "a whole number with \"whole\": true");
    if (k->whole && k->steps > whole_numbers(k))
        rd_fields_fail(f, "steps", "no more than there are whole numbers in the range");
    if (grid && k->steps == 0)
        rd_fields_require(f, "steps");
}

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
        !(cJSON_IsArray(values) && cJSON_GetArraySize(values) >= 1 && cJSON_GetArraySize(values) <= SEARCH_VALUES))
        rd_fields_fail(&f, "values", "a list of 1 to 16 values");
    if (range)
        check_range(&f, k, s->method == SEARCH_GRID);
    s->key_count++;
    return rd_fields_finish(&f);
}

static const char *const methods[] = {
    [SEARCH_GRID] = "grid", [SEARCH_RANDOM] = "random", [SEARCH_BAYESIAN] = "bayesian"};

/* Different points, as far as they can be counted: UINT64_MAX where a range is continuous. */
static uint64_t distinct_points(const search_space *s)
{
    uint64_t product = 1;
    for (size_t i = 0; i < s->key_count; i++) {
        const search_key *k = &s->keys[i];
        uint64_t n = k->values != NULL ? (uint64_t)cJSON_GetArraySize(k->values) : whole_numbers(k);
        if (n == 0 || __builtin_mul_overflow(product, n, &product))
            return UINT64_MAX;
    }
    return product;
}

static rd_status read_space(rd_fields *f, search_space *s)
{
    int method = SEARCH_BAYESIAN, objective = SEARCH_TEST_LOSS;
    s->trials = 20;
    s->seed = 1;
    rd_fields_item(f, "$schema", false);
    rd_fields_choice(f, "method", methods, COUNT_OF(methods), &method);
    rd_fields_choice(f, "objective", search_objective_names, COUNT_OF(search_objective_names), &objective);
    s->method = (search_method)method;
    s->objective = (search_objective)objective;
    rd_fields_only(f, "trials", s->method != SEARCH_GRID,
                   "without \"method\": \"grid\", which has as many as its product");
    rd_fields_count(f, "trials", 1, most_trials(s->method), &s->trials);
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
    return rd_fields_finish(f);
}

/* The command line's method takes the place of the file's. Then a number of trials in the file is for the
 * other method. */
static rd_status override_method(cJSON *json, const char *method, rd_error *err)
{
    size_t i = 0;
    while (i < COUNT_OF(methods) && strcmp(method, methods[i]) != 0)
        i++;
    if (i == COUNT_OF(methods))
        return rd_fail(err, RD_ERR_USAGE, "--method: expected grid, random or bayesian, found '%.40s'", method);
    cJSON_DeleteItemFromObjectCaseSensitive(json, "method");
    if (i == SEARCH_GRID)
        cJSON_DeleteItemFromObjectCaseSensitive(json, "trials");
    return cJSON_AddStringToObject(json, "method", method) != NULL
               ? RD_OK
               : rd_fail(err, RD_ERR_MEMORY, "no memory for the space of a search");
}

static size_t choices(const search_key *k)
{
    return k->values != NULL ? (size_t)cJSON_GetArraySize(k->values) : k->steps;
}

/* Points of a grid: the product of values and steps. */
static uint64_t grid_size(const search_space *s)
{
    uint64_t product = 1;
    for (size_t i = 0; i < s->key_count; i++)
        if (__builtin_mul_overflow(product, choices(&s->keys[i]), &product))
            return UINT64_MAX;
    return product;
}

static rd_status count_trials(search_space *s, uint64_t trials, rd_error *err)
{
    if (s->method == SEARCH_GRID) {
        s->trials = grid_size(s);
        if (trials > 0)
            return rd_fail(err, RD_ERR_USAGE, "--trials is not for a grid: this one has %llu points",
                           (unsigned long long)s->trials);
        if (s->trials > most_trials(SEARCH_GRID))
            return rd_fail(err, RD_ERR_CONFIG, "the grid has %llu points; at most %llu can be tried",
                           (unsigned long long)s->trials, (unsigned long long)most_trials(SEARCH_GRID));
        return RD_OK;
    }
    if (trials > most_trials(s->method))
        return rd_fail(err, RD_ERR_USAGE, "--trials: expected at most %llu for this method, found %llu",
                       (unsigned long long)most_trials(s->method), (unsigned long long)trials);
    if (trials > 0)
        s->trials = trials;
    if (s->trials > distinct_points(s))
        s->trials = distinct_points(s);
    return RD_OK;
}

/* Leaves in json what the sequence of trials depends on. */
static rd_status normalise(search_space *s, rd_error *err)
{
    cJSON_DeleteItemFromObjectCaseSensitive(s->json, "$schema");
    cJSON_DeleteItemFromObjectCaseSensitive(s->json, "trials");
    return override_method(s->json, methods[s->method], err);
}

rd_status search_space_load(const char *path, const char *method, uint64_t trials, search_space *out, rd_error *err)
{
    char *text = NULL;
    rd_foreign_fault fault;
    size_t size;
    rd_status status = RD_OK;
    memset(out, 0, sizeof *out);
    RD_TRY(rd_file_read(path, 1 << 20, &text, &size, err));
    out->json = rd_foreign_json(text, size, &fault);
    if (out->json == NULL)
        RD_THROW(RD_ERR_CONFIG, "%s: line %zu: %s", path, fault.line, fault.what);
    if (!cJSON_IsObject(out->json))
        RD_THROW(RD_ERR_CONFIG, "%s: expected a JSON object", path);
    if (method != NULL)
        RD_TRY(override_method(out->json, method, err));
    RD_TRY(read_space(&(rd_fields){.object = out->json, .whose = path, .path = "", .err = err}, out));
    RD_TRY(count_trials(out, trials, err));
    RD_TRY(normalise(out, err));
cleanup:
    free(text);
    if (status != RD_OK) {
        search_space_free(out);
        rd_foreign_plain(err->message);
    }
    return status;
}

void search_space_free(search_space *s)
{
    cJSON_Delete(s->json);
    memset(s, 0, sizeof *s);
}

/* ---- points ---- */

/* The last key changes fastest. The ends of a range are on the grid. */
void search_space_grid_point(const search_space *s, uint64_t number, double point[SEARCH_KEYS])
{
    for (size_t i = s->key_count; i-- > 0;) {
        const search_key *k = &s->keys[i];
        size_t n = choices(k), at = (size_t)(number % n);
        number /= n;
        point[i] = k->values != NULL ? ((double)at + 0.5) / (double)n : n > 1 ? (double)at / ((double)n - 1) : 0.5;
    }
}

static size_t index_of(const search_key *k, double u)
{
    size_t n = (size_t)cJSON_GetArraySize(k->values), at = (size_t)(u * (double)n);
    return at < n ? at : n - 1;
}

/* Whole numbers on a linear scale have equal shares of [0, 1]; on a logarithmic one it is rounded. */
static double number_at(const search_key *k, double u)
{
    double value = k->log     ? exp(log(k->from) + u * (log(k->to) - log(k->from)))
                   : k->whole ? k->from + floor(u * (k->to - k->from + 1))
                              : k->from + u * (k->to - k->from);
    value = k->whole ? rint(value) : value;
    return value < k->from ? k->from : value > k->to ? k->to : value;
}

cJSON *search_space_value(const search_space *s, size_t k, double u)
{
    const search_key *key = &s->keys[k];
    return key->values != NULL ? cJSON_Duplicate(cJSON_GetArrayItem(key->values, (int)index_of(key, u)), true)
                               : cJSON_CreateNumber(number_at(key, u));
}

/* How many of the values are smaller: numbers have an order. SIZE_MAX: they are not all numbers. */
static size_t rank_of(const cJSON *values, size_t at)
{
    const cJSON *item;
    size_t smaller = 0;
    double value = cJSON_GetNumberValue(cJSON_GetArrayItem(values, (int)at));
    cJSON_ArrayForEach(item, values)
    {
        if (!cJSON_IsNumber(item))
            return SIZE_MAX;
        smaller += item->valuedouble < value;
    }
    return smaller;
}

size_t search_space_features(const search_space *s, const double point[SEARCH_KEYS], double features[SEARCH_FEATURES])
{
    size_t count = 0;
    for (size_t i = 0; i < s->key_count; i++) {
        const search_key *k = &s->keys[i];
        if (k->values == NULL) {
            double value = number_at(k, point[i]);
            features[count++] =
                k->log ? log(value / k->from) / log(k->to / k->from) : (value - k->from) / (k->to - k->from);
            continue;
        }
        size_t n = (size_t)cJSON_GetArraySize(k->values), at = index_of(k, point[i]), rank = rank_of(k->values, at);
        if (rank != SIZE_MAX)
            features[count++] = n > 1 ? (double)rank / ((double)n - 1) : 0;
        for (size_t j = 0; j < n && rank == SIZE_MAX; j++)
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
            size_t digits = strspn(path + 1, "0123456789");
            uint64_t n = 0;
            cJSON *list = *in_list ? cJSON_GetArrayItem(at, *index) : cJSON_GetObjectItemCaseSensitive(at, last);
            if (!rd_number_count(path + 1, digits, &n) || path[1 + digits] != ']' || !cJSON_IsArray(list) ||
                n >= (uint64_t)cJSON_GetArraySize(list))
                return NULL;
            at = list;
            *index = (int)n;
            *in_list = true;
            path += digits + 2;
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

rd_status search_space_put(const search_space *s, size_t k, double u, cJSON *run, rd_error *err)
{
    char last[64];
    bool in_list = false, done = false;
    int index = 0;
    cJSON *value = search_space_value(s, k, u);
    if (value == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a trial");
    cJSON *place = find_place(run, s->keys[k].path, last, &in_list, &index);
    if (place != NULL && in_list)
        done = cJSON_ReplaceItemInArray(place, index, value);
    else if (place != NULL && cJSON_GetObjectItemCaseSensitive(place, last) != NULL)
        done = cJSON_ReplaceItemInObjectCaseSensitive(place, last, value);
    else if (place != NULL)
        done = cJSON_AddItemToObject(place, last, value);
    if (done)
        return RD_OK;
    cJSON_Delete(value);
    return rd_fail(err, RD_ERR_CONFIG, "run.json has no such place");
}
