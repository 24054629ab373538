/* system_model.c: see system_model.h. */
#include "system_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/random.h"

enum { COLUMNS = 16 };

struct rd_system_model {
    const rd_system_config *config;
    uint64_t seed;
    double *trace; /* (trace_rows, RD_DEVICE_FIELDS); NaN: not in the file */
    size_t trace_rows;
};

/* ---- the trace ---- */

static rd_status read_heading(const char *path, char *line, int field_of[COLUMNS], size_t *columns,
                              rd_error *err)
{
    char *rest = line;
    for (*columns = 0; rest != NULL; ++*columns) {
        char *name = strsep(&rest, ",");
        size_t field = 0;
        while (field < RD_DEVICE_FIELDS && strcmp(name, rd_device_field_names[field]) != 0)
            field++;
        if (field == RD_DEVICE_FIELDS || *columns == COLUMNS)
            return rd_fail(err, RD_ERR_DATA,
                           "%s: line 1: '%.40s' is no column of a trace: expected seconds_per_sample, "
                           "download_bytes_per_second, upload_bytes_per_second, latency_seconds, "
                           "availability or dropout",
                           path, name);
        field_of[*columns] = (int)field;
    }
    return RD_OK;
}

static rd_status read_row(const char *path, size_t number, char *line, const int *field_of, size_t columns,
                          double *row, rd_error *err)
{
    char *rest = line;
    for (size_t i = 0; i < RD_DEVICE_FIELDS; i++)
        row[i] = NAN;
    for (size_t i = 0; i < columns; i++) {
        char *text = rest != NULL ? strsep(&rest, ",") : NULL, *end = NULL;
        double value = text != NULL ? strtod(text, &end) : 0;
        if (text == NULL || end == text || *end != '\0' || !(value >= 0))
            return rd_fail(err, RD_ERR_DATA, "%s: line %zu: %s: expected a number from 0 on, found '%.40s'",
                           path, number, rd_device_field_names[field_of[i]], text != NULL ? text : "nothing");
        row[field_of[i]] = value;
    }
    return rest == NULL ? RD_OK
                        : rd_fail(err, RD_ERR_DATA, "%s: line %zu: more columns than the heading's %zu", path,
                                  number, columns);
}

static rd_status read_trace(rd_system_model *m, rd_error *err)
{
    char *text = NULL, *rest;
    size_t size, columns = 0, capacity = 0, number = 0;
    int field_of[COLUMNS];
    const char *path = m->config->trace;
    rd_status status = rd_file_read(path, (size_t)1 << 30, &text, &size, err);
    if (status != RD_OK)
        return rd_fail_as(err, RD_ERR_DATA);
    rest = text;
    while (rest != NULL && status == RD_OK) {
        char *line = strsep(&rest, "\n");
        line[strcspn(line, "\r")] = '\0';
        if (++number == 1) {
            status = read_heading(path, line, field_of, &columns, err);
            continue;
        }
        if (line[0] == '\0')
            continue;
        if (m->trace_rows == capacity) {
            capacity = capacity == 0 ? 256 : 2 * capacity;
            double *larger = realloc(m->trace, capacity * RD_DEVICE_FIELDS * sizeof *larger);
            if (larger == NULL)
                RD_TRY(rd_fail(err, RD_ERR_MEMORY, "%s: no memory for %zu devices", path, capacity));
            m->trace = larger;
        }
        status = read_row(path, number, line, field_of, columns,
                          m->trace + m->trace_rows++ * RD_DEVICE_FIELDS, err);
    }
    if (status == RD_OK && m->trace_rows == 0)
        status = rd_fail(err, RD_ERR_DATA, "%s: there is no device in it", path);
cleanup:
    free(text);
    return status;
}

/* ---- drawing ---- */

static double draw(const rd_distribution *d, rd_random *r)
{
    switch (d->kind) {
    case RD_DISTRIBUTION_UNIFORM:
        return d->a + (d->b - d->a) * rd_random_uniform(r);
    case RD_DISTRIBUTION_EXPONENTIAL:
        return -d->a * log(1 - rd_random_uniform(r));
    case RD_DISTRIBUTION_LOGNORMAL:
        return d->a * exp(d->b * rd_random_normal(r));
    case RD_DISTRIBUTION_PARETO:
        return d->a * pow(1 - rd_random_uniform(r), -1 / d->b);
    case RD_DISTRIBUTION_CONSTANT:
        break;
    }
    return d->a;
}

/* One field of a client's device. Each has a stream of its own, so what is asked first changes nothing. */
static double device(const rd_system_model *m, uint64_t key, rd_device_field field)
{
    rd_random r = rd_random_stream(m->seed, RD_PURPOSE_DEVICE, (uint64_t)field + 1, key);
    if (m->trace_rows > 0) {
        rd_random which = rd_random_stream(m->seed, RD_PURPOSE_DEVICE, 0, key);
        double value = m->trace[rd_random_below(&which, (uint32_t)m->trace_rows) * RD_DEVICE_FIELDS + field];
        if (!isnan(value))
            return value;
    }
    return draw(&m->config->device[field], &r);
}

rd_status rd_system_model_create(const rd_system_config *config, uint64_t seed, rd_system_model **out,
                                 rd_error *err)
{
    rd_system_model *m = calloc(1, sizeof *m);
    if (m == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the simulated devices");
    m->config = config;
    m->seed = seed;
    rd_status status = config->trace[0] != '\0' ? read_trace(m, err) : RD_OK;
    if (status == RD_OK)
        *out = m;
    else
        rd_system_model_free(m);
    return status;
}

void rd_system_model_free(rd_system_model *m)
{
    if (m == NULL)
        return;
    free(m->trace);
    free(m);
}

bool rd_system_available(const rd_system_model *m, uint64_t client_key, double clock_seconds)
{
    double share = device(m, client_key, RD_DEVICE_AVAILABILITY);
    if (share >= 1)
        return true;
    rd_random r = rd_random_stream(m->seed, RD_PURPOSE_AVAILABLE,
                                   (uint64_t)(clock_seconds / m->config->slot_seconds), client_key);
    return rd_random_uniform(&r) < share;
}

static double transfer(double bytes, double bytes_per_second)
{
    return bytes_per_second > 0 ? bytes / bytes_per_second : 0;
}

rd_timing rd_system_timing(const rd_system_model *m, uint64_t key, uint64_t round, size_t samples,
                           uint32_t epochs, double bytes_down, double bytes_up)
{
    const rd_system_config *c = m->config;
    rd_random r = rd_random_stream(m->seed, RD_PURPOSE_ANSWER, round, key);
    rd_timing t = {.epochs = epochs, .answers = rd_random_uniform(&r) >= device(m, key, RD_DEVICE_DROPOUT)};
    if (rd_random_uniform(&r) < c->partial_work) {
        uint64_t least = c->least_epochs < epochs ? c->least_epochs : epochs;
        t.epochs = (uint32_t)least + rd_random_below(&r, epochs - (uint32_t)least + 1);
        t.answers = t.answers && !(c->drop_partial && t.epochs < epochs);
    }
    t.seconds = 2 * device(m, key, RD_DEVICE_LATENCY) +
                transfer(bytes_down, device(m, key, RD_DEVICE_DOWNLOAD)) +
                (double)samples * (double)t.epochs * device(m, key, RD_DEVICE_SECONDS_PER_SAMPLE) +
                transfer(bytes_up, device(m, key, RD_DEVICE_UPLOAD));
    return t;
}
