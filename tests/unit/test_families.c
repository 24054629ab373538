/* A small model of every family against PyTorch: outputs, loss, gradients, and three steps of training, by
 * the names that PyTorch gives to its parameters. tests/reference/make_families.py says how the values came
 * to be. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "train/local_round.h"

enum { MOST_ARRAYS = 200, BATCH = 4 };
#define TOLERANCE 1e-5 /* of the largest value of an array */

typedef struct array {
    char word[16], name[RD_TENSOR_NAME_MAX];
    size_t count;
    double *values;
} array;

typedef struct family {
    char name[64];
    rd_model *model;
    array arrays[MOST_ARRAYS];
    size_t count;
} family;

static FILE *open_reference(void)
{
    FILE *f = fopen(RONDO_SOURCE_DIR "/tests/reference/families.txt", "r");
    cr_assert_not_null(f);
    return f;
}

static void read_model(FILE *f, family *c)
{
    char *line = NULL;
    size_t size = 0;
    rd_error err = {0};
    cr_assert_eq(fscanf(f, " model "), 0);
    cr_assert_gt(getline(&line, &size, f), 0);
    cJSON *json = cJSON_Parse(line);
    cr_assert_not_null(json);
    cr_assert_eq(rd_model_create(json, &c->model, &err), RD_OK, "%s: %s", c->name, err.message);
    cJSON_Delete(json);
    free(line);
}

/* Reads the next case; false at the end of the file. */
static bool next_family(FILE *f, family *c)
{
    char word[64];
    memset(c, 0, sizeof *c);
    if (fscanf(f, " case %63s", c->name) != 1)
        return false;
    read_model(f, c);
    for (;;) {
        long place = ftell(f);
        if (fscanf(f, "%63s", word) != 1)
            return true;
        if (strcmp(word, "case") == 0) {
            cr_assert_eq(fseek(f, place, SEEK_SET), 0);
            return true;
        }
        cr_assert_lt(c->count, MOST_ARRAYS);
        array *a = &c->arrays[c->count++];
        (void)snprintf(a->word, sizeof a->word, "%.15s", word);
        bool named = strstr("initial gradient plain momentum", word) != NULL;
        if (named)
            cr_assert_eq(fscanf(f, "%79s", a->name), 1);
        cr_assert_eq(fscanf(f, "%zu", &a->count), 1);
        a->values = malloc(a->count * sizeof *a->values);
        for (size_t i = 0; i < a->count; i++)
            cr_assert_eq(fscanf(f, "%lf", &a->values[i]), 1);
    }
}

static void free_family(family *c)
{
    for (size_t i = 0; i < c->count; i++)
        free(c->arrays[i].values);
    rd_model_free(c->model);
}

static const array *find(const family *c, const char *word, const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->arrays[i].word, word) == 0 && strcmp(c->arrays[i].name, name) == 0)
            return &c->arrays[i];
    return NULL;
}

static void expect_values(const family *c, const array *a, const float *found)
{
    double largest = 0;
    for (size_t i = 0; i < a->count; i++)
        largest = fmax(largest, fabs(a->values[i]));
    for (size_t i = 0; i < a->count; i++)
        cr_expect_float_eq(found[i], a->values[i], TOLERANCE * fmax(largest, 1e-3),
                           "%s: %s %s[%zu]: %.8g, PyTorch has %.8g", c->name, a->word, a->name, i, found[i],
                           a->values[i]);
}

/* All of PyTorch's tensors of a word, in a vector laid out as the model's. */
static void expect_tensors(const family *c, const char *word, const float *vector)
{
    const rd_tensor_table table = rd_model_tensors(c->model, RD_TENSORS_ALL);
    for (size_t i = 0; i < table.count; i++) {
        const array *a = find(c, word, table.tensors[i].name);
        if (strcmp(word, "gradient") == 0 && table.tensors[i].role != RD_TENSOR_TRAINED) {
            cr_expect_null(a, "%s: PyTorch trains %s", c->name, table.tensors[i].name);
            continue;
        }
        cr_assert_not_null(a, "%s: PyTorch has no %s %s", c->name, word, table.tensors[i].name);
        expect_values(c, a, vector + table.tensors[i].offset);
    }
}

static float *initial_of(const family *c)
{
    size_t found = 0;
    const rd_tensor_table table = rd_model_tensors(c->model, RD_TENSORS_ALL);
    float *p = malloc(rd_model_parameter_count(c->model) * sizeof *p);
    for (size_t i = 0; i < table.count; i++) {
        const array *a = find(c, "initial", table.tensors[i].name);
        cr_assert_not_null(a, "%s: PyTorch has no %s", c->name, table.tensors[i].name);
        cr_assert_eq(a->count, table.tensors[i].count);
        for (size_t j = 0; j < a->count; j++)
            p[table.tensors[i].offset + j] = (float)a->values[j];
    }
    for (size_t i = 0; i < c->count; i++)
        found += strcmp(c->arrays[i].word, "initial") == 0;
    cr_assert_eq(found, table.count, "%s: PyTorch has %zu tensors, Rondo %zu", c->name, found, table.count);
    return p;
}

static rd_dataset data_of(const family *c)
{
    const rd_model *m = c->model;
    const array *x = find(c, "x", ""), *labels = find(c, "labels", ""), *targets = find(c, "targets", "");
    rd_dataset d = {.rows = BATCH, .features = rd_model_input_size(m), .rank = 1, .shape = {rd_model_input_size(m)}};
    d.tokens = rd_model_input(m)->vocabulary > 0;
    d.x_f32 = malloc(x->count * sizeof *d.x_f32);
    for (size_t i = 0; i < x->count; i++)
        d.x_f32[i] = (float)x->values[i];
    if (labels != NULL) {
        d.label_count = labels->count / BATCH;
        d.classes = rd_model_class_count(m);
        d.labels = malloc(labels->count * sizeof *d.labels);
        for (size_t i = 0; i < labels->count; i++)
            d.labels[i] = (int32_t)labels->values[i];
    } else {
        d.target_count = targets->count / BATCH;
        d.targets = malloc(targets->count * sizeof *d.targets);
        for (size_t i = 0; i < targets->count; i++)
            d.targets[i] = (float)targets->values[i];
    }
    return d;
}

static void check_passes(const family *c, const rd_dataset *d, float *p)
{
    rd_error err;
    rd_workspace *w;
    rd_batch_result result;
    size_t n = rd_model_parameter_count(c->model);
    uint32_t pick[BATCH] = {0, 1, 2, 3};
    float *gradient = malloc(n * sizeof *gradient), *spoilt = malloc(n * sizeof *spoilt);
    cr_assert_eq(rd_workspace_create(c->model, BATCH, &w, &err), RD_OK);
    rd_dataset_gather(d, rd_dataset_all_rows(d), pick, BATCH, rd_workspace_x(w), rd_workspace_labels(w),
                      rd_workspace_targets(w));
    expect_values(c, find(c, "outputs", ""), rd_model_forward(c->model, p, w, BATCH, &result));
    float loss = (float)(result.loss_sum / (double)result.predictions);
    expect_values(c, find(c, "loss", ""), &loss);
    memcpy(spoilt, p, n * sizeof *p); /* running statistics will move */
    rd_gradient_call call = {
        .parameters = spoilt, .into = gradient, .rate = 1, .B = BATCH, .predictions = result.predictions, .share = 1};
    rd_model_backward(c->model, &call, w, &result);
    expect_tensors(c, "gradient", gradient);
    free(gradient);
    free(spoilt);
    rd_workspace_free(w);
}

/* Three epochs of one batch are three steps. */
static void check_steps(const family *c, const rd_dataset *d, const float *p, const char *word, float momentum)
{
    rd_error err = {0};
    rd_trainer *t;
    rd_report report;
    rd_training training = {.epochs = 3, .learning_rate = 0.05f, .momentum = momentum};
    rd_client_evaluation evaluation = {0};
    rd_local_task task = {&training, &evaluation, 1, 1, 1};
    size_t n = rd_model_parameter_count(c->model);
    float *local = malloc(n * sizeof *local);
    cr_assert_eq(rd_trainer_create(c->model, &training, BATCH, &t, &err), RD_OK, "%s", err.message);
    cr_assert_eq(rd_local_round_run(t, &task, rd_dataset_all(d), p, local, &report, &err), RD_OK, "%s: %s", c->name,
                 err.message);
    for (size_t i = 0; i < rd_model_tensors(c->model, RD_TENSORS_TRAVELLING).elements; i++)
        local[i] += p[i];
    expect_tensors(c, word, local);
    free(local);
    rd_trainer_free(t);
}

Test(families, agree_with_pytorch)
{
    FILE *f = open_reference();
    family c;
    size_t families = 0;
    while (next_family(f, &c)) {
        float *p = initial_of(&c);
        rd_dataset d = data_of(&c);
        check_passes(&c, &d, p);
        check_steps(&c, &d, p, "plain", 0.0f);
        check_steps(&c, &d, p, "momentum", 0.9f);
        rd_dataset_free(&d);
        free(p);
        free_family(&c);
        families++;
    }
    cr_assert_eq(families, 20);
    fclose(f);
}
