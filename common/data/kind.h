/* kind.h: what a data file is, by its first bytes (format/sniff.h), plain or gzipped. */
#ifndef RONDO_DATA_KIND_H
#define RONDO_DATA_KIND_H

#include "core/error.h"
#include "data/source.h"

/* The format of a file whose name does not say it. A file that cannot be read now is taken for a table, whose reader
 * says why. RD_ERR_DATA: it is something that no reader takes, and is named: "data.npy: is a NumPy array (.npy); write
 * it as ...". */
rd_status rd_kind_format(const char *path, rd_source_format *out, rd_error *err) RD_MUST_CHECK;

/* Refuses a file that is plainly something else than its reader expects, and names it: "data.csv: is a Git LFS pointer,
 * not the file itself; ...". A file that cannot be read now is left to its reader. */
rd_status rd_kind_check(const char *path, rd_source_format format, rd_error *err) RD_MUST_CHECK;

#endif
