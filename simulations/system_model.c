/* system_model.c: see system_model.h. */
#include "system_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/grow.h"
#include "core/lines.h"
#include "core/number.h"
#include "core/random.h"

struct rd_system_model {
    const rd_system_config *config;
    uint64_t seed;
    double *trace; /* (trace_rows, RD_DEVICE_FIELDS); NaN: not in the file */
    size_t trace_rows;
};

/* ---- the trace ---- */

/* Takes the next field off a line: without blanks around it, and without the quotes that a spreadsheet puts around a
 * heading. False: there is none. */
static bool next_field(rd_line *rest, const char **field, size_t *length)
{
    if (rest->text == NULL)
        return false;
    const char *comma = memchr(rest->text, ',', rest->length);
    *field = rest->text;
    *length = comma != NULL ? (size_t)(comma - rest->text) : rest->length;
    rest->length -= *length + (comma != NULL);
    rest->text = comma != NULL ? comma + 1 : NULL;
    rd_trim(field, length);
    if (*length >= 2 && (*field)[0] == '"' && (*field)[*length - 1] == '"') {
        ++*field;
        *length -= 2;
    }
    return true;
}

static rd_status read_heading(const rd_system_model *m, rd_line line, int field_of[RD_DEVICE_FIELDS], size_t *columns,
                              rd_error *err)
{
    const char *path = m->config->trace;
    const size_t number = line.number;
    const char *name;
    size_t length;
    bool seen[RD_DEVICE_FIELDS] = {false};
    for (*columns = 0; next_field(&line, &name, &length); ++*columns) {
        size_t field = 0;
        while (field < RD_DEVICE_FIELDS && (strlen(rd_device_field_names[field]) != length ||
                                            memcmp(name, rd_device_field_names[field], length) != 0))
            field++;
        if (field == RD_DEVICE_FIELDS)
            return rd_fail(err, RD_ERR_DATA,
                           "%s: line %zu: '%.*s' is no column of a trace: expected seconds_per_sample, "
                           "download_bytes_per_second, upload_bytes_per_second, latency_seconds, "
                           "availability or dropout",
                           path, number, length < 40 ? (int)length : 40, name);
        if (seen[field])
            return rd_fail(err, RD_ERR_DATA, "%s: line %zu: the column %s is there twice", path, number,
                           rd_device_field_names[field]);
        if (m->config->device[field].given)
            return rd_fail(err, RD_ERR_CONFIG,
                           "simulation.system.%s: either here or in a column of the trace, but it is in both",
                           rd_device_field_names[field]);
        seen[field] = true;
        field_of[*columns] = (int)field; /* each once, so there is room */
    }
    return RD_OK;
}

static rd_status read_row(const char *path, rd_line line, const int *field_of, size_t columns, double *row,
                          rd_error *err)
{
    const size_t number = line.number;
    const char *text;
    size_t length;
    for (size_t i = 0; i < RD_DEVICE_FIELDS; i++)
        row[i] = NAN;
    for (size_t i = 0; i < columns; i++) {
        double value, most = rd_device_most[field_of[i]];
        const char *name = rd_device_field_names[field_of[i]];
        if (!next_field(&line, &text, &length))
            return rd_fail(err, RD_ERR_DATA, "%s: line %zu: %s: expected a number from 0 to %g, found nothing", path,
                           number, name, most);
        rd_number_kind kind = rd_number_read(text, length, &value);
        if (kind != RD_NUMBER_OK || !(value >= 0 && value <= most))
            return rd_fail(err, RD_ERR_DATA, "%s: line %zu: %s: expected a number from 0 to %g, found '%.*s'%s%s", path,
                           number, name, most, length < 40 ? (int)length : 40, text,
                           kind > RD_NUMBER_NONE ? ", which " : "", kind > RD_NUMBER_NONE ? rd_number_fault(kind) : "");
        row[field_of[i]] = value;
    }
    return next_field(&line, &text, &length)
               ? rd_fail(err, RD_ERR_DATA, "%s: line %zu: more columns than the heading's %zu", path, number, columns)
               : RD_OK;
}

static rd_status read_trace(rd_system_model *m, rd_error *err)
{
    char *text = NULL;
    size_t size, columns = 0, capacity = 0;
    int field_of[RD_DEVICE_FIELDS];
    rd_lines lines;
    rd_line line;
    const char *path = m->config->trace;
    rd_status status = rd_file_read(path, (size_t)1 << 30, &text, &size, err);
    if (status != RD_OK)
        return rd_fail_as(err, RD_ERR_DATA);
    RD_TRY(rd_lines_open(&lines, text, size, RD_LINES_TRIM | RD_LINES_COMMENTS, path, err));
    while (rd_lines_next(&lines, &line)) {
        if (line.length == 0)
            continue;
        if (columns == 0) {
            RD_TRY(read_heading(m, line, field_of, &columns, err));
            continue;
        }
        RD_TRY(rd_grow(&m->trace, &capacity, m->trace_rows + 1, RD_DEVICE_FIELDS * sizeof *m->trace, "devices", err));
        RD_TRY(read_row(path, line, field_of, columns, m->trace + m->trace_rows++ * RD_DEVICE_FIELDS, err));
    }
    if (m->trace_rows == 0)
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

rd_status rd_system_model_create(const rd_system_config *config, uint64_t seed, rd_system_model **out, rd_error *err)
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

bool rd_system_everybody_available(const rd_system_model *m)
{
    const rd_distribution *d = &m->config->device[RD_DEVICE_AVAILABILITY];
    bool all = d->kind == RD_DISTRIBUTION_CONSTANT && d->a >= 1;
    for (size_t i = 0; i < m->trace_rows && all; i++) {
        double share = m->trace[i * RD_DEVICE_FIELDS + RD_DEVICE_AVAILABILITY];
        all = isnan(share) || share >= 1;
    }
    return all;
}

bool rd_system_available(const rd_system_model *m, uint64_t client_key, double clock_seconds)
{
    double share = device(m, client_key, RD_DEVICE_AVAILABILITY);
    if (share >= 1)
        return true;
    double slot = fmin(clock_seconds / m->config->slot_seconds, 1e18); /* fits into 64 bits */
    rd_random r = rd_random_stream(m->seed, RD_PURPOSE_AVAILABLE, (uint64_t)slot, client_key);
    return rd_random_uniform(&r) < share;
}

static double transfer(double bytes, double bytes_per_second)
{
    return bytes_per_second > 0 ? bytes / bytes_per_second : 0;
}

rd_timing rd_system_timing(const rd_system_model *m, uint64_t key, uint64_t round, size_t samples, uint32_t epochs,
                           double bytes_down, double bytes_up)
{
    const rd_system_config *c = m->config;
    rd_random r = rd_random_stream(m->seed, RD_PURPOSE_ANSWER, round, key);
    rd_timing t = {.epochs = epochs, .answers = rd_random_uniform(&r) >= device(m, key, RD_DEVICE_DROPOUT)};
    if (rd_random_uniform(&r) < c->partial_work) {
        uint64_t least = c->least_epochs < epochs ? c->least_epochs : epochs;
        t.epochs = (uint32_t)least + rd_random_below(&r, epochs - (uint32_t)least + 1);
        t.answers = t.answers && !(c->drop_partial && t.epochs < epochs);
    }
    t.seconds = 2 * device(m, key, RD_DEVICE_LATENCY) + transfer(bytes_down, device(m, key, RD_DEVICE_DOWNLOAD)) +
                (double)samples * (double)t.epochs * device(m, key, RD_DEVICE_SECONDS_PER_SAMPLE) +
                transfer(bytes_up, device(m, key, RD_DEVICE_UPLOAD));
    return t;
}
