/* read.c: what is in the database, row by row. Rows are visited as SQLite finds them, so a million of them
 * take no more memory than one; a visitor sees the state of one moment even while a round is committed. */
#include "store/internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- columns, taken from left to right ---- */

typedef struct row {
    sqlite3_stmt *statement;
    int next;
    rd_sha256 *digest; /* of what is taken; NULL: nobody asks for it */
} row;

static uint64_t take_count(row *r)
{
    uint64_t value = (uint64_t)sqlite3_column_int64(r->statement, r->next++);
    rd_store_digest_count(r->digest, value);
    return value;
}

static double take_number(row *r)
{
    int column = r->next++;
    bool none = sqlite3_column_type(r->statement, column) == SQLITE_NULL;
    double value = none ? NAN : sqlite3_column_double(r->statement, column);
    rd_store_digest_number(r->digest, value);
    return value;
}

static void take_text(row *r, char *text, size_t size)
{
    const unsigned char *value = sqlite3_column_text(r->statement, r->next++);
    (void)snprintf(text, size, "%s", value != NULL ? (const char *)value : "");
    rd_store_digest_text(r->digest, text);
}

static rd_metrics take_metrics(row *r)
{
    rd_metrics m;
    m.samples = take_count(r);
    m.loss = take_number(r);
    m.accuracy = take_number(r);
    return m;
}

static rd_participation take_participation(row *r)
{
    char name[32];
    take_text(r, name, sizeof name);
    for (int p = RD_PART_NONE; p <= RD_PART_FAILED; p++)
        if (strcmp(name, rd_participation_name((rd_participation)p)) == 0)
            return (rd_participation)p;
    return RD_PART_NONE;
}

/* ---- the run ---- */

rd_status rd_store_run(rd_store *s, rd_run_record *out, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    rd_status status = rd_store_statement(s, RD_SQL_RUN, &statement, err);
    if (status != RD_OK)
        return status;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        row r = {statement, 0, NULL};
        take_text(&r, out->run_id, sizeof out->run_id);
        take_text(&r, out->name, sizeof out->name);
        out->rounds_planned = take_count(&r);
        out->rounds_done = take_count(&r);
        out->finished = take_count(&r) != 0;
        out->created_at = take_number(&r);
        const unsigned char *config = sqlite3_column_text(statement, r.next);
        const unsigned char *setting = sqlite3_column_text(statement, r.next + 1);
        out->config_json = strdup(config != NULL ? (const char *)config : "");
        out->setting_json = strdup(setting != NULL ? (const char *)setting : "");
        if (out->config_json == NULL || out->setting_json == NULL)
            status = rd_fail(err, RD_ERR_MEMORY, "no memory for the configuration of the run");
    } else if (code == SQLITE_DONE) {
        status = rd_fail(err, RD_ERR_FORMAT, "%s/rondo.db: its table 'run' is empty", s->directory);
    } else {
        status = rd_store_fail(s, code, "read the run", err);
    }
    sqlite3_reset(statement);
    return status;
}

void rd_run_record_free(rd_run_record *r)
{
    free(r->config_json);
    free(r->setting_json);
    r->config_json = r->setting_json = NULL;
}

/* The one number that a statement gives; *found = false: no row, or NULL. */
static rd_status one_round(rd_store *s, rd_sql which, uint64_t *round, bool *found, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    rd_status status = rd_store_statement(s, which, &statement, err);
    if (status != RD_OK)
        return status;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *found = sqlite3_column_type(statement, 0) != SQLITE_NULL;
        *round = (uint64_t)sqlite3_column_int64(statement, 0);
    } else if (code == SQLITE_DONE) {
        *found = false;
    } else {
        status = rd_store_fail(s, code, "read the last round", err);
    }
    sqlite3_reset(statement);
    return status;
}

rd_status rd_store_last_round(rd_store *s, uint64_t *round, bool *found, rd_error *err)
{
    return one_round(s, RD_SQL_LAST_ROUND, round, found, err);
}

rd_status rd_store_last_model(rd_store *s, uint64_t *round, bool *found, rd_error *err)
{
    return one_round(s, RD_SQL_LAST_MODEL, round, found, err);
}

rd_status rd_store_newest_model(rd_store *s, uint64_t *round, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX];
    uint64_t before = UINT64_MAX;
    bool any = false;
    for (;;) {
        rd_status status = rd_store_last_model(s, round, &any, err);
        if (status != RD_OK)
            return status;
        if (!any)
            return rd_fail(err, RD_ERR_STATE, "%s: its run has no initial model yet", s->directory);
        rd_store_model_path(s, *round, path, sizeof path);
        if (access(path, F_OK) == 0)
            return RD_OK;
        if (*round == before) /* else the run has been faster than we */
            return rd_fail(err, RD_ERR_STATE,
                           "%s, the model of the last round, is not there; was the directory copied while the run "
                           "went on? `rondo-aggregator backup` makes copies that are whole",
                           path);
        before = *round;
    }
}

/* ---- rows ---- */

/* Ends a walk over rows: code is what sqlite3_step said last. */
static rd_status end_walk(rd_store *s, sqlite3_stmt *statement, int code, const char *doing, rd_error *err)
{
    rd_status status = code == SQLITE_DONE || code == SQLITE_ROW ? RD_OK : rd_store_fail(s, code, doing, err);
    sqlite3_reset(statement);
    return status;
}

/* The row of a round, whose digest says whether it is as it was written. */
static rd_status take_round(const rd_store *s, sqlite3_stmt *statement, rd_round_record *out, rd_error *err)
{
    char expected[RD_SHA256_HEX], found[RD_SHA256_HEX];
    rd_sha256 digest;
    rd_sha256_start(&digest);
    row r = {statement, 0, &digest};
    rd_round_record record = {0};
    record.round = take_count(&r);
    record.aggregated = take_count(&r) != 0;
    record.test = take_metrics(&r);
    record.train = take_metrics(&r);
    record.holdout = take_metrics(&r);
    record.gap = take_number(&r);
    record.running_loss = take_number(&r);
    record.selected = take_count(&r);
    record.counted = take_count(&r);
    record.late = take_count(&r);
    record.failed = take_count(&r);
    record.samples = take_count(&r);
    record.weight_limit = take_count(&r);
    record.left_out = take_count(&r);
    record.update_norm = take_number(&r);
    record.bytes_in = take_count(&r);
    record.bytes_out = take_count(&r);
    record.seconds = take_number(&r);
    record.finished_at = take_number(&r);
    for (size_t i = 0; i < RD_SCORES; i++)
        record.scores.value[i] = take_number(&r);
    record.spread.mean = take_number(&r);
    record.spread.deviation = take_number(&r);
    record.spread.worst = take_number(&r);
    record.personal = take_metrics(&r);
    record.clock = take_number(&r);
    record.attack_success = take_number(&r);
    take_text(&r, record.abandoned, sizeof record.abandoned);
    take_text(&r, record.model_sha256, sizeof record.model_sha256);
    take_text(&r, record.files.model_header, sizeof record.files.model_header);
    take_text(&r, record.files.packed, sizeof record.files.packed);
    take_text(&r, record.files.server, sizeof record.files.server);
    take_text(&r, record.files.frozen, sizeof record.files.frozen);
    rd_sha256_finish_hex(&digest, found);
    r.digest = NULL;
    take_text(&r, expected, sizeof expected);
    if (strcmp(found, expected) != 0)
        return rd_fail(err, RD_ERR_FORMAT,
                       "%s/rondo.db: it is damaged: the record of round %" PRIu64 " is not what was committed",
                       s->directory, record.round);
    memcpy(record.row_sha256, found, sizeof record.row_sha256);
    *out = record;
    return RD_OK;
}

rd_status rd_store_rounds(rd_store *s, uint64_t from, bool (*visit)(const rd_round_record *, void *), void *user,
                          rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    int code;
    rd_status status = rd_store_statement(s, RD_SQL_ROUNDS, &statement, err);
    if (status != RD_OK)
        return status;
    sqlite3_bind_int64(statement, 1, from > INT64_MAX ? INT64_MAX : (sqlite3_int64)from);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        rd_round_record record;
        status = take_round(s, statement, &record, err);
        if (status != RD_OK)
            break;
        if (!visit(&record, user))
            break;
    }
    rd_status ended = end_walk(s, statement, code, "read the rounds", status == RD_OK ? err : &(rd_error){0});
    return status == RD_OK ? ended : status;
}

rd_status rd_store_clients(rd_store *s, bool (*visit)(const rd_client_record *, void *), void *user, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    int code;
    rd_status status = rd_store_statement(s, RD_SQL_CLIENTS, &statement, err);
    if (status != RD_OK)
        return status;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        row r = {statement, 0, NULL};
        rd_client_record record = {0};
        take_text(&r, record.client, sizeof record.client);
        record.samples = take_count(&r);
        take_text(&r, record.software, sizeof record.software);
        record.joined_at = take_number(&r);
        record.seen_at = take_number(&r);
        record.selected = take_count(&r);
        record.counted = take_count(&r);
        record.late = take_count(&r);
        record.failed = take_count(&r);
        if (!visit(&record, user))
            break;
    }
    return end_walk(s, statement, code, "read the clients", err);
}

/* A client, a round and a number a row. */
static rd_status walk_clients(rd_store *s, rd_sql which, rd_store_see_client *visit, void *user, bool *all,
                              rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    int code;
    rd_status status = rd_store_statement(s, which, &statement, err);
    if (status != RD_OK)
        return status;
    *all = true;
    while (*all && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        row r = {statement, 0, NULL};
        rd_participation_record record = {0};
        take_text(&r, record.client, sizeof record.client);
        const uint64_t round = take_count(&r), missed = take_count(&r);
        *all = visit(record.client, round, missed, user);
    }
    return end_walk(s, statement, code, "read the participations", err);
}

rd_status rd_store_last_counted(rd_store *s, rd_store_see_client *visit, void *user, bool *all, rd_error *err)
{
    return walk_clients(s, RD_SQL_LAST_COUNTED, visit, user, all, err);
}

rd_status rd_store_missed(rd_store *s, rd_store_see_client *visit, void *user, bool *all, rd_error *err)
{
    return walk_clients(s, RD_SQL_MISSED, visit, user, all, err);
}

rd_status rd_store_participations(rd_store *s, uint64_t round, bool (*visit)(const rd_participation_record *, void *),
                                  void *user, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    int code;
    rd_status status = rd_store_statement(s, RD_SQL_PARTICIPATIONS, &statement, err);
    if (status != RD_OK)
        return status;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)round);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        row r = {statement, 0, NULL};
        rd_participation_record record = {0};
        record.round = take_count(&r);
        take_text(&r, record.client, sizeof record.client);
        record.status = take_participation(&r);
        take_text(&r, record.reason, sizeof record.reason);
        rd_report report = {0};
        report.samples = take_count(&r);
        report.running_loss = take_number(&r);
        report.before = take_metrics(&r);
        report.holdout = take_metrics(&r);
        report.delta_norm = take_number(&r);
        report.steps = take_count(&r);
        report.personal = take_metrics(&r);
        report.seconds = take_number(&r);
        if (report.samples > 0)
            record.report = report;
        record.bytes_in = take_count(&r);
        record.seconds = take_number(&r);
        record.weight = (uint32_t)take_count(&r);
        take_text(&r, record.update_sha256, sizeof record.update_sha256);
        record.missed = (uint32_t)take_count(&r);
        if (!visit(&record, user))
            break;
    }
    return end_walk(s, statement, code, "read the participations", err);
}
