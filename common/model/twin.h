/* twin.h: plans without layers, for vectors that travel or are kept beside the parameters: tables of tensors for the
 * codecs. */
#ifndef RONDO_MODEL_TWIN_H
#define RONDO_MODEL_TWIN_H

#include "model/model.h"

/* What travels of m, and the same tensors again under "prefix" + name: 2 n elements. The caller frees it. */
rd_status rd_twin_plan(const rd_model *m, const char *prefix, rd_model **out, rd_error *err) RD_MUST_CHECK;
/* Vectors with these names and sizes. The caller frees it. */
rd_status rd_vectors_plan(const char *const *names, const size_t *sizes, size_t count, rd_model **out,
                          rd_error *err) RD_MUST_CHECK;

#endif
