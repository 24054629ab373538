/* keep.h: what clients keep between rounds (train/local_round.h, rd_client_kept_size): one vector of floats each, in a
 * file with a few places for every client. A vector is written with the number of its round to a place that the rounds
 * before do not need, so a round that is repeated after a crash finds what it found the first time. Each place knows its
 * fingerprint: what a loss of power has left half written is noticed.
 *
 * The file says whose it is: of which run, which client, which strategy. What another run has kept would train other
 * bits and never be missed, so such a file is refused, or set aside (rd_keep_set_aside).
 *
 * The file has holes for clients that never took part. Without a path it lies in memory, or, where it could grow beyond
 * a limit, in a nameless file of $TMPDIR or /tmp. Memory: nothing but the system's cache of the file. */
#ifndef RONDO_TRAIN_KEEP_H
#define RONDO_TRAIN_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define RD_KEEP_NOTE_MAX 640

typedef struct rd_keep rd_keep;

typedef struct rd_keep_options {
    const char *path; /* NULL: see above */
    /* Whose the file is; none longer than 127 bytes. */
    const char *run;    /* the run's identifier */
    const char *client; /* its name; of all simulated clients: "simulated" */
    const char *what;   /* the strategy's name; with ", ditto" behind it */
    size_t clients;
    size_t floats;       /* > 0, of each client */
    unsigned rounds;     /* newest rounds that a client may have to go back to: 1, or more where it may deliver for a
                            round before the one before is certain */
    bool alone;          /* nobody else may have the file open */
    size_t memory_limit; /* bytes, without a path */
} rd_keep_options;

/* RD_ERR_STATE: the file is another's, or of something else, and left alone. */
rd_status rd_keep_open(const rd_keep_options *options, rd_keep **out, rd_error *err) RD_MUST_CHECK;
void rd_keep_close(rd_keep *k);

/* Where the file at options->path was kept by the same client in another run, it is renamed to PATH.RUN, and note says
 * so in a sentence; else note is "". */
rd_status rd_keep_set_aside(const rd_keep_options *options, char note[RD_KEEP_NOTE_MAX], rd_error *err) RD_MUST_CHECK;

typedef enum rd_keep_found {
    RD_KEEP_FOUND,
    RD_KEEP_NOTHING, /* the client has kept nothing yet */
    RD_KEEP_LOST,    /* it has, but not (any more) of the round that is wanted, or it is not what was written */
} rd_keep_found;

#define RD_KEEP_NEWEST UINT64_MAX

/* What the client kept in round `kept`, in which its update last counted (0: in none); RD_KEEP_NEWEST: in the last round
 * before `round`, for those who know that whatever was kept did count. values are written where it is FOUND only. From
 * any thread, for different clients. */
rd_status rd_keep_read(const rd_keep *k, size_t client, uint64_t round, uint64_t kept, float *values,
                       rd_keep_found *found, rd_error *err) RD_MUST_CHECK;
/* Keeps what a round has left; kept as in reading: that place stays, and `rounds` - 1 before it. What was written for a
 * round that then did not count is passed over by the next reading and writing. */
rd_status rd_keep_write(const rd_keep *k, size_t client, uint64_t round, uint64_t kept, const float *values,
                        rd_error *err) RD_MUST_CHECK;
/* What was written until now outlives a loss of power, where the file has a path. */
rd_status rd_keep_sync(const rd_keep *k, rd_error *err) RD_MUST_CHECK;

#endif
