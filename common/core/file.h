/* file.h: whole files, read and written so that a crash leaves either the old file or the new one. */
#ifndef RONDO_CORE_FILE_H
#define RONDO_CORE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/crypto.h"
#include "core/error.h"

/* Reads the whole file into *bytes (owned by the caller, with one extra '\0' that is not counted in *size).
 * Files larger than max_size are refused with RD_ERR_IO. err names the path. */
rd_status rd_file_read(const char *path, size_t max_size, char **bytes, size_t *size, rd_error *err) RD_MUST_CHECK;

/* SHA-256 of the whole file. */
rd_status rd_file_sha256(const char *path, char hex[RD_SHA256_HEX], rd_error *err) RD_MUST_CHECK;

/* Writes count bytes at the file's current position; retries short writes and EINTR. path is for err. */
rd_status rd_fd_write_all(int fd, const void *bytes, size_t count, const char *path, rd_error *err) RD_MUST_CHECK;
/* The same at an offset; and reading exactly count bytes from an offset (an early end is RD_ERR_IO). */
rd_status rd_fd_pwrite_all(int fd, const void *bytes, size_t count, off_t offset, const char *path,
                           rd_error *err) RD_MUST_CHECK;
rd_status rd_fd_pread_all(int fd, void *bytes, size_t count, off_t offset, const char *path,
                          rd_error *err) RD_MUST_CHECK;

/* Writes path through path.tmp, fsync, rename, so that readers never see half a file. */
rd_status rd_file_write(const char *path, const void *bytes, size_t count, rd_error *err) RD_MUST_CHECK;

/* Makes the directory and its parents where they are missing. */
rd_status rd_make_directory(const char *path, rd_error *err) RD_MUST_CHECK;
/* The same, and where it makes the directory itself, nobody but its owner may look into it. */
rd_status rd_make_private_directory(const char *path, rd_error *err) RD_MUST_CHECK;
/* The name of what was made there outlives a loss of power. */
rd_status rd_file_sync_name(const char *path, rd_error *err) RD_MUST_CHECK;

#endif
