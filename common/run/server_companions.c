/* server_companions.c: see server_companions.h. */
#include "run/server_companions.h"

#include <stdlib.h>

#include "train/companions.h"

rd_status rd_server_companions_create(rd_server_companions *c, const rd_strategy *s, size_t n, rd_error *err)
{
    size_t vectors = rd_companions_count(s, RD_KEPT_SERVER);
    rd_status status = rd_companions_server_table(s, n, &c->table, err);
    if (status != RD_OK || vectors == 0)
        return status;
    c->values = calloc(vectors * n + 1, sizeof *c->values);
    if (c->values == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for what strategy %s keeps of %zu parameters", s->kind->name, n);
    rd_companions_place(s, RD_KEPT_SERVER, c->values, n, c->vector);
    for (size_t k = 0; k < RD_COMPANIONS_MAX; k++) {
        float start = s->kind->companions[k].start != NULL ? (float)s->kind->companions[k].start(s) : 0.0f;
        for (size_t i = 0; c->vector[k] != NULL && i < n; i++)
            c->vector[k][i] = start;
    }
    return RD_OK;
}

void rd_server_companions_free(rd_server_companions *c)
{
    free(c->values);
    rd_tensor_table_free(&c->table);
}

void rd_server_companions_from(const rd_server_companions *c, size_t first, float *out[RD_COMPANIONS_MAX])
{
    for (size_t i = 0; i < RD_COMPANIONS_MAX; i++)
        out[i] = c->vector[i] != NULL ? c->vector[i] + first : NULL;
}
