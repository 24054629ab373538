/* lora.c: taking a low-rank change into the weights that it changes, so that others can use the model without
 * it. */
#include <stdio.h>
#include <string.h>

#include "model/blas.h"
#include "model/plan.h"

static const rd_tensor *find(const rd_model *m, const char *name)
{
    for (size_t i = 0; i < m->tensor_count; i++)
        if (strcmp(m->tensors[i].name, name) == 0)
            return &m->tensors[i];
    return NULL;
}

bool rd_tensor_is_lora(const rd_tensor *t)
{
    return strstr(t->name, "lora_A.weight") != NULL || strstr(t->name, "lora_B.weight") != NULL;
}

/* "fc1.lora_A.weight" changes "fc1.weight", "attn1.in_proj_weight.lora_A.weight" changes
 * "attn1.in_proj_weight". */
static const rd_tensor *changed_by(const rd_model *m, const char *a_name)
{
    char name[RD_TENSOR_NAME_MAX];
    int length = (int)(strstr(a_name, "lora_A.weight") - a_name);
    (void)snprintf(name, sizeof name, "%.*s", length - 1, a_name);
    const rd_tensor *whole = find(m, name);
    (void)snprintf(name, sizeof name, "%.*sweight", length, a_name);
    return whole != NULL ? whole : find(m, name);
}

void rd_model_merge_lora(const rd_model *m, float *parameters)
{
    for (size_t i = 0; i < m->tensor_count; i++) {
        const rd_tensor *a = &m->tensors[i], *b;
        char name[RD_TENSOR_NAME_MAX];
        char *letter = strstr(a->name, "lora_A.weight");
        if (letter == NULL)
            continue;
        (void)snprintf(name, sizeof name, "%s", a->name);
        name[letter - a->name + 5] = 'B';
        b = find(m, name);
        const rd_tensor *w = changed_by(m, a->name);
        int O = (int)w->shape[0], I = (int)w->shape[1], R = (int)a->shape[0];
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, O, I, R, m->lora_scaling, parameters + b->offset, R,
                    parameters + a->offset, I, 1.0f, parameters + w->offset, I);
        memset(parameters + b->offset, 0, b->count * sizeof *parameters);
    }
}
