/* schema.c: the tables of a state directory, and every statement that works on them.
 *
 * SQLite keeps the text of CREATE TABLE with its comments, so `sqlite3 DIR/rondo.db .schema` explains the
 * database to whoever opens it without this file.
 *
 * Clients have numbers inside the database: a participation takes a few dozen bytes whatever the length of
 * the name. What `rondo-inspect clients` shows is counted up as rounds are committed, so that it takes one
 * walk over the clients and not one over all participations. */
#include "store/internal.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

/* clang-format off */
const char *rd_store_schema(void)
{
    return
        "PRAGMA user_version = " TEXT(RD_STORE_SCHEMA_VERSION) ";\n"
        "PRAGMA application_id = " TEXT(RD_STORE_APPLICATION_ID) ";\n"
        "CREATE TABLE run (\n"
        "    id         INTEGER PRIMARY KEY CHECK (id = 1), -- there is one run in a directory\n"
        "    run_id     TEXT NOT NULL,    -- 32 hexadecimal digits, drawn when the run was made\n"
        "    name       TEXT NOT NULL,    -- run.json: name\n"
        "    rounds     INTEGER NOT NULL, -- run.json: rounds, how many are planned\n"
        "    finished   INTEGER NOT NULL DEFAULT 0, -- 1: no more rounds will come\n"
        "    created_at REAL NOT NULL,    -- Unix time\n"
        "    config     TEXT NOT NULL,    -- run.json without data, as the clients are told\n"
        "    setting    TEXT NOT NULL,    -- of a simulation: clients, partition, devices, attacks; else {}\n"
        "    data_schema TEXT             -- what columns and classes mean, settled; NULL: not yet\n"
        ") STRICT;\n"
        "-- run.json and what the server reads may change in some points while a run goes on: since when, and how\n"
        "CREATE TABLE changes (\n"
        "    id         INTEGER PRIMARY KEY, -- in order of arrival\n"
        "    round      INTEGER NOT NULL, -- the last one committed before\n"
        "    key        TEXT NOT NULL,    -- of run.json\n"
        "    before     TEXT NOT NULL,    -- JSON, or nothing\n"
        "    after      TEXT NOT NULL,\n"
        "    changed_at REAL NOT NULL     -- Unix time\n"
        ") STRICT;\n"
        "-- the account: an entry for all that has happened, each sealed with the one before it (rondo-inspect audit)\n"
        "CREATE TABLE audit (\n"
        "    number INTEGER PRIMARY KEY, -- 1, 2, 3, ...\n"
        "    entry  TEXT NOT NULL,       -- JSON: when (Unix time), what, and of whom\n"
        "    sha256 TEXT NOT NULL        -- of the 64 digits before it (of the first: zeros) and the entry\n"
        ") STRICT;\n"
        "CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN\n"
        "    SELECT RAISE(ABORT, 'entries of the account stay what they are');\n"
        "END;\n"
        "CREATE TRIGGER audit_is_not_cut BEFORE DELETE ON audit BEGIN\n"
        "    SELECT RAISE(ABORT, 'entries of the account stay');\n"
        "END;\n"
        "-- what the server reads beside run.json\n"
        "CREATE TABLE inputs (\n"
        "    name   TEXT PRIMARY KEY, -- key of run.json: data.test, data.root, data.train of a simulation, initial\n"
        "    path   TEXT NOT NULL,    -- as it was opened\n"
        "    rows   INTEGER NOT NULL, -- 0: a file of parameters\n"
        "    digest TEXT NOT NULL     -- of the rows in memory, or of the file\n"
        ") STRICT;\n"
        "CREATE TABLE rounds (\n"
        "    round            INTEGER PRIMARY KEY, -- 0: the initial model, before any training\n"
        "    aggregated       INTEGER NOT NULL, -- 0: abandoned, the model is that of the round before\n"
        "    -- the new global model on the aggregator's own test set; 0 samples: not measured\n"
        "    test_samples     INTEGER NOT NULL CHECK (test_samples >= 0),\n"
        "    test_loss        REAL,             -- mean per sample\n"
        "    test_accuracy    REAL,             -- share of right classes, 0 to 1; NULL for regression\n"
        "    -- the model before the round on the participants' training rows, weighted by samples\n"
        "    train_samples    INTEGER NOT NULL CHECK (train_samples >= 0),\n"
        "    train_loss       REAL,\n"
        "    train_accuracy   REAL,\n"
        "    -- the same on the rows that the participants keep out of training\n"
        "    holdout_samples  INTEGER NOT NULL CHECK (holdout_samples >= 0),\n"
        "    holdout_loss     REAL,\n"
        "    holdout_accuracy REAL,\n"
        "    -- overfitting: the loss of the model before the round on hold-out rows, or else the test set,\n"
        "    -- minus that on training rows\n"
        "    gap              REAL,\n"
        "    running_loss     REAL,             -- the participants' loss while they train; NULL: untold\n"
        "    selected         INTEGER NOT NULL CHECK (selected >= 0), -- clients asked\n"
        "    counted          INTEGER NOT NULL CHECK (counted >= 0),  -- clients in the average\n"
        "    late             INTEGER NOT NULL CHECK (late >= 0),\n"
        "    failed           INTEGER NOT NULL CHECK (failed >= 0),\n"
        "    samples          INTEGER NOT NULL CHECK (samples >= 0),  -- of the counted clients\n"
        "    weight_limit     INTEGER NOT NULL CHECK (weight_limit >= 0), -- of one client's samples; 0: there was none\n"
        "    left_out         INTEGER NOT NULL CHECK (left_out >= 0), -- not asked, as they missed rounds before\n"
        "    update_norm      REAL,             -- Euclidean norm of new model - old model\n"
        "    bytes_in         INTEGER NOT NULL CHECK (bytes_in >= 0),  -- bodies; 0 in simulation\n"
        "    bytes_out        INTEGER NOT NULL CHECK (bytes_out >= 0),\n"
        "    seconds          REAL,             -- from publication to the new model\n"
        "    finished_at      REAL,             -- Unix time\n"
        "    -- the new global model on the test set: evaluation.metrics; NULL: not measured\n"
        "    test_top2 REAL,\n"
        "    test_top3 REAL,\n"
        "    test_top4 REAL,\n"
        "    test_top5 REAL,\n"
        "    test_top6 REAL,\n"
        "    test_top7 REAL,\n"
        "    test_top8 REAL,\n"
        "    test_top9 REAL,\n"
        "    test_top10 REAL,\n"
        "    test_f1 REAL,\n"
        "    test_auc REAL,\n"
        "    test_rmse REAL,\n"
        "    test_r2 REAL,\n"
        "    test_perplexity REAL,\n"
        "    -- of the participants, each counting the same: their loss on hold-out rows, else before training, else while training\n"
        "    spread_mean REAL,\n"
        "    spread_deviation REAL,\n"
        "    spread_worst REAL,            -- mean of the worst tenth\n"
        "    -- the participants' own models on their hold-out rows; 0 samples: they have none\n"
        "    personal_samples INTEGER NOT NULL CHECK (personal_samples >= 0),\n"
        "    personal_loss    REAL,\n"
        "    personal_accuracy REAL,\n"
        "    clock            REAL,             -- simulated seconds since the beginning of the run\n"
        "    attack_success   REAL,             -- of a backdoor in a simulation: share of triggered samples\n"
        "    abandoned        TEXT NOT NULL,    -- why, where it was not for too few updates; else empty\n"
        "    model_sha256     TEXT NOT NULL,    -- of the parameters as little-endian float32\n"
        "    -- SHA-256 of the files models/NNNNNN.*; empty: the round made none of this kind\n"
        "    header_sha256    TEXT NOT NULL,    -- of the model file, up to the parameters\n"
        "    packed_sha256    TEXT NOT NULL,    -- what clients fetch in its place\n"
        "    server_sha256    TEXT NOT NULL,    -- what the server keeps\n"
        "    frozen_sha256    TEXT NOT NULL,    -- models/frozen, of round 0\n"
        "    record_sha256    TEXT NOT NULL,    -- of all the columns before this one\n"
        "    synced           INTEGER NOT NULL  -- 1: it was on the disk with its files when it was committed\n"
        ") STRICT;\n"
        "CREATE TABLE clients (\n"
        "    id        INTEGER PRIMARY KEY,  -- in order of arrival\n"
        "    name      TEXT NOT NULL UNIQUE, -- the common name in its certificate\n"
        "    samples   INTEGER NOT NULL CHECK (samples >= 0), -- rows that it would train on\n"
        "    software  TEXT NOT NULL,\n"
        "    joined_at REAL,                 -- Unix time\n"
        "    seen_at   REAL,                 -- Unix time of the last join or counted update\n"
        "    -- rounds, counted up as they are committed\n"
        "    selected  INTEGER NOT NULL DEFAULT 0,\n"
        "    counted   INTEGER NOT NULL DEFAULT 0,\n"
        "    late      INTEGER NOT NULL DEFAULT 0,\n"
        "    failed    INTEGER NOT NULL DEFAULT 0\n"
        ") STRICT;\n"
        "CREATE TABLE participation (\n"
        "    round            INTEGER NOT NULL REFERENCES rounds (round),\n"
        "    client           INTEGER NOT NULL REFERENCES clients (id),\n"
        "    status           TEXT NOT NULL,    -- counted, late, failed\n"
        "    reason           TEXT NOT NULL,    -- why it failed; else empty\n"
        "    samples          INTEGER NOT NULL CHECK (samples >= 0), -- 0: nothing was delivered\n"
        "    running_loss     REAL,             -- while it trained\n"
        "    train_samples    INTEGER,          -- the model before the round on its training rows\n"
        "    train_loss       REAL,\n"
        "    train_accuracy   REAL,\n"
        "    holdout_samples  INTEGER,          -- the same on the rows it keeps out of training\n"
        "    holdout_loss     REAL,\n"
        "    holdout_accuracy REAL,\n"
        "    delta_norm       REAL,             -- Euclidean norm of its delta\n"
        "    steps            INTEGER,          -- of local training\n"
        "    personal_samples INTEGER,          -- its own model on the rows it keeps out of training\n"
        "    personal_loss    REAL,\n"
        "    personal_accuracy REAL,\n"
        "    compute_seconds  REAL,             -- by the client's own clock\n"
        "    bytes_in         INTEGER NOT NULL CHECK (bytes_in >= 0),\n"
        "    seconds          REAL,             -- from publication to delivery\n"
        "    weight           INTEGER NOT NULL CHECK (weight >= 0), -- of its update in the sum\n"
        "    update_sha256    TEXT NOT NULL,    -- of its update as it came; empty: not computed\n"
        "    missed           INTEGER NOT NULL CHECK (missed >= 0), -- rounds in a row, with this one\n"
        "    PRIMARY KEY (round, client)\n"
        ") STRICT, WITHOUT ROWID;\n"
        "-- participation with the clients' names, for people\n"
        "CREATE VIEW participation_by_name AS\n"
        "    SELECT clients.name AS client_name, participation.*\n"
        "    FROM participation JOIN clients ON clients.id = participation.client;\n";
}
/* clang-format on */

#define ROUND_COLUMNS                                                                                        \
    "round, aggregated, test_samples, test_loss, test_accuracy, train_samples, train_loss, train_accuracy, " \
    "holdout_samples, holdout_loss, holdout_accuracy, gap, running_loss, selected, counted, late, failed, "  \
    "samples, weight_limit, left_out, update_norm, bytes_in, bytes_out, seconds, finished_at, test_top2, "   \
    "test_top3, test_top4, test_top5, test_top6, test_top7, test_top8, test_top9, test_top10, "              \
    "test_f1, test_auc, test_rmse, test_r2, test_perplexity, spread_mean, spread_deviation, spread_worst, "  \
    "personal_samples, personal_loss, personal_accuracy, clock, attack_success, abandoned, model_sha256, "   \
    "header_sha256, packed_sha256, server_sha256, frozen_sha256, record_sha256"

#define PARTICIPATION_COLUMNS                                                                             \
    "status, reason, samples, running_loss, train_samples, train_loss, train_accuracy, holdout_samples, " \
    "holdout_loss, holdout_accuracy, delta_norm, steps, personal_samples, personal_loss, "                \
    "personal_accuracy, "                                                                                 \
    "compute_seconds, bytes_in, seconds, weight, update_sha256, missed"

const char *rd_store_sql(rd_sql which)
{
    static const char *const statements[RD_SQL_KINDS] = {
        /* The only writer takes its lock at once and never has to upgrade one. */
        [RD_SQL_BEGIN] = "BEGIN IMMEDIATE",
        [RD_SQL_COMMIT] = "COMMIT",
        [RD_SQL_ROLLBACK] = "ROLLBACK",
        [RD_SQL_ADD_CLIENT] =
            "INSERT INTO clients (name, samples, software, joined_at, seen_at) VALUES (?1, ?2, ?3, ?4, ?4) "
            "ON CONFLICT (name) DO UPDATE SET samples = ?2, software = ?3, seen_at = ?4",
        [RD_SQL_ADD_ROUND] =
            "INSERT INTO rounds (" ROUND_COLUMNS ", synced) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
            "?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, "
            "?29, "
            "?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, "
            "?48, ?49, ?50, ?51, ?52, ?53, ?54, ?55)",
        /* Someone who takes part without having joined (in a simulation) gets a row now. */
        [RD_SQL_TALLY_CLIENT] =
            "INSERT INTO clients (name, samples, software, joined_at, seen_at, selected, counted, late, "
            "failed) "
            "VALUES (?1, ?2, '', ?3, ?3, 1, ?4, ?5, ?6) ON CONFLICT (name) DO UPDATE SET "
            "samples = iif(samples = 0, ?2, samples), seen_at = iif(?4, max(seen_at, ?3), seen_at), "
            "selected = selected + 1, counted = counted + ?4, late = late + ?5, failed = failed + ?6 "
            "RETURNING id",
        [RD_SQL_ADD_PARTICIPATION] =
            "INSERT INTO participation (round, client, " PARTICIPATION_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, "
            "?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)",
        /* Rounds with a model file of their own, without the newest two. One would do; the second is for the
         * file that a crash kept from being deleted a round ago. */
        [RD_SQL_OUTDATED_MODELS] =
            "SELECT round FROM rounds WHERE round >= ?1 AND (aggregated OR round = 0) ORDER BY round DESC "
            "LIMIT -1 OFFSET ?2",
        [RD_SQL_SYNCED] = "UPDATE rounds SET synced = 1 WHERE round = (SELECT max(round) FROM rounds)",
        [RD_SQL_VERSIONS] =
            "SELECT round, synced, aggregated OR round = 0, model_sha256, header_sha256, packed_sha256, "
            "server_sha256 FROM rounds ORDER BY round DESC",
        [RD_SQL_FROZEN] = "SELECT frozen_sha256 FROM rounds WHERE round = 0",
        [RD_SQL_UNTALLY] =
            "UPDATE clients SET selected = clients.selected - gone.selected, counted = clients.counted - gone.counted, "
            "late = clients.late - gone.late, failed = clients.failed - gone.failed FROM (SELECT client, count(*) AS "
            "selected, "
            "sum(status = 'counted') AS counted, sum(status = 'late') AS late, sum(status = 'failed') AS failed "
            "FROM participation WHERE round >= ?1 GROUP BY client) AS gone WHERE clients.id = gone.client",
        [RD_SQL_DROP_PARTICIPATIONS] = "DELETE FROM participation WHERE round >= ?1",
        [RD_SQL_DROP_ROUNDS] = "DELETE FROM rounds WHERE round >= ?1",
        [RD_SQL_FINISH] = "UPDATE run SET finished = ?1",
        [RD_SQL_RESUME] = "UPDATE run SET name = ?1, rounds = ?2, config = ?3, finished = finished AND NOT ?4",
        [RD_SQL_RUN] = "SELECT run_id, name, rounds, (SELECT coalesce(max(round), 0) FROM rounds), finished, "
                       "created_at, config, setting FROM run",
        [RD_SQL_SET_DATA_SCHEMA] = "UPDATE run SET data_schema = ?1",
        [RD_SQL_DATA_SCHEMA] = "SELECT data_schema FROM run",
        [RD_SQL_LAST_ROUND] = "SELECT max(round) FROM rounds",
        [RD_SQL_LAST_MODEL] = "SELECT round FROM rounds WHERE aggregated OR round = 0 ORDER BY round DESC LIMIT 1",
        [RD_SQL_ROUNDS] = "SELECT " ROUND_COLUMNS " FROM rounds WHERE round >= ?1 ORDER BY round",
        [RD_SQL_CLIENTS] = "SELECT name, samples, software, joined_at, seen_at, selected, counted, late, failed "
                           "FROM clients ORDER BY id",
        [RD_SQL_PARTICIPATIONS] =
            "SELECT round, client_name, " PARTICIPATION_COLUMNS " FROM participation_by_name WHERE round = ?1 "
            "ORDER BY client",
        [RD_SQL_ADD_CHANGE] = "INSERT INTO changes (round, key, before, after, changed_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        /* The last ?1, or all where it is below 0. */
        [RD_SQL_CHANGES] = "SELECT round, key, before, after, changed_at FROM (SELECT * FROM changes "
                           "ORDER BY id DESC LIMIT ?1) ORDER BY id",
        [RD_SQL_INPUT] = "SELECT path, rows, digest FROM inputs WHERE name = ?1",
        [RD_SQL_PUT_INPUT] = "INSERT OR REPLACE INTO inputs (name, path, rows, digest) VALUES (?1, ?2, ?3, ?4)",
        [RD_SQL_DROP_INPUT] = "DELETE FROM inputs WHERE name = ?1",
        [RD_SQL_LAST_COUNTED] = "SELECT client_name, max(round), missed FROM participation_by_name "
                                "WHERE status = 'counted' GROUP BY client",
        /* Of each client the row with the largest number of a round. */
        [RD_SQL_MISSED] = "SELECT * FROM (SELECT client_name, max(round), missed FROM participation_by_name "
                          "GROUP BY client) WHERE missed > 0",
        [RD_SQL_LAST_ENTRY] = "SELECT number, sha256 FROM audit ORDER BY number DESC LIMIT 1",
        [RD_SQL_ADD_ENTRY] = "INSERT INTO audit (number, entry, sha256) VALUES (?1, ?2, ?3)",
        [RD_SQL_ENTRIES] = "SELECT number, entry, sha256 FROM audit WHERE number >= ?1 ORDER BY number",
    };
    return statements[which];
}
