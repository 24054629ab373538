/* Pruning and packing: levels against their formula, which weights go, and back and forth between a vector
 * and what remains of it. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "model/packing.h"

enum { ALL = 5 * 4 + 4 + 4 * 3 + 3, WEIGHTS = 5 * 4 + 4 * 3 };

static rd_model *small_model(void)
{
    rd_error err = {0};
    rd_model *m = NULL;
    cJSON *json = cJSON_Parse("{\"input\": 5, \"loss\": \"mse\", \"layers\": [{\"type\": \"dense\", "
                              "\"units\": 4}, {\"type\": \"dense\", \"units\": 3}]}");
    cr_assert_eq(rd_model_create(json, &m, &err), RD_OK, "%s", err.message);
    cJSON_Delete(json);
    cr_assert_eq(rd_model_parameter_count(m), ALL);
    return m;
}

static const rd_pruning half = {.sparsity = 0.5, .from = 3, .to = 6, .targets = {"*.weight"}, .target_count = 1};

Test(pruning, levels_follow_the_cubic_schedule)
{
    cr_assert_eq(rd_pruning_level(&half, 2), 0);
    cr_assert_float_eq(rd_pruning_level(&half, 3), 0.5 * (1 - 27. / 64), 1e-12);
    cr_assert_float_eq(rd_pruning_level(&half, 4), 0.5 * (1 - 1. / 8), 1e-12);
    cr_assert_eq(rd_pruning_level(&half, 6), 0.5);
    cr_assert_eq(rd_pruning_level(&half, 60), 0.5);
    cr_assert(!rd_pruning_is_due(&half, 2) && rd_pruning_is_due(&half, 3) && rd_pruning_is_due(&half, 6) &&
              !rd_pruning_is_due(&half, 7));
    cr_assert(!rd_pruning_has_begun(&half, 2) && rd_pruning_has_begun(&half, 3));
}

static void fill(float *p)
{
    rd_random random = rd_random_stream(1, RD_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < ALL; i++)
        p[i] = (float)rd_random_normal(&random);
    p[20] = 0; /* a bias that happens to be zero remains */
}

Test(pruning, the_smallest_weights_go_and_biases_stay)
{
    rd_model *m = small_model();
    rd_error err;
    float p[ALL], before[ALL];
    fill(p);
    memcpy(before, p, sizeof p);
    cr_assert_eq(rd_pruning_apply(&half, m, 6, p, &err), RD_OK);
    size_t zeros = 0;
    float largest_gone = 0, smallest_left = INFINITY;
    for (size_t i = 0; i < ALL; i++) {
        bool weight = i < 20 || (i >= 24 && i < 36);
        if (!weight || p[i] != 0.0f)
            cr_assert_eq(p[i], before[i]);
        if (!weight)
            continue;
        zeros += p[i] == 0.0f;
        if (p[i] == 0.0f)
            largest_gone = fmaxf(largest_gone, fabsf(before[i]));
        else
            smallest_left = fminf(smallest_left, fabsf(p[i]));
    }
    cr_assert_eq(zeros, WEIGHTS / 2);
    cr_assert_lt(largest_gone, smallest_left);
    for (size_t i = 0; i < ALL; i++)
        p[i] = 1;
    cr_assert_eq(rd_pruning_apply(&half, m, 6, p, &err), RD_OK);
    for (size_t i = 0; i < 16; i++)
        cr_assert_eq(p[i], 0.0f, "of equal ones the first");
    cr_assert_eq(p[16], 1.0f);
    rd_model_free(m);
}

Test(packing, there_and_back)
{
    rd_model *m = small_model();
    rd_error err;
    rd_packing *p, *q;
    float values[ALL], body[ALL + 3], back[ALL], delta[ALL];
    fill(values);
    cr_assert_eq(rd_pruning_apply(&half, m, 6, values, &err), RD_OK);
    cr_assert_eq(rd_packing_create(&half, m, values, &p, &err), RD_OK);
    cr_assert_eq(p->remaining, ALL - WEIGHTS / 2);
    cr_assert_eq(p->update.elements, p->remaining);
    cr_assert_eq(p->download.elements, p->remaining + 3);
    rd_packing_write(p, values, body);
    cr_assert_eq(rd_packing_read(body, p->remaining, ALL, back, &q, &err), RD_OK);
    cr_assert_eq(memcmp(back, values, sizeof back), 0);
    cr_assert_eq(memcmp(p->index, q->index, p->remaining * sizeof *p->index), 0);
    for (size_t i = 0; i < ALL; i++)
        delta[i] = (float)i;
    rd_packing_pack(p, delta);
    for (size_t i = 0; i < p->remaining; i++)
        cr_assert_eq(delta[i], (float)p->index[i]);
    rd_packing_free(q);

    const float wrong[] = {-1, 0.5f, 65536, NAN};
    for (size_t i = 0; i < 4; i++) {
        float kept = body[p->remaining];
        body[p->remaining] = wrong[i];
        cr_assert_eq(rd_packing_read(body, p->remaining, ALL, back, &q, &err), RD_ERR_FORMAT, "a mask that is none");
        cr_assert_null(q);
        body[p->remaining] = kept;
    }
    rd_packing_free(p);
    rd_model_free(m);
}
