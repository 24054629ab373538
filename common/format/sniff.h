/* sniff.h: what a file is, by its first bytes.
 *
 * A name says what a file was meant to be; its first bytes say what it is: a spreadsheet called .csv, a pointer
 * that Git left where the file should be, the page that a server sent in its place. Readers ask here before they
 * complain of bytes that nobody would recognise. */
#ifndef RONDO_FORMAT_SNIFF_H
#define RONDO_FORMAT_SNIFF_H

#include <stdbool.h>
#include <stddef.h>

#define RD_SNIFF_BYTES 512 /* as many are looked at, at most */

typedef enum rd_sniff_kind {
    RD_SNIFF_UNKNOWN, /* bytes that say nothing */
    RD_SNIFF_EMPTY,
    /* What Rondo reads. */
    RD_SNIFF_TEXT, /* in UTF-8 or ASCII: a table or a text */
    RD_SNIFF_JSON,
    RD_SNIFF_IDX,
    RD_SNIFF_SAFETENSORS,
    RD_SNIFF_GZIP, /* rd_input looks inside */
    /* What it does not. */
    RD_SNIFF_FOREIGN, /* the first of them */
    RD_SNIFF_UTF16 = RD_SNIFF_FOREIGN,
    RD_SNIFF_EXCEL,
    RD_SNIFF_OPENDOCUMENT,
    RD_SNIFF_NPZ,
    RD_SNIFF_PYTORCH,
    RD_SNIFF_ZIP,
    RD_SNIFF_PARQUET,
    RD_SNIFF_ARROW,
    RD_SNIFF_NUMPY,
    RD_SNIFF_PICKLE,
    RD_SNIFF_HDF5,
    RD_SNIFF_MATLAB,
    RD_SNIFF_SHARDS, /* model.safetensors.index.json */
    RD_SNIFF_GIT_LFS,
    RD_SNIFF_HTML,
    RD_SNIFF_ARFF,
    RD_SNIFF_SQLITE,
    RD_SNIFF_PDF,
    RD_SNIFF_IMAGE,
    RD_SNIFF_COMPRESSED, /* bzip2, xz, zstd, 7z */
    RD_SNIFF_TAR,
    RD_SNIFF_KINDS
} rd_sniff_kind;

/* From the first `count` bytes of a file; more than RD_SNIFF_BYTES are not looked at. */
rd_sniff_kind rd_sniff(const void *bytes, size_t count);

/* What stands behind "data.npy: " in a message: what it is and, where Rondo does not read it, what to do: "is a NumPy
 * array; write it as safetensors with x and y (see the README, \"Data files\")". */
const char *rd_sniff_describe(rd_sniff_kind kind);

/* Whether no reader of Rondo takes it, whatever its name. */
bool rd_sniff_is_foreign(rd_sniff_kind kind);

#endif
