/* Batch normalisation of a batch that has no variance: one row of features. By hand, from the formulas. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "mlp_reference.h"

enum { D = 2, MOST = 16 };

static float *find(const rd_model *m, float *vector, const char *name)
{
    const rd_tensor_table table = rd_model_tensors(m, RD_TENSORS_ALL);
    for (size_t i = 0; i < table.count; i++)
        if (strcmp(table.tensors[i].name, name) == 0)
            return vector + table.tensors[i].offset;
    cr_assert_fail("no tensor %s", name);
    return NULL;
}

static void put(const rd_model *m, float *vector, const char *name, float a, float b)
{
    float *values = find(m, vector, name);
    values[0] = a;
    values[1] = b;
}

/* y = w (x - running_mean) / sqrt(running_var + epsilon) + b goes into a dense unit with weights v; the loss is
 * (v y - t)^2. Nothing is learnt of the row's own mean, and no statistic moves. */
Test(batch_norm, one_row_goes_by_what_has_been_learnt)
{
    rd_model *m = model_from_text("{\"input\": 2, \"loss\": \"mse\", \"layers\": [{\"type\": \"batch_norm\"}, "
                                  "{\"type\": \"dense\", \"units\": 1, \"bias\": false}]}");
    float parameters[MOST] = {0}, before[MOST], gradient[MOST] = {0};
    const double x[D] = {3, 4}, mean[D] = {1, -2}, variance[D] = {4, 9}, w[D] = {2, 0.5}, b[D] = {0.1, -0.3},
                 v[D] = {1.5, -1}, target = 0.5;
    double normal[D], out = 0;
    rd_workspace *space;
    rd_batch_result result;
    rd_error err;
    cr_assert_leq(rd_model_parameter_count(m), MOST);
    put(m, parameters, "bn1.weight", 2, 0.5f);
    put(m, parameters, "bn1.bias", 0.1f, -0.3f);
    put(m, parameters, "bn1.running_mean", 1, -2);
    put(m, parameters, "bn1.running_var", 4, 9);
    put(m, parameters, "fc1.weight", 1.5f, -1);
    for (int i = 0; i < D; i++) {
        normal[i] = (x[i] - mean[i]) / sqrt(variance[i] + 1e-5);
        out += v[i] * (w[i] * normal[i] + b[i]);
    }
    cr_assert_eq(rd_workspace_create(m, 2, &space, &err), RD_OK);
    rd_workspace_x(space)[0] = 3;
    rd_workspace_x(space)[1] = 4;
    rd_workspace_targets(space)[0] = 0.5f;
    memcpy(before, parameters, sizeof before);
    rd_gradient_call call = {
        .parameters = parameters, .into = gradient, .rate = 1, .B = 1, .predictions = 1, .share = 1};
    rd_model_backward(m, &call, space, &result);
    cr_expect_float_eq(result.loss_sum, (out - target) * (out - target), 1e-5);
    cr_expect_arr_eq(parameters, before, sizeof before, "no statistic moves");
    for (int i = 0; i < D; i++) {
        cr_expect_float_eq(find(m, gradient, "bn1.weight")[i], 2 * (out - target) * v[i] * normal[i], 1e-5);
        cr_expect_float_eq(find(m, gradient, "bn1.bias")[i], 2 * (out - target) * v[i], 1e-5);
    }
    /* Two rows have a variance: running_var moves to a tenth of it, which is 8 with n - 1. */
    rd_workspace_x(space)[0] = 1;
    rd_workspace_x(space)[1] = 0;
    rd_workspace_x(space)[2] = 5;
    rd_workspace_x(space)[3] = 0;
    call.B = call.predictions = 2;
    rd_model_backward(m, &call, space, &result);
    cr_expect_float_eq(find(m, parameters, "bn1.running_mean")[0], 1 + 0.1 * (3 - 1), 1e-6);
    cr_expect_float_eq(find(m, parameters, "bn1.running_var")[0], 4 + 0.1 * (8 - 4), 1e-6);
    cr_expect_eq(rd_model_least_rows(m), 2);
    rd_workspace_free(space);
    rd_model_free(m);
}
