/* packing.c: see packing.h. */
#include "model/packing.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "model/plan.h"
#include "model/tensors.h"

enum { BITS = 16 }; /* of a number of the mask: any float holds them exactly */

/* ---- pruning ---- */

double rd_pruning_level(const rd_pruning *p, uint64_t round)
{
    if (p->sparsity == 0.0 || round < p->from)
        return 0;
    double way = round >= p->to ? 1 : ((double)(round - p->from) + 1) / ((double)(p->to - p->from) + 1);
    return p->sparsity * (1 - pow(1 - way, 3));
}

bool rd_pruning_is_due(const rd_pruning *p, uint64_t round)
{
    return p->sparsity > 0.0 && round >= p->from && round <= p->to;
}

bool rd_pruning_has_begun(const rd_pruning *p, uint64_t version)
{
    return p->sparsity > 0.0 && version >= p->from;
}

static bool is_target(const rd_pruning *p, const rd_tensor *t)
{
    for (size_t i = 0; i < p->target_count; i++)
        if (t->role == RD_TENSOR_TRAINED && fnmatch(p->targets[i], t->name, 0) == 0)
            return true;
    return false;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Calls visit for the targets' weights in order; returns how many there are. */
static size_t each_target(const rd_pruning *p, const rd_model *m, float *parameters,
                          void (*visit)(float *weight, size_t number, void *user), void *user)
{
    size_t number = 0;
    const rd_tensor_table table = rd_model_tensors(m, RD_TENSORS_TRAVELLING);
    for (size_t i = 0; i < table.count; i++)
        for (size_t j = 0; j < table.tensors[i].count && is_target(p, &table.tensors[i]); j++, number++)
            if (visit != NULL)
                visit(parameters + table.tensors[i].offset + j, number, user);
    return number;
}

static void note_size(float *weight, size_t number, void *sizes)
{
    ((float *)sizes)[number] = fabsf(*weight);
}

typedef struct cut {
    float below;
    size_t equal; /* so many of those that are just as large go, too */
} cut;

static void cut_weight(float *weight, size_t number, void *user)
{
    cut *c = user;
    (void)number;
    if (fabsf(*weight) < c->below) {
        *weight = 0.0f;
    } else if (fabsf(*weight) == c->below && c->equal > 0) {
        *weight = 0.0f;
        c->equal--;
    }
}

rd_status rd_pruning_apply(const rd_pruning *p, const rd_model *m, uint64_t round, float *parameters, rd_error *err)
{
    size_t all = each_target(p, m, parameters, NULL, NULL), zeros = (size_t)(rd_pruning_level(p, round) * (double)all),
           smaller = 0;
    float *sizes = malloc((all > 0 ? all : 1) * sizeof *sizes);
    if (sizes == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory to prune %zu weights", all);
    (void)each_target(p, m, parameters, note_size, sizes);
    qsort(sizes, all, sizeof *sizes, by_size);
    if (zeros > 0) {
        cut c = {.below = sizes[zeros - 1]};
        while (sizes[smaller] < c.below)
            smaller++;
        c.equal = zeros - smaller;
        (void)each_target(p, m, parameters, cut_weight, &c);
    }
    free(sizes);
    return RD_OK;
}

/* ---- packing ---- */

static const char *const vectors[] = {"kept", "mask"};

rd_status rd_packing_table(size_t remaining, size_t all, rd_tensor_table *out, rd_error *err)
{
    return rd_tensor_table_of_vectors(vectors, (const size_t[]){remaining, (all + BITS - 1) / BITS}, 2, out, err);
}

/* From p->mask, with p->all set. */
static rd_status finish(rd_packing *p, rd_packing **out, rd_error *err)
{
    rd_status status = RD_OK;
    size_t next = 0;
    p->remaining = 0;
    for (size_t i = 0; i < p->all; i++)
        p->remaining += p->mask[i];
    p->index = malloc((p->remaining > 0 ? p->remaining : 1) * sizeof *p->index);
    if (p->index == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for the places of %zu parameters", p->remaining);
    for (size_t i = 0; i < p->all; i++)
        if (p->mask[i] != 0)
            p->index[next++] = (uint32_t)i;
    RD_TRY(rd_tensor_table_of_vectors(vectors, &p->remaining, 1, &p->update, err));
    RD_TRY(rd_packing_table(p->remaining, p->all, &p->download, err));
    *out = p;
    return RD_OK;
cleanup:
    rd_packing_free(p);
    return status;
}

static rd_packing *make(size_t all)
{
    rd_packing *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    p->all = all;
    p->mask = malloc(all > 0 ? all : 1);
    if (p->mask == NULL) {
        free(p);
        return NULL;
    }
    memset(p->mask, 1, all);
    return p;
}

rd_status rd_packing_create(const rd_pruning *pruning, const rd_model *m, const float *parameters, rd_packing **out,
                            rd_error *err)
{
    const rd_tensor_table table = rd_model_tensors(m, RD_TENSORS_TRAVELLING);
    rd_packing *p = make(rd_model_tensors(m, RD_TENSORS_TRAVELLING).elements);
    if (p == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory to pack %zu parameters",
                       rd_model_tensors(m, RD_TENSORS_TRAVELLING).elements);
    for (size_t i = 0; i < table.count; i++)
        for (size_t j = table.tensors[i].offset;
             j < table.tensors[i].offset + table.tensors[i].count && is_target(pruning, &table.tensors[i]); j++)
            p->mask[j] = parameters[j] != 0.0f;
    return finish(p, out, err);
}

void rd_packing_free(rd_packing *p)
{
    if (p == NULL)
        return;
    rd_tensor_table_free(&p->update);
    rd_tensor_table_free(&p->download);
    free(p->index);
    free(p->mask);
    free(p);
}

void rd_packing_pack(const rd_packing *p, float *values)
{
    RD_ASSERT(p->index != NULL); /* it is not outdated */
    for (size_t i = 0; i < p->remaining; i++)
        values[i] = values[p->index[i]];
}

void rd_packing_write(const rd_packing *p, const float *parameters, float *body)
{
    RD_ASSERT(p->index != NULL && p->mask != NULL);
    for (size_t i = 0; i < p->remaining; i++)
        body[i] = parameters[p->index[i]];
    for (size_t j = 0; j < (p->all + BITS - 1) / BITS; j++) {
        unsigned bits = 0;
        for (size_t b = 0; b < BITS && j * BITS + b < p->all; b++)
            bits |= (unsigned)p->mask[j * BITS + b] << b;
        body[p->remaining + j] = (float)bits;
    }
}

rd_status rd_packing_read(const float *body, size_t remaining, size_t all, float *parameters, rd_packing **out,
                          rd_error *err)
{
    rd_packing *p = make(all);
    if (p == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory to unpack %zu parameters", all);
    for (size_t i = 0; i < all; i++) {
        float bits = body[remaining + i / BITS];
        bool fits = bits >= 0.0f && bits < 65536.0f && bits == (float)(unsigned)bits;
        p->mask[i] = fits && ((unsigned)bits >> i % BITS & 1u) != 0;
    }
    rd_status status = finish(p, out, err);
    if (status == RD_OK && p->remaining != remaining) {
        rd_packing_free(p);
        *out = NULL;
        return rd_fail(err, RD_ERR_FORMAT, "tensor 'mask' keeps another number of parameters than the %zu of 'kept'",
                       remaining);
    }
    if (status != RD_OK)
        return status;
    memset(parameters, 0, all * sizeof *parameters);
    for (size_t i = 0; i < remaining; i++)
        parameters[p->index[i]] = body[i];
    return RD_OK;
}
