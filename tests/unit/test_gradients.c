/* The gradient of every layer, activation and loss against finite differences, all in double precision: this
 * file and common/model are compiled with `float` standing for double (double/precision.h). */
#include <criterion/criterion.h>

#include "model/activation.h"
#include "model/layer.h"
#include "model/loss.h"
#include "model/model.h"

#define CE "\"loss\": \"softmax_cross_entropy\", \"layers\": "
#define MSE "\"loss\": \"mse\", \"layers\": "
#define D(units) "{\"type\": \"dense\", \"units\": " #units "}"
#define IMAGE "\"input\": [3, 6, 5], " MSE
#define SEQUENCE "\"input\": [4, 6], " MSE
#define TOKENS "\"input\": {\"tokens\": 5, \"vocabulary\": 7}, " CE

static const char *const models[] = {
    "{\"input\": 5, " MSE "[{\"type\": \"dense\", \"units\": 4, \"bias\": false}, " D(3) "]}",
    "{" SEQUENCE "[" D(5) ", {\"type\": \"flatten\"}, " D(2) "]}",
    "{" IMAGE "[{\"type\": \"conv2d\", \"channels\": 4, \"kernel\": 3, \"activation\": \"tanh\"}, "
    "{\"type\": \"conv2d\", \"channels\": 2, \"kernel\": [2, 1]}, {\"type\": \"flatten\"}, " D(2) "]}",
    "{" IMAGE "[{\"type\": \"conv2d\", \"channels\": 4, \"kernel\": [3, 2], \"stride\": [2, 1], \"padding\": [1, 2]}, "
    "{\"type\": \"conv2d\", \"channels\": 2, \"kernel\": 2, \"stride\": 2, \"padding\": 1}, {\"type\": "
    "\"flatten\"}, " D(2) "]}",
    "{" IMAGE "[{\"type\": \"conv2d\", \"channels\": 6, \"kernel\": 3, \"padding\": 1, \"groups\": 3, "
    "\"bias\": false}, "
    "{\"type\": \"conv2d\", \"channels\": 4, \"kernel\": 3, \"padding\": 1, \"groups\": 2}, {\"type\": "
    "\"flatten\"}, " D(2) "]}",
    "{" IMAGE "[{\"type\": \"conv2d\", \"channels\": 3, \"kernel\": 3, \"padding\": 1}, {\"type\": "
    "\"max_pool\", \"kernel\": 2}, "
    "{\"type\": \"flatten\"}, " D(2) "]}",
    "{" IMAGE "[{\"type\": \"conv2d\", \"channels\": 3, \"kernel\": 3, \"padding\": 1}, {\"type\": "
    "\"max_pool\", \"kernel\": 3, "
    "\"stride\": 2, \"padding\": 1}, {\"type\": \"average_pool\", \"kernel\": [2, 3], \"padding\": 1}, "
    "{\"type\": \"flatten\"}, " D(2) "]}",
    "{" IMAGE
    "[{\"type\": \"conv2d\", \"channels\": 3, \"kernel\": 3}, {\"type\": \"global_average_pool\"}, " D(2) "]}",
    "{" IMAGE "[{\"type\": \"conv2d\", \"channels\": 4, \"kernel\": 3}, {\"type\": \"batch_norm\"}, "
    "{\"type\": \"group_norm\", "
    "\"groups\": 2, \"activation\": \"silu\"}, {\"type\": \"flatten\"}, " D(2) "]}",
    "{\"input\": 5, " MSE "[" D(4) ", {\"type\": \"batch_norm\"}, " D(3) ", {\"type\": \"layer_norm\"}, " D(
        4) ", {\"type\": \"rms_norm\"}, " D(2) "]}",
    "{" IMAGE "[{\"type\": \"residual\", \"activation\": \"tanh\", \"layers\": [{\"type\": \"conv2d\", "
    "\"channels\": 4, \"kernel\": 3, "
    "\"stride\": 2, \"padding\": 1, \"activation\": \"gelu\"}, {\"type\": \"conv2d\", \"channels\": 4, "
    "\"kernel\": 3, \"padding\": 1}], "
    "\"shortcut\": [{\"type\": \"conv2d\", \"channels\": 4, \"kernel\": 1, \"stride\": 2}]}, {\"type\": "
    "\"residual\", \"layers\": "
    "[{\"type\": \"conv2d\", \"channels\": 4, \"kernel\": 3, \"padding\": 1}]}, {\"type\": \"flatten\"}, " D(2) "]}",
    "{\"input\": 4, " MSE
    "[{\"type\": \"residual\", \"layers\": [" D(4) "]}, {\"type\": \"residual\", \"layers\": [{\"type\": "
                                                   "\"residual\", \"layers\": [" D(4) "]}]}, " D(2) "]}",
    "{" TOKENS "[{\"type\": \"embedding\", \"units\": 4}, {\"type\": \"position\"}, {\"type\": \"rnn\", "
    "\"units\": 3}, " D(7) "]}",
    "{" TOKENS "[{\"type\": \"embedding\", \"units\": 4}, {\"type\": \"sinusoid\"}, {\"type\": \"gru\", "
    "\"units\": 3}, {\"type\": \"gru\", "
    "\"units\": 4}, " D(7) "]}",
    "{" TOKENS "[{\"type\": \"embedding\", \"units\": 4}, {\"type\": \"lstm\", \"units\": 3}, {\"type\": "
    "\"lstm\", \"units\": 4}, {\"type\": "
    "\"last\"}, " D(7) "]}",
    "{" TOKENS "[{\"type\": \"embedding\", \"units\": 4}, {\"type\": \"attention\", \"heads\": 2}, "
    "{\"type\": \"mean\"}, " D(3) "]}",
    "{" TOKENS "[{\"type\": \"embedding\", \"units\": 4}, {\"type\": \"attention\", \"heads\": 2, "
    "\"causal\": true, \"rotary\": true, "
    "\"bias\": false}, {\"type\": \"tied_output\"}]}",
    "{" TOKENS "[{\"type\": \"embedding\", \"units\": 4}, {\"type\": \"position\"}, {\"type\": "
    "\"transformer\", \"heads\": 2, \"units\": 6}, "
    "{\"type\": \"transformer\", \"heads\": 1, \"units\": 5, \"norm\": \"rms_norm\", \"rotary\": true}, "
    "{\"type\": \"tied_output\"}]}",
    "{" SEQUENCE "[{\"type\": \"mixture_of_experts\", \"experts\": 3, \"top_k\": 2, \"units\": 4, "
    "\"balance\": 0}, {\"type\": \"mean\"}, " D(2) "]}",
    "{" TOKENS "[{\"type\": \"embedding\", \"units\": 4}, {\"type\": \"transformer\", \"heads\": 2, "
    "\"units\": 6, \"experts\": 4, \"top_k\": 1, "
    "\"balance\": 0}, " D(7) "]}",
    "{\"input\": 5, " MSE
    "[" D(4) ", {\"type\": \"adapter\", \"units\": 2}, " D(2) "], \"fine_tuning\": {\"freeze\": [\"*\"], \"train\": "
                                                              "[\"*adapter*\", \"fc2.bias\"]}}",
    "{" TOKENS "[{\"type\": \"embedding\", \"units\": 4}, {\"type\": \"transformer\", \"heads\": 2, \"units\": 6}, " D(
        7) "], \"fine_tuning\": "
           "{\"freeze\": [\"*\"], \"lora\": {\"rank\": 2, \"alpha\": 3, \"targets\": [\"*.attn.*weight\", "
           "\"*fc1.weight\"]}}}",
};

static const char *const losses[] = {
    "\"softmax_cross_entropy\"",
    "{\"type\": \"softmax_cross_entropy\", \"label_smoothing\": 0.1}",
    "\"binary_cross_entropy\"",
    "\"hinge\"",
    "\"squared_hinge\"",
    "\"mse\"",
    "\"mae\"",
    "\"huber\"",
    "{\"type\": \"huber\", \"delta\": 0.3}",
};

enum { B = 3 };

typedef struct problem {
    rd_model *m;
    rd_workspace *w;
    float *p;
    size_t n;
} problem;

static problem pose(const char *text)
{
    rd_error err = {0};
    problem q = {0};
    rd_random random = rd_random_stream(5, RD_PURPOSE_TEST, 0, 0);
    cJSON *json = cJSON_Parse(text);
    cr_assert_not_null(json, "%s", text);
    cr_assert_eq(rd_model_create(json, &q.m, &err), RD_OK, "%s: %s", text, err.message);
    cJSON_Delete(json);
    cr_assert_eq(rd_workspace_create(q.m, B, &q.w, &err), RD_OK);
    q.n = rd_model_parameter_count(q.m);
    q.p = malloc(q.n * sizeof *q.p);
    for (size_t i = 0; i < q.n; i++) /* not as they start: zeros would hide mistakes */
        q.p[i] = 0.6 * rd_random_normal(&random);
    size_t vocabulary = rd_model_input(q.m)->vocabulary, labels = B * rd_model_predictions(q.m);
    const rd_tensor_table table = rd_model_tensors(q.m, RD_TENSORS_ALL);
    for (size_t i = 0; i < table.count; i++)
        for (size_t j = 0; j < table.tensors[i].count && strstr(table.tensors[i].name, "running_var") != NULL; j++)
            q.p[table.tensors[i].offset + j] = 1;
    for (size_t i = 0; i < B * rd_model_input_size(q.m); i++)
        rd_workspace_x(q.w)[i] =
            vocabulary > 0 ? rd_random_below(&random, (uint32_t)vocabulary) : rd_random_normal(&random);
    for (size_t i = 0; i < labels && rd_workspace_labels(q.w) != NULL; i++)
        rd_workspace_labels(q.w)[i] = (int32_t)rd_random_below(&random, (uint32_t)rd_model_class_count(q.m));
    if (labels > B && rd_workspace_labels(q.w) != NULL)
        rd_workspace_labels(q.w)[1] = -1;
    for (size_t i = 0; i < B * rd_model_output_size(q.m) && rd_workspace_targets(q.w) != NULL; i++)
        rd_workspace_targets(q.w)[i] = rd_random_normal(&random);
    return q;
}

/* Mean loss as in training; *gradient (n) unless NULL. */
static double loss_of(problem *q, float *gradient, size_t predictions)
{
    rd_batch_result result;
    float *scrap = gradient != NULL ? gradient : malloc(q->n * sizeof *scrap);
    rd_gradient_call call = {
        .parameters = q->p, .into = scrap, .rate = 1, .B = B, .predictions = predictions, .share = 1};
    rd_model_backward(q->m, &call, q->w, &result);
    if (gradient == NULL)
        free(scrap);
    return result.loss_sum / (double)predictions;
}

static void check(const char *text)
{
    problem q = pose(text);
    rd_batch_result counted;
    (void)rd_model_forward(q.m, q.p, q.w, B, &counted);
    float *gradient = malloc(q.n * sizeof *gradient);
    for (size_t i = 0; i < q.n; i++)
        gradient[i] = NAN; /* scale 0 has to forget it */
    (void)loss_of(&q, gradient, counted.predictions);
    size_t checked = 0;
    double largest = 0;
    const rd_tensor_table table = rd_model_tensors(q.m, RD_TENSORS_ALL);
    for (size_t i = 0; i < q.n; i++) /* the loss, and so the difference's error, grows with it */
        largest = fmax(largest, isnan(gradient[i]) ? 0 : fabs(gradient[i]));
    for (size_t k = 0; k < table.count; k++)
        for (size_t i = table.tensors[k].offset; i < table.tensors[k].offset + table.tensors[k].count; i++) {
            const double h = 1e-5, kept = q.p[i];
            if (table.tensors[k].role != RD_TENSOR_TRAINED) {
                cr_assert(isnan(gradient[i]), "%s: %s is not trained", text, table.tensors[k].name);
                continue;
            }
            q.p[i] = kept + h;
            double up = loss_of(&q, NULL, counted.predictions);
            q.p[i] = kept - h;
            double down = loss_of(&q, NULL, counted.predictions);
            q.p[i] = kept;
            cr_expect_float_eq(gradient[i], (up - down) / (2 * h), 2e-8 * fmax(1, largest),
                               "%s: %s[%zu]: %.10g, by difference %.10g", text, table.tensors[k].name,
                               i - table.tensors[k].offset, gradient[i], (up - down) / (2 * h));
            checked++;
        }
    cr_assert_gt(largest, 1e-3, "%s", text);
    cr_assert_gt(checked, 0);
    free(gradient);
    free(q.p);
    rd_workspace_free(q.w);
    rd_model_free(q.m);
}

Test(gradients, of_every_layer)
{
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        check(models[i]);
}

/* Each kind stands in one of the models above. */
Test(gradients, no_layer_is_left_out)
{
    for (const rd_layer_type *const *type = rd_layer_types; *type != NULL; type++) {
        char name[80];
        bool found = false;
        (void)snprintf(name, sizeof name, "\"%s\"", (*type)->name);
        for (size_t i = 0; i < sizeof models / sizeof *models; i++)
            found = found || strstr(models[i], name) != NULL;
        cr_expect(found || strcmp((*type)->name, "dropout") == 0 || (*type)->counting != NULL, "%s", (*type)->name);
    }
}

Test(gradients, of_every_activation)
{
    for (size_t i = 0; rd_activation_names[i] != NULL; i++) {
        char text[512];
        (void)snprintf(text, sizeof text,
                       "{\"input\": 4, " MSE "[{\"type\": \"dense\", \"units\": 5, \"activation\": \"%s\"}, " D(2) "]}",
                       rd_activation_names[i]);
        check(text);
    }
}

Test(gradients, of_every_loss)
{
    size_t kinds = 0;
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++)
        for (int outputs = 1; outputs <= 3; outputs += 2) {
            bool softmax = strstr(losses[i], "softmax") != NULL, binary = strstr(losses[i], "binary") != NULL;
            char text[512];
            if ((softmax && outputs == 1) || (binary && outputs > 1))
                continue;
            (void)snprintf(text, sizeof text,
                           "{\"input\": 4, \"loss\": %s, \"layers\": [{\"type\": \"dense\", \"units\": %d}]}",
                           losses[i], outputs);
            check(text);
            kinds++;
        }
    cr_assert_eq(kinds, 2 + 1 + 6 * 2);
}
