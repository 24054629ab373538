/* write.c: clients, rounds and participations going into the database. */
#include "store/internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"

#define DURABLE_SECONDS 1.0 /* between commits that wait for the disk */

/* ---- binding: parameters are numbered from 1, in the order of the columns ---- */

typedef struct binder {
    sqlite3_stmt *statement;
    int next;
    rd_sha256 *digest; /* of what is bound; NULL: nobody asks for it */
} binder;

static void put_count(binder *b, uint64_t value)
{
    rd_store_digest_count(b->digest, value);
    sqlite3_bind_int64(b->statement, b->next++, (sqlite3_int64)value);
}

static void put_number(binder *b, double value)
{
    rd_store_digest_number(b->digest, value);
    if (isnan(value))
        sqlite3_bind_null(b->statement, b->next++);
    else
        sqlite3_bind_double(b->statement, b->next++, value);
}

/* The text must stay until the statement has run. */
static void put_text(binder *b, const char *value)
{
    rd_store_digest_text(b->digest, value);
    sqlite3_bind_text(b->statement, b->next++, value, -1, SQLITE_STATIC);
}

/* What was not measured has neither loss nor accuracy. */
static void put_metrics(binder *b, const rd_metrics *m)
{
    put_count(b, m->samples);
    put_number(b, m->samples > 0 ? m->loss : NAN);
    put_number(b, m->samples > 0 ? m->accuracy : NAN);
}

/* ---- transactions ---- */

static rd_status begin(rd_store *s, bool durable, rd_error *err)
{
    rd_status status = rd_store_set_durable(s, durable, err);
    return status == RD_OK ? rd_store_simple(s, RD_SQL_BEGIN, "begin a transaction", err) : status;
}

/* Commits where status is RD_OK, else takes everything back. Returns the first failure. */
static rd_status end(rd_store *s, rd_status status, const char *doing, rd_error *err)
{
    rd_error ignored;
    if (status == RD_OK)
        status = rd_store_simple(s, RD_SQL_COMMIT, doing, err);
    /* SQLite has rolled back by itself after some failures (disk full); then there is nothing to take back.
     */
    if (status != RD_OK && !sqlite3_get_autocommit(s->db))
        (void)!rd_store_simple(s, RD_SQL_ROLLBACK, doing, &ignored);
    return status;
}

/* ---- clients ---- */

static rd_status add_client(rd_store *s, const char *client, const rd_join *join, double now, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    rd_status status = rd_store_statement(s, RD_SQL_ADD_CLIENT, &statement, err);
    if (status != RD_OK)
        return status;
    binder b = {statement, 1, NULL};
    put_text(&b, client);
    put_count(&b, join->samples);
    put_text(&b, join->software);
    put_number(&b, now);
    return rd_store_run_statement(s, statement, "write a client", err);
}

static rd_status account_for_client(rd_store *s, const char *client, const rd_join *join, rd_error *err)
{
    rd_audit_entry e = rd_audit_begin("joined");
    rd_audit_text(&e, "client", client);
    rd_audit_count(&e, "samples", join->samples);
    rd_audit_text(&e, "software", join->software);
    return rd_audit_put(s, &e, err);
}

rd_status rd_store_client(rd_store *s, const char *client, const rd_join *join, double now, rd_error *err)
{
    rd_status status = begin(s, false, err);
    if (status != RD_OK)
        return status;
    status = add_client(s, client, join, now, err);
    if (status == RD_OK)
        status = account_for_client(s, client, join, err);
    return end(s, status, "commit a client", err);
}

/* ---- rounds ---- */

/* row: its SHA-256. */
static rd_status add_round(rd_store *s, const rd_round_record *r, const rd_file_digests *files, bool synced,
                           char row[RD_SHA256_HEX], rd_error *err)
{
    rd_sha256 digest;
    sqlite3_stmt *statement = NULL;
    rd_status status = rd_store_statement(s, RD_SQL_ADD_ROUND, &statement, err);
    if (status != RD_OK)
        return status;
    rd_sha256_start(&digest);
    binder b = {statement, 1, &digest};
    put_count(&b, r->round);
    put_count(&b, r->aggregated);
    put_metrics(&b, &r->test);
    put_metrics(&b, &r->train);
    put_metrics(&b, &r->holdout);
    put_number(&b, r->gap);
    put_number(&b, r->running_loss);
    put_count(&b, r->selected);
    put_count(&b, r->counted);
    put_count(&b, r->late);
    put_count(&b, r->failed);
    put_count(&b, r->samples);
    put_count(&b, r->weight_limit);
    put_count(&b, r->left_out);
    put_number(&b, r->update_norm);
    put_count(&b, r->bytes_in);
    put_count(&b, r->bytes_out);
    put_number(&b, r->seconds);
    put_number(&b, r->finished_at);
    for (size_t i = 0; i < RD_SCORES; i++)
        put_number(&b, r->scores.value[i]);
    put_number(&b, r->spread.mean);
    put_number(&b, r->spread.deviation);
    put_number(&b, r->spread.worst);
    put_metrics(&b, &r->personal);
    put_number(&b, r->clock);
    put_number(&b, r->attack_success);
    put_text(&b, r->abandoned);
    put_text(&b, r->model_sha256);
    put_text(&b, files->model_header);
    put_text(&b, files->packed);
    put_text(&b, files->server);
    put_text(&b, files->frozen);
    rd_sha256_finish_hex(&digest, row);
    b.digest = NULL;
    put_text(&b, row);
    put_count(&b, synced);
    status = rd_store_run_statement(s, statement, "write a round", err);
    if (status != RD_OK && sqlite3_extended_errcode(s->db) == SQLITE_CONSTRAINT_PRIMARYKEY)
        status = rd_fail(err, RD_ERR_STATE, "%s: round %" PRIu64 " has been committed before", s->directory, r->round);
    return status;
}

/* Adds the round to the client's counts and gives the client's number in the database. */
static rd_status tally_client(rd_store *s, const rd_participation_record *p, double now, sqlite3_int64 *id,
                              rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    rd_status status = rd_store_statement(s, RD_SQL_TALLY_CLIENT, &statement, err);
    if (status != RD_OK)
        return status;
    binder b = {statement, 1, NULL};
    put_text(&b, p->client);
    put_count(&b, p->report.samples);
    put_number(&b, now);
    put_count(&b, p->status == RD_PART_COUNTED);
    put_count(&b, p->status == RD_PART_LATE);
    put_count(&b, p->status == RD_PART_FAILED);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *id = sqlite3_column_int64(statement, 0);
        code = sqlite3_step(statement);
    }
    if (code != SQLITE_DONE)
        status = rd_store_fail(s, code, "count a client's rounds", err);
    sqlite3_reset(statement);
    return status;
}

static rd_status add_participation(rd_store *s, uint64_t round, const rd_participation_record *p, double now,
                                   rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    sqlite3_int64 client = 0;
    rd_status status = tally_client(s, p, now, &client, err);
    if (status == RD_OK)
        status = rd_store_statement(s, RD_SQL_ADD_PARTICIPATION, &statement, err);
    if (status != RD_OK)
        return status;
    const rd_report *r = &p->report;
    bool delivered = r->samples > 0;
    binder b = {statement, 1, NULL};
    put_count(&b, round);
    put_count(&b, (uint64_t)client);
    put_text(&b, rd_participation_name(p->status));
    put_text(&b, p->reason);
    put_count(&b, r->samples);
    put_number(&b, delivered ? r->running_loss : NAN);
    put_metrics(&b, &r->before);
    put_metrics(&b, &r->holdout);
    put_number(&b, delivered ? r->delta_norm : NAN);
    put_count(&b, r->steps);
    put_metrics(&b, &r->personal);
    put_number(&b, delivered ? r->seconds : NAN);
    put_count(&b, p->bytes_in);
    put_number(&b, p->seconds);
    put_count(&b, p->weight);
    put_text(&b, p->update_sha256);
    put_count(&b, p->missed);
    status = rd_store_run_statement(s, statement, "write a participation", err);
    if (status != RD_OK && sqlite3_extended_errcode(s->db) == SQLITE_CONSTRAINT_PRIMARYKEY)
        status =
            rd_fail(err, RD_ERR_INTERNAL, "%s: client '%s' is twice in round %" PRIu64, s->directory, p->client, round);
    return status;
}

static rd_status account_for_round(rd_store *s, const rd_round_record *r, const char *row,
                                   const rd_participation_record *parts, size_t count, rd_error *err)
{
    rd_audit_entry e = rd_audit_begin("round");
    rd_audit_count(&e, "round", r->round);
    rd_audit_text(&e, "model", r->model_sha256);
    rd_audit_text(&e, "record", row);
    if (r->clients > 0)
        rd_audit_count(&e, "clients", r->clients);
    if (!r->aggregated)
        rd_audit_text(&e, "abandoned", r->abandoned[0] != '\0' ? r->abandoned : "too few updates");
    rd_audit_parts(&e, parts, count);
    return rd_audit_put(s, &e, err);
}

static rd_status set_finished(rd_store *s, bool finished, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    rd_status status = rd_store_statement(s, RD_SQL_FINISH, &statement, err);
    if (status != RD_OK)
        return status;
    sqlite3_bind_int(statement, 1, finished);
    return rd_store_run_statement(s, statement, "write that the run is finished", err);
}

/* Moves the log into the database: SQLite by itself would do it between two waits for the disk. Where a
 * reader is in the way, the next call does it. */
static void keep_log_short(rd_store *s)
{
    (void)sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

void rd_store_wait_always(rd_store *s)
{
    s->wait_always = true;
}

rd_status rd_store_commit_round(rd_store *s, const rd_round_record *round, const rd_participation_record *parts,
                                size_t part_count, uint64_t keep_every, rd_error *err)
{
    char doing[48], row[RD_SHA256_HEX];
    rd_file_digests files = {0};
    double now = rd_clock_seconds();
    s->models.keep_every = keep_every;
    bool retained = keep_every > 0 && round->round % keep_every == 0;
    bool durable = round->round == 0 || retained || s->wait_always || now - s->durable_at >= DURABLE_SECONDS;
    (void)snprintf(doing, sizeof doing, "commit round %" PRIu64, round->round);
    if (round->aggregated)
        rd_store_note_model(s, round->round);
    rd_status status = durable ? rd_store_sync_models(s, err) : RD_OK;
    if (status == RD_OK && (round->aggregated || round->round == 0))
        status = rd_store_digest_files(s, round->round, &files, err);
    if (status == RD_OK)
        status = begin(s, durable, err);
    if (status != RD_OK)
        return status;
    status = add_round(s, round, &files, durable, row, err);
    for (size_t i = 0; i < part_count && status == RD_OK; i++)
        status = add_participation(s, round->round, &parts[i], round->finished_at, err);
    if (status == RD_OK)
        status = set_finished(s, false, err);
    if (status == RD_OK)
        status = account_for_round(s, round, row, parts, part_count, err);
    status = end(s, status, doing, err);
    if (status == RD_OK && durable) {
        s->durable_at = now;
        rd_store_delete_outdated_models(s);
        keep_log_short(s);
    }
    if (status == RD_OK)
        rd_store_delete_outdated_updates(s, round->round);
    return status;
}

rd_status rd_store_finish(rd_store *s, rd_error *err)
{
    rd_status status = rd_store_sync_models(s, err);
    if (status == RD_OK)
        status = begin(s, true, err);
    if (status != RD_OK)
        return status;
    rd_audit_entry e = rd_audit_begin("finished");
    status = rd_audit_put(s, &e, err);
    if (status == RD_OK)
        status = rd_store_simple(s, RD_SQL_SYNCED, "write that the last round is on the disk", err);
    if (status == RD_OK)
        status = set_finished(s, true, err);
    status = end(s, status, "commit that the run is finished", err);
    if (status == RD_OK)
        rd_store_delete_outdated_models(s);
    return status;
}
