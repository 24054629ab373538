/* messages.h: the JSON bodies of the wire (aggregator/PROTOCOL.md), built and parsed in one place for both
 * ends.
 *
 * Builders return a malloc'ed string, or NULL when memory is short. Parsers check types and ranges and name
 * the field. */
#ifndef RONDO_CODEC_MESSAGES_H
#define RONDO_CODEC_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "core/error.h"
#include "data/describe.h"
#include "train/local_round.h"

#define RD_PROTOCOL_VERSION 1
#define RD_RUN_ID_MAX 33 /* 32 hexadecimal digits */

/* POST /v1/join, request: {"protocol": 1, "samples": 600, "software": "rondo-client 1.0.0"}
 */
typedef struct rd_join {
    uint64_t protocol;
    uint64_t samples;  /* rows that the client would train on; >= 1 */
    char software[64]; /* free text, for the record; may be empty */
} rd_join;
/* What is told of the data: "table" where they are one and the schema is not settled yet (table_messages.h), "schema"
 * where they are samples that were made through a settled one. */
typedef struct rd_join_data {
    bool is_table, has_schema;
    rd_description table;
    rd_schema schema;
} rd_join_data;
void rd_join_data_free(rd_join_data *d);
char *rd_join_write(const rd_join *j, const rd_join_data *data);
/* *data is the caller's to free. */
rd_status rd_join_parse(const char *json, size_t size, rd_join *out, rd_join_data *data, rd_error *err) RD_MUST_CHECK;

/* Its response, and that of GET /v1/run: {"protocol": 1, "run": "<id>", "client": "alice", "config": { run.json without
 * "data" but for its schema }, "schema": { as far as it is known }, "settled": true} */
typedef struct rd_welcome {
    char run_id[RD_RUN_ID_MAX];
    char client[128]; /* the name in the certificate, under which the client's random streams are keyed */
    rd_config config; /* owned */
    rd_schema schema; /* owned; of tables */
    bool settled;     /* nothing of it is open */
} rd_welcome;
void rd_welcome_free(rd_welcome *w);
char *rd_welcome_write(const char *run_id, const char *client, const rd_config *config, const rd_schema *schema,
                       bool settled);
rd_status rd_welcome_parse(const char *json, size_t size, rd_welcome *out, rd_error *err) RD_MUST_CHECK;

/* GET /v1/task, response 200: what is to be done, by the name of a step, and in which round. The answer goes to
 * /v1/rounds/{round}/{task}.
 *   {"task": "train", "round": 3, "model": 2}   train from model version 2 and answer with the update
 *     with "kept": K where the model has been pruned: model and update then hold what remains
 *     (model/packing.h); with "counted": N where clients keep something between rounds (train/keep.h)
 *   {"task": "measure-1", "round": 0, "model": 0}   fetch the schema from /v1/run, measure what is open in it and answer
 *     with the sums
 *   {"task": "finished", "round": 10, "model": 10}   the run is over; its last model is version 10 */
#define RD_COUNTED_UNKNOWN UINT64_MAX /* rd_task.counted */
#define RD_TASK_NAME_MAX 24
#define RD_TASK_FINISHED "finished"
typedef struct rd_task {
    char name[RD_TASK_NAME_MAX]; /* of small letters, digits and hyphens */
    uint64_t round;
    uint64_t model;     /* version */
    uint64_t remaining; /* train: parameters of a pruned model that remain; 0: all */
    uint64_t counted;   /* train: the last round in which an update of this client counted, 0: in none */
} rd_task;
char *rd_task_write(const rd_task *t);
rd_status rd_task_parse(const char *json, size_t size, rd_task *out, rd_error *err) RD_MUST_CHECK;
/* Where the answer goes. */
#define RD_TASK_PATH_MAX 64
void rd_task_path(const rd_task *t, char path[RD_TASK_PATH_MAX]);

/* POST /v1/rounds/{round}/train, response 200: {"round": 3, "counted": true}; counted is false for a second
 * delivery. */
char *rd_receipt_write(uint64_t round, int counted);
rd_status rd_receipt_parse(const char *json, size_t size, uint64_t *round, int *counted, rd_error *err) RD_MUST_CHECK;

/* POST /v1/leave of a client that has to pass in a round, and stays: {"reason": "training diverged"} */
typedef struct rd_leave {
    char reason[160]; /* 1 to 159 bytes */
    bool idle; /* it has no samples that are for this round (train/continual.h); default false, and not written */
} rd_leave;
char *rd_leave_write(const rd_leave *leave);
/* An empty body is the reason "left". RD_ERR_FORMAT: no text of that length. */
rd_status rd_leave_parse(const char *json, size_t size, rd_leave *out, rd_error *err) RD_MUST_CHECK;

/* Every 4xx and 5xx: {"error": "range", "message": "tensor 'fc1.bias': element 17 is NaN"} */
char *rd_refusal_write(const char *kind, const char *message);
typedef struct rd_refusal {
    char kind[32];     /* the word of "error"; empty where it cannot be read */
    char message[400]; /* fit for a terminal; a generic one where it cannot be read */
} rd_refusal;
void rd_refusal_parse(const char *json, size_t size, rd_refusal *out);

#endif
