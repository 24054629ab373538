/* clients.c: `rondo-inspect clients`: what each client contributed, over the whole run or in one round. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "export.h"
#include "inspect.h"
#include "store/store.h"
#include "table.h"

typedef struct listing {
    export_kind kind;
    table table;
    uint64_t rows;
    bool short_of_memory;
} listing;

/* ---- over the whole run ---- */

enum { C_NAME, C_SAMPLES, C_SELECTED, C_COUNTED, C_LATE, C_FAILED, C_JOINED, C_SEEN, C_SOFTWARE, C_COLUMNS };

static const table_column client_columns[C_COLUMNS] = {
    [C_NAME] = {"client", true},      [C_SAMPLES] = {"samples", false}, [C_SELECTED] = {"selected", false},
    [C_COUNTED] = {"counted", false}, [C_LATE] = {"late", false},       [C_FAILED] = {"failed", false},
    [C_JOINED] = {"joined", true},    [C_SEEN] = {"last seen", true},   [C_SOFTWARE] = {"software", true},
};

static const char *const client_csv[] = {"client",   "samples", "software", "joined_at", "seen_at",
                                         "selected", "counted", "late",     "failed",    NULL};

static void client_row(const rd_client_record *c, table_row *row)
{
    memset(row, 0, sizeof *row);
    table_text(row->cell[C_NAME], c->client);
    table_count_if_any(row->cell[C_SAMPLES], c->samples);
    table_count(row->cell[C_SELECTED], c->selected);
    table_count(row->cell[C_COUNTED], c->counted);
    table_count_if_any(row->cell[C_LATE], c->late);
    table_count_if_any(row->cell[C_FAILED], c->failed);
    table_time(row->cell[C_JOINED], c->joined_at);
    table_time(row->cell[C_SEEN], c->seen_at);
    table_text(row->cell[C_SOFTWARE], c->software);
}

static cJSON *client_json(const rd_client_record *c)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "client", c->client);
    cJSON_AddNumberToObject(object, "samples", (double)c->samples);
    cJSON_AddStringToObject(object, "software", c->software);
    export_add_number(object, "joined_at", c->joined_at);
    export_add_number(object, "seen_at", c->seen_at);
    cJSON_AddNumberToObject(object, "selected", (double)c->selected);
    cJSON_AddNumberToObject(object, "counted", (double)c->counted);
    cJSON_AddNumberToObject(object, "late", (double)c->late);
    cJSON_AddNumberToObject(object, "failed", (double)c->failed);
    return object;
}

static bool measure_client(const rd_client_record *c, void *user)
{
    table_row row;
    client_row(c, &row);
    table_measure(&((listing *)user)->table, &row);
    return true;
}

static bool print_client(const rd_client_record *c, void *user)
{
    listing *l = user;
    table_row row;
    l->rows++;
    if (l->kind != EXPORT_TABLE) {
        l->short_of_memory = !export_record(l->kind, client_csv, client_json(c));
        return !l->short_of_memory;
    }
    client_row(c, &row);
    table_print(&l->table, &row);
    return true;
}

/* ---- in one round ---- */

enum {
    P_NAME,
    P_STATUS,
    P_SAMPLES,
    P_RUNNING_LOSS,
    P_TRAIN_LOSS,
    P_TRAIN_ACCURACY,
    P_HOLDOUT_LOSS,
    P_HOLDOUT_ACCURACY,
    P_DELTA_NORM,
    P_COMPUTING,
    P_SECONDS,
    P_PERSONAL_LOSS,
    P_PERSONAL_ACCURACY,
    P_BYTES,
    P_REASON,
    P_COLUMNS
};

static const table_column part_columns[P_COLUMNS] = {
    [P_NAME] = {"client", true},
    [P_STATUS] = {"status", true},
    [P_SAMPLES] = {"samples", false},
    [P_RUNNING_LOSS] = {"own loss", false},
    [P_TRAIN_LOSS] = {"train loss", false},
    [P_TRAIN_ACCURACY] = {"train acc.", false},
    [P_HOLDOUT_LOSS] = {"hold-out loss", false},
    [P_HOLDOUT_ACCURACY] = {"hold-out acc.", false},
    [P_DELTA_NORM] = {"delta norm", false},
    [P_COMPUTING] = {"computing s", false},
    [P_SECONDS] = {"delivered after s", false},
    [P_PERSONAL_LOSS] = {"own model's loss", false},
    [P_PERSONAL_ACCURACY] = {"own model's acc.", false},
    [P_BYTES] = {"bytes in", false},
    [P_REASON] = {"reason", true},
};

static const char *const part_csv[] = {"round",
                                       "client",
                                       "status",
                                       "reason",
                                       "samples",
                                       "running_loss",
                                       "train.samples",
                                       "train.loss",
                                       "train.accuracy",
                                       "holdout.samples",
                                       "holdout.loss",
                                       "holdout.accuracy",
                                       "delta_norm",
                                       "steps",
                                       "personal.samples",
                                       "personal.loss",
                                       "personal.accuracy",
                                       "compute_seconds",
                                       "bytes_in",
                                       "seconds",
                                       "weight",
                                       "update_sha256",
                                       "missed",
                                       NULL};

static void part_row(const rd_participation_record *p, table_row *row)
{
    const rd_report *r = &p->report;
    memset(row, 0, sizeof *row);
    table_text(row->cell[P_NAME], p->client);
    table_text(row->cell[P_STATUS], rd_participation_name(p->status));
    table_text(row->cell[P_REASON], p->reason);
    table_count_if_any(row->cell[P_BYTES], p->bytes_in);
    if (r->samples == 0)
        return; /* nothing was delivered */
    table_count(row->cell[P_SAMPLES], r->samples);
    table_number(row->cell[P_RUNNING_LOSS], r->running_loss);
    table_number(row->cell[P_TRAIN_LOSS], r->before.samples > 0 ? r->before.loss : NAN);
    table_percent(row->cell[P_TRAIN_ACCURACY], r->before.samples > 0 ? r->before.accuracy : NAN);
    table_number(row->cell[P_HOLDOUT_LOSS], r->holdout.samples > 0 ? r->holdout.loss : NAN);
    table_percent(row->cell[P_HOLDOUT_ACCURACY], r->holdout.samples > 0 ? r->holdout.accuracy : NAN);
    table_number(row->cell[P_DELTA_NORM], r->delta_norm);
    table_seconds(row->cell[P_COMPUTING], r->seconds);
    table_seconds(row->cell[P_SECONDS], p->seconds);
    table_number(row->cell[P_PERSONAL_LOSS], r->personal.samples > 0 ? r->personal.loss : NAN);
    table_percent(row->cell[P_PERSONAL_ACCURACY], r->personal.samples > 0 ? r->personal.accuracy : NAN);
}

static void add_metrics(cJSON *object, const char *key, const rd_metrics *m)
{
    if (m->samples == 0) {
        cJSON_AddNullToObject(object, key);
        return;
    }
    cJSON *inner = cJSON_AddObjectToObject(object, key);
    export_add_number(inner, "loss", m->loss);
    export_add_number(inner, "accuracy", m->accuracy);
    cJSON_AddNumberToObject(inner, "samples", (double)m->samples);
}

static cJSON *part_json(const rd_participation_record *p)
{
    const rd_report *r = &p->report;
    bool delivered = r->samples > 0;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "round", (double)p->round);
    cJSON_AddStringToObject(object, "client", p->client);
    cJSON_AddStringToObject(object, "status", rd_participation_name(p->status));
    cJSON_AddStringToObject(object, "reason", p->reason);
    cJSON_AddNumberToObject(object, "samples", (double)r->samples);
    export_add_number(object, "running_loss", delivered ? r->running_loss : NAN);
    add_metrics(object, "train", &r->before);
    add_metrics(object, "holdout", &r->holdout);
    export_add_number(object, "delta_norm", delivered ? r->delta_norm : NAN);
    cJSON_AddNumberToObject(object, "steps", (double)r->steps);
    add_metrics(object, "personal", &r->personal);
    export_add_number(object, "compute_seconds", delivered ? r->seconds : NAN);
    cJSON_AddNumberToObject(object, "bytes_in", (double)p->bytes_in);
    export_add_number(object, "seconds", p->seconds);
    cJSON_AddNumberToObject(object, "weight", (double)p->weight);
    cJSON_AddStringToObject(object, "update_sha256", p->update_sha256);
    cJSON_AddNumberToObject(object, "missed", (double)p->missed);
    return object;
}

static bool measure_part(const rd_participation_record *p, void *user)
{
    table_row row;
    part_row(p, &row);
    table_measure(&((listing *)user)->table, &row);
    return true;
}

static bool print_part(const rd_participation_record *p, void *user)
{
    listing *l = user;
    table_row row;
    l->rows++;
    if (l->kind != EXPORT_TABLE) {
        l->short_of_memory = !export_record(l->kind, part_csv, part_json(p));
        return !l->short_of_memory;
    }
    part_row(p, &row);
    table_print(&l->table, &row);
    return true;
}

/* ---- the command ---- */

static rd_status list_clients(rd_store *store, listing *l, rd_error *err)
{
    rd_status status = RD_OK;
    l->table = (table){.columns = client_columns, .count = C_COLUMNS};
    if (l->kind == EXPORT_TABLE) {
        RD_TRY(rd_store_clients(store, measure_client, l, err));
        if (l->table.width[C_NAME] > 0)
            table_print_heading(&l->table);
    } else if (l->kind == EXPORT_CSV) {
        export_csv_heading(client_csv);
    }
    RD_TRY(rd_store_clients(store, print_client, l, err));
    if (l->rows == 0 && l->kind == EXPORT_TABLE)
        (void)printf("no client has joined yet\n");
cleanup:
    return status;
}

static rd_status list_participants(rd_store *store, uint64_t round, listing *l, rd_error *err)
{
    rd_status status = RD_OK;
    uint64_t last = 0;
    bool any = false;
    l->table = (table){.columns = part_columns, .count = P_COLUMNS};
    RD_TRY(rd_store_last_round(store, &last, &any, err));
    if (!any || round > last)
        RD_THROW(RD_ERR_USAGE, "--round %llu: the last round of this run is %llu", (unsigned long long)round,
                 (unsigned long long)last);
    if (l->kind == EXPORT_TABLE) {
        RD_TRY(rd_store_participations(store, round, measure_part, l, err));
        if (l->table.width[P_NAME] > 0)
            table_print_heading(&l->table);
    } else if (l->kind == EXPORT_CSV) {
        export_csv_heading(part_csv);
    }
    RD_TRY(rd_store_participations(store, round, print_part, l, err));
    if (l->rows == 0 && l->kind == EXPORT_TABLE)
        (void)printf("nobody took part in round %llu\n", (unsigned long long)round);
cleanup:
    return status;
}

rd_status inspect_clients(int argc, char **argv, rd_error *err)
{
    bool csv = false, jsonl = false;
    uint64_t round = 0;
    const rd_option options[] = {
        {.kind = RD_OPTION_FLAG, .name = "csv", .help = "print CSV, with every field at full precision", .value = &csv},
        {.kind = RD_OPTION_FLAG, .name = "jsonl", .help = "print JSON Lines, one object a client", .value = &jsonl},
        {.kind = RD_OPTION_COUNT,
         .name = "round",
         .placeholder = "N",
         .help = "show who took part in round N, and why some failed (default: totals of all rounds)",
         .value = &round,
         .min = 1,
         .max = 1e9},
        {.kind = RD_OPTION_END},
    };
    const rd_command command = {
        .program = "rondo-inspect clients",
        .usage = "DIR [options]",
        .summary = "Shows the clients of the run in state directory DIR: their samples, and in how many rounds each "
                   "was selected, counted, late or failed; or, with --round, what each of one round's participants "
                   "delivered: own loss is the loss while it trained; train and hold-out are the model before the "
                   "round on its data.",
        .options = options,
        .footer = INSPECT_EXIT_CODES,
    };
    const char *directory = NULL;
    rd_store *store = NULL;
    listing l = {0};
    rd_status status = inspect_parse(&command, argc, argv, "DIR, a state directory", &directory, err);
    if (status != RD_OK || directory == NULL)
        return status;
    RD_TRY(export_choose(csv, jsonl, &l.kind, err));
    RD_TRY(rd_store_open_reader(directory, &store, err));
    RD_TRY(round > 0 ? list_participants(store, round, &l, err) : list_clients(store, &l, err));
    if (l.short_of_memory)
        status = rd_fail(err, RD_ERR_MEMORY, "no memory for a client's record");
cleanup:
    rd_store_close(store);
    return status;
}
