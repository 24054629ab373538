/* packings.c: see packings.h. */
#include "run/packings.h"

#include <stdlib.h>

#include "core/grow.h"

rd_status rd_packings_renew(rd_packings *p, const rd_pruning *pruning, const rd_model *m, const float *parameters,
                            rd_error *err)
{
    rd_packing *next, *now = p->current;
    rd_status status = RD_OK;
    RD_TRY(
        rd_grow(&p->outdated, &p->outdated_capacity, p->outdated_count + 1, sizeof *p->outdated, "pruned models", err));
    RD_TRY(rd_packing_create(pruning, m, parameters, &next, err));
    if (now != NULL) {
        free(now->index);
        free(now->mask);
        now->index = NULL;
        now->mask = NULL;
        p->outdated[p->outdated_count++] = now;
    }
    p->current = next;
cleanup:
    return status;
}

void rd_packings_free(rd_packings *p)
{
    rd_packing_free(p->current);
    for (size_t i = 0; i < p->outdated_count; i++)
        rd_packing_free(p->outdated[i]);
    free(p->outdated);
}
