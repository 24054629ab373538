/* Models: gradients against finite differences in double and against PyTorch, initial values against their
 * papers' formulas, parameter counts against arithmetic, and the messages for plans that cannot be. */
#include "core/random.h"
#include "mlp_reference.h"

/* ---- sizes and names ---- */

Test(model, mnist_2nn_is_the_network_of_the_paper)
{
    rd_model *m = model_from_text("{\"preset\": \"mnist-2nn\"}");
    const rd_tensor_table table = rd_model_tensors(m, RD_TENSORS_ALL);
    const char *names[] = {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias", "fc3.weight", "fc3.bias"};
    const size_t sizes[] = {200 * 784, 200, 200 * 200, 200, 10 * 200, 10};
    size_t offset = 0;
    cr_assert_eq(table.count, 6);
    for (size_t i = 0; i < table.count; i++) {
        cr_assert_str_eq(table.tensors[i].name, names[i]);
        cr_assert_eq(table.tensors[i].count, sizes[i]);
        cr_assert_eq(table.tensors[i].offset, offset);
        offset += sizes[i];
    }
    cr_assert_eq(table.tensors[0].rank, 2);
    cr_assert_eq(table.tensors[0].shape[0], 200);
    cr_assert_eq(table.tensors[0].shape[1], 784);
    cr_assert_eq(table.tensors[1].rank, 1);
    cr_assert_eq(rd_model_parameter_count(m), 199210);
    cr_assert_eq(rd_model_forward_flops(m), 2 * (784 * 200 + 200 * 200 + 200 * 10));
    cr_assert_eq(rd_model_input_size(m), 784);
    cr_assert_eq(rd_model_output_size(m), 10);
    cr_assert_eq(rd_model_loss(m), RD_LOSS_SOFTMAX_CROSS_ENTROPY);
    rd_model_free(m);
}

Test(model, presets_and_layers_have_the_sizes_that_arithmetic_gives)
{
    struct {
        const char *text;
        size_t parameters;
        rd_loss_kind loss;
    } cases[] = {
        {"{\"preset\": \"linear-regression\", \"input\": 10}", 11, RD_LOSS_MSE},
        {"{\"preset\": \"softmax-regression\", \"input\": 784, \"classes\": 10}", 7850, RD_LOSS_SOFTMAX_CROSS_ENTROPY},
        {"{\"preset\": \"mnist-cnn\"}", 1663370, RD_LOSS_SOFTMAX_CROSS_ENTROPY}, /* McMahan et al. 2017 */
        {"{\"preset\": \"lenet-5\"}", 61706, RD_LOSS_SOFTMAX_CROSS_ENTROPY},
        {"{\"preset\": \"logistic-regression\", \"input\": 30}", 31, RD_LOSS_BINARY_CROSS_ENTROPY},
        {"{\"preset\": \"linear-svm\", \"input\": 30}", 31, RD_LOSS_SQUARED_HINGE},
        /* 90 x 8; 4 x 256 x (8 + 256 + 2); 4 x 256 x (256 + 256 + 2); 256 x 90 + 90 */
        {"{\"input\": {\"tokens\": 80, \"vocabulary\": 90}, \"loss\": \"softmax_cross_entropy\", \"layers\": "
         "[{\"type\": "
         "\"embedding\", \"units\": 8}, {\"type\": \"lstm\", \"units\": 256}, {\"type\": \"lstm\", "
         "\"units\": 256}, {\"type\": "
         "\"dense\", \"units\": 90}]}",
         720 + 272384 + 526336 + 23130, RD_LOSS_SOFTMAX_CROSS_ENTROPY},
        {"{\"input\": 1000, \"loss\": \"mse\", \"layers\": [{\"type\": \"dense\", \"units\": 500}]}", 500000 + 500,
         RD_LOSS_MSE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rd_model *m = model_from_text(cases[i].text);
        cr_assert_eq(rd_model_parameter_count(m), cases[i].parameters, "%s", cases[i].text);
        cr_assert_eq(rd_model_loss(m), cases[i].loss);
        rd_model_free(m);
    }
}

Test(model, layers_may_be_named)
{
    rd_model *m = model_from_text("{\"input\": 4, \"loss\": \"mse\", \"layers\": ["
                                  "{\"type\": \"dense\", \"units\": 3},"
                                  "{\"type\": \"dense\", \"units\": 2, \"name\": \"head.0\"},"
                                  "{\"type\": \"dense\", \"units\": 1}]}");
    const rd_tensor_table table = rd_model_tensors(m, RD_TENSORS_ALL);
    cr_assert_eq(table.count, 6);
    cr_assert_str_eq(table.tensors[0].name, "fc1.weight");
    cr_assert_str_eq(table.tensors[2].name, "head.0.weight");
    cr_assert_str_eq(table.tensors[5].name, "fc3.bias");
    rd_model_free(m);
}

Test(model, a_plan_that_cannot_be_is_refused_with_its_place)
{
    struct {
        const char *text, *message;
    } cases[] = {
        {"3", "model: expected an object, found 3"},
        {"{}", "model.input: expected a whole number from 1 to 16777216, found nothing"},
        {"{\"preset\": \"mnist-3nn\"}",
         "model.preset: expected mnist-2nn, mnist-cnn, lenet-5, small-resnet, linear-regression, "
         "logistic-regression, softmax-regression or linear-svm, found \"mnist-3nn\" (a string)"},
        {"{\"preset\": \"mnist-2nn\", \"input\": 784}", "model.input: unknown key; expected preset or fine_tuning"},
        {"{\"preset\": \"linear-regression\"}",
         "model.input: expected a whole number from 1 to 16777216, found nothing"},
        {"{\"preset\": \"softmax-regression\", \"input\": 4, \"classes\": 1}",
         "model: the loss softmax_cross_entropy needs an output for each of at least 2 classes, but the last "
         "layer 'fc1' puts out (1)"},
        {"{\"input\": 0.5, \"loss\": \"mse\", \"layers\": []}",
         "model.input: expected a whole number from 1 to 16777216, found 0.5"},
        {"{\"input\": 1, \"layers\": []}",
         "model.loss: expected softmax_cross_entropy, binary_cross_entropy, hinge, squared_hinge, mse, mae, "
         "huber or inertia, found nothing"},
        {"{\"input\": 1, \"loss\": \"hinge\"}", "model.layers: expected a list of at least one layer, found nothing"},
        {"{\"input\": 1, \"loss\": \"mse\", \"lose\": 1}",
         "model.lose: unknown key; expected input, loss, layers or fine_tuning"},
        {"{\"input\": 1, \"loss\": \"mse\"}", "model.layers: expected a list of at least one layer, found nothing"},
        {"{\"input\": 1, \"loss\": \"mse\", \"layers\": []}",
         "model.layers: expected a list of at least one layer, found an empty one"},
        {"{\"input\": 1, \"input\": 2}", "model.input: this key stands here twice"},
#define LAYERS(list) "{\"input\": 5, \"loss\": \"mse\", \"layers\": [{\"type\": \"dense\", \"units\": 4}," list "]}"
        {LAYERS("7"), "model.layers[1]: expected an object, found 7"},
        {LAYERS("{\"units\": 3}"), "model.layers[1].type: expected dense, conv2d, max_pool, "},
        {LAYERS("{\"type\": \"sparse\"}"), "model.layers[1].type: expected dense, conv2d, max_pool, "},
        {LAYERS("{\"type\": \"dense\", \"units\": -3}"),
         "model.layers[1].units: expected a whole number from 1 to 16777216, found -3"},
        {LAYERS("{\"type\": \"dense\", \"units\": \"3\"}"),
         "model.layers[1].units: expected a whole number from 1 to 16777216, found \"3\" (a string)"},
        {LAYERS("{\"type\": \"dense\", \"unit\": 3}"),
         "model.layers[1].unit: unknown key; expected type, name, activation, units, bias or start"},
        {LAYERS("{\"type\": \"dense\", \"units\": 3, \"activation\": true}"),
         "model.layers[1].activation: expected none, relu, leaky_relu, tanh, sigmoid, gelu or silu, found "
         "true"},
        {LAYERS("{\"type\": \"dense\", \"units\": 3, \"name\": \"a b\"}"),
         "model.layers[1].name: expected 1 to 55 letters, digits, '_', '-' or '.', found \"a b\""},
        {LAYERS("{\"type\": \"dense\", \"units\": 3, \"name\": 4}"),
         "model.layers[1].name: expected a string, found 4"},
        {LAYERS("{\"type\": \"dense\", \"units\": 3, \"name\": \"fc1\"}"),
         "model.layers[1].name: 'fc1' is already the name of another layer"},
        {LAYERS("{\"type\": \"dense\", \"units\": 16777216}, {\"type\": \"dense\", \"units\": 16777216}"),
         "model.layers[2]: layer 'fc3' from (16777216) to (16777216) takes the model beyond the largest "
         "size, 2147483648 parameters"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rd_error err = {0};
        rd_model *m = NULL;
        cJSON *json = cJSON_Parse(cases[i].text);
        cr_assert_not_null(json, "%s", cases[i].text);
        cr_assert_eq(rd_model_create(json, &m, &err), RD_ERR_CONFIG, "%s", cases[i].text);
        cr_expect(strncmp(err.message, cases[i].message, strlen(cases[i].message)) == 0, "%s, not %s", err.message,
                  cases[i].message);
        cr_assert_null(m);
        cJSON_Delete(json);
    }
}

Test(model, the_largest_model_has_2_to_the_31_parameters)
{
    /* (I + 1) * 2^15 = 2^31 with I = 65535; one unit more in either place is too much. */
    const char *format = "{\"input\": %d, \"loss\": \"mse\", \"layers\": [{\"type\": \"dense\", \"units\": %d}]}";
    const int sizes[][3] = {{65535, 32768, 1}, {65536, 32768, 0}, {65535, 32769, 0}};
    for (size_t i = 0; i < 3; i++) {
        char text[128];
        rd_error err = {0};
        rd_model *m = NULL;
        (void)snprintf(text, sizeof text, format, sizes[i][0], sizes[i][1]);
        cJSON *json = cJSON_Parse(text);
        cr_assert_eq(rd_model_create(json, &m, &err) == RD_OK, sizes[i][2] == 1, "%s", text);
        if (m != NULL)
            cr_assert_eq(rd_model_parameter_count(m), UINT64_C(1) << 31);
        rd_model_free(m);
        cJSON_Delete(json);
    }
}

Test(model, a_workspace_beyond_memory_is_refused)
{
    rd_model *m = model_from_text("{\"preset\": \"mnist-2nn\"}");
    rd_workspace *w = NULL;
    rd_error err = {0};
    cr_assert_eq(rd_workspace_create(m, SIZE_MAX / 8, &w, &err), RD_ERR_MEMORY);
    cr_assert_null(w);
    rd_model_free(m);
}

/* ---- initial values ---- */

static void moments(const float *x, size_t n, double *mean, double *variance, double *largest)
{
    double sum = 0, squares = 0;
    *largest = 0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
        *largest = fmax(*largest, fabs((double)x[i]));
    }
    *mean = sum / n;
    *variance = squares / n - *mean * *mean;
}

Test(init, he_in_front_of_relu_and_glorot_elsewhere)
{
    rd_model *m = model_from_text("{\"input\": 300, \"loss\": \"mse\", \"layers\": ["
                                  "{\"type\": \"dense\", \"units\": 200, \"activation\": \"relu\"},"
                                  "{\"type\": \"dense\", \"units\": 250, \"activation\": \"tanh\"}]}");
    float *p = malloc(rd_model_parameter_count(m) * sizeof *p);
    const rd_tensor_table table = rd_model_tensors(m, RD_TENSORS_ALL);
    double mean, variance, largest;
    rd_model_init(m, 1, p);

    /* 60,000 draws: the sample variance of a normal has a relative deviation of sqrt(2/n) = 0.6 %. */
    moments(p + table.tensors[0].offset, table.tensors[0].count, &mean, &variance, &largest);
    double he = 2.0 / 300;
    cr_assert_float_eq(variance, he, 0.025 * he);
    cr_assert_float_eq(mean, 0, 5 * sqrt(he / table.tensors[0].count));
    cr_assert_gt(largest, 3.5 * sqrt(he), "a normal has tails, a uniform has none");

    moments(p + table.tensors[2].offset, table.tensors[2].count, &mean, &variance, &largest);
    double glorot = 2.0 / (200 + 250), bound = sqrt(6.0 / (200 + 250));
    cr_assert_float_eq(variance, glorot, 0.02 * glorot);
    cr_assert_float_eq(mean, 0, 5 * sqrt(glorot / table.tensors[2].count));
    cr_assert_leq(largest, bound * (1 + 1e-6));
    cr_assert_gt(largest, 0.999 * bound);

    for (size_t i = 1; i < table.count; i += 2) /* biases */
        for (size_t j = 0; j < table.tensors[i].count; j++)
            cr_assert_eq(p[table.tensors[i].offset + j], 0.0f);
    free(p);
    rd_model_free(m);
}

Test(init, depends_on_the_seed_and_the_tensor_alone)
{
    rd_model *small = model_from_text("{\"input\": 6, \"loss\": \"mse\", \"layers\": ["
                                      "{\"type\": \"dense\", \"units\": 6},"
                                      "{\"type\": \"dense\", \"units\": 6, \"name\": \"head\"}]}");
    rd_model *large = model_from_text("{\"input\": 9, \"loss\": \"mse\", \"layers\": ["
                                      "{\"type\": \"dense\", \"units\": 7},"
                                      "{\"type\": \"dense\", \"units\": 6},"
                                      "{\"type\": \"dense\", \"units\": 6, \"name\": \"head\"}]}");
    enum { SMALL = 2 * 42, LARGE = 70 + 48 + 42 };
    float a[SMALL], b[SMALL], c[LARGE];
    cr_assert_eq(rd_model_parameter_count(small), SMALL);
    cr_assert_eq(rd_model_parameter_count(large), LARGE);
    rd_model_init(small, 1, a);
    rd_model_init(small, 2, b);
    rd_model_init(large, 1, c);
    cr_assert_neq(memcmp(a, b, 36 * sizeof *a), 0, "another seed");
    cr_assert_neq(memcmp(a, a + 42, 36 * sizeof *a), 0, "another tensor of the same shape");
    cr_assert_eq(memcmp(a + 42, c + 70 + 48, 36 * sizeof *a), 0, "the same tensor in another model");
    rd_model_free(small);
    rd_model_free(large);
}

/* ---- dropout ---- */

Test(dropout, drops_its_share_in_training_and_nothing_in_use)
{
    enum { N = 10000 };
    rd_model *m = model_from_text("{\"input\": 10000, \"loss\": \"mse\", \"layers\": [{\"type\": "
                                  "\"dropout\", \"rate\": 0.3}, {\"type\": "
                                  "\"dense\", \"units\": 1, \"bias\": false}]}");
    rd_workspace *w;
    rd_error err;
    rd_random random = rd_random_stream(1, RD_PURPOSE_TEST, 0, 0), again = random;
    static float p[N], gradient[N], same[N];
    cr_assert_eq(rd_workspace_create(m, 1, &w, &err), RD_OK);
    for (size_t i = 0; i < N; i++) {
        rd_workspace_x(w)[i] = 1;
        p[i] = 1.0f / N;
    }
    rd_workspace_targets(w)[0] = 0;
    cr_assert_float_eq(rd_model_forward(m, p, w, 1, NULL)[0], 1, 1e-5, "in use all of it goes through");
    rd_gradient_call call = {
        .parameters = p, .into = gradient, .rate = 1, .B = 1, .predictions = 1, .share = 1, .random = &random};
    rd_model_backward(m, &call, w, NULL);
    call.into = same;
    call.random = &again;
    rd_model_backward(m, &call, w, NULL);
    cr_assert_eq(memcmp(gradient, same, sizeof same), 0, "the stream decides");
    /* The gradient of a weight is 2 y x', x' being 0 or 1 / 0.7, and y the mean of x'. */
    size_t kept = 0;
    double y = 0;
    for (size_t i = 0; i < N; i++)
        kept += gradient[i] != 0.0f;
    y = (double)kept / N / 0.7;
    for (size_t i = 0; i < N; i++)
        cr_assert(gradient[i] == 0.0f || fabs((double)gradient[i] - 2 * y / 0.7) < 1e-4);
    cr_assert_lt(fabs((double)kept / N - 0.7), 0.025, "%zu of %d are kept", kept, N); /* deviation 0.0046 */
    rd_workspace_free(w);
    rd_model_free(m);
}

/* ---- gradients ---- */

static void backward(const rd_model *m, float *p, rd_workspace *w, size_t B, float *into, float scale, float rate,
                     rd_batch_result *result)
{
    rd_gradient_call call = {
        .parameters = p, .into = into, .scale = scale, .rate = rate, .B = B, .predictions = B, .share = 1};
    rd_model_backward(m, &call, w, result);
}

/* A second, plain implementation in double: the mean loss of a network of dense layers. */
typedef struct plain_network {
    size_t sizes[4]; /* units, input first */
    const char *activation, *loss;
} plain_network;

static double plain_activation(const char *name, double y)
{
    return strcmp(name, "relu") == 0      ? fmax(y, 0)
           : strcmp(name, "tanh") == 0    ? tanh(y)
           : strcmp(name, "sigmoid") == 0 ? 1 / (1 + exp(-y))
                                          : y;
}

static double plain_loss(const plain_network *net, const double *p, const float *x, const int32_t *labels,
                         const float *targets, size_t B)
{
    double total = 0;
    for (size_t b = 0; b < B; b++) {
        double in[8], out[8];
        const double *at = p;
        for (size_t i = 0; i < net->sizes[0]; i++)
            in[i] = x[b * net->sizes[0] + i];
        for (size_t l = 0; l < 3; l++) {
            size_t I = net->sizes[l], O = net->sizes[l + 1];
            for (size_t o = 0; o < O; o++) {
                out[o] = at[O * I + o];
                for (size_t i = 0; i < I; i++)
                    out[o] += at[o * I + i] * in[i];
                out[o] = plain_activation(net->activation, out[o]);
            }
            memcpy(in, out, sizeof in);
            at += O * I + O;
        }
        size_t O = net->sizes[3];
        double sum = 0;
        for (size_t o = 0; o < O; o++)
            sum += targets != NULL ? (out[o] - targets[b * O + o]) * (out[o] - targets[b * O + o]) / O : exp(out[o]);
        total += targets != NULL ? sum : log(sum) - out[labels[b]];
    }
    return total / B;
}

static void check_gradient(const plain_network *net)
{
    enum { B = 5, N = 79 };
    char text[512];
    (void)snprintf(text, sizeof text,
                   "{\"input\": 7, \"loss\": \"%s\", \"layers\": ["
                   "{\"type\": \"dense\", \"units\": 5, \"activation\": \"%s\"},"
                   "{\"type\": \"dense\", \"units\": 4, \"activation\": \"%s\"},"
                   "{\"type\": \"dense\", \"units\": 3, \"activation\": \"%s\"}]}",
                   net->loss, net->activation, net->activation, net->activation);
    rd_model *m = model_from_text(text);
    rd_workspace *w;
    rd_error err;
    rd_batch_result result;
    float p[N], gradient[N];
    double exact[N];
    rd_random random = rd_random_stream(3, RD_PURPOSE_TEST, 0, 0);
    cr_assert_eq(rd_model_parameter_count(m), N);
    cr_assert_eq(rd_workspace_create(m, B, &w, &err), RD_OK);
    for (size_t i = 0; i < N; i++) {
        p[i] = (float)(0.7 * rd_random_normal(&random));
        exact[i] = p[i];
        gradient[i] = NAN; /* scale 0 has to forget it */
    }
    for (size_t i = 0; i < B * 7; i++)
        rd_workspace_x(w)[i] = (float)rd_random_normal(&random);
    for (size_t i = 0; i < B && rd_workspace_labels(w) != NULL; i++)
        rd_workspace_labels(w)[i] = (int32_t)rd_random_below(&random, 3);
    for (size_t i = 0; i < B * 3 && rd_workspace_targets(w) != NULL; i++)
        rd_workspace_targets(w)[i] = (float)rd_random_normal(&random);
    backward(m, p, w, B, gradient, 0, 1, &result);

    const float *x = rd_workspace_x(w), *targets = rd_workspace_targets(w);
    const int32_t *labels = rd_workspace_labels(w);
    cr_assert_float_eq(result.loss_sum / B, plain_loss(net, exact, x, labels, targets, B), 1e-5, "%s %s", net->loss,
                       net->activation);
    double largest = 0;
    for (size_t i = 0; i < N; i++)
        largest = fmax(largest, fabs((double)gradient[i]));
    cr_assert_gt(largest, 1e-3);
    for (size_t i = 0; i < N; i++) {
        const double h = 1e-6; /* the difference's own error is about h^2 + 1e-16 / h = 1e-10 */
        double kept = exact[i];
        exact[i] = kept + h;
        double above = plain_loss(net, exact, x, labels, targets, B);
        exact[i] = kept - h;
        double below = plain_loss(net, exact, x, labels, targets, B);
        exact[i] = kept;
        cr_assert_float_eq(gradient[i], (above - below) / (2 * h), 5e-6 * largest, "%s %s: parameter %zu", net->loss,
                           net->activation, i);
    }
    rd_workspace_free(w);
    rd_model_free(m);
}

Test(gradient, agrees_with_finite_differences)
{
    const char *activations[] = {"none", "relu", "tanh", "sigmoid"};
    const char *losses[] = {"softmax_cross_entropy", "mse"};
    for (size_t a = 0; a < 4; a++)
        for (size_t l = 0; l < 2; l++)
            check_gradient(&(plain_network){{7, 5, 4, 3}, activations[a], losses[l]});
}

Test(gradient, agrees_with_pytorch)
{
    FILE *f = reference_open();
    reference_case c;
    size_t cases = 0;
    for (; reference_next(f, &c); cases++) {
        enum { N = 79 };
        rd_model *m = reference_model(&c);
        rd_workspace *w;
        rd_error err;
        rd_batch_result result;
        float p[N], gradient[N], loss;
        cr_assert_eq(rd_workspace_create(m, REFERENCE_BATCH, &w, &err), RD_OK);
        reference_copy(&c, "parameters", p, N);
        reference_copy(&c, "x", rd_workspace_x(w), REFERENCE_BATCH * REFERENCE_INPUT);
        if (rd_model_loss(m) == RD_LOSS_MSE) {
            reference_copy(&c, "targets", rd_workspace_targets(w), REFERENCE_BATCH * REFERENCE_OUTPUT);
        } else {
            const reference_array *labels = reference_find(&c, "labels");
            for (size_t i = 0; i < REFERENCE_BATCH; i++)
                rd_workspace_labels(w)[i] = (int32_t)labels->values[i];
        }
        const float *y = rd_model_forward(m, p, w, REFERENCE_BATCH, &result);
        reference_expect(&c, "outputs", y, REFERENCE_BATCH * REFERENCE_OUTPUT);
        loss = (float)(result.loss_sum / REFERENCE_BATCH);
        reference_expect(&c, "loss", &loss, 1);
        if (reference_find(&c, "correct") != NULL)
            cr_assert_eq(result.correct, (size_t)reference_find(&c, "correct")->values[0]);
        backward(m, p, w, REFERENCE_BATCH, gradient, 0, 1, NULL);
        reference_expect(&c, "gradient", gradient, N);

        /* Straight into the parameters: p = 0.75 p - 0.5 dL/dp. */
        float stepped[N];
        memcpy(stepped, p, sizeof p);
        backward(m, stepped, w, REFERENCE_BATCH, stepped, 0.75f, -0.5f, NULL);
        for (size_t i = 0; i < N; i++)
            cr_assert_float_eq(stepped[i], 0.75f * p[i] - 0.5f * gradient[i], 1e-6);
        rd_workspace_free(w);
        rd_model_free(m);
        reference_free(&c);
    }
    cr_assert_eq(cases, 4);
    fclose(f);
}

/* ---- loss ---- */

/* A network whose outputs are its biases, whatever the input. */
static rd_batch_result loss_of_logits(const float logits[3], int32_t label)
{
    rd_model *m = model_from_text("{\"preset\": \"softmax-regression\", \"input\": 1, \"classes\": 3}");
    rd_workspace *w;
    rd_error err;
    rd_batch_result result;
    float p[6] = {0, 0, 0, logits[0], logits[1], logits[2]};
    cr_assert_eq(rd_workspace_create(m, 1, &w, &err), RD_OK);
    rd_workspace_x(w)[0] = 1;
    rd_workspace_labels(w)[0] = label;
    (void)rd_model_forward(m, p, w, 1, &result);
    rd_workspace_free(w);
    rd_model_free(m);
    return result;
}

Test(loss, softmax_cross_entropy_has_its_closed_forms)
{
    rd_batch_result even = loss_of_logits((float[]){5, 5, 5}, 1);
    cr_assert_float_eq(even.loss_sum, log(3), 1e-7);
    rd_batch_result right = loss_of_logits((float[]){0, 2, 0}, 1);
    cr_assert_float_eq(right.loss_sum, log(1 + 2 * exp(-2)), 1e-7);
    cr_assert_eq(right.correct, 1);
    rd_batch_result wrong = loss_of_logits((float[]){0, 2, 0}, 2);
    cr_assert_float_eq(wrong.loss_sum, 2 + log(1 + 2 * exp(-2)), 1e-7);
    cr_assert_eq(wrong.correct, 0);
}

Test(loss, softmax_cross_entropy_does_not_overflow)
{
    cr_assert_float_eq(loss_of_logits((float[]){0, 20000, -20000}, 0).loss_sum, 20000, 1e-3);
    cr_assert_float_eq(loss_of_logits((float[]){3e38f, 0, 0}, 0).loss_sum, 0, 1e-7);
    cr_assert(isnan(loss_of_logits((float[]){NAN, 0, 0}, 0).loss_sum));
    cr_assert(!isfinite(loss_of_logits((float[]){INFINITY, 0, 0}, 0).loss_sum));
}

Test(loss, nan_passes_through_every_activation)
{
    const char *activations[] = {"none", "relu", "tanh", "sigmoid"};
    for (size_t i = 0; i < 4; i++) {
        char text[256];
        rd_workspace *w;
        rd_error err;
        float p[4] = {NAN, 0, 1, 0};
        (void)snprintf(text, sizeof text,
                       "{\"input\": 1, \"loss\": \"mse\", \"layers\": [{\"type\": \"dense\", \"units\": 1, "
                       "\"activation\": \"%s\"}, {\"type\": \"dense\", \"units\": 1}]}",
                       activations[i]);
        rd_model *m = model_from_text(text);
        cr_assert_eq(rd_workspace_create(m, 1, &w, &err), RD_OK);
        rd_workspace_x(w)[0] = 1;
        cr_assert(isnan(rd_model_forward(m, p, w, 1, NULL)[0]), "%s", activations[i]);
        rd_workspace_free(w);
        rd_model_free(m);
    }
}
