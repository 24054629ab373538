/* internal.h: what the files of the store share. Nothing here is for other modules.
 *
 *     backup.c, check.c    copies a directory; says whether it is whole
 *     audit_check.c        whether the account is
 *     writer.c, reader.c   open one
 *     compare.c            what of run.json has become different, and may
 *     changes.c            all that has, and what the server reads beside it
 *     write.c, read.c      rows; data_schema.c, record_json.c
 *     recover.c            what of a directory is whole, and going back to it
 *     audit.c              the account
 *     store.c              what is open, until it is closed
 *     files.c              the digests of a round's files, and of its row
 *     model_files.c        the folder of models; update_files.c: that of updates
 *     database.c           talking to SQLite; schema.c: tables and statements
 *
 * Each calls only those below it. */
#ifndef RONDO_STORE_INTERNAL_H
#define RONDO_STORE_INTERNAL_H

#include <sqlite3.h>
#include <stdbool.h>

#include "store/store.h"

#define RD_STORE_SCHEMA_VERSION 10
#define RD_STORE_BUSY_MILLISECONDS 5000    /* to wait for another connection's lock; held for moments only */
#define RD_STORE_APPLICATION_ID 0x524e444f /* "RNDO": how `file` and we recognise a database of ours */

/* Each statement is prepared at its first use and kept until the store is closed. */
typedef enum rd_sql {
    RD_SQL_BEGIN,
    RD_SQL_COMMIT,
    RD_SQL_ROLLBACK,
    RD_SQL_ADD_CLIENT,
    RD_SQL_ADD_ROUND,
    RD_SQL_TALLY_CLIENT,
    RD_SQL_ADD_PARTICIPATION,
    RD_SQL_OUTDATED_MODELS,
    RD_SQL_SYNCED,
    RD_SQL_VERSIONS,
    RD_SQL_FROZEN,
    RD_SQL_UNTALLY,
    RD_SQL_DROP_PARTICIPATIONS,
    RD_SQL_DROP_ROUNDS,
    RD_SQL_FINISH,
    RD_SQL_RESUME,
    RD_SQL_RUN,
    RD_SQL_LAST_ROUND,
    RD_SQL_LAST_MODEL,
    RD_SQL_ROUNDS,
    RD_SQL_CLIENTS,
    RD_SQL_PARTICIPATIONS,
    RD_SQL_ADD_CHANGE,
    RD_SQL_CHANGES,
    RD_SQL_INPUT,
    RD_SQL_PUT_INPUT,
    RD_SQL_DROP_INPUT,
    RD_SQL_LAST_COUNTED,
    RD_SQL_MISSED,
    RD_SQL_LAST_ENTRY,
    RD_SQL_ADD_ENTRY,
    RD_SQL_ENTRIES,
    RD_SQL_SET_DATA_SCHEMA,
    RD_SQL_DATA_SCHEMA,
    RD_SQL_KINDS
} rd_sql;

/* The files of the folder of models. */
typedef struct rd_model_files {
    int folder;               /* to be fsynced; -1 in a reader */
    bool unsynced;            /* files have come since a commit has waited for the disk ... */
    uint64_t unsynced_round;  /* ... and this is the newest */
    uint64_t keep_every;      /* of the last commit */
    uint64_t newest_retained; /* so many stay, whatever keep_every says: 2, or more */
    uint64_t deleted_below;   /* outdated ones of earlier rounds are gone ... */
    uint64_t spared;          /* ... but for this one, which was pinned */
    uint64_t pinned;          /* that of this round stays; UINT64_MAX in both: none */
    bool pinned_unsynced;     /* it may not be on the disk yet */
} rd_model_files;

struct rd_store {
    sqlite3 *db;
    char *directory;
    char run_id[RD_RUN_ID_MAX];
    int directory_fd, lock_fd; /* hold the lock of the one writer; -1 in a reader */
    bool durable;              /* commits wait for the disk (see rd_store_set_durable) */
    bool wait_always;          /* see rd_store_wait_always */
    double durable_at;         /* monotonic seconds of the last commit that waited for the disk */
    bool unlocked;             /* read past the locks, while nobody writes */
    bool resumed;              /* the writer found a run with an initial model ... */
    bool trained;              /* ... and a round after it */
    uint64_t news;             /* rows of the table of changes that the writer has added */
    rd_model_files models;
    uint64_t keep_updates;       /* of so many last rounds updates stay */
    sqlite3_stmt *statements[RD_SQL_KINDS];
};

/* ---- database.c, schema.c ---- */

/* Tables of a new database, with user_version and application_id; to be run inside a transaction. */
const char *rd_store_schema(void);
const char *rd_store_sql(rd_sql which);

/* The statement, ready to be bound. */
rd_status rd_store_statement(rd_store *s, rd_sql which, sqlite3_stmt **out, rd_error *err) RD_MUST_CHECK;
/* Steps a statement that gives no rows, and resets it. doing ends "cannot ...". */
rd_status rd_store_run_statement(rd_store *s, sqlite3_stmt *statement, const char *doing, rd_error *err) RD_MUST_CHECK;
/* The same for one that needs nothing bound. */
rd_status rd_store_simple(rd_store *s, rd_sql which, const char *doing, rd_error *err) RD_MUST_CHECK;
/* Runs SQL as it stands, outside the statements above. */
rd_status rd_store_execute(rd_store *s, const char *sql, const char *doing, rd_error *err) RD_MUST_CHECK;
/* *fresh: the database is empty. Otherwise it must be ours and of this version. */
rd_status rd_store_check_schema(rd_store *s, bool *fresh, rd_error *err) RD_MUST_CHECK;
/* RD_ERR_FORMAT: the pages of the database do not fit together; thorough: nor its tables, which takes longer. */
rd_status rd_store_check_pages(rd_store *s, bool thorough, rd_error *err) RD_MUST_CHECK;
/* Turns SQLite's complaint into ours: "DIR/rondo.db: cannot commit round 3: database or disk is full". */
rd_status rd_store_fail(rd_store *s, int code, const char *doing, rd_error *err);
/* Says whether the commits that follow wait for the disk. */
rd_status rd_store_set_durable(rd_store *s, bool durable, rd_error *err) RD_MUST_CHECK;

/* ---- model_files.c ---- */

/* The newest round whose model file is in the folder; false: there is none. */
bool rd_store_newest_file(const rd_store *s, uint64_t *round);
/* Makes the folder where there is none. */
rd_status rd_store_open_models(rd_store *s, rd_error *err) RD_MUST_CHECK;
/* What was made in an open folder has its name on the disk when this returns. */
rd_status rd_store_sync_folder(int fd, const char *path, rd_error *err) RD_MUST_CHECK;
/* The file of this round has come. */
void rd_store_note_model(rd_store *s, uint64_t round);
/* Puts the newest model file, what lies beside it and the folder that names them on the disk, where they may not be
 * there yet. */
rd_status rd_store_sync_models(rd_store *s, rd_error *err) RD_MUST_CHECK;
/* What is left behind costs disk space and nothing else: it is no failure of a round. */
void rd_store_delete_outdated_models(rd_store *s);

/* ---- update_files.c ---- */

/* After this round has been committed. What is left behind costs disk space and nothing else. */
void rd_store_delete_outdated_updates(rd_store *s, uint64_t round);

/* ---- files.c ---- */

/* Of the files that lie there for this round now. */
rd_status rd_store_digest_files(const rd_store *s, uint64_t round, rd_file_digests *out, rd_error *err) RD_MUST_CHECK;
/* RD_ERR_FORMAT or RD_ERR_STATE, with the file's name: they are not what this round committed. */
rd_status rd_store_verify_files(const rd_store *s, const rd_round_record *r, rd_error *err) RD_MUST_CHECK;
/* The same of what is frozen, which has this digest. */
rd_status rd_store_verify_frozen(const rd_store *s, const char *expected, rd_error *err) RD_MUST_CHECK;

/* Of a row, value by value, as the database gives them back. d NULL: nothing is done. */
void rd_store_digest_count(rd_sha256 *d, uint64_t value);
void rd_store_digest_number(rd_sha256 *d, double value);
void rd_store_digest_text(rd_sha256 *d, const char *text);

/* ---- recover.c ---- */

/* RD_ERR_FORMAT: there are models where the database is new. */
rd_status rd_store_refuse_orphans(const rd_store *s, rd_error *err) RD_MUST_CHECK;
/* Goes back to the last round of which all is whole, if that is not the last one. */
rd_status rd_store_recover(rd_store *s, uint64_t keep_every, rd_error *err) RD_MUST_CHECK;

/* ---- store.c ---- */

/* A handle without a database; RD_ERR_IO: the directory's name is too long. */
rd_status rd_store_make_handle(const char *directory, rd_store **out, rd_error *err) RD_MUST_CHECK;

/* ---- audit.c, audit_check.c ---- */

/* An entry that is being made. What fails meanwhile is reported when it is put. */
typedef struct rd_audit_entry {
    cJSON *object;
    char *parts; /* (length of capacity) "counted":[...],"late":[...],"failed":[...]; NULL: it is of no round */
    size_t length, capacity;
    bool failed;
} rd_audit_entry;

rd_audit_entry rd_audit_begin(const char *event);
void rd_audit_text(rd_audit_entry *e, const char *key, const char *value);
void rd_audit_count(rd_audit_entry *e, const char *key, uint64_t value);
/* value is copied. */
void rd_audit_json(rd_audit_entry *e, const char *key, const cJSON *value);
/* Who was counted, late and failed, each list in the order of names. */
void rd_audit_parts(rd_audit_entry *e, const rd_participation_record *parts, size_t count);
/* Seals the entry with the last one and writes it, inside the caller's transaction if there is one; frees it in any
 * case. */
rd_status rd_audit_put(rd_store *s, rd_audit_entry *e, rd_error *err) RD_MUST_CHECK;
void rd_audit_drop(rd_audit_entry *e);
/* The SHA-256 before the first entry, and that of a text after the one before. */
void rd_audit_start(char first[RD_SHA256_HEX]);
void rd_audit_link(const char before[RD_SHA256_HEX], const char *text, char own[RD_SHA256_HEX]);
/* Tells the listener what is wrong with the account, and fills in what the report says of it. expected: see
 * rd_store_check. */
rd_status rd_audit_check(rd_store *s, const char *expected, const rd_check_listener *listener, rd_check_report *report,
                         rd_error *err) RD_MUST_CHECK;

/* ---- changes.c, compare.c ---- */

/* run.json as it is stored: what clients are told, and what a simulation is of. */
typedef struct rd_run_json {
    const cJSON *config, *setting;
} rd_run_json;

/* What differs and may. */
typedef struct rd_changes {
    rd_change_record *items; /* (count) round and time are not set */
    size_t count, capacity;
} rd_changes;

rd_status rd_changes_add(rd_changes *list, const char *key, const char *before, const char *after,
                         rd_error *err) RD_MUST_CHECK;
/* Do they give a finished run something to do again? */
bool rd_changes_reopen(const rd_changes *list);
void rd_changes_free(rd_changes *list);

/* RD_ERR_STATE, with the key, unless a run that is stored may be continued with what is given. Adds to
 * changes what differs and may. */
rd_status rd_store_compare(const char *directory, const rd_run_json *stored, const rd_run_json *given,
                           rd_changes *changes, rd_error *err) RD_MUST_CHECK;
/* Inside a transaction: they came after the last committed round, and now. */
rd_status rd_store_put_changes(rd_store *s, const rd_changes *list, rd_error *err) RD_MUST_CHECK;

#endif
