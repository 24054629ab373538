/* rounds.c: `rondo-inspect rounds`: the run, round by round. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "export.h"
#include "inspect.h"
#include "seed_runs.h"
#include "store/record_json.h"
#include "store/store.h"
#include "table.h"

enum {
    ROUND,
    TEST_LOSS,
    TEST_ACCURACY,
    TRAIN_LOSS,
    TRAIN_ACCURACY,
    HOLDOUT_LOSS,
    HOLDOUT_ACCURACY,
    GAP,
    SCORES,
    RUNNING_LOSS = SCORES + RD_SCORES,
    SPREAD_MEAN,
    SPREAD_DEVIATION,
    SPREAD_WORST,
    PERSONAL_LOSS,
    PERSONAL_ACCURACY,
    CLOCK,
    ATTACK_SUCCESS,
    COUNTED,
    SELECTED,
    LATE,
    FAILED,
    LEFT_OUT,
    SAMPLES,
    UPDATE_NORM,
    SECONDS,
    BYTES_IN,
    BYTES_OUT,
    MODEL,
    NOTE,
    COLUMNS
};

static const table_column columns[COLUMNS] = {
    [ROUND] = {"round", false},
    [TEST_LOSS] = {"test loss", false},
    [TEST_ACCURACY] = {"accuracy", false},
    [TRAIN_LOSS] = {"train loss", false},
    [TRAIN_ACCURACY] = {"train acc.", false},
    [HOLDOUT_LOSS] = {"hold-out loss", false},
    [HOLDOUT_ACCURACY] = {"hold-out acc.", false},
    [GAP] = {"gap", false},
    [SCORES + RD_SCORE_TOP2 + 0] = {"top 2", false},
    [SCORES + RD_SCORE_TOP2 + 1] = {"top 3", false},
    [SCORES + RD_SCORE_TOP2 + 2] = {"top 4", false},
    [SCORES + RD_SCORE_TOP2 + 3] = {"top 5", false},
    [SCORES + RD_SCORE_TOP2 + 4] = {"top 6", false},
    [SCORES + RD_SCORE_TOP2 + 5] = {"top 7", false},
    [SCORES + RD_SCORE_TOP2 + 6] = {"top 8", false},
    [SCORES + RD_SCORE_TOP2 + 7] = {"top 9", false},
    [SCORES + RD_SCORE_TOP2 + 8] = {"top 10", false},
    [SCORES + RD_SCORE_F1] = {"F1", false},
    [SCORES + RD_SCORE_AUC] = {"AUC", false},
    [SCORES + RD_SCORE_RMSE] = {"RMSE", false},
    [SCORES + RD_SCORE_R2] = {"R2", false},
    [SCORES + RD_SCORE_PERPLEXITY] = {"perplexity", false},
    [RUNNING_LOSS] = {"clients' loss", false},
    [SPREAD_MEAN] = {"mean of clients", false},
    [SPREAD_DEVIATION] = {"deviation", false},
    [SPREAD_WORST] = {"worst tenth", false},
    [PERSONAL_LOSS] = {"own loss", false},
    [PERSONAL_ACCURACY] = {"own acc.", false},
    [CLOCK] = {"clock", false},
    [ATTACK_SUCCESS] = {"backdoor", false},
    [COUNTED] = {"counted", false},
    [SELECTED] = {"selected", false},
    [LATE] = {"late", false},
    [FAILED] = {"failed", false},
    [LEFT_OUT] = {"left out", false},
    [SAMPLES] = {"samples", false},
    [UPDATE_NORM] = {"update norm", false},
    [SECONDS] = {"seconds", false},
    [BYTES_IN] = {"bytes in", false},
    [BYTES_OUT] = {"bytes out", false},
    [MODEL] = {"model", true},
    [NOTE] = {"note", true},
};

static const char *const csv_columns[] = {"round",
                                          "aggregated",
                                          "abandoned",
                                          "test.samples",
                                          "test.loss",
                                          "test.accuracy",
                                          "test.top2",
                                          "test.top3",
                                          "test.top4",
                                          "test.top5",
                                          "test.top6",
                                          "test.top7",
                                          "test.top8",
                                          "test.top9",
                                          "test.top10",
                                          "test.f1",
                                          "test.auc",
                                          "test.rmse",
                                          "test.r2",
                                          "test.perplexity",
                                          "train.samples",
                                          "train.loss",
                                          "train.accuracy",
                                          "holdout.samples",
                                          "holdout.loss",
                                          "holdout.accuracy",
                                          "gap",
                                          "running_loss",
                                          "spread.mean",
                                          "spread.deviation",
                                          "spread.worst",
                                          "personal.samples",
                                          "personal.loss",
                                          "personal.accuracy",
                                          "clock",
                                          "attack_success",
                                          "selected",
                                          "counted",
                                          "late",
                                          "failed",
                                          "samples",
                                          "weight_limit",
                                          "left_out",
                                          "update_norm",
                                          "bytes_in",
                                          "bytes_out",
                                          "seconds",
                                          "finished_at",
                                          "model_sha256",
                                          NULL};

typedef struct listing {
    export_kind kind;
    table table;
    uint64_t next; /* the first round that has not been printed */
    bool printed, short_of_memory;
} listing;

static void metrics_cells(const rd_metrics *m, char loss[TABLE_CELL], char accuracy[TABLE_CELL])
{
    table_number(loss, m->samples > 0 ? m->loss : NAN);
    table_percent(accuracy, m->samples > 0 ? m->accuracy : NAN);
}

static void fill_row(const rd_round_record *r, table_row *row)
{
    memset(row, 0, sizeof *row);
    table_count(row->cell[ROUND], r->round);
    metrics_cells(&r->test, row->cell[TEST_LOSS], row->cell[TEST_ACCURACY]);
    metrics_cells(&r->train, row->cell[TRAIN_LOSS], row->cell[TRAIN_ACCURACY]);
    metrics_cells(&r->holdout, row->cell[HOLDOUT_LOSS], row->cell[HOLDOUT_ACCURACY]);
    for (size_t i = 0; i < RD_SCORES; i++)
        table_number(row->cell[SCORES + i], r->scores.value[i]);
    table_number(row->cell[GAP], r->gap);
    table_text(row->cell[MODEL], r->model_sha256);
    row->cell[MODEL][12] = '\0';
    if (r->round == 0)
        return; /* the initial model: nobody was asked and nothing was sent */
    table_number(row->cell[RUNNING_LOSS], r->running_loss);
    table_number(row->cell[SPREAD_MEAN], r->spread.mean);
    table_number(row->cell[SPREAD_DEVIATION], r->spread.deviation);
    table_number(row->cell[SPREAD_WORST], r->spread.worst);
    metrics_cells(&r->personal, row->cell[PERSONAL_LOSS], row->cell[PERSONAL_ACCURACY]);
    table_number(row->cell[CLOCK], r->clock);
    table_percent(row->cell[ATTACK_SUCCESS], r->attack_success);
    table_count(row->cell[COUNTED], r->counted);
    table_count(row->cell[SELECTED], r->selected);
    table_count_if_any(row->cell[LATE], r->late);
    table_count_if_any(row->cell[FAILED], r->failed);
    table_count_if_any(row->cell[LEFT_OUT], r->left_out);
    table_count_if_any(row->cell[SAMPLES], r->samples);
    table_number(row->cell[UPDATE_NORM], r->update_norm);
    table_seconds(row->cell[SECONDS], r->seconds);
    table_count_if_any(row->cell[BYTES_IN], r->bytes_in);
    table_count_if_any(row->cell[BYTES_OUT], r->bytes_out);
    if (!r->aggregated) {
        char note[sizeof r->abandoned + 16];
        (void)snprintf(note, sizeof note, "model kept: %s", r->abandoned[0] != '\0' ? r->abandoned : "too few updates");
        table_text(row->cell[NOTE], note);
    }
}

static bool measure(const rd_round_record *r, void *user)
{
    listing *l = user;
    table_row row;
    fill_row(r, &row);
    table_measure(&l->table, &row);
    return true;
}

static bool print(const rd_round_record *r, void *user)
{
    listing *l = user;
    table_row row;
    l->next = r->round + 1;
    if (l->kind != EXPORT_TABLE) {
        l->short_of_memory = !export_record(l->kind, csv_columns, rd_round_record_json(r));
        return !l->short_of_memory;
    }
    fill_row(r, &row);
    /* A round that came since the table was laid out may be the first to have a value in some column. */
    if (table_measure(&l->table, &row)) {
        (void)fputs(l->printed ? "\n" : "", stdout);
        table_print_heading(&l->table);
    }
    l->printed = true;
    table_print(&l->table, &row);
    return true;
}

static bool print_change(const rd_change_record *c, void *user)
{
    char key[TABLE_CELL], before[TABLE_CELL], after[TABLE_CELL];
    table_text(key, c->key);
    table_text(before, c->before);
    table_text(after, c->after);
    (void)printf("changed after round %llu: %s %s -> %s\n", (unsigned long long)c->round, key, before, after);
    *(bool *)user = true;
    return true;
}

static rd_status print_title(rd_store *store, rd_error *err)
{
    rd_run_record run = {0};
    char done[TABLE_CELL], planned[TABLE_CELL], name[TABLE_CELL];
    rd_status status = rd_store_run(store, &run, err);
    if (status != RD_OK)
        return status;
    table_count(done, run.rounds_done);
    table_count(planned, run.rounds_planned);
    table_text(name, run.name);
    (void)printf("%s (run %.8s): %s of %s rounds%s\n\n", name, run.run_id, done, planned,
                 run.finished ? ", finished" : "");
    rd_run_record_free(&run);
    bool changed = false;
    status = rd_store_changes(store, print_change, &changed, err);
    (void)fputs(changed ? "\n" : "", stdout);
    return status;
}

static void wait_a_moment(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 250 * 1000000L}, NULL);
}

/* Opens the run; with follow, waits for it to begin. */
static rd_status open_run(const char *directory, bool follow, rd_store **store, rd_error *err)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/rondo.db", directory);
    bool reported = false;
    for (;;) {
        rd_status status = rd_store_open_reader(directory, store, err);
        /* RD_ERR_IO is "no run yet", unless there is a file that we may not read. */
        bool absent = status == RD_ERR_IO && (access(path, F_OK) != 0 || access(path, R_OK) == 0);
        if (!follow || !absent)
            return status;
        if (!reported)
            (void)fprintf(stderr, "waiting for a run in %s\n", directory);
        reported = true;
        wait_a_moment();
    }
}

static void warn_of_missing_rounds(rd_store *store)
{
    uint64_t missing = rd_store_missing_rounds(store);
    if (missing > 0)
        (void)fprintf(stderr,
                      "rondo-inspect: there are models of %llu more rounds than the database knows: power was "
                      "lost, or the directory was copied without rondo.db-wal\n",
                      (unsigned long long)missing);
}

static rd_status list_rounds(rd_store *store, listing *l, bool follow, rd_error *err)
{
    rd_status status = RD_OK;
    if (l->kind == EXPORT_TABLE) {
        RD_TRY(print_title(store, err));
        RD_TRY(rd_store_rounds(store, l->next, measure, l, err));
        if (l->table.width[ROUND] > 0)
            table_print_heading(&l->table);
    } else if (l->kind == EXPORT_CSV) {
        export_csv_heading(csv_columns);
    }
    for (;;) {
        rd_run_record run = {0};
        /* Asked before the rounds are read: if it is finished by then, those are all of them. */
        RD_TRY(rd_store_run(store, &run, err));
        rd_run_record_free(&run);
        RD_TRY(rd_store_rounds(store, l->next, print, l, err));
        if (l->short_of_memory)
            RD_THROW(RD_ERR_MEMORY, "no memory for round %llu", (unsigned long long)l->next - 1);
        RD_TRY(inspect_flush(err));
        if (!follow || run.finished)
            break;
        wait_a_moment();
    }
cleanup:
    return status;
}

static rd_status show_run(const char *directory, export_kind kind, bool follow, uint64_t from, rd_error *err)
{
    rd_store *store = NULL;
    listing l = {.kind = kind, .table = {.columns = columns, .count = COLUMNS}, .next = from};
    rd_status status = open_run(directory, follow, &store, err);
    if (status == RD_OK) {
        warn_of_missing_rounds(store);
        status = list_rounds(store, &l, follow, err);
    }
    rd_store_close(store);
    return status;
}

/* One table after the other; what programs read is of one run. */
static rd_status show_seeds(const seed_runs *seeds, const char *directory, export_kind kind, bool follow, uint64_t from,
                            rd_error *err)
{
    rd_status status = RD_OK;
    if (kind != EXPORT_TABLE || follow)
        return rd_fail(err, RD_ERR_USAGE, "%s holds %zu runs, a seed each: name one of them, such as %s", directory,
                       seeds->count, seeds->paths[0]);
    for (size_t i = 0; i < seeds->count && status == RD_OK; i++) {
        (void)printf("%s%s: ", i > 0 ? "\n" : "", seeds->paths[i]);
        status = show_run(seeds->paths[i], kind, false, from, err);
    }
    return status;
}

rd_status inspect_rounds(int argc, char **argv, rd_error *err)
{
    bool csv = false, jsonl = false, follow = false;
    uint64_t from = 0;
    const rd_option options[] = {
        {.kind = RD_OPTION_FLAG, .name = "csv", .help = "print CSV, with every field at full precision", .value = &csv},
        {.kind = RD_OPTION_FLAG,
         .name = "jsonl",
         .help = "print JSON Lines (one object a round, as GET /v1/rounds gives them)",
         .value = &jsonl},
        {.kind = RD_OPTION_FLAG,
         .name = "follow",
         .help = "print rounds as they come until the run is finished; where there is no run yet, wait for it",
         .value = &follow},
        {.kind = RD_OPTION_COUNT,
         .name = "from",
         .placeholder = "N",
         .help = "begin with round N (default 0, the initial model)",
         .value = &from,
         .min = 0,
         .max = 1e9},
        {.kind = RD_OPTION_END},
    };
    const rd_command command = {
        .program = "rondo-inspect rounds",
        .usage = "DIR [options]",
        .summary = "Shows the run in state directory DIR (or one after the other those in a folder of rondo-sim "
                   "--seeds) "
                   "round by round: loss and accuracy of the new global model "
                   "on the test set, and what evaluation.metrics asks for; loss of the model before the round on "
                   "the "
                   "participants' data (train, hold-out), how much larger it is on rows that nobody trains on than "
                   "on training rows (gap), and while they trained (clients' loss); how many clients were selected, "
                   "counted, "
                   "late and failed, what it cost, and the SHA-256 of the model's parameters. Columns in which "
                   "nothing stands in the whole run are left out of the table.",
        .options = options,
        .footer = "  rondo-inspect rounds state --follow\n"
                  "  rondo-inspect rounds state --csv > rounds.csv\n\n" INSPECT_EXIT_CODES,
    };
    const char *directory = NULL;
    seed_runs seeds = {0};
    export_kind kind = EXPORT_TABLE;
    rd_status status = inspect_parse(&command, argc, argv, "DIR, a state directory", &directory, err);
    if (status != RD_OK || directory == NULL)
        return status;
    RD_TRY(export_choose(csv, jsonl, &kind, err));
    RD_TRY(seed_runs_find(directory, &seeds, err));
    status = seeds.count > 0 ? show_seeds(&seeds, directory, kind, follow, from, err)
                             : show_run(directory, kind, follow, from, err);
cleanup:
    seed_runs_free(&seeds);
    return status;
}
