/* search_record.c: see search_record.h. */
#include "search_record.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/json_print.h"
#include "core/file.h"

static rd_status grow(search_record *r, rd_error *err)
{
    if (r->count < r->capacity)
        return RD_OK;
    size_t capacity = r->capacity == 0 ? 32 : 2 * r->capacity;
    search_trial *trials = realloc(r->trials, capacity * sizeof *trials);
    r->trials = trials != NULL ? trials : r->trials;
    uint64_t *rounds = realloc(r->rounds, capacity * sizeof *rounds);
    r->rounds = rounds != NULL ? rounds : r->rounds;
    double *seconds = realloc(r->seconds, capacity * sizeof *seconds);
    r->seconds = seconds != NULL ? seconds : r->seconds;
    if (trials == NULL || rounds == NULL || seconds == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %zu trials", capacity);
    r->capacity = capacity;
    return RD_OK;
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

/* {"trial": 1, "point": [...], "values": {...}}, or {"trial": 1, "objective": 0.1, "rounds": 5, "seconds": 2}
 */
static rd_status take_line(search_record *r, const cJSON *json, rd_error *err)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(json, "trial"),
                *point = cJSON_GetObjectItemCaseSensitive(json, "point");
    const cJSON *objective = cJSON_GetObjectItemCaseSensitive(json, "objective"), *item;
    if (!cJSON_IsNumber(number) || number->valuedouble < 1)
        return RD_OK;
    size_t trial = (size_t)number->valuedouble - 1, k = 0;
    if (point != NULL && trial == r->count) {
        rd_status status = grow(r, err);
        if (status != RD_OK)
            return status;
        search_trial *t = &r->trials[r->count++];
        *t = (search_trial){.objective = NAN};
        cJSON_ArrayForEach(item, point) if (k < SEARCH_KEYS) t->point[k++] = item->valuedouble;
    } else if (objective != NULL && trial < r->count) {
        r->trials[trial].objective = cJSON_IsNumber(objective) ? objective->valuedouble : INFINITY;
        r->rounds[trial] = (uint64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, "rounds"));
        r->seconds[trial] = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, "seconds"));
    }
    return RD_OK;
}

static rd_status check_header(const cJSON *json, const char *path, const char *space, const char *run,
                              size_t clients, rd_error *err)
{
    const char *old_space = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "space"));
    const char *old_run = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "run"));
    const cJSON *old_clients = cJSON_GetObjectItemCaseSensitive(json, "clients");
    const char *what = old_space == NULL || strcmp(old_space, space) != 0 ? "space.json"
                       : old_run == NULL || strcmp(old_run, run) != 0     ? "run.json"
                       : !cJSON_IsNumber(old_clients) || old_clients->valuedouble != (double)clients
                           ? "--clients"
                           : NULL;
    if (what == NULL)
        return RD_OK;
    return rd_fail(err, RD_ERR_STATE,
                   "%s: the search that it lists had another %s; restore it to go on, or give another --out",
                   path, what);
}

static rd_status read_lines(search_record *r, char *text, const char *path, const char *space,
                            const char *run, size_t clients, rd_error *err)
{
    rd_status status = RD_OK;
    bool first = true;
    for (char *line = text, *end; status == RD_OK && (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        cJSON *json = cJSON_Parse(line);
        status = first ? check_header(json, path, space, run, clients, err) : take_line(r, json, err);
        cJSON_Delete(json);
        first = false;
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
    status = rd_file_read(path, (size_t)1 << 30, &text, &size, err);
    if (status == RD_OK && size > 0 &&
        text[size - 1] != '\n') { /* cut off by a crash: a line of its own, to be ignored */
        status = rd_fd_write_all(out->fd, "\n", 1, path, err);
        if (status == RD_OK) {
            free(text);
            text = NULL;
            status = rd_file_read(path, (size_t)1 << 30, &text, &size, err);
        }
    }
    if (status == RD_OK && size > 0) {
        status = read_lines(out, text, path, space, run, clients, err);
    } else if (status == RD_OK) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "space", space);
        cJSON_AddStringToObject(json, "run", run);
        cJSON_AddNumberToObject(json, "clients", (double)clients);
        status = add_line(out, json, err);
    }
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

rd_status search_record_begin(search_record *r, const search_space *s, const double point[SEARCH_KEYS],
                              rd_error *err)
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
    r->trials[r->count] = (search_trial){.objective = NAN};
    memcpy(r->trials[r->count].point, point, SEARCH_KEYS * sizeof *point);
    r->rounds[r->count] = 0;
    r->seconds[r->count++] = 0;
    return RD_OK;
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
