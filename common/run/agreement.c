/* agreement.c: see agreement.h. */
#include "run/agreement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/schema_section.h"
#include "core/grow.h"
#include "data/table_file.h"

/* A client that described a table. */
typedef struct member {
    char *name;
    rd_description table;
    int answered; /* the last step that it has answered */
    bool left;
} member;

struct rd_agreement {
    const rd_config *config;
    rd_table_file test, root;
    bool has_test, has_root, begun, extended;
    member *members; /* (member_count) by name */
    size_t member_count, member_capacity;
    char *brought_by; /* who brought the schema; NULL: nobody */
    rd_schema brought, schema;
    int step; /* that is being measured; 0: none */
    rd_statistics sums;
};

void rd_agreement_free(rd_agreement *a)
{
    if (a == NULL)
        return;
    rd_table_file_close(&a->test);
    rd_table_file_close(&a->root);
    for (size_t i = 0; i < a->member_count; i++) {
        free(a->members[i].name);
        rd_description_free(&a->members[i].table);
    }
    free(a->members);
    free(a->brought_by);
    rd_schema_free(&a->brought);
    rd_schema_free(&a->schema);
    rd_statistics_free(&a->sums);
    free(a);
}

/* A table of nothing but numbers has as many features as columns: what cannot fit is reported before anybody trains. */
static rd_status check_width(const rd_schema *given, const rd_description *d, const rd_model *m, const char *whose,
                             rd_error *err)
{
    bool numbers = !given->columns_known;
    for (size_t i = 0; i < d->column_count; i++)
        numbers = numbers && d->columns[i].type == RD_COLUMN_NUMBER;
    if (!numbers || d->column_count == rd_model_input_size(m))
        return RD_OK;
    return rd_fail(err, RD_ERR_DATA, "%s: a sample has %zu features, but the model's input is %zu", whose,
                   d->column_count, rd_model_input_size(m));
}

static rd_status describe(const rd_agreement *a, const rd_source *source, const rd_model *m, const char *whose,
                          rd_table_file *file, bool *has, rd_error *err)
{
    rd_status status = RD_OK;
    if (source->format != RD_SOURCE_CSV)
        return RD_OK;
    RD_TRY(rd_table_file_open(source, &a->config->data.schema, false, file, err));
    RD_TRY(rd_table_file_describe(file, &a->config->data.schema, err));
    RD_TRY(check_width(&a->config->data.schema, &file->description, m, whose, err));
    *has = true;
cleanup:
    rd_table_free(&file->table); /* it is read again when it can be understood */
    return status;
}

/* Where run.json says everything, there is nothing to agree on. */
static rd_status begin_if_complete(rd_agreement *a, rd_error *err)
{
    const rd_schema *given = &a->config->data.schema;
    rd_schema whole = {0};
    char notes[1];
    bool complete =
        given->columns_known && (given->label.type == RD_COLUMN_NUMBER || given->label.words_known || given->numbered);
    for (size_t i = 0; i < given->column_count; i++)
        complete = complete && given->columns[i].type != RD_COLUMN_OPEN &&
                   (given->columns[i].type != RD_COLUMN_CATEGORY || given->columns[i].words_known);
    if (!complete)
        return RD_OK;
    rd_status status = rd_schema_agree(given, &(rd_described_tables){0}, &whole, notes, sizeof notes, err);
    a->begun = status == RD_OK && rd_schema_is_settled(&whole);
    if (a->begun) {
        rd_schema_free(&a->schema);
        a->schema = whole;
    } else {
        rd_schema_free(&whole);
    }
    return status;
}

rd_status rd_agreement_create(const rd_config *config, const rd_model *m, rd_agreement **out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_agreement *a = calloc(1, sizeof *a);
    if (a == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for an agreement about columns");
    a->config = config;
    RD_TRY(describe(a, &config->data.test, m, "data.test", &a->test, &a->has_test, err));
    if (config->strategy.kind->server_trains)
        RD_TRY(describe(a, &config->data.root, m, "data.root", &a->root, &a->has_root, err));
    RD_TRY(rd_schema_copy(&config->data.schema, &a->schema, err));
    RD_TRY(begin_if_complete(a, err));
    *out = a;
    return RD_OK;
cleanup:
    rd_agreement_free(a);
    return status;
}

rd_status rd_agreement_create_settled(const rd_config *config, const rd_schema *settled, rd_agreement **out,
                                      rd_error *err)
{
    rd_agreement *a = calloc(1, sizeof *a);
    if (a == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for an agreement about columns");
    a->config = config;
    a->begun = true;
    rd_status status = rd_schema_copy(settled, &a->schema, err);
    if (status == RD_OK)
        *out = a;
    else
        rd_agreement_free(a);
    return status;
}

/* ---- members ---- */

static member *find(const rd_agreement *a, const char *name)
{
    for (size_t i = 0; i < a->member_count; i++)
        if (strcmp(a->members[i].name, name) == 0)
            return &a->members[i];
    return NULL;
}

static rd_status add_member(rd_agreement *a, const char *name, rd_description *table, rd_error *err)
{
    rd_status status =
        rd_grow(&a->members, &a->member_capacity, a->member_count + 1, sizeof *a->members, "tables", err);
    if (status != RD_OK)
        return status;
    char *copy = strdup(name);
    if (copy == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the columns of %s", name);
    member *members = a->members;
    size_t at = a->member_count;
    while (at > 0 && strcmp(members[at - 1].name, name) > 0)
        at--;
    memmove(members + at + 1, members + at, (a->member_count - at) * sizeof *members);
    members[at] = (member){.name = copy, .table = *table};
    a->member_count++;
    memset(table, 0, sizeof *table);
    return RD_OK;
}

/* The first table of a run that was settled without one. */
static rd_status extend(rd_agreement *a, const char *client, const rd_description *table, rd_error *err)
{
    const rd_described alone = {client, table};
    char notes[1];
    rd_schema agreed = {0};
    rd_status status = rd_schema_agree(&a->config->data.schema, &(rd_described_tables){&alone, 1, false}, &agreed,
                                       notes, sizeof notes, err);
    if (status == RD_OK && rd_schema_step(&agreed) > 0)
        status =
            rd_fail(err, RD_ERR_DATA,
                    "the run has begun without a table, so no means can be taken any more; data.schema in run.json "
                    "can say them");
    if (status != RD_OK) {
        rd_schema_free(&agreed);
        return status;
    }
    rd_schema_free(&a->schema);
    a->schema = agreed;
    a->extended = true;
    return RD_OK;
}

rd_status rd_agreement_join(rd_agreement *a, const char *client, rd_description *table, rd_error *err)
{
    member *m = find(a, client);
    if (table == NULL)
        return RD_OK;
    if (a->begun)
        return a->step == 0 && a->schema.column_count == 0 ? extend(a, client, table, err) : RD_OK;
    if (m == NULL)
        return add_member(a, client, table, err);
    rd_description_free(&m->table);
    m->table = *table;
    m->left = false;
    memset(table, 0, sizeof *table);
    return RD_OK;
}

static bool same(const rd_schema *x, const rd_schema *y)
{
    char *a = rd_schema_print(x), *b = rd_schema_print(y);
    bool equal = a != NULL && b != NULL && strcmp(a, b) == 0;
    free(a);
    free(b);
    return equal;
}

rd_status rd_agreement_bring(rd_agreement *a, const char *client, const rd_schema *schema, rd_error *err)
{
    rd_status status = RD_OK;
    if (a->begun || a->brought_by != NULL) {
        if (same(a->begun ? &a->schema : &a->brought, schema))
            return RD_OK;
        return rd_fail(err, RD_ERR_DATA,
                       "the data of %s were written through another schema than %s%s; write the files of all clients "
                       "together (rondo-sim partition)",
                       client, a->begun ? "the run's" : "those of ", a->begun ? "" : a->brought_by);
    }
    RD_TRY(rd_schema_copy(schema, &a->brought, err));
    RD_TRY(rd_schema_set_text(&a->brought_by, client, err));
cleanup:
    return status;
}

/* ---- steps ---- */

/* Goes on to the next step that anybody can be asked for. */
static rd_status next_step(rd_agreement *a, rd_error *err)
{
    a->step = rd_schema_step(&a->schema);
    rd_statistics_free(&a->sums);
    return a->step > 0 ? rd_statistics_create(&a->schema, &a->sums, err) : RD_OK;
}

static rd_status agree_on_schema(rd_agreement *a, char *notes, size_t size, rd_error *err)
{
    size_t count = 0;
    rd_described *tables = malloc((a->member_count + 2) * sizeof *tables);
    if (tables == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for an agreement of %zu clients", a->member_count);
    if (a->has_test)
        tables[count++] = (rd_described){"data.test", &a->test.description};
    for (size_t i = 0; i < a->member_count; i++)
        if (!a->members[i].left)
            tables[count++] = (rd_described){a->members[i].name, &a->members[i].table};
    if (a->has_root)
        tables[count++] = (rd_described){"data.root", &a->root.description};
    rd_schema agreed = {0};
    rd_status status = rd_schema_agree(&a->config->data.schema, &(rd_described_tables){tables, count, a->has_test},
                                       &agreed, notes, size, err);
    free(tables);
    if (status == RD_OK) {
        rd_schema_free(&a->schema);
        a->schema = agreed;
    }
    return status;
}

rd_status rd_agreement_begin(rd_agreement *a, char *notes, size_t size, rd_error *err)
{
    rd_status status = RD_OK;
    if (size > 0)
        notes[0] = '\0';
    if (a->begun)
        return RD_OK;
    if (a->brought_by != NULL) {
        rd_schema_free(&a->schema);
        RD_TRY(rd_schema_copy(&a->brought, &a->schema, err));
    } else {
        RD_TRY(agree_on_schema(a, notes, size, err));
    }
    RD_TRY(next_step(a, err));
    if (a->step > 0 && a->member_count == 0)
        return rd_fail(err, RD_ERR_DATA,
                       "means are to be taken over the clients' tables, but no client brings one; "
                       "data.schema in run.json can say them");
    a->begun = true;
cleanup:
    return status;
}

/* Back to the beginning, where more clients may mend what failed. */
static void reopen(rd_agreement *a)
{
    rd_error ignored;
    a->begun = false;
    a->step = 0;
    for (size_t i = 0; i < a->member_count; i++)
        a->members[i].answered = 0;
    rd_schema_free(&a->schema);
    if (rd_schema_copy(&a->config->data.schema, &a->schema, &ignored) != RD_OK)
        rd_schema_free(&a->schema);
}

/* Where all have answered, the step is over. */
static rd_status finish_step(rd_agreement *a, rd_error *err)
{
    for (size_t i = 0; i < a->member_count; i++)
        if (!a->members[i].left && a->members[i].answered < a->step)
            return RD_OK;
    rd_status status = rd_schema_apply(&a->schema, &a->sums, a->step, err);
    if (status == RD_OK)
        status = next_step(a, err);
    if (status != RD_OK)
        reopen(a);
    return status;
}

rd_status rd_agreement_leave(rd_agreement *a, const char *client, rd_error *err)
{
    member *m = find(a, client);
    if (m == NULL || m->left)
        return RD_OK;
    m->left = true;
    return a->step > 0 ? finish_step(a, err) : RD_OK;
}

rd_status rd_agreement_measured(rd_agreement *a, const char *client, int step, const rd_statistics *measured,
                                rd_error *err)
{
    member *m = find(a, client);
    if (m == NULL || m->left || step != a->step || step == 0 || m->answered >= step)
        return RD_OK; /* too late, or a second time */
    if (measured->count != a->sums.count)
        return rd_fail(err, RD_ERR_FORMAT, "sums of %zu columns, but %zu were expected", measured->count,
                       a->sums.count);
    rd_statistics_merge(&a->sums, measured);
    m->answered = step;
    return finish_step(a, err);
}

rd_status rd_agreement_deadline(rd_agreement *a, char *missing, size_t size, rd_error *err)
{
    size_t at = 0;
    missing[0] = '\0';
    for (size_t i = 0; i < a->member_count && a->step > 0; i++) {
        member *m = &a->members[i];
        if (m->left || m->answered >= a->step)
            continue;
        m->left = true;
        int written = at < size ? snprintf(missing + at, size - at, "%s%s", at > 0 ? ", " : "", m->name) : 0;
        at += written > 0 ? (size_t)written : 0;
    }
    return a->step > 0 ? finish_step(a, err) : RD_OK;
}

/* ---- questions ---- */

bool rd_agreement_was_extended(rd_agreement *a)
{
    bool extended = a->extended;
    a->extended = false;
    return extended;
}

bool rd_agreement_has_begun(const rd_agreement *a)
{
    return a->begun;
}

bool rd_agreement_is_settled(const rd_agreement *a)
{
    return a->begun && a->step == 0;
}

const rd_schema *rd_agreement_schema(const rd_agreement *a)
{
    return &a->schema;
}

int rd_agreement_asks(const rd_agreement *a, const char *client)
{
    const member *m = find(a, client);
    return a->begun && m != NULL && !m->left && m->answered < a->step ? a->step : 0;
}
