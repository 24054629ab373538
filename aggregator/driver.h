/* driver.h: the round core, driven by the network.
 *
 * Worker threads tell the driver what clients do; the driver's own thread (rd_driver_loop, on main) carries
 * out what the core decides: opens and closes rounds, averages, saves, commits, and wakes the clients that
 * wait. Every function but rd_driver_create, _set_callbacks, _loop and _free may be called from any thread. From
 * rd_driver_create to rd_driver_free signals are noted (core/signals.h): SIGINT and SIGTERM end rd_driver_loop, SIGHUP
 * calls `reload`.
 *
 * When a round closes, its model is published first and committed second: the clients of the next round fetch
 * and train while the digest, the evaluation and the disk are busy. A crash in between repeats the round. */
#ifndef RONDO_AGGREGATOR_DRIVER_H
#define RONDO_AGGREGATOR_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/messages.h"
#include "core/error.h"
#include "log.h"
#include "published.h"
#include "round/round.h"
#include "run/run.h"
#include "run/stopping.h"
#include "sessions.h"
#include "settling.h"

typedef struct rd_driver rd_driver;

typedef struct rd_driver_callbacks {
    void (*wake)(void *user);                                             /* waiting clients should ask again */
    void (*traffic)(void *user, uint64_t *bytes_in, uint64_t *bytes_out); /* of bodies, so far */
    void (*closed)(void *user); /* a round has closed, and is not delivered to any more; on the driver's thread */
    void (*reload)(void *user); /* SIGHUP: read again what can be; on the driver's thread */
    void (*tick)(void *user);   /* once a second, on the driver's thread */
    void *user;
} rd_driver_callbacks;

/* Rounds begin when settling is done and enough clients are there. All stay the caller's. */
rd_status rd_driver_create(rd_run *run, rd_settling *settling, rd_log *log, rd_driver **out,
                           rd_error *err) RD_MUST_CHECK;
/* Where the events go; before rd_driver_loop. */
void rd_driver_set_callbacks(rd_driver *d, const rd_driver_callbacks *callbacks);
/* Runs until the run is finished (and its clients have been told, or linger_seconds are over), SIGINT or
 * SIGTERM arrives (the round in progress is abandoned, *interrupted is set), or the state cannot be written. */
rd_status rd_driver_loop(rd_driver *d, double linger_seconds, bool *interrupted, rd_error *err) RD_MUST_CHECK;
void rd_driver_free(rd_driver *d);

/* Client number for a name that has joined, else SIZE_MAX. Counts as a sign of life, unless it comes from a session
 * that was replaced (sessions.h): RD_ERR_REFUSED. */
rd_status rd_driver_client(rd_driver *d, const char *name, const rd_caller *caller, size_t *client,
                           rd_error *err) RD_MUST_CHECK;
/* RD_ERR_REFUSED: another session of this client is in the run. data: what the client told of them, taken over;
 * RD_ERR_DATA: it cannot take part with these. */
rd_status rd_driver_join(rd_driver *d, const char *name, const rd_caller *caller, const rd_join *join,
                         rd_join_data *data, rd_error *err) RD_MUST_CHECK;
/* A connection with a caller's tag is closed. */
void rd_driver_disconnected(rd_driver *d, uint64_t tag);
/* How many clients have joined and have a connection open. */
size_t rd_driver_present(rd_driver *d);
/* The answer to a join. free() */
char *rd_driver_welcome(rd_driver *d, const char *name);
/* What a client has measured (settling.h). */
rd_status rd_driver_measured(rd_driver *d, const char *name, uint64_t step, const char *json, size_t size,
                             rd_error *err) RD_MUST_CHECK;
/* No round waits for this client until it asks again. Its participation is recorded with the reason. That it is idle is
 * believed where tasks come one after another ("continual"): elsewhere all samples are for every round. */
void rd_driver_leave(rd_driver *d, size_t client, const rd_leave *leave);
/* Is there something to do for this client? Fills in task. */
bool rd_driver_task(rd_driver *d, size_t client, rd_task *task);

/* May an upload begin? */
rd_verdict rd_driver_may_deliver(rd_driver *d, size_t client, uint64_t round, const rd_step *step);
/* Was it trained from the model that it had to be? model: how the client names that one, NULL: not at all
 * (RD_ERR_FORMAT). RD_ERR_STATE: it is another one. */
rd_status rd_driver_check_model(rd_driver *d, size_t client, const char *model, rd_error *err) RD_MUST_CHECK;
/* Of one client one update is under way: what it lays down is bounded so. False: there is one. Its end is told once. */
bool rd_driver_begin_upload(rd_driver *d, size_t client);
/* So many bytes more of such an update are here. */
void rd_driver_moved(rd_driver *d, size_t bytes);
void rd_driver_end_upload(rd_driver *d, size_t client);
/* Grows when a round closes: then it is to be asked again whether an upload may go on. From any thread, at no cost. */
uint64_t rd_driver_closings(const rd_driver *d);
/* Grows with each record of a round that is written. From any thread, at no cost. */
uint64_t rd_driver_commits(const rd_driver *d);
/* Is what the client tells of its training possible? (run/claims.h) */
rd_status rd_driver_check_report(rd_driver *d, size_t client, const rd_report *report, rd_error *err) RD_MUST_CHECK;
/* An answer that is complete and valid. */
typedef struct rd_delivery {
    size_t client;
    uint64_t round;
    const rd_step *step;
    uint64_t bytes; /* of the body */
    /* What is to happen between the core's yes and its knowing of the answer, with the driver's lock held; of an update its
     * weight is reserved. key: the client's; staleness: rounds since the model that it was given was the newest; part: the record
     * of it, in which the answer's own is to be filled in. Where it fails, the answer is not taken. */
    rd_status (*admit)(void *user, uint64_t key, uint64_t staleness, rd_participation_record *part, rd_error *err);
    void *user;
} rd_delivery;
/* On ACCEPT it has been admitted, and the caller must take it in and then call rd_driver_delivered, or rd_driver_unfit
 * where it turned out to be of no use. */
rd_status rd_driver_deliver(rd_driver *d, const rd_delivery *delivery, rd_verdict *verdict,
                            rd_error *err) RD_MUST_CHECK;
/* weight: of the update in the sum. */
void rd_driver_delivered(rd_driver *d, size_t client, uint32_t weight);
void rd_driver_unfit(rd_driver *d, size_t client, const char *reason);
/* The update was refused for what is in it. */
void rd_driver_refused(rd_driver *d, size_t client, uint64_t round, const char *reason);
/* The sum or the state is no longer to be trusted: ends rd_driver_loop with this error. */
void rd_driver_fatal(rd_driver *d, const rd_error *err);
/* An entry for the account of the run (account.h says how many). */
void rd_driver_account(rd_driver *d, const char *event, const char *client, const char *why);
/* A line for the log. */
void rd_driver_log(rd_driver *d, rd_log_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));

rd_run *rd_driver_run(rd_driver *d);

/* What the model of that version is called (published.h); of versions older than the last two "RUN-VERSION". */
void rd_driver_model_name(rd_driver *d, uint64_t version, char name[RD_MODEL_NAME_MAX]);

#endif
