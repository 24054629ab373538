/* allow.h: the list of clients that may take part, where the operator wants one (serve --allow FILE). Without
 * it, every certificate of the CA is welcome. */
#ifndef RONDO_AGGREGATOR_ALLOW_H
#define RONDO_AGGREGATOR_ALLOW_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"

typedef struct rd_allow {
    char *text;         /* the file, its lines cut apart */
    const char **names; /* (count) sorted */
    size_t count;
} rd_allow;

/* One name a line, with or without double quotes; blanks around it, empty lines and comments (a # at the beginning of
 * a line or behind a blank) are passed over (core/lines.h). A file without names is RD_ERR_CONFIG; err names the line
 * where there is one. */
rd_status rd_allow_load(const char *path, rd_allow *out, rd_error *err) RD_MUST_CHECK;
bool rd_allow_has(const rd_allow *a, const char *name);
void rd_allow_free(rd_allow *a);

#endif
