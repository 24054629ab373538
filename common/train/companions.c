/* companions.c: see companions.h. */
#include "train/companions.h"

rd_status rd_companions_wire_table(rd_tensor_table travelling, const rd_strategy *s, unsigned where,
                                   rd_tensor_table *out, rd_error *err)
{
    const char *prefixes[RD_COMPANIONS_MAX];
    size_t count = 0;
    *out = (rd_tensor_table){0};
    for (size_t i = 0; i < RD_COMPANIONS_MAX; i++)
        if ((s->kind->companions[i].where & where) != 0)
            prefixes[count++] = s->kind->companions[i].prefix;
    return count > 0 ? rd_tensor_table_repeat(travelling, prefixes, count, out, err) : RD_OK;
}

rd_status rd_companions_server_table(const rd_strategy *s, size_t n, rd_tensor_table *out, rd_error *err)
{
    const char *names[RD_COMPANIONS_MAX];
    size_t sizes[RD_COMPANIONS_MAX], count = 0;
    *out = (rd_tensor_table){0};
    for (size_t i = 0; i < RD_COMPANIONS_MAX; i++)
        if ((s->kind->companions[i].where & RD_KEPT_SERVER) != 0) {
            names[count] = s->kind->companions[i].file;
            sizes[count++] = n;
        }
    return count > 0 ? rd_tensor_table_of_vectors(names, sizes, count, out, err) : RD_OK;
}
