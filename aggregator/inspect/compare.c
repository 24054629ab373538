/* compare.c: `rondo-inspect compare A B ...`: runs side by side, as a table, and as a picture with the table
 * in it. An operand is a state directory, or a folder of seed-N ones, which then stand for one run with a
 * mean and its confidence interval. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/confidence.h"
#include "core/grow.h"
#include "gnuplot.h"
#include "inspect.h"
#include "metric.h"
#include "seed_runs.h"
#include "store/store.h"
#include "table.h"

enum { MOST_RUNS = 16, MOST_SEEDS = 1000 };

typedef struct history {
    rd_round_record *records; /* (count) */
    size_t count, capacity;
    bool short_of_memory;
} history;

typedef struct entry {
    const char *name; /* the operand */
    history *seeds;   /* (seed_count) */
    size_t seed_count;
} entry;

typedef struct comparison {
    entry entries[MOST_RUNS];
    size_t count;
    const metric *drawn;    /* NULL: there is nothing to draw */
    const metric *accuracy; /* of "best" and the target: on the test set, or else on hold-out rows */
    bool by_clock;          /* x is simulated time, or rounds */
    double target;          /* accuracy; 0: none */
    const char *out;
    uint64_t width, height;
} comparison;

/* ---- reading ---- */

static bool remember(const rd_round_record *r, void *user)
{
    rd_error ignored;
    history *h = user;
    if (rd_grow(&h->records, &h->capacity, h->count + 1, sizeof *h->records, "rounds", &ignored) != RD_OK) {
        h->short_of_memory = true;
        return false;
    }
    h->records[h->count++] = *r;
    return true;
}

static rd_status read_history(const char *directory, history *h, rd_error *err)
{
    rd_store *store = NULL;
    rd_status status = RD_OK;
    RD_TRY(rd_store_open_reader(directory, &store, err));
    RD_TRY(rd_store_rounds(store, 0, remember, h, err));
    if (h->short_of_memory)
        RD_THROW(RD_ERR_MEMORY, "no memory for the rounds of %s", directory);
cleanup:
    rd_store_close(store);
    return status;
}

static rd_status read_entry(entry *e, rd_error *err)
{
    seed_runs seeds = {0};
    rd_status status = RD_OK;
    RD_TRY(seed_runs_find(e->name, &seeds, err));
    size_t count = seeds.count > 0 ? seeds.count : 1;
    if (count > MOST_SEEDS)
        RD_THROW(RD_ERR_STATE, "%s: more than %d runs", e->name, MOST_SEEDS);
    e->seeds = calloc(count, sizeof *e->seeds);
    if (e->seeds == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for the runs of %s", e->name);
    for (size_t i = 0; i < count; i++) {
        e->seed_count++;
        RD_TRY(read_history(seeds.count > 0 ? seeds.paths[i] : e->name, &e->seeds[i], err));
    }
cleanup:
    seed_runs_free(&seeds);
    return status;
}

static void free_entry(entry *e)
{
    for (size_t i = 0; i < e->seed_count; i++)
        free(e->seeds[i].records);
    free(e->seeds);
}

/* ---- figures ---- */

static double last_of(const history *h, double (*figure)(const rd_round_record *))
{
    for (size_t i = h->count; i-- > 0;)
        if (!isnan(figure(&h->records[i])))
            return figure(&h->records[i]);
    return NAN;
}

static double spread(const rd_round_record *r)
{
    return r->spread.deviation;
}

static double worst(const rd_round_record *r)
{
    return r->spread.worst;
}

static double simulated(const rd_round_record *r)
{
    return r->clock;
}

/* The record of the model that the metric of record i tells of; NULL: of one that is not among them. */
static const rd_round_record *model_of(const history *h, size_t i, const metric *m)
{
    return !m->before ? &h->records[i] : i > 0 ? &h->records[i - 1] : NULL;
}

static double best_accuracy(const history *h, const metric *accuracy)
{
    double best = NAN;
    for (size_t i = 0; i < h->count; i++)
        best = fmax(best, accuracy->of(&h->records[i])); /* NaN gives way */
    return best;
}

/* The first round whose model reaches the target, without interpolation. */
static const rd_round_record *at_target(const history *h, const metric *accuracy, double target)
{
    for (size_t i = 0; i < h->count; i++)
        if (accuracy->of(&h->records[i]) >= target)
            return model_of(h, i, accuracy);
    return NULL;
}

static double sum_of(const history *h, double (*figure)(const rd_round_record *))
{
    double sum = 0;
    for (size_t i = 0; i < h->count; i++)
        sum += figure(&h->records[i]);
    return sum;
}

static double seconds(const rd_round_record *r)
{
    return isnan(r->seconds) ? 0 : r->seconds;
}

static double bytes(const rd_round_record *r)
{
    return (double)(r->bytes_in + r->bytes_out);
}

/* ---- the table ---- */

enum {
    NAME,
    SEEDS,
    ROUNDS,
    LOSS,
    ACCURACY,
    BEST,
    TARGET_ROUNDS,
    TARGET_CLOCK,
    HOLDOUT_ACCURACY,
    HOLDOUT,
    TRAIN,
    CLIENTS,
    SPREAD,
    WORST,
    CLOCK,
    BYTES,
    SECONDS,
    COLUMNS
};

static const table_column columns[COLUMNS] = {
    [NAME] = {"run", true},
    [SEEDS] = {"seeds", false},
    [ROUNDS] = {"rounds", false},
    [LOSS] = {"test loss", false},
    [ACCURACY] = {"accuracy", false},
    [BEST] = {"best", false},
    [TARGET_ROUNDS] = {"rounds to target", false},
    [TARGET_CLOCK] = {"clock at target", false},
    [HOLDOUT_ACCURACY] = {"hold-out acc.", false},
    [HOLDOUT] = {"hold-out loss", false},
    [TRAIN] = {"train loss", false},
    [CLIENTS] = {"clients' loss", false},
    [SPREAD] = {"deviation", false},
    [WORST] = {"worst tenth", false},
    [CLOCK] = {"clock", false},
    [BYTES] = {"bytes", false},
    [SECONDS] = {"seconds", false},
};

/* Mean over seeds of a figure; NaN where one of them has none. */
static double mean_over(const entry *e, double (*figure)(const rd_round_record *))
{
    double sum = 0;
    for (size_t i = 0; i < e->seed_count; i++)
        sum += last_of(&e->seeds[i], figure);
    return sum / (double)e->seed_count;
}

static void fill_target(const comparison *c, const entry *e, table_row *row)
{
    double rounds = 0, clock = 0;
    size_t reached = 0;
    for (size_t i = 0; i < e->seed_count && c->target > 0; i++) {
        const rd_round_record *r = at_target(&e->seeds[i], c->accuracy, c->target);
        if (r == NULL)
            continue;
        reached++;
        rounds += (double)r->round;
        clock += r->clock;
    }
    if (c->target == 0)
        return;
    if (reached < e->seed_count) {
        (void)snprintf(row->cell[TARGET_ROUNDS], TABLE_CELL, reached == 0 ? "never" : "%zu of %zu seeds", reached,
                       e->seed_count);
        return;
    }
    (void)snprintf(row->cell[TARGET_ROUNDS], TABLE_CELL, e->seed_count == 1 ? "%.0f" : "%.1f",
                   rounds / (double)reached);
    if (!isnan(clock))
        (void)snprintf(row->cell[TARGET_CLOCK], TABLE_CELL, "%.0f s", clock / (double)reached);
}

static void fill_row(const comparison *c, const entry *e, table_row *row)
{
    double rounds = 0, best = 0, transferred = 0, took = 0, clock = mean_over(e, simulated);
    memset(row, 0, sizeof *row);
    for (size_t i = 0; i < e->seed_count; i++) {
        const history *h = &e->seeds[i];
        rounds += h->count > 0 ? (double)h->records[h->count - 1].round : 0;
        best += best_accuracy(h, c->accuracy);
        transferred += sum_of(h, bytes);
        took += sum_of(h, seconds);
    }
    double n = (double)e->seed_count;
    table_text(row->cell[NAME], e->name);
    table_count_if_any(row->cell[SEEDS], e->seed_count > 1 ? e->seed_count : 0);
    (void)snprintf(row->cell[ROUNDS], TABLE_CELL, e->seed_count == 1 ? "%.0f" : "%.1f", rounds / n);
    table_number(row->cell[LOSS], mean_over(e, metric_find("loss")->of));
    table_percent(row->cell[ACCURACY], mean_over(e, metric_test_accuracy->of));
    table_percent(row->cell[BEST], best / n);
    fill_target(c, e, row);
    table_percent(row->cell[HOLDOUT_ACCURACY], mean_over(e, metric_holdout_accuracy->of));
    table_number(row->cell[HOLDOUT], mean_over(e, metric_find("holdout_loss")->of));
    table_number(row->cell[TRAIN], mean_over(e, metric_find("train_loss")->of));
    table_number(row->cell[CLIENTS], mean_over(e, metric_find("clients_loss")->of));
    table_number(row->cell[SPREAD], mean_over(e, spread));
    table_number(row->cell[WORST], mean_over(e, worst));
    if (!isnan(clock))
        (void)snprintf(row->cell[CLOCK], TABLE_CELL, "%.0f s", clock);
    table_count_if_any(row->cell[BYTES], (uint64_t)(transferred / n));
    table_seconds(row->cell[SECONDS], took / n);
}

/* ---- the picture ---- */

static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#000000", "#999999"};
enum { COLOURS = sizeof colours / sizeof *colours };

static void write_quoted(FILE *script, const char *text)
{
    for (const char *t = text; *t != '\0'; t++) {
        if (*t == '\'')
            (void)fputc('\'', script);
        (void)fputc(*t, script);
    }
}

/* Round or clock, mean, and the two ends of its 95 % confidence interval, of the rounds that all seeds have
 * measured. */
static void write_points(FILE *script, const comparison *c, const entry *e)
{
    const history *first = &e->seeds[0];
    double values[MOST_SEEDS], mean, t = e->seed_count > 1 ? rd_student_t(e->seed_count - 1) : 0;
    for (size_t i = 0; i < first->count; i++) {
        size_t n = 0;
        double clock = 0;
        for (; n < e->seed_count && i < e->seeds[n].count; n++) {
            const rd_round_record *model = model_of(&e->seeds[n], i, c->drawn);
            double value = model != NULL ? c->drawn->of(&e->seeds[n].records[i]) : NAN;
            values[n] = c->drawn->percent ? 100 * value : value;
            clock += model == NULL || model->round == 0 ? 0 : model->clock;
        }
        if (n < e->seed_count)
            break;
        double half = rd_confidence_half_width(values, n, t, &mean);
        double x = c->by_clock ? clock / (double)n : (double)first->records[i].round - c->drawn->before;
        if (!isnan(mean))
            (void)fprintf(script, "%.9g %.9g %.9g %.9g\n", x, mean, n > 1 ? mean - half : mean,
                          n > 1 ? mean + half : mean);
    }
}

static void write_table(FILE *script, const comparison *c, const table *t, const table_row *rows, double top,
                        double step)
{
    size_t at = 0, all = 0;
    for (size_t k = 0; k < COLUMNS; k++)
        all += t->width[k] > 0 ? t->width[k] + 2 : 0;
    for (size_t k = 0; k < COLUMNS; k++) {
        if (t->width[k] == 0)
            continue;
        double x = 0.04 + 0.93 * (double)(columns[k].left ? at : at + t->width[k]) / (double)all;
        const char *align = columns[k].left ? "left" : "right";
        (void)fputs("set label '", script);
        write_quoted(script, columns[k].heading);
        (void)fprintf(script, "' at screen %.4f, screen %.4f %s noenhanced font ',10' textcolor rgb '#666666'\n", x,
                      top, align);
        for (size_t i = 0; i < c->count; i++) {
            (void)fprintf(script, "set label '");
            write_quoted(script, rows[i].cell[k]);
            (void)fprintf(script, "' at screen %.4f, screen %.4f %s noenhanced font ',10' textcolor rgb '%s'\n", x,
                          top - step * (double)(i + 1), align, k == NAME ? colours[i % COLOURS] : "#222222");
        }
        at += t->width[k] + 2;
    }
}

static void write_script(FILE *script, const comparison *c, const table *t, const table_row *rows)
{
    const char *ending = strrchr(c->out, '.');
    double width = c->width > 0 ? (double)c->width : 1100;
    double line = 20, table_height = line * (double)(c->count + 2),
           height = c->height > 0 ? (double)c->height : 460 + table_height;
    (void)fprintf(script, "set encoding utf8\nset terminal %s size %.0f,%.0f font '%s,12' background rgb 'white'\n",
                  strcmp(ending, ".svg") == 0 ? "svg" : "pngcairo", width, height,
                  strcmp(ending, ".svg") == 0 ? "Arial" : "Sans");
    for (size_t i = 0; i < c->count; i++) {
        (void)fprintf(script, "$d%zu << END_OF_DATA\n", i);
        write_points(script, c, &c->entries[i]);
        (void)fprintf(script, "END_OF_DATA\n");
    }
    (void)fputs("set border 3 linecolor rgb '#444444'\nset tics nomirror textcolor rgb '#222222'\n"
                "set grid linecolor rgb '#dddddd' linetype 1 linewidth 0.7\n",
                script);
    (void)fprintf(script, "set xlabel '%s' offset 0,0.3\n", c->by_clock ? "Simulated time (s)" : "Round");
    (void)fputs("set ylabel '", script);
    write_quoted(script, c->drawn->axis);
    (void)fprintf(script, "' noenhanced\nset key noenhanced samplen 2 spacing 1.15 %s right\n",
                  c->drawn->percent ? "bottom" : "top");
    (void)fprintf(script, "set lmargin at screen %.4f\nset rmargin at screen 0.975\nset tmargin at screen 0.96\n",
                  80 / width);
    (void)fprintf(script, "set bmargin at screen %.4f\n", (table_height + 55) / height);
    write_table(script, c, t, rows, (table_height - line * 0.6) / height, line / height);
    if (c->drawn == c->accuracy && c->target > 0)
        (void)fprintf(script,
                      "set arrow from graph 0, first %g to graph 1, first %g nohead linecolor rgb '#888888' "
                      "dashtype 2\n",
                      100 * c->target, 100 * c->target);
    (void)fputs("plot ", script);
    for (size_t i = 0; i < c->count; i++) {
        if (c->entries[i].seed_count > 1)
            (void)fprintf(script,
                          "%s$d%zu using 1:3:4 with filledcurves fillcolor rgb '%s' fillstyle transparent "
                          "solid 0.18 noborder notitle",
                          i > 0 ? ", " : "", i, colours[i % COLOURS]);
        (void)fprintf(script, "%s$d%zu using 1:2 with lines linecolor rgb '%s' linewidth 2 dashtype %d title '",
                      i > 0 || c->entries[i].seed_count > 1 ? ", " : "", i, colours[i % COLOURS], i < COLOURS ? 1 : 2);
        write_quoted(script, rows[i].cell[NAME]);
        (void)fputc('\'', script);
    }
    (void)fputc('\n', script);
}

/* What the picture shows, and of which runs it cannot. */
static void tell_drawn(const comparison *c)
{
    (void)printf("\n%s: %s by %s", c->out, c->drawn->label, c->by_clock ? "simulated time" : "round");
    const char *before = "; not measured by ";
    for (size_t i = 0; i < c->count; i++)
        if (isnan(mean_over(&c->entries[i], c->drawn->of))) {
            (void)printf("%s%s", before, c->entries[i].name);
            before = ", ";
        }
    (void)printf("\n");
}

/* ---- the command ---- */

static rd_status show(const comparison *c, rd_error *err)
{
    rd_status status = RD_OK;
    gnuplot g;
    table t = {.columns = columns, .count = COLUMNS};
    table_row *rows = calloc(c->count, sizeof *rows);
    if (rows == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the table");
    for (size_t i = 0; i < c->count; i++) {
        fill_row(c, &c->entries[i], &rows[i]);
        (void)table_measure(&t, &rows[i]);
    }
    table_print_heading(&t);
    for (size_t i = 0; i < c->count; i++)
        table_print(&t, &rows[i]);
    if (c->out != NULL) {
        RD_TRY(gnuplot_start(c->out, &g, err));
        write_script(g.script, c, &t, rows);
        RD_TRY(gnuplot_finish(&g, err));
        tell_drawn(c);
    }
cleanup:
    free(rows);
    return status;
}

/* How many runs have measured it? */
static size_t runs_with(const comparison *c, const metric *m)
{
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++)
        count += !isnan(mean_over(&c->entries[i], m->of));
    return count;
}

/* The one that was asked for, or the best that all have, or else the best that any has. */
static rd_status choose_drawn(comparison *c, const char *name, rd_error *err)
{
    const metric *any = NULL, *asked = name != NULL ? metric_find(name) : NULL;
    for (const metric *m = metrics; m->name != NULL && asked == NULL && c->drawn == NULL; m++) {
        size_t count = runs_with(c, m);
        c->drawn = count == c->count ? m : NULL;
        any = any == NULL && count > 0 ? m : any;
    }
    c->drawn = asked != NULL ? asked : c->drawn != NULL ? c->drawn : any;
    if (c->out != NULL && asked != NULL && runs_with(c, asked) == 0)
        return rd_fail(err, RD_ERR_STATE, "--metric %s: none of the runs has measured its %s", name, asked->label);
    if (c->out != NULL && c->drawn == NULL)
        return rd_fail(err, RD_ERR_STATE, "none of the runs has measured a loss to draw yet");
    return RD_OK;
}

static rd_status check(comparison *c, const char *name, const char *against, rd_error *err)
{
    const char *ending = c->out != NULL ? strrchr(c->out, '.') : ".png";
    if (ending == NULL || (strcmp(ending, ".svg") != 0 && strcmp(ending, ".png") != 0))
        return rd_fail(err, RD_ERR_USAGE, "--out %s: expected a name that ends in .svg or .png", c->out);
    if (name != NULL && metric_find(name) == NULL)
        return rd_fail(err, RD_ERR_USAGE,
                       "--metric: expected accuracy, loss, holdout_accuracy, holdout_loss, train_loss or "
                       "clients_loss, found '%s'",
                       name);
    if (against != NULL && strcmp(against, "rounds") != 0 && strcmp(against, "clock") != 0)
        return rd_fail(err, RD_ERR_USAGE, "--against: expected rounds or clock, found '%s'", against);
    c->by_clock = against != NULL && strcmp(against, "clock") == 0;
    for (size_t i = 0; i < c->count; i++)
        if (c->by_clock && isnan(mean_over(&c->entries[i], simulated)))
            return rd_fail(err, RD_ERR_STATE, "--against clock: %s has no simulated time (run.json simulation.system)",
                           c->entries[i].name);
    c->accuracy = runs_with(c, metric_test_accuracy) == 0 && runs_with(c, metric_holdout_accuracy) > 0
                      ? metric_holdout_accuracy
                      : metric_test_accuracy;
    if (c->target > 0 && runs_with(c, c->accuracy) == 0)
        return rd_fail(err, RD_ERR_STATE, "--target: none of the runs has measured an accuracy");
    return choose_drawn(c, name, err);
}

rd_status inspect_compare(int argc, char **argv, rd_error *err)
{
    comparison c = {0};
    const char *name = NULL, *against = NULL, *directories[MOST_RUNS];
    rd_status status = RD_OK;
    const rd_option options[] = {
        {.kind = RD_OPTION_TEXT,
         .name = "out",
         .placeholder = "FILE",
         .help = "a picture of them, with the table; its ending, .svg or .png, says which kind",
         .value = &c.out},
        {.kind = RD_OPTION_TEXT,
         .name = "metric",
         .placeholder = "NAME",
         .help = "what to draw: accuracy or loss on the test set, holdout_accuracy or holdout_loss on the "
                 "participants' hold-out rows, train_loss on their training rows, clients_loss while they train; "
                 "default: the first of these that all runs have measured",
         .value = &name},
        {.kind = RD_OPTION_TEXT,
         .name = "against",
         .placeholder = "WHAT",
         .help = "what it is drawn against: rounds (default), or the simulated clock",
         .value = &against},
        {.kind = RD_OPTION_NUMBER,
         .name = "target",
         .placeholder = "A",
         .help = "accuracy from 0 to 1: after how many rounds did a model first reach it?",
         .value = &c.target,
         .min = 0,
         .max = 1},
        {.kind = RD_OPTION_COUNT,
         .name = "width",
         .placeholder = "PIXELS",
         .help = "default 1100",
         .value = &c.width,
         .min = 300,
         .max = 10000},
        {.kind = RD_OPTION_COUNT,
         .name = "height",
         .placeholder = "PIXELS",
         .help = "default 460 and 20 a run",
         .value = &c.height,
         .min = 300,
         .max = 10000},
        {.kind = RD_OPTION_END}};
    const rd_command command = {
        .program = "rondo-inspect compare",
        .usage = "DIR DIR ... [--target A] [--out FILE]",
        .summary = "Compares runs: a state directory each, or a folder of seed-N ones (rondo-sim "
                   "--seeds), which stand for one run with a 95 % confidence interval. Figures are of the last "
                   "round that measured them. Where no run has a test set, best and target are of the accuracy "
                   "on hold-out rows.",
        .options = options,
        .footer = INSPECT_EXIT_CODES};
    rd_operands operands = {directories, MOST_RUNS, 1, "the state directories of runs", 0};
    rd_parse_result parsed = rd_options_parse(&command, argc, argv, &operands, err);
    if (parsed != RD_PARSE_RUN)
        return rd_parse_status(parsed);
    c.count = operands.count;
    for (size_t i = 0; i < c.count; i++) {
        c.entries[i].name = directories[i];
        RD_TRY(read_entry(&c.entries[i], err));
    }
    RD_TRY(check(&c, name, against, err));
    status = show(&c, err);
cleanup:
    for (size_t i = 0; i < c.count; i++)
        free_entry(&c.entries[i]);
    return status;
}
