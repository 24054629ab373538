/* published.h: the models that clients may train from: the newest, and the one before it. Not thread-safe. */
#ifndef RONDO_AGGREGATOR_PUBLISHED_H
#define RONDO_AGGREGATOR_PUBLISHED_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/messages.h"

typedef struct rd_published_model {
    uint64_t version, fingerprint; /* rd_run_model_version, rd_run_model_fingerprint */
} rd_published_model;

typedef struct rd_published {
    rd_published_model models[2]; /* the newest first */
} rd_published;

/* Another newest one; nothing where it is the same, as after a round that was abandoned. */
void rd_published_add(rd_published *p, rd_published_model model);
/* False: the version is of neither. */
bool rd_published_find(const rd_published *p, uint64_t version, rd_published_model *out);

/* "RUN-VERSION-FINGERPRINT", which names the parameters and not only their number: after a crash a round may be repeated
 * with other clients, and make another model of the same version. */
#define RD_MODEL_NAME_MAX (RD_RUN_ID_MAX + 40)
void rd_published_name(const rd_published_model *m, const char *run_id, char name[RD_MODEL_NAME_MAX]);
/* Is this that name, in quotes or without? */
bool rd_published_is_named(const char *found, const char *name);

#endif
