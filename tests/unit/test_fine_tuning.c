/* Freezing, low-rank changes and what they come to when they are taken into the weights. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "model/model.h"

#define LAYERS                                                                                         \
    "\"input\": {\"tokens\": 5, \"vocabulary\": 7}, \"loss\": \"softmax_cross_entropy\", \"layers\": " \
    "[{\"type\": \"embedding\", \"units\": 8}, "                                                       \
    "{\"type\": \"transformer\", \"heads\": 2, \"units\": 16}, {\"type\": \"dense\", \"units\": 7}]"

static rd_model *model_of(const char *fine_tuning)
{
    char text[1024];
    rd_error err = {0};
    rd_model *m = NULL;
    (void)snprintf(text, sizeof text, "{" LAYERS ", \"fine_tuning\": %s}", fine_tuning);
    cJSON *json = cJSON_Parse(text);
    cr_assert_not_null(json, "%s", text);
    cr_assert_eq(rd_model_create(json, &m, &err), RD_OK, "%s", err.message);
    cJSON_Delete(json);
    return m;
}

static size_t count_frozen(const rd_model *m)
{
    return rd_model_tensors(m, RD_TENSORS_STAYING).count;
}

Test(fine_tuning, patterns_choose_what_is_trained)
{
    rd_model *all = model_of("{}"), *head = model_of("{\"freeze\": [\"*\"], \"train\": [\"fc1.*\"]}");
    cr_assert_eq(count_frozen(all), 0);
    cr_assert_eq(rd_model_tensors(head, RD_TENSORS_TRAVELLING).elements, 7 * 8 + 7);
    cr_assert_eq(rd_model_parameter_count(head), rd_model_parameter_count(all));
    const rd_tensor_table table = rd_model_tensors(head, RD_TENSORS_ALL);
    cr_assert_str_eq(table.tensors[0].name, "fc1.weight", "what travels comes first");
    cr_assert_str_eq(table.tensors[1].name, "fc1.bias");
    for (size_t i = 1; i < table.count; i++)
        cr_assert_eq(table.tensors[i].offset, table.tensors[i - 1].offset + table.tensors[i - 1].count);
    rd_model_free(all);
    rd_model_free(head);
}

/* In the block: in_proj 24x8, out_proj 8x8, fc1 16x8, fc2 8x16; rank 2 has 2 (I + O) for each. */
Test(fine_tuning, lora_has_rank_times_inputs_and_outputs)
{
    rd_model *m =
        model_of("{\"freeze\": [\"*\"], \"lora\": {\"rank\": 2, \"alpha\": 6, \"targets\": [\"block1.*weight\"]}}");
    size_t adapters = 0;
    const rd_tensor_table table = rd_model_tensors(m, RD_TENSORS_TRAVELLING);
    for (size_t i = 0; i < table.count; i++)
        adapters += rd_tensor_is_lora(&table.tensors[i]);
    cr_assert_eq(adapters, table.count);
    cr_assert_eq(table.count, 8);
    cr_assert_eq(rd_model_tensors(m, RD_TENSORS_TRAVELLING).elements, 2 * ((24 + 8) + (8 + 8) + (16 + 8) + (8 + 16)));
    rd_model_free(m);
}

Test(fine_tuning, a_change_taken_into_the_weights_is_the_same_model)
{
    enum { B = 3, T = 5, V = 7 };
    rd_model *m = model_of("{\"freeze\": [\"*\"], \"lora\": {\"rank\": 2, \"alpha\": 6, \"targets\": "
                           "[\"block1.*weight\", \"fc1.weight\"]}}");
    rd_random random = rd_random_stream(1, RD_PURPOSE_TEST, 0, 0);
    rd_error err;
    rd_workspace *w;
    size_t n = rd_model_parameter_count(m);
    float *p = malloc(n * sizeof *p), before[B * T * V];
    for (size_t i = 0; i < n; i++)
        p[i] = (float)(0.3 * rd_random_normal(&random));
    cr_assert_eq(rd_workspace_create(m, B, &w, &err), RD_OK);
    for (size_t i = 0; i < B * T; i++)
        rd_workspace_x(w)[i] = (float)rd_random_below(&random, V);
    memcpy(before, rd_model_forward(m, p, w, B, NULL), sizeof before);
    rd_model_merge_lora(m, p);
    const float *after = rd_model_forward(m, p, w, B, NULL);
    for (size_t i = 0; i < B * T * V; i++)
        cr_assert_float_eq(after[i], before[i], 1e-5 * fmax(1, fabs((double)before[i])));
    const rd_tensor_table table = rd_model_tensors(m, RD_TENSORS_TRAVELLING);
    for (size_t i = 0; i < table.count; i++)
        for (size_t j = 0; j < table.tensors[i].count && strstr(table.tensors[i].name, "lora_B") != NULL; j++)
            cr_assert_eq(p[table.tensors[i].offset + j], 0.0f);
    free(p);
    rd_workspace_free(w);
    rd_model_free(m);
}

Test(fine_tuning, what_cannot_be_is_refused)
{
    struct {
        const char *text, *message;
    } cases[] = {
        {"3", "model.fine_tuning: expected an object"},
        {"{\"freeze\": \"*\"}", "model.fine_tuning.freeze: expected a list of names of tensors"},
        {"{\"freeze\": [\"*\"]}", "model: nothing is left to train: fine_tuning names every tensor as frozen or local"},
        {"{\"lora\": {\"rank\": 0, \"targets\": [\"*\"]}}",
         "model.fine_tuning.lora.rank: expected a whole number from 1"},
        {"{\"lora\": {\"rank\": 2}}", "model.fine_tuning.lora.targets is missing"},
        {"{\"frieze\": [\"*\"]}", "model.fine_tuning.frieze: unknown key; expected freeze, train, local or lora"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        rd_error err = {0};
        rd_model *m = NULL;
        (void)snprintf(text, sizeof text, "{" LAYERS ", \"fine_tuning\": %s}", cases[i].text);
        cJSON *json = cJSON_Parse(text);
        cr_expect_eq(rd_model_create(json, &m, &err), RD_ERR_CONFIG, "%s", cases[i].text);
        cr_expect(strstr(err.message, cases[i].message) != NULL, "%s", err.message);
        cJSON_Delete(json);
    }
}
