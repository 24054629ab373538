/* packings.c: see packings.h. */
#include "run/packings.h"

#include <stdlib.h>

rd_status rd_packings_renew(rd_packings *p, const rd_pruning *pruning, const rd_model *m, const float *parameters,
                            rd_error *err)
{
    rd_packing *next, *now = p->current;
    rd_packing **outdated = realloc(p->outdated, (p->outdated_count + 1) * sizeof *outdated);
    if (outdated == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a pruned model");
    p->outdated = outdated;
    rd_status status = rd_packing_create(pruning, m, parameters, &next, err);
    if (status != RD_OK)
        return status;
    if (now != NULL) {
        free(now->index);
        free(now->mask);
        now->index = NULL;
        now->mask = NULL;
        p->outdated[p->outdated_count++] = now;
    }
    p->current = next;
    return RD_OK;
}

void rd_packings_free(rd_packings *p)
{
    rd_packing_free(p->current);
    for (size_t i = 0; i < p->outdated_count; i++)
        rd_packing_free(p->outdated[i]);
    free(p->outdated);
}
