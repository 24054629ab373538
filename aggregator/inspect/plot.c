/* plot.c: `rondo-inspect plot`: loss and accuracy by round as a picture.
 *
 * A record of round r tells of two models: the new one (on the test set) and the one before it (on the
 * participants' data). The picture puts each point at the round that made its model, so that the curves
 * can be compared. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/grow.h"
#include "gnuplot.h"
#include "inspect.h"
#include "store/store.h"
#include "table.h"

typedef struct series {
    const char *title, *colour, *figure; /* in the key; in the line below the title */
    double *points;                      /* (count, 2) round and value */
    size_t count, capacity;
} series;

enum { TEST, TRAIN, HOLDOUT, RUNNING, GAP, KINDS };
enum { LOSS, ACCURACY, PANELS };

typedef struct picture {
    series panel[PANELS][KINDS];
    bool svg, gap, short_of_memory;
    uint64_t rounds, width, height;
} picture;

/* ---- gathering ---- */

static void add_point(picture *p, series *s, uint64_t round, double value)
{
    rd_error ignored;
    if (!isfinite(value) || p->short_of_memory)
        return;
    if (rd_grow(&s->points, &s->capacity, s->count + 1, 2 * sizeof *s->points, "points", &ignored) != RD_OK) {
        p->short_of_memory = true;
        return;
    }
    s->points[2 * s->count] = (double)round;
    s->points[2 * s->count + 1] = value;
    s->count++;
}

static void add_metrics(picture *p, int kind, uint64_t round, const rd_metrics *m)
{
    if (m->samples == 0)
        return;
    add_point(p, &p->panel[LOSS][kind], round, m->loss);
    add_point(p, &p->panel[ACCURACY][kind], round, 100.0 * m->accuracy);
}

static bool gather(const rd_round_record *r, void *user)
{
    picture *p = user;
    p->rounds = r->round;
    add_metrics(p, TEST, r->round, &r->test);
    if (r->round > 0) {
        add_metrics(p, TRAIN, r->round - 1, &r->train);
        add_metrics(p, HOLDOUT, r->round - 1, &r->holdout);
        add_point(p, &p->panel[LOSS][RUNNING], r->round, r->running_loss);
        if (p->gap)
            add_point(p, &p->panel[LOSS][GAP], r->round - 1, r->gap);
    }
    return !p->short_of_memory;
}

/* The loss while the model changes is no loss of a global model: shown only where nothing better is known of
 * the participants. */
static void drop_running_loss_where_others_tell(picture *p)
{
    if (p->panel[LOSS][TRAIN].count > 0 || p->panel[LOSS][HOLDOUT].count > 0)
        p->panel[LOSS][RUNNING].count = 0;
}

static size_t points_in(const picture *p, int panel)
{
    size_t count = 0;
    for (int k = 0; k < KINDS; k++)
        count += p->panel[panel][k].count;
    return count;
}

static void free_picture(picture *p)
{
    for (int panel = 0; panel < PANELS; panel++)
        for (int k = 0; k < KINDS; k++)
            free(p->panel[panel][k].points);
}

/* ---- drawing ---- */

/* The text inside a gnuplot string in single quotes, with nothing in it that its markup would take for its
 * own. */
static void write_quoted(FILE *script, const char *text)
{
    char clean[TABLE_CELL];
    table_text(clean, text); /* no line breaks: gnuplot reads line by line */
    for (const char *c = clean; *c != '\0'; c++) {
        if (*c == '\'')
            (void)fputc('\'', script);
        else if (strchr("{}^_@&~\\", *c) != NULL)
            (void)fputc('\\', script);
        (void)fputc(*c, script);
    }
}

static void write_data(FILE *script, const picture *p)
{
    for (int panel = 0; panel < PANELS; panel++)
        for (int k = 0; k < KINDS; k++) {
            const series *s = &p->panel[panel][k];
            (void)fprintf(script, "$data_%d_%d << END_OF_DATA\n", panel, k);
            for (size_t i = 0; i < s->count; i++)
                (void)fprintf(script, "%.0f %.17g\n", s->points[2 * i], s->points[2 * i + 1]);
            (void)fprintf(script, "END_OF_DATA\n");
        }
}

static const char *loss_label(const rd_run_record *run)
{
    cJSON *config = cJSON_Parse(run->config_json);
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(config, "model");
    const char *loss = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(model, "loss"));
    const char *preset = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(model, "preset"));
    const char *label = "Loss";
    if (loss != NULL)
        label = strcmp(loss, "mse") == 0 ? "Loss (mean squared error)" : "Loss (cross-entropy, nats)";
    else if (preset != NULL)
        label = strcmp(preset, "linear-regression") == 0 ? "Loss (mean squared error)" : "Loss (cross-entropy, nats)";
    cJSON_Delete(config);
    return label;
}

/* Where there is no test set. */
static const series *best_known_loss(const picture *p)
{
    static const int kinds[] = {HOLDOUT, TRAIN, RUNNING};
    size_t i = 0;
    while (i < 2 && p->panel[LOSS][kinds[i]].count == 0)
        i++;
    return &p->panel[LOSS][kinds[i]];
}

/* Run name, and the figures one looks for first. */
static void write_title(FILE *script, const picture *p, const rd_run_record *run)
{
    const series *loss = &p->panel[LOSS][TEST], *accuracy = &p->panel[ACCURACY][TEST];
    char text[TABLE_CELL];
    (void)fputs("set label 1 '{/:Bold ", script);
    write_quoted(script, run->name);
    (void)fprintf(script, "}' at screen 0.5, screen 0.95 center font ',16'\n");
    table_count(text, p->rounds);
    (void)fprintf(script, "set label 2 '%s round%s", text, p->rounds == 1 ? "" : "s");
    if (loss->count == 0) {
        loss = best_known_loss(p);
        accuracy = &p->panel[ACCURACY][HOLDOUT];
    }
    table_number(text, loss->points[2 * loss->count - 1]);
    (void)fprintf(script, ", %s loss %s", loss->figure, text);
    if (accuracy->count > 0)
        (void)fprintf(script, ", %s accuracy %.2f %%", accuracy->figure, accuracy->points[2 * accuracy->count - 1]);
    (void)fprintf(script, "' at screen 0.5, screen 0.885 center font ',12' textcolor rgb '#555555'\n");
}

static void loss_extremes(const picture *p, double *min, double *max)
{
    *min = INFINITY;
    *max = 0.0;
    for (int k = 0; k < KINDS; k++)
        for (size_t i = 0; i < p->panel[LOSS][k].count; i++) {
            double value = p->panel[LOSS][k].points[2 * i + 1];
            *min = value < *min ? value : *min;
            *max = value > *max ? value : *max;
        }
}

static bool wants_log_scale(const picture *p)
{
    double min, max;
    loss_extremes(p, &min, &max);
    return min > 0.0 && max > 100.0 * min && p->panel[LOSS][GAP].count == 0; /* a gap falls below 0 */
}

/* Pixels between the edge of the picture and the axis: the label and the longest number must fit. */
static double left_margin(const picture *p)
{
    double min, max;
    loss_extremes(p, &min, &max);
    return max < 1e4 && min > 1e-3 ? 85.0 : 115.0;
}

/* Axes of a panel between two horizontal positions of the picture (0 to 1). */
static void write_axes(FILE *script, const picture *p, int panel, double left, double right, const char *label)
{
    (void)fprintf(script,
                  "set lmargin at screen %.4f\nset rmargin at screen %.4f\n"
                  "set tmargin at screen 0.83\nset bmargin at screen 0.14\n",
                  left, right);
    (void)fprintf(script, "set ylabel '%s' offset 0.5,0\n", label);
    (void)fprintf(script, "set xrange [0:%llu]\n", (unsigned long long)(p->rounds > 0 ? p->rounds : 1));
    if (p->rounds <= 12)
        (void)fprintf(script, "set xtics 1\n");
    (void)fprintf(script, "set key %s right\n", panel == LOSS ? "top" : "bottom");
    if (panel == ACCURACY)
        (void)fputs("unset logscale y\nset yrange [0<*:*<100]\n", script);
    else if (wants_log_scale(p))
        (void)fputs("set logscale y\nset yrange [*:*]\n", script);
    else
        (void)fputs(p->panel[LOSS][GAP].count > 0 ? "unset logscale y\nset yrange [*:*]\n"
                                                  : "unset logscale y\nset yrange [0:*]\n",
                    script);
}

static void write_curves(FILE *script, const picture *p, int panel)
{
    bool first = true;
    (void)fprintf(script, "plot ");
    for (int k = 0; k < KINDS; k++) {
        const series *s = &p->panel[panel][k];
        if (s->count == 0)
            continue;
        /* Points as well, as long as there are few enough to tell them apart. */
        (void)fprintf(script, "%s$data_%d_%d using 1:2 with %s linecolor rgb '%s' linewidth 2 %s title \"%s\"",
                      first ? "" : ", ", panel, k, s->count <= 40 ? "linespoints" : "lines", s->colour,
                      s->count <= 40 ? "pointtype 7 pointsize 0.7" : "", s->title);
        first = false;
    }
    (void)fprintf(script, "\n");
}

static void write_script(FILE *script, const picture *p, const rd_run_record *run)
{
    bool both = points_in(p, ACCURACY) > 0;
    uint64_t width = p->width > 0 ? p->width : both ? 1200 : 800;
    uint64_t height = p->height > 0 ? p->height : 500;
    (void)fprintf(script, "set encoding utf8\n");
    (void)fprintf(script,
                  p->svg ? "set terminal svg size %llu,%llu font 'Arial,13' enhanced background rgb 'white'\n"
                         : "set terminal pngcairo size %llu,%llu font 'Sans,12' enhanced background rgb 'white'\n",
                  (unsigned long long)width, (unsigned long long)height);
    write_data(script, p);
    (void)fputs("set border 3 linecolor rgb '#444444'\n"
                "set tics nomirror textcolor rgb '#222222'\n"
                "set grid linecolor rgb '#dddddd' linetype 1 linewidth 0.7\n"
                "set key noopaque samplen 2 spacing 1.2\n"
                "set format x '%.0f'\n"
                "set format y '%g'\n"
                "set xlabel 'Round' offset 0,0.3\n",
                script);
    write_title(script, p, run);
    (void)fprintf(script, "set multiplot\n");
    double margin = left_margin(p) / (double)width, edge = 25.0 / (double)width;
    write_axes(script, p, LOSS, margin, both ? 0.5 - edge : 1.0 - edge, loss_label(run));
    write_curves(script, p, LOSS);
    if (both) {
        (void)fprintf(script, "unset label 1\nunset label 2\n");
        write_axes(script, p, ACCURACY, 0.5 + margin, 1.0 - edge, "Accuracy (%)");
        write_curves(script, p, ACCURACY);
    }
    (void)fprintf(script, "unset multiplot\n");
}

static void tell_drawn(const picture *p, const char *out)
{
    const char *before = "";
    (void)printf("%s: loss by round (", out);
    for (int k = 0; k < KINDS; k++)
        if (p->panel[LOSS][k].count > 0) {
            (void)printf("%s%s", before, p->panel[LOSS][k].title);
            before = ", ";
        }
    (void)printf(")%s\n", points_in(p, ACCURACY) > 0 ? " and accuracy" : "");
}

static rd_status draw(rd_store *store, picture *p, const char *out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_run_record run = {0};
    gnuplot g;
    for (int panel = 0; panel < PANELS; panel++) {
        p->panel[panel][TEST] = (series){.title = "test set", .colour = "#0072b2", .figure = "test"};
        p->panel[panel][TRAIN] =
            (series){.title = "participants' training data", .colour = "#d55e00", .figure = "training"};
        p->panel[panel][HOLDOUT] =
            (series){.title = "participants' hold-out data", .colour = "#009e73", .figure = "hold-out"};
        p->panel[panel][GAP] = (series){.title = "overfitting gap", .colour = "#cc79a7"};
        p->panel[panel][RUNNING] =
            (series){.title = "participants while training", .colour = "#d55e00", .figure = "clients\'\'"};
    }
    RD_TRY(rd_store_run(store, &run, err));
    RD_TRY(rd_store_rounds(store, 0, gather, p, err));
    if (p->short_of_memory)
        RD_THROW(RD_ERR_MEMORY, "no memory for the points of the picture");
    drop_running_loss_where_others_tell(p);
    if (points_in(p, LOSS) == 0)
        RD_THROW(RD_ERR_STATE, "run '%s' has no loss to draw yet", run.name);
    if (p->gap && p->panel[LOSS][GAP].count == 0)
        RD_THROW(RD_ERR_STATE,
                 "run '%s' has no overfitting gap to draw: it takes evaluation.train_loss together with "
                 "evaluation.holdout or data.test",
                 run.name);
    RD_TRY(gnuplot_start(out, &g, err));
    write_script(g.script, p, &run);
    RD_TRY(gnuplot_finish(&g, err));
    tell_drawn(p, out);
cleanup:
    rd_run_record_free(&run);
    return status;
}

/* ---- the command ---- */

static rd_status choose_format(const char *out, bool *svg, rd_error *err)
{
    const char *ending = strrchr(out, '.');
    *svg = ending != NULL && strcasecmp(ending, ".svg") == 0;
    if (*svg || (ending != NULL && strcasecmp(ending, ".png") == 0))
        return RD_OK;
    return rd_fail(err, RD_ERR_USAGE, "--out %s: expected a name that ends in .svg or .png", out);
}

rd_status inspect_plot(int argc, char **argv, rd_error *err)
{
    const char *out = NULL, *directory = NULL;
    picture p = {0};
    rd_store *store = NULL;
    const rd_option options[] = {
        {.kind = RD_OPTION_TEXT,
         .name = "out",
         .placeholder = "FILE",
         .help = "the picture to write; its ending, .svg or .png, says which kind",
         .value = &out,
         .required = true},
        {.kind = RD_OPTION_FLAG,
         .name = "gap",
         .help = "also draw the overfitting gap: loss on rows that nobody trains on minus loss on the training "
                 "rows",
         .value = &p.gap},
        {.kind = RD_OPTION_COUNT,
         .name = "width",
         .placeholder = "PIXELS",
         .help = "width (default 1200, or 800 where there is no accuracy to show)",
         .value = &p.width,
         .min = 300,
         .max = 10000},
        {.kind = RD_OPTION_COUNT,
         .name = "height",
         .placeholder = "PIXELS",
         .help = "height (default 500)",
         .value = &p.height,
         .min = 200,
         .max = 10000},
        {.kind = RD_OPTION_END},
    };
    const rd_command command = {
        .program = "rondo-inspect plot",
        .usage = "DIR --out FILE [options]",
        .summary = "Draws loss and accuracy of the global model by round, on the test set and on the participants' "
                   "data, as far as they were measured. Needs the program gnuplot.",
        .options = options,
        .footer = "  rondo-inspect plot state --out loss.png\n\n" INSPECT_EXIT_CODES,
    };
    rd_status status = inspect_parse(&command, argc, argv, "DIR, a state directory", &directory, err);
    if (status != RD_OK || directory == NULL)
        return status;
    RD_TRY(choose_format(out, &p.svg, err));
    RD_TRY(rd_store_open_reader(directory, &store, err));
    RD_TRY(draw(store, &p, out, err));
cleanup:
    free_picture(&p);
    rd_store_close(store);
    return status;
}
