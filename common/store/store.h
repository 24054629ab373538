/* store.h: the state directory of a run, the same for a deployment and a simulation.
 *
 *   DIR/rondo.db                    SQLite (WAL): run, changes, inputs, clients, rounds, participation, audit
 *   DIR/updates/NNNNNN/             the updates of round NNNNNN, where they are kept
 *   DIR/models/NNNNNN.safetensors   the global model after round NNNNNN; 000000 is the initial one
 *
 * A round is one transaction, made after its model file is in place: whatever happens, the directory
 * holds a run whose last committed round has its model. One process writes; any number read meanwhile. A
 * handle belongs to one thread at a time; NaN is stored as NULL. The tables explain themselves:
 * `sqlite3 DIR/rondo.db .schema`. */
#ifndef RONDO_STORE_STORE_H
#define RONDO_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/messages.h"
#include "core/crypto.h"
#include "core/error.h"
#include "round/round.h"
#include "train/local_round.h"

typedef struct rd_store rd_store;

/* How the participants of a round differ, each counting the same; NaN: not measured. */
typedef struct rd_spread {
    double mean, deviation; /* the deviation over n */
    double worst;           /* mean of the ceil(n / 10) largest */
} rd_spread;

/* SHA-256 of the files that a round has made; "": it made none of this kind. */
typedef struct rd_file_digests {
    char model_header[RD_SHA256_HEX]; /* of the model file without the parameters, whose digest is model_sha256 */
    char packed[RD_SHA256_HEX], server[RD_SHA256_HEX];
    char frozen[RD_SHA256_HEX]; /* round 0 only */
} rd_file_digests;

/* One row of the table "rounds". Round 0 is the initial model, before any training. */
typedef struct rd_round_record {
    uint64_t round;
    bool aggregated;     /* false: abandoned, the model is that of the round before */
    char abandoned[400]; /* why, where it was not for too few updates; else "" */
    rd_metrics test;     /* new global model on the aggregator's test set */
    rd_scores scores;    /* of the same; evaluation.metrics */
    rd_metrics train;    /* participants' training rows, model before the round, weighted by samples */
    rd_metrics holdout;  /* participants' hold-out rows, model before the round, weighted by samples */
    double gap;          /* overfitting: of the model before the round, loss on the hold-out rows, or else on the test
                   set, minus loss on the training rows; NaN: not both measured */
    double running_loss; /* participants' loss while training, weighted by samples; NaN: nobody reported it */
    uint64_t selected, counted, late, failed; /* clients */
    uint64_t samples;                         /* of the counted clients */
    uint64_t weight_limit;                    /* that one client's samples counted at most; 0: as many as they were */
    uint64_t left_out;                        /* clients that were there, but had missed rounds (cohort.max_backoff) */
    uint64_t early;                           /* such clients that were asked, as too few others were there; not stored */
    double update_norm;                       /* Euclidean norm of (new model - old model) */
    uint64_t bytes_in, bytes_out;             /* over the network, bodies only; 0 in simulation */
    rd_spread spread;                         /* of the participants' loss */
    rd_metrics personal;                      /* participants' own models on their hold-out rows, weighted by samples */
    double clock;                     /* simulated seconds since the beginning of the run; NaN: no simulated time */
    double attack_success;            /* of a simulated backdoor: share of triggered test samples; NaN: none */
    double seconds;                   /* from publication to the new model */
    double finished_at;               /* Unix time */
    char model_sha256[RD_SHA256_HEX]; /* of the parameters as little-endian float32, i.e. of the data part of
                                         the model file */
    rd_file_digests files;            /* taken of the files when it is committed */
    char row_sha256[RD_SHA256_HEX];   /* of all of that, as it was read */
    uint64_t clients;                 /* of the whole run when it closed; in the account alone */
} rd_round_record;

/* One row of the table "participation". */
typedef struct rd_participation_record {
    uint64_t round;
    char client[128];
    rd_participation status;
    char reason[160]; /* why it failed; else empty */
    rd_report report; /* zero where nothing was delivered */
    uint64_t bytes_in;
    double seconds; /* from publication to delivery */
    float largest;  /* magnitude in its update; not stored */
    uint32_t weight;                   /* of its update in the sum */
    uint32_t missed;                   /* rounds in a row, up to this one, that it was late in or failed; at most 255 */
    char update_sha256[RD_SHA256_HEX]; /* of its update as it came; empty: not computed */
} rd_participation_record;

/* One row of the table "clients", with its counts over all rounds. */
typedef struct rd_client_record {
    char client[128];
    uint64_t samples;
    char software[64];
    double joined_at, seen_at;                /* Unix time */
    uint64_t selected, counted, late, failed; /* rounds */
} rd_client_record;

typedef struct rd_run_record {
    char run_id[RD_RUN_ID_MAX];
    char name[RD_RUN_NAME_MAX];
    uint64_t rounds_planned, rounds_done;
    bool finished;
    double created_at;
    char *config_json;  /* the part of run.json that clients get, as committed; freed by rd_run_record_free */
    char *setting_json; /* rd_config.setting and "clients" of a simulation; of a deployment "{}"; freed alike */
} rd_run_record;

#define RD_CHANGE_KEY_MAX 256
#define RD_CHANGE_VALUE_MAX 192
#define RD_DIGEST_MAX 80

/* One row of the table "changes": what is different since a run began. */
typedef struct rd_change_record {
    uint64_t round;                   /* the last one that was committed before it */
    char key[RD_CHANGE_KEY_MAX];      /* of run.json: "cohort.min_clients", "data.test" */
    char before[RD_CHANGE_VALUE_MAX]; /* as JSON; "nothing" */
    char after[RD_CHANGE_VALUE_MAX];
    double changed_at; /* Unix time */
} rd_change_record;

/* Opens for writing. Creates the directory and the run where there is none (*resumed = false). Where there is
 * one, run.json must come to the same in everything that decides the result, or RD_ERR_STATE names the first
 * key that differs. Where files of the last round are not what it committed, the run goes on from the last round
 * of which all is whole, and that is recorded as a change. RD_ERR_FORMAT: no round that is retained is whole, or the
 * database is damaged, or is missing beside models. "rounds" may grow, unless the learning rate falls along a cosine to the last of them;
 * compare.c lists the other keys that may change. A second writer is refused with RD_ERR_STATE.
 * clients: of a simulation, whose number is stored and compared with what it is of; 0: real ones come and go. */
rd_status rd_store_open(const char *directory, const rd_config *config, size_t clients, rd_store **out, bool *resumed,
                        rd_error *err) RD_MUST_CHECK;
/* Opens for reading; fails with RD_ERR_IO where there is no run. */
rd_status rd_store_open_reader(const char *directory, rd_store **out, rd_error *err) RD_MUST_CHECK;
void rd_store_close(rd_store *s);

const char *rd_store_run_id(const rd_store *s);

/* Path of the model file of a round. */
void rd_store_model_path(const rd_store *s, uint64_t round, char *path, size_t size);
/* Path of what clients fetch in its place where the model has been pruned, or something travels with it. */
void rd_store_packed_path(const rd_store *s, uint64_t round, char *path, size_t size);
/* Path of what the server keeps after this round beside the model (run/aggregate.h, rd_aggregate_companions). */
void rd_store_server_path(const rd_store *s, uint64_t round, char *path, size_t size);
/* Path of the file with what is frozen of the model; there is none where nothing is. */
void rd_store_frozen_path(const rd_store *s, char *path, size_t size);

/* Where the update of a client for a round is kept (updates/NNNNNN/KEY.safetensors: names may be anything), and the
 * folder of the round. From any thread. */
void rd_store_update_path(const rd_store *s, uint64_t round, const char *client, char *path, size_t size);
rd_status rd_store_make_update_folder(const rd_store *s, uint64_t round, rd_error *err) RD_MUST_CHECK;

typedef struct rd_backup_report {
    uint64_t round, version; /* the last round that is in the copy, and the round that made its model */
    uint64_t bytes;
} rd_backup_report;

/* Copies a state directory to a new or empty one, while its run may be going on: the copy is the run as it was
 * after one of its rounds, and can be continued. Where it fails there is no copy. */
rd_status rd_store_backup(const char *directory, const char *to, rd_backup_report *report, rd_error *err) RD_MUST_CHECK;

/* Who hears of what is wrong, a sentence for each. */
typedef struct rd_check_listener {
    void (*wrong)(void *user, const char *text);
    void *user;
} rd_check_listener;

typedef struct rd_check_report {
    uint64_t rounds, models; /* that were looked at */
    uint64_t wrong;          /* that the listener has heard of */
    uint64_t entries;        /* of the account ... */
    char last[RD_SHA256_HEX]; /* ... and the SHA-256 of the last one that is whole */
} rd_check_report;

/* Compares all that is retained with what was committed. expected: a SHA-256 that an entry of the account must have,
 * because somebody has noted it; NULL: nobody has. An error where it cannot be read. */
rd_status rd_store_check(const char *directory, const char *expected, const rd_check_listener *listener,
                         rd_check_report *report, rd_error *err) RD_MUST_CHECK;

/* ---- writing ---- */

/* A client has joined, perhaps again. Does not wait for the disk (a client that is forgotten in a power loss
 * joins again). */
rd_status rd_store_client(rd_store *s, const char *client, const rd_join *join, double now,
                          rd_error *err) RD_MUST_CHECK;
/* Commits a round with its participants in one transaction. The caller has written the model file where the
 * round made one. When this returns, the round outlives the process; at most a second later, or at
 * rd_store_finish and rd_store_close, it outlives a power loss, too (store.c says how). Model files that are
 * not needed any more are then deleted: retained are the newest two, those of rounds that are multiples of
 * keep_every (0: none), and the one of rd_store_pin. An abandoned round has no model file of its own and does
 * not push an older one out. On failure nothing has changed, and the call may be repeated; RD_ERR_STATE: the
 * round is there already. Participants that never joined are entered as clients. */
rd_status rd_store_commit_round(rd_store *s, const rd_round_record *round, const rd_participation_record *parts,
                                size_t part_count, uint64_t keep_every, rd_error *err) RD_MUST_CHECK;
/* Each commit waits for the disk: where something that is not the store's, and does not reach back, goes with the rounds
 * (what simulated clients keep). */
void rd_store_wait_always(rd_store *s);
/* The model file of this round stays, whatever comes after it, until another one is pinned. To be told again
 * after opening. */
void rd_store_pin(rd_store *s, uint64_t round);
/* What the columns and classes of tables mean (data/schema.h), as JSON. */
rd_status rd_store_set_data_schema(rd_store *s, const char *json, rd_error *err) RD_MUST_CHECK;
/* No more rounds will come. A round committed after it, or a resume that adds rounds or changes
 * evaluation.target_accuracy or early_stopping.patience, takes it back. */
rd_status rd_store_finish(rd_store *s, rd_error *err) RD_MUST_CHECK;

/* Writes an entry into the account (audit.c) of what has no row of its own: {"event": event, "client": client, "why":
 * why}; client NULL: of nobody; why NULL or "": nothing to say. May be repeated when it failed. Whoever calls sees to
 * it that no stranger can make entries without end. */
rd_status rd_store_note(rd_store *s, const char *event, const char *client, const char *why,
                        rd_error *err) RD_MUST_CHECK;

/* Something that the server reads beside run.json. */
typedef struct rd_store_input {
    const char *name;   /* "data.test" */
    const char *path;   /* NULL: there is none */
    uint64_t rows;      /* 0: of parameters */
    const char *digest; /* of what was read: "SHA-256 5f70bf...", "CRC-32 41bf7443" */
    bool decides;       /* what a round computes: RD_ERR_STATE where the run began with another one */
} rd_store_input;
/* The run uses it from now on. Where it is not what the run used before, this is recorded as a change. */
rd_status rd_store_use(rd_store *s, const rd_store_input *in, rd_error *err) RD_MUST_CHECK;

/* ---- reading ---- */

/* Each walk visits rows in order until visit returns false. visit must not start the same walk again. */
rd_status rd_store_run(rd_store *s, rd_run_record *out, rd_error *err) RD_MUST_CHECK;
void rd_run_record_free(rd_run_record *r);
/* Calls visit for each row with round >= from, in order, until it returns false. */
rd_status rd_store_rounds(rd_store *s, uint64_t from, bool (*visit)(const rd_round_record *, void *), void *user,
                          rd_error *err) RD_MUST_CHECK;
/* *json is the caller's to free; NULL: it has not been settled. */
rd_status rd_store_data_schema(rd_store *s, char **json, rd_error *err) RD_MUST_CHECK;
/* In the order in which they came. */
rd_status rd_store_clients(rd_store *s, bool (*visit)(const rd_client_record *, void *), void *user,
                           rd_error *err) RD_MUST_CHECK;
rd_status rd_store_participations(rd_store *s, uint64_t round, bool (*visit)(const rd_participation_record *, void *),
                                  void *user, rd_error *err) RD_MUST_CHECK;
/* In the order in which they came: to a reader all of them, to the writer those that came with its opening. */
rd_status rd_store_changes(rd_store *s, bool (*visit)(const rd_change_record *, void *), void *user,
                           rd_error *err) RD_MUST_CHECK;
/* One entry of the account; valid while it is visited. */
typedef struct rd_account_line {
    uint64_t number;
    const char *entry;  /* JSON */
    const char *sha256; /* of the one before it, and of the entry */
} rd_account_line;
/* From that number on, in order. */
rd_status rd_store_account(rd_store *s, uint64_t from, bool (*visit)(const rd_account_line *, void *), void *user,
                           rd_error *err) RD_MUST_CHECK;
/* A round of a client, and how many it had missed in a row by then. */
typedef bool rd_store_see_client(const char *client, uint64_t round, uint64_t missed, void *user);
/* The clients whose updates counted, each with the last round in which one did. *all: visit never returned false. */
rd_status rd_store_last_counted(rd_store *s, rd_store_see_client *visit, void *user, bool *all,
                                rd_error *err) RD_MUST_CHECK;
/* The clients that missed the last round that they were asked in, each with that round. *all: as above. */
rd_status rd_store_missed(rd_store *s, rd_store_see_client *visit, void *user, bool *all, rd_error *err) RD_MUST_CHECK;
/* Rounds whose models are in the directory without being in the database, beyond the one that is being committed:
 * power was lost, or the directory was copied without rondo.db-wal. 0: none. */
uint64_t rd_store_missing_rounds(rd_store *s);
/* The round that made the newest model. */
rd_status rd_store_last_model(rd_store *s, uint64_t *round, bool *found, rd_error *err) RD_MUST_CHECK;
/* The same, and its file is there: RD_ERR_STATE where it is not, as in a copy of the directory that was made file by
 * file while the run went on. */
rd_status rd_store_newest_model(rd_store *s, uint64_t *round, rd_error *err) RD_MUST_CHECK;
/* *round = the last committed one. *found = false: none, not even round 0. */
rd_status rd_store_last_round(rd_store *s, uint64_t *round, bool *found, rd_error *err) RD_MUST_CHECK;

#endif
