/* server_memory.c: see server_memory.h. */
#include "run/server_memory.h"

#include <stdlib.h>

#include "train/companions.h"

rd_status rd_server_memory_create(rd_server_memory *m, const rd_strategy *s, size_t n, rd_error *err)
{
    size_t vectors = rd_companions_count(s, RD_KEPT_SERVER);
    rd_status status = rd_companions_kept_table(s, n, &m->table, err);
    if (status != RD_OK || vectors == 0)
        return status;
    m->values = calloc(vectors * n + 1, sizeof *m->values);
    if (m->values == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for what strategy %s keeps of %zu parameters", s->kind->name, n);
    rd_companions_place(s, RD_KEPT_SERVER, m->values, n, m->kept);
    for (size_t c = 0; c < RD_COMPANIONS_MAX; c++) {
        float start = s->kind->companions[c].start != NULL ? (float)s->kind->companions[c].start(s) : 0.0f;
        for (size_t i = 0; m->kept[c] != NULL && i < n; i++)
            m->kept[c][i] = start;
    }
    return RD_OK;
}

void rd_server_memory_free(rd_server_memory *m)
{
    free(m->values);
    rd_tensor_table_free(&m->table);
}

void rd_server_memory_from(const rd_server_memory *m, size_t first, float *out[RD_COMPANIONS_MAX])
{
    for (size_t i = 0; i < RD_COMPANIONS_MAX; i++)
        out[i] = m->kept[i] != NULL ? m->kept[i] + first : NULL;
}
