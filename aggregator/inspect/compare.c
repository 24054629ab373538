/* compare.c: `rondo-inspect compare A B ...`: runs side by side, as a table, and as a picture with the table
 * in it. An operand is a state directory, or a folder of seed-N ones, which then stand for one run with a
 * mean and a band. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/band.h"
#include "gnuplot.h"
#include "inspect.h"
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
    bool accuracy; /* or loss */
    bool by_clock; /* x is simulated time, or rounds */
    double target; /* accuracy; 0: none */
    const char *out;
    uint64_t width, height;
} comparison;

/* ---- reading ---- */

static bool remember(const rd_round_record *r, void *user)
{
    history *h = user;
    if (h->count == h->capacity) {
        size_t capacity = h->capacity == 0 ? 64 : 2 * h->capacity;
        rd_round_record *records = realloc(h->records, capacity * sizeof *records);
        if (records == NULL) {
            h->short_of_memory = true;
            return false;
        }
        h->records = records;
        h->capacity = capacity;
    }
    h->records[h->count++] = *r;
    return true;
}

static rd_status read_history(const char *directory, history *h, rd_error *err)
{
    rd_store *store = NULL;
    rd_status status = rd_store_open_reader(directory, &store, err);
    if (status == RD_OK)
        status = rd_store_rounds(store, 0, remember, h, err);
    rd_store_close(store);
    if (status == RD_OK && h->short_of_memory)
        status = rd_fail(err, RD_ERR_MEMORY, "no memory for the rounds of %s", directory);
    return status;
}

static int is_seed(const struct dirent *d)
{
    return strncmp(d->d_name, "seed-", 5) == 0;
}

static rd_status read_entry(entry *e, rd_error *err)
{
    struct dirent **names = NULL;
    int count = scandir(e->name, &names, is_seed, alphasort);
    rd_status status = RD_OK;
    size_t seeds = count > 0 && count <= MOST_SEEDS ? (size_t)count : 1;
    e->seeds = calloc(seeds, sizeof *e->seeds);
    if (e->seeds == NULL)
        status = rd_fail(err, RD_ERR_MEMORY, "no memory for the runs of %s", e->name);
    for (size_t i = 0; i < seeds && status == RD_OK; i++) {
        char path[4096];
        if (count > 0)
            (void)snprintf(path, sizeof path, "%s/%s", e->name, names[i]->d_name);
        else
            (void)snprintf(path, sizeof path, "%s", e->name);
        status = read_history(path, &e->seeds[i], err);
        e->seed_count++;
    }
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
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

static double test_loss(const rd_round_record *r)
{
    return r->test.samples > 0 ? r->test.loss : NAN;
}

static double test_accuracy(const rd_round_record *r)
{
    return r->test.samples > 0 ? r->test.accuracy : NAN;
}

static double holdout_loss(const rd_round_record *r)
{
    return r->holdout.samples > 0 ? r->holdout.loss : NAN;
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

static double best_accuracy(const history *h)
{
    double best = NAN;
    for (size_t i = 0; i < h->count; i++)
        best = fmax(best, test_accuracy(&h->records[i])); /* NaN gives way */
    return best;
}

/* The first round whose model reaches the target, without interpolation. */
static const rd_round_record *at_target(const history *h, double target)
{
    for (size_t i = 0; i < h->count; i++)
        if (test_accuracy(&h->records[i]) >= target)
            return &h->records[i];
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
    HOLDOUT,
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
    [HOLDOUT] = {"hold-out loss", false},
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
        const rd_round_record *r = at_target(&e->seeds[i], c->target);
        if (r == NULL)
            continue;
        reached++;
        rounds += (double)r->round;
        clock += r->clock;
    }
    if (c->target == 0)
        return;
    if (reached < e->seed_count) {
        (void)snprintf(row->cell[TARGET_ROUNDS], TABLE_CELL, reached == 0 ? "never" : "%zu of %zu seeds",
                       reached, e->seed_count);
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
        best += best_accuracy(h);
        transferred += sum_of(h, bytes);
        took += sum_of(h, seconds);
    }
    double n = (double)e->seed_count;
    table_text(row->cell[NAME], e->name);
    table_count_if_any(row->cell[SEEDS], e->seed_count > 1 ? e->seed_count : 0);
    (void)snprintf(row->cell[ROUNDS], TABLE_CELL, e->seed_count == 1 ? "%.0f" : "%.1f", rounds / n);
    table_number(row->cell[LOSS], mean_over(e, test_loss));
    table_percent(row->cell[ACCURACY], mean_over(e, test_accuracy));
    table_percent(row->cell[BEST], best / n);
    fill_target(c, e, row);
    table_number(row->cell[HOLDOUT], mean_over(e, holdout_loss));
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

/* Round or clock, mean, and the two ends of the 95 % band of the mean, of the rounds that all seeds have measured. */
static void write_points(FILE *script, const comparison *c, const entry *e)
{
    const history *first = &e->seeds[0];
    double values[MOST_SEEDS], mean, t = e->seed_count > 1 ? rd_student_t(e->seed_count - 1) : 0;
    for (size_t i = 0; i < first->count; i++) {
        size_t n = 0;
        double clock = 0;
        for (; n < e->seed_count && i < e->seeds[n].count; n++) {
            const rd_round_record *r = &e->seeds[n].records[i];
            values[n] = c->accuracy ? 100 * test_accuracy(r) : test_loss(r);
            clock += r->round == 0 ? 0 : r->clock;
        }
        if (n < e->seed_count)
            break;
        double half = rd_band(values, n, t, &mean);
        double x = c->by_clock ? clock / (double)n : (double)first->records[i].round;
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
        (void)fprintf(
            script,
            "set label '%s' at screen %.4f, screen %.4f %s noenhanced font ',10' textcolor rgb '#666666'\n",
            columns[k].heading, x, top, align);
        for (size_t i = 0; i < c->count; i++) {
            (void)fprintf(script, "set label '");
            write_quoted(script, rows[i].cell[k]);
            (void)fprintf(script,
                          "' at screen %.4f, screen %.4f %s noenhanced font ',10' textcolor rgb '%s'\n", x,
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
    (void)fprintf(script,
                  "set encoding utf8\nset terminal %s size %.0f,%.0f font '%s,12' background rgb 'white'\n",
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
    (void)fprintf(script, "set ylabel '%s'\nset key noenhanced samplen 2 spacing 1.15 %s right\n",
                  c->accuracy ? "Test accuracy (%)" : "Test loss", c->accuracy ? "bottom" : "top");
    (void)fprintf(script,
                  "set lmargin at screen %.4f\nset rmargin at screen 0.975\nset tmargin at screen 0.96\n",
                  80 / width);
    (void)fprintf(script, "set bmargin at screen %.4f\n", (table_height + 55) / height);
    write_table(script, c, t, rows, (table_height - line * 0.6) / height, line / height);
    if (c->accuracy && c->target > 0)
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
        (void)fprintf(
            script, "%s$d%zu using 1:2 with lines linecolor rgb '%s' linewidth 2 dashtype %d title '",
            i > 0 || c->entries[i].seed_count > 1 ? ", " : "", i, colours[i % COLOURS], i < COLOURS ? 1 : 2);
        write_quoted(script, rows[i].cell[NAME]);
        (void)fputc('\'', script);
    }
    (void)fputc('\n', script);
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
    }
cleanup:
    free(rows);
    return status;
}

static rd_status check(comparison *c, const char *metric, const char *against, rd_error *err)
{
    const char *ending = c->out != NULL ? strrchr(c->out, '.') : ".png";
    if (ending == NULL || (strcmp(ending, ".svg") != 0 && strcmp(ending, ".png") != 0))
        return rd_fail(err, RD_ERR_USAGE, "--out %s: expected a name that ends in .svg or .png", c->out);
    if (metric != NULL && strcmp(metric, "accuracy") != 0 && strcmp(metric, "loss") != 0)
        return rd_fail(err, RD_ERR_USAGE, "--metric: expected accuracy or loss, found '%s'", metric);
    if (against != NULL && strcmp(against, "rounds") != 0 && strcmp(against, "clock") != 0)
        return rd_fail(err, RD_ERR_USAGE, "--against: expected rounds or clock, found '%s'", against);
    c->by_clock = against != NULL && strcmp(against, "clock") == 0;
    bool measured = false, any = false;
    for (size_t i = 0; i < c->count; i++) {
        measured = measured || !isnan(mean_over(&c->entries[i], test_accuracy));
        any = any || !isnan(mean_over(&c->entries[i], test_loss));
        if (c->by_clock && isnan(mean_over(&c->entries[i], simulated)))
            return rd_fail(err, RD_ERR_STATE,
                           "--against clock: %s has no simulated time (run.json simulation.system)",
                           c->entries[i].name);
    }
    c->accuracy = metric != NULL ? strcmp(metric, "accuracy") == 0 : measured;
    if (c->out != NULL && !(c->accuracy ? measured : any))
        return rd_fail(err, RD_ERR_STATE, "none of the runs has a test %s to draw",
                       c->accuracy ? "accuracy" : "loss");
    return RD_OK;
}

rd_status inspect_compare(int argc, char **argv, rd_error *err)
{
    comparison c = {0};
    const char *metric = NULL, *against = NULL, *operands[MOST_RUNS];
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
         .help = "what to draw: accuracy or loss on the test set (default accuracy where it was measured)",
         .value = &metric},
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
                   "--seeds), which stand for one run with a 95 % band. Figures are of the last "
                   "round that measured them.",
        .options = options,
        .footer = INSPECT_EXIT_CODES};
    switch (rd_options_parse(&command, argc, argv, operands, MOST_RUNS, &c.count, err)) {
    case RD_PARSE_EXIT:
        return RD_OK;
    case RD_PARSE_ERROR:
        return RD_ERR_USAGE;
    case RD_PARSE_RUN:
        break;
    }
    if (c.count == 0)
        return rd_fail(err, RD_ERR_USAGE, "rondo-inspect compare needs the state directories of runs");
    for (size_t i = 0; i < c.count; i++) {
        c.entries[i].name = operands[i];
        RD_TRY(read_entry(&c.entries[i], err));
    }
    RD_TRY(check(&c, metric, against, err));
    status = show(&c, err);
cleanup:
    for (size_t i = 0; i < c.count; i++)
        free_entry(&c.entries[i]);
    return status;
}
