/* vocabulary.h: the symbols of a text model, in the order of their numbers. A symbol is one Unicode
 * character. */
#ifndef RONDO_MODEL_VOCABULARY_H
#define RONDO_MODEL_VOCABULARY_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

typedef struct rd_vocabulary {
    uint32_t *symbol; /* (count) code points */
    size_t count;
} rd_vocabulary;

/* From a UTF-8 text in which every symbol stands once. RD_ERR_CONFIG: not UTF-8, or a symbol twice; `path`
 * starts the message. */
rd_status rd_vocabulary_create(const char *text, const char *path, rd_vocabulary *out, rd_error *err) RD_MUST_CHECK;
void rd_vocabulary_free(rd_vocabulary *v);

/* The number of a code point, or -1. */
int32_t rd_vocabulary_find(const rd_vocabulary *v, uint32_t code);

#endif
