/* keep.h: what clients keep between rounds (train/local_round.h, rd_client_memory): one vector of floats each, in a
 * file with two places for every client. A vector is written with the number of its round to the place that the round
 * before does not need, so a round that is repeated after a crash finds what it found the first time.
 *
 * The file has holes for clients that never took part. Without a path it lies in memory, or, where it could grow beyond
 * a limit, in a nameless file of $TMPDIR or /tmp. Memory: nothing but the system's cache of the file. */
#ifndef RONDO_TRAIN_KEEP_H
#define RONDO_TRAIN_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

typedef struct rd_keep rd_keep;

/* floats > 0 a client. path NULL: see above; memory_limit in bytes. RD_ERR_STATE: the file is of another number of
 * floats. */
rd_status rd_keep_open(const char *path, size_t clients, size_t floats, size_t memory_limit, rd_keep **out,
                       rd_error *err) RD_MUST_CHECK;
void rd_keep_close(rd_keep *k);

/* What the client kept in the last round before this one; *is_new: nothing, and values are left alone. From any
 * thread, for different clients. */
rd_status rd_keep_read(const rd_keep *k, size_t client, uint64_t round, float *values, bool *is_new,
                       rd_error *err) RD_MUST_CHECK;
rd_status rd_keep_write(const rd_keep *k, size_t client, uint64_t round, const float *values,
                        rd_error *err) RD_MUST_CHECK;

#endif
