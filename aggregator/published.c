/* published.c: see published.h. */
#include "published.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void rd_published_add(rd_published *p, rd_published_model model)
{
    if (model.version == p->models[0].version && model.fingerprint == p->models[0].fingerprint)
        return;
    p->models[1] = p->models[0];
    p->models[0] = model;
}

bool rd_published_find(const rd_published *p, uint64_t version, rd_published_model *out)
{
    for (int i = 0; i < 2; i++)
        if (p->models[i].version == version) {
            *out = p->models[i];
            return true;
        }
    return false;
}

void rd_published_name(const rd_published_model *m, const char *run_id, char name[RD_MODEL_NAME_MAX])
{
    (void)snprintf(name, RD_MODEL_NAME_MAX, "%s-%" PRIu64 "-%016" PRIx64, run_id, m->version, m->fingerprint);
}

bool rd_published_is_named(const char *found, const char *name)
{
    const size_t length = strlen(name), quoted = found[0] == '"';
    return strncmp(found + quoted, name, length) == 0 && strcmp(found + quoted + length, quoted ? "\"" : "") == 0;
}
