/* mlp_reference.h: reads tests/reference/mlp.txt (see make_mlp.py beside it) and makes models from JSON text,
 * for test_model.c and test_train.c. */
#ifndef RONDO_TESTS_MLP_REFERENCE_H
#define RONDO_TESTS_MLP_REFERENCE_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

enum { REFERENCE_INPUT = 7, REFERENCE_OUTPUT = 3, REFERENCE_BATCH = 6, REFERENCE_ARRAYS = 16 };

typedef struct reference_array {
    char name[32];
    size_t count;
    double *values;
} reference_array;

typedef struct reference_case {
    char name[64], activation[32], loss[32];
    reference_array arrays[REFERENCE_ARRAYS];
    size_t array_count;
} reference_case;

/* Reads the next case; false at the end of the file. */
static inline bool reference_next(FILE *f, reference_case *c)
{
    char word[64];
    memset(c, 0, sizeof *c);
    if (fscanf(f, "%63s", word) != 1)
        return false;
    cr_assert_str_eq(word, "case");
    cr_assert_eq(fscanf(f, "%63s %31s %31s", c->name, c->activation, c->loss), 3);
    for (;;) {
        long place = ftell(f);
        if (fscanf(f, "%63s", word) != 1)
            return true;
        if (strcmp(word, "case") == 0) {
            cr_assert_eq(fseek(f, place, SEEK_SET), 0);
            return true;
        }
        cr_assert_lt(c->array_count, REFERENCE_ARRAYS);
        reference_array *a = &c->arrays[c->array_count++];
        (void)snprintf(a->name, sizeof a->name, "%.31s", word);
        cr_assert_eq(fscanf(f, "%zu", &a->count), 1);
        a->values = malloc(a->count * sizeof *a->values);
        for (size_t i = 0; i < a->count; i++)
            cr_assert_eq(fscanf(f, "%lf", &a->values[i]), 1);
    }
}

static inline void reference_free(reference_case *c)
{
    for (size_t i = 0; i < c->array_count; i++)
        free(c->arrays[i].values);
}

static inline const reference_array *reference_find(const reference_case *c, const char *name)
{
    for (size_t i = 0; i < c->array_count; i++)
        if (strcmp(c->arrays[i].name, name) == 0)
            return &c->arrays[i];
    return NULL;
}

/* The values of an array that must be there, as float. */
static inline void reference_copy(const reference_case *c, const char *name, float *out, size_t count)
{
    const reference_array *a = reference_find(c, name);
    cr_assert(a != NULL && a->count == count, "%s: no array '%s' of %zu", c->name, name, count);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)a->values[i];
}

/* Every value within 1e-5 of the array's largest. */
static inline void reference_expect(const reference_case *c, const char *name, const float *found, size_t count)
{
    const reference_array *a = reference_find(c, name);
    double largest = 0;
    cr_assert(a != NULL && a->count == count, "%s: no array '%s' of %zu", c->name, name, count);
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(a->values[i]));
    for (size_t i = 0; i < count; i++)
        cr_assert(fabs(found[i] - a->values[i]) <= 1e-5 * largest, "%s: %s[%zu] is %.9g, PyTorch has %.9g", c->name,
                  name, i, (double)found[i], a->values[i]);
}

static inline rd_model *model_from_text(const char *text)
{
    rd_error err = {0};
    rd_model *m = NULL;
    cJSON *json = cJSON_Parse(text);
    cr_assert_not_null(json, "not JSON: %s", text);
    cr_assert_eq(rd_model_create(json, &m, &err), RD_OK, "%s", err.message);
    cJSON_Delete(json);
    return m;
}

/* The case's network, 7-5-4-3. */
static inline rd_model *reference_model(const reference_case *c)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "{\"input\": 7, \"loss\": \"%s\", \"layers\": ["
                   "{\"type\": \"dense\", \"units\": 5, \"activation\": \"%s\"},"
                   "{\"type\": \"dense\", \"units\": 4, \"activation\": \"%s\"},"
                   "{\"type\": \"dense\", \"units\": 3}]}",
                   c->loss, c->activation, c->activation);
    return model_from_text(text);
}

static inline FILE *reference_open(void)
{
    FILE *f = fopen(RONDO_SOURCE_DIR "/tests/reference/mlp.txt", "r");
    cr_assert_not_null(f);
    return f;
}

#endif
