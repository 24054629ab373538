/* record.c: see record.h. */
#include "search/record.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/fields.h"
#include "config/json_print.h"
#include "core/file.h"
#include "core/grow.h"
#include "format/foreign.h"

static rd_status grow(search_record *r, rd_error *err)
{
    rd_status status = RD_OK;
    size_t needed = r->count + 1, trials = r->capacity, rounds = r->capacity, seconds = r->capacity;
    RD_TRY(rd_grow(&r->trials, &trials, needed, sizeof *r->trials, "trials", err));
    RD_TRY(rd_grow(&r->rounds, &rounds, needed, sizeof *r->rounds, "trials", err));
    RD_TRY(rd_grow(&r->seconds, &seconds, needed, sizeof *r->seconds, "trials", err));
    r->capacity = seconds;
cleanup:
    return status;
}

static rd_status add_line(search_record *r, cJSON *json, rd_error *err)
{
    char *text = json != NULL ? rd_json_print(json) : NULL;
    cJSON_Delete(json);
    size_t size = text != NULL ? strlen(text) : 0;
    char *line = text != NULL ? realloc(text, size + 2) : NULL;
    if (line == NULL) {
        free(text);
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a line of trials.jsonl");
    }
    line[size] = '\n';
    rd_status status = rd_fd_write_all(r->fd, line, size + 1, "trials.jsonl", err);
    free(line);
    if (status == RD_OK && fsync(r->fd) != 0)
        status = rd_fail(err, RD_ERR_IO, "trials.jsonl: %s", strerror(errno));
    return status;
}

/* The next trial, which has not ended yet. */
static rd_status begin_trial(search_record *r, rd_error *err)
{
    rd_status status = grow(r, err);
    if (status != RD_OK)
        return status;
    r->trials[r->count] = (search_trial){.objective = NAN};
    r->rounds[r->count] = 0;
    r->seconds[r->count++] = 0;
    return RD_OK;
}

/* "point": [...], a number from 0 to 1 for each key of the space. */
static rd_status take_point(search_record *r, rd_fields *f, rd_error *err)
{
    const cJSON *point = rd_fields_item(f, "point", false), *item;
    size_t k = 0;
    rd_status status = begin_trial(r, err);
    if (status != RD_OK)
        return status;
    cJSON_ArrayForEach(item, point)
    {
        if (k == SEARCH_KEYS || !cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= 1))
            rd_fields_fail(f, "point", "numbers from 0 to 1");
        else
            r->trials[r->count - 1].point[k++] = item->valuedouble;
    }
    return f->status;
}

/* {"trial": 1, "point": [...], "values": {...}}, or {"trial": 1, "objective": 0.1, "rounds": 5, "seconds": 2}
 */
static rd_status take_line(search_record *r, const cJSON *json, const char *whose, rd_error *err)
{
    rd_fields f = {.object = json, .whose = whose, .path = "", .err = err};
    uint64_t trial = 0;
    rd_fields_require(&f, "trial");
    rd_fields_count(&f, "trial", 1, UINT64_C(1) << 53, &trial);
    if (rd_fields_required(&f) != RD_OK)
        return f.status;
    if (rd_fields_has(&f, "point")) {
        if (trial != r->count + 1)
            rd_fields_fail(&f, "trial", "the next one");
        return f.status == RD_OK ? take_point(r, &f, err) : f.status;
    }
    double objective = INFINITY, seconds = 0;
    uint64_t rounds = 0;
    const cJSON *given = rd_fields_item(&f, "objective", false);
    if (trial > r->count)
        rd_fields_fail(&f, "trial", "one that has begun");
    rd_fields_require(&f, "objective");
    if (!cJSON_IsNull(given))
        rd_fields_number(&f, "objective", -DBL_MAX, DBL_MAX, false, &objective);
    rd_fields_require(&f, "rounds");
    rd_fields_count(&f, "rounds", 0, UINT64_C(1) << 53, &rounds);
    rd_fields_require(&f, "seconds");
    rd_fields_number(&f, "seconds", 0, DBL_MAX, false, &seconds);
    if (rd_fields_finish(&f) == RD_OK) {
        r->trials[trial - 1].objective = objective;
        r->rounds[trial - 1] = rounds;
        r->seconds[trial - 1] = seconds;
    }
    return f.status;
}

static rd_status check_header(const cJSON *json, const char *path, const char *space, const char *run, size_t clients,
                              rd_error *err)
{
    const char *old_space = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "space"));
    const char *old_run = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "run"));
    const cJSON *old_clients = cJSON_GetObjectItemCaseSensitive(json, "clients");
    const char *what = old_space == NULL || strcmp(old_space, space) != 0                            ? "space.json"
                       : old_run == NULL || strcmp(old_run, run) != 0                                ? "run.json"
                       : !cJSON_IsNumber(old_clients) || old_clients->valuedouble != (double)clients ? "--clients"
                                                                                                     : NULL;
    if (what == NULL)
        return RD_OK;
    return rd_fail(err, RD_ERR_STATE,
                   "%s: the search that it lists had another %s; restore it to go on, or give another --out", path,
                   what);
}

static rd_status read_lines(search_record *r, char *text, const char *path, const char *space, const char *run,
                            size_t clients, rd_error *err)
{
    rd_status status = RD_OK;
    size_t number = 0;
    char whose[4200];
    for (char *line = text, *end; status == RD_OK && (end = strchr(line, '\n')) != NULL; line = end + 1) {
        rd_foreign_fault fault;
        cJSON *json = rd_foreign_json(line, (size_t)(end - line), &fault);
        (void)snprintf(whose, sizeof whose, "%s: line %zu", path, ++number);
        if (number == 1)
            status = check_header(json, path, space, run, clients, err);
        else if (cJSON_IsObject(json)) /* else it was cut off by a crash, and its trial is tried again */
            status = take_line(r, json, whose, err);
        cJSON_Delete(json);
    }
    return status;
}

rd_status search_record_open(const char *directory, const char *space, const char *run, size_t clients,
                             search_record *out, rd_error *err)
{
    char path[4096], *text = NULL;
    size_t size = 0;
    rd_status status = RD_OK;
    memset(out, 0, sizeof *out);
    (void)snprintf(path, sizeof path, "%s/trials.jsonl", directory);
    out->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (out->fd < 0)
        return rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
    RD_TRY(rd_file_read(path, (size_t)1 << 30, &text, &size, err));
    if (size > 0 && text[size - 1] != '\n') { /* cut off by a crash: a line of its own, to be ignored */
        RD_TRY(rd_fd_write_all(out->fd, "\n", 1, path, err));
        free(text);
        text = NULL;
        RD_TRY(rd_file_read(path, (size_t)1 << 30, &text, &size, err));
    }
    if (size > 0) {
        RD_TRY(read_lines(out, text, path, space, run, clients, err));
    } else {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "space", space);
        cJSON_AddStringToObject(json, "run", run);
        cJSON_AddNumberToObject(json, "clients", (double)clients);
        RD_TRY(add_line(out, json, err));
    }
cleanup:
    free(text);
    return status;
}

void search_record_close(search_record *r)
{
    if (r->fd > 0)
        close(r->fd);
    free(r->trials);
    free(r->rounds);
    free(r->seconds);
    memset(r, 0, sizeof *r);
}

rd_status search_record_begin(search_record *r, const search_space *s, const double point[SEARCH_KEYS], rd_error *err)
{
    rd_status status = grow(r, err);
    if (status != RD_OK)
        return status;
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "trial", (double)(r->count + 1));
    cJSON_AddItemToObject(json, "point", cJSON_CreateDoubleArray(point, (int)s->key_count));
    cJSON *values = cJSON_AddObjectToObject(json, "values");
    for (size_t k = 0; k < s->key_count; k++)
        cJSON_AddItemToObject(values, s->keys[k].path, search_space_value(s, k, point[k]));
    status = add_line(r, json, err);
    if (status != RD_OK)
        return status;
    status = begin_trial(r, err);
    if (status == RD_OK)
        memcpy(r->trials[r->count - 1].point, point, SEARCH_KEYS * sizeof *point);
    return status;
}

rd_status search_record_end(search_record *r, size_t trial, double objective, uint64_t rounds, double seconds,
                            rd_error *err)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "trial", (double)(trial + 1));
    if (isfinite(objective))
        cJSON_AddNumberToObject(json, "objective", objective);
    else
        cJSON_AddNullToObject(json, "objective");
    cJSON_AddNumberToObject(json, "rounds", (double)rounds);
    cJSON_AddNumberToObject(json, "seconds", seconds);
    r->trials[trial].objective = objective;
    r->rounds[trial] = rounds;
    r->seconds[trial] = seconds;
    return add_line(r, json, err);
}

/* ---- the table ---- */

static bool comes_before(const search_record *r, size_t a, size_t b)
{
    double x = r->trials[a].objective, y = r->trials[b].objective;
    return x < y || (x == y && a < b);
}

size_t search_record_best(const search_record *r)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < r->count; i++)
        if (isfinite(r->trials[i].objective) && (best == SIZE_MAX || comes_before(r, i, best)))
            best = i;
    return best;
}

enum { CELL = 64 };

static void write_value(const search_space *s, size_t k, double u, char cell[CELL])
{
    cJSON *value = search_space_value(s, k, u);
    char *text = cJSON_IsNumber(value) || value == NULL ? NULL : cJSON_PrintUnformatted(value);
    if (text != NULL)
        (void)snprintf(cell, CELL, "%s", text);
    else
        (void)snprintf(cell, CELL, "%.6g", cJSON_GetNumberValue(value));
    free(text);
    cJSON_Delete(value);
}

static void write_objective(const search_record *r, const search_space *s, size_t trial, char cell[CELL])
{
    double objective = r->trials[trial].objective;
    if (isfinite(objective))
        (void)snprintf(cell, CELL, "%.6g", s->objective == SEARCH_TEST_ACCURACY ? -objective : objective);
    else
        (void)snprintf(cell, CELL, "failed");
}

void search_record_print_one(const search_record *r, const search_space *s, size_t trial)
{
    char cell[CELL];
    write_objective(r, s, trial, cell);
    printf("%s%s%s", isfinite(r->trials[trial].objective) ? search_objective_names[s->objective] : "",
           isfinite(r->trials[trial].objective) ? " " : "", cell);
    for (size_t k = 0; k < s->key_count; k++) {
        write_value(s, k, r->trials[trial].point[k], cell);
        printf("  %s %s", s->keys[k].path, cell);
    }
    printf("  (%llu rounds, %.1f s)\n", (unsigned long long)r->rounds[trial], r->seconds[trial]);
    fflush(stdout);
}

static int wider(size_t a, int b)
{
    return (int)a > b ? (int)a : b;
}

/* In a column's width, what it is called and all that it will hold. */
static void measure(const search_record *r, const search_space *s, int widths[SEARCH_KEYS])
{
    char cell[CELL];
    for (size_t k = 0; k < s->key_count; k++) {
        widths[k] = (int)strlen(s->keys[k].path);
        for (size_t i = 0; i < r->count; i++) {
            write_value(s, k, r->trials[i].point[k], cell);
            widths[k] = wider(strlen(cell), widths[k]);
        }
    }
}

typedef struct ranked {
    double objective;
    size_t trial;
} ranked;

static int by_objective(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->objective != y->objective)
        return x->objective < y->objective ? -1 : 1;
    return x->trial < y->trial ? -1 : 1;
}

rd_status search_record_print(const search_record *r, const search_space *s, rd_error *err)
{
    char cell[CELL];
    int widths[SEARCH_KEYS];
    size_t count = 0;
    ranked *order = malloc((r->count + 1) * sizeof *order);
    if (order == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the table of trials");
    for (size_t i = 0; i < r->count; i++)
        if (!isnan(r->trials[i].objective))
            order[count++] = (ranked){r->trials[i].objective, i};
    qsort(order, count, sizeof *order, by_objective);
    measure(r, s, widths);
    printf("\nrank  trial  %13s", search_objective_names[s->objective]);
    for (size_t k = 0; k < s->key_count; k++)
        printf("  %*s", widths[k], s->keys[k].path);
    printf("  rounds  seconds\n");
    for (size_t i = 0; i < count; i++) {
        size_t trial = order[i].trial;
        write_objective(r, s, trial, cell);
        printf("%4zu  %5zu  %13s", i + 1, trial + 1, cell);
        for (size_t k = 0; k < s->key_count; k++) {
            write_value(s, k, r->trials[trial].point[k], cell);
            printf("  %*s", widths[k], cell);
        }
        printf("  %6llu  %7.1f\n", (unsigned long long)r->rounds[trial], r->seconds[trial]);
    }
    free(order);
    return RD_OK;
}
