/* input.h: the bytes of a data file, wherever they are.
 *
 * Readers are written once against rd_input and serve a plain file, a gzipped file and a piece of memory, where
 * the caller sets name, memory and most (tests, fuzzers). `most` bounds how many bytes can still come: a header that announces more is lying, and
 * is told so before anything is allocated for it. */
#ifndef RONDO_DATA_INPUT_H
#define RONDO_DATA_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#include "core/error.h"

typedef struct rd_input {
    const char *name;      /* the path, for messages; not owned */
    gzFile file;           /* NULL: memory is read */
    const uint8_t *memory; /* what is left of it; not owned */
    uint64_t most;         /* at most this many bytes are left */
} rd_input;

/* RD_ERR_DATA: "wine.csv: No such file or directory". path must outlive the input. */
rd_status rd_input_open(rd_input *in, const char *path, rd_error *err) RD_MUST_CHECK;

/* Reads count bytes, or as many as there are; *got says how many. */
rd_status rd_input_read(rd_input *in, void *into, size_t count, size_t *got, rd_error *err) RD_MUST_CHECK;

/* Reads all that is left into *bytes (the caller's to free), with a '\0' behind it that *size leaves out. */
rd_status rd_input_read_all(rd_input *in, char **bytes, size_t *size, rd_error *err) RD_MUST_CHECK;

/* Closing twice, or closing memory, does no harm. */
void rd_input_close(rd_input *in);

#endif
