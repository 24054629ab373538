/* statistics.c: see statistics.h. */
#include "data/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/table_reader.h"

rd_status rd_statistics_create(const rd_schema *s, rd_statistics *out, rd_error *err)
{
    out->count = s->column_count + 1;
    out->columns = calloc(out->count, sizeof *out->columns);
    return out->columns != NULL ? RD_OK
                                : rd_fail(err, RD_ERR_MEMORY, "no memory for sums over %zu columns", out->count);
}

void rd_statistics_free(rd_statistics *s)
{
    free(s->columns);
    memset(s, 0, sizeof *s);
}

static void add(rd_column_statistics *c, double x, double mean, int step, uint32_t times)
{
    if (step == 1) {
        c->least = c->count == 0 || x < c->least ? x : c->least;
        c->largest = c->count == 0 || x > c->largest ? x : c->largest;
        rd_exact_double_add_times(&c->sum, x, times);
    } else {
        rd_exact_double_add_times(&c->sum, (x - mean) * (x - mean), times);
    }
    c->count += times;
}

/* Beyond this a square, or a sum of differences, would be no number any more. */
#define LARGEST 1e150

static rd_status add_row(rd_statistics *into, const rd_table_reader *r, int step, uint32_t times, rd_error *err)
{
    const rd_schema *s = r->schema;
    for (size_t i = 0; i < into->count; i++) {
        const bool is_label = i == s->column_count;
        double x;
        bool missing;
        if (!rd_schema_measures(s, i, step) || (is_label && r->roles.label == SIZE_MAX))
            continue;
        rd_status status = rd_table_reader_number(r, is_label ? SIZE_MAX : i, &x, &missing, err);
        if (status != RD_OK)
            return status;
        const rd_column *c = is_label ? &s->label : &s->columns[i];
        if (!missing && fabs(x) > LARGEST)
            return rd_table_reader_fail(r, is_label ? r->roles.label : r->place[i], "is too large to be scaled", err);
        /* A missing value says nothing of the mean, whatever is put in its place later. */
        const char *field = r->field[is_label ? r->roles.label : r->place[i]];
        if (!missing && !rd_field_is_missing(rd_schema_missing_words(s), field))
            add(&into->columns[i], x, c->low, step, times);
    }
    return RD_OK;
}

rd_status rd_statistics_add_table(rd_statistics *into, const rd_table *t, const rd_table_roles *roles,
                                  const rd_schema *s, int step, const uint32_t *times, rd_error *err)
{
    rd_status status = RD_OK;
    rd_table_reader r = {0};
    bool more = true;
    size_t row = 0;
    RD_TRY(rd_table_reader_open(t, roles, s, &r, err));
    for (;; row++) {
        RD_TRY(rd_table_reader_next(&r, &more, err));
        if (!more)
            break;
        const uint32_t count = times != NULL ? times[row] : 1;
        if (count > 0)
            RD_TRY(add_row(into, &r, step, count, err));
    }
cleanup:
    rd_table_reader_close(&r);
    return status;
}

void rd_statistics_merge(rd_statistics *into, const rd_statistics *other)
{
    for (size_t i = 0; i < into->count; i++) {
        rd_column_statistics *c = &into->columns[i];
        const rd_column_statistics *o = &other->columns[i];
        if (o->count == 0)
            continue;
        c->least = c->count == 0 || o->least < c->least ? o->least : c->least;
        c->largest = c->count == 0 || o->largest > c->largest ? o->largest : c->largest;
        rd_exact_double_merge(&c->sum, &o->sum);
        c->count += o->count;
    }
}

/* Where all values are the same, so is the mean: a rounded one would leave a deviation of a last bit. */
static void apply_first(rd_column *c, const rd_column_statistics *m)
{
    const bool constant = m->least == m->largest;
    const double mean = constant ? m->least : rd_exact_double_value(&m->sum) / (double)m->count;
    if (c->missing == RD_MISSING_MEAN && !c->filler_known) {
        c->filler = mean;
        c->filler_known = true;
    }
    if (c->scale_known)
        return;
    if (c->scale == RD_SCALE_MINMAX) {
        c->low = m->least;
        c->high = m->largest;
        c->scale_known = true;
    } else if (c->scale == RD_SCALE_STANDARD) {
        c->low = mean;
        c->high = 0;
        c->mean_known = true;
        c->scale_known = constant;
    }
}

rd_status rd_schema_apply(rd_schema *s, const rd_statistics *all, int step, rd_error *err)
{
    for (size_t i = 0; i < all->count; i++) {
        rd_column *c = i < s->column_count ? &s->columns[i] : &s->label;
        const rd_column_statistics *m = &all->columns[i];
        if (!rd_schema_measures(s, i, step))
            continue;
        if (m->count == 0)
            return rd_fail(err, RD_ERR_DATA, "column %zu%s%.60s holds no value with anybody: it has no mean", i + 1,
                           c->name != NULL ? ", " : "", c->name != NULL ? c->name : "");
        if (step == 1) {
            apply_first(c, m);
        } else {
            c->high = sqrt(rd_exact_double_value(&m->sum) / (double)m->count);
            c->scale_known = true;
        }
    }
    return RD_OK;
}
