/* samples.c: see samples.h. */
#include "samples.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "codec/table_messages.h"
#include "config/schema_section.h"

/* Does reading it need the model? */
static bool needs_model(const rd_source *source)
{
    return source->format == RD_SOURCE_TEXT || source->format == RD_SOURCE_LEAF;
}

rd_status rd_samples_open(const rd_source *source, rd_samples *out, rd_error *err)
{
    const rd_schema nothing = {0};
    *out = (rd_samples){.source = source, .is_table = source->format == RD_SOURCE_CSV};
    rd_status status = RD_OK;
    if (out->is_table)
        return rd_table_file_open(source, &nothing, false, &out->table, err);
    if (needs_model(source))
        return access(source->path, R_OK) == 0 ? RD_OK
                                               : rd_fail(err, RD_ERR_DATA, "%s: %s", source->path, strerror(errno));
    status = rd_source_load(source, NULL, NULL, false, &out->data, err);
    out->is_ready = status == RD_OK;
    return status;
}

void rd_samples_close(rd_samples *s)
{
    rd_table_file_close(&s->table);
    rd_dataset_free(&s->data);
}

bool rd_samples_ask_first(const rd_samples *s)
{
    return !s->is_ready;
}

size_t rd_samples_count(const rd_samples *s)
{
    return s->is_ready ? s->data.rows : s->table.table.rows;
}

bool rd_samples_can_settle(const rd_samples *s, const rd_schema *schema, bool settled)
{
    return !s->is_table || (settled && schema->column_count > 0);
}

rd_status rd_samples_describe(rd_samples *s, const rd_schema *schema, bool settled, rd_join_data *out, rd_error *err)
{
    rd_status status = RD_OK;
    memset(out, 0, sizeof *out);
    if (!rd_samples_can_settle(s, schema, settled)) {
        RD_TRY(rd_table_file_describe(&s->table, schema, err));
        out->table = s->table.description;
        memset(&s->table.description, 0, sizeof s->table.description);
        out->is_table = true;
    } else if (!s->is_table && s->data.schema != NULL) {
        RD_TRY(rd_schema_parse_text(s->data.schema, s->source->path, &out->schema, err));
        out->has_schema = true;
    }
cleanup:
    return status;
}

rd_status rd_samples_measure(const rd_samples *s, const rd_schema *schema, int step, char **json, rd_error *err)
{
    rd_status status = RD_OK;
    rd_statistics sums = {0};
    *json = NULL;
    RD_TRY(rd_statistics_create(schema, &sums, err));
    RD_TRY(rd_statistics_add_table(&sums, &s->table.table, &s->table.roles, schema, step, NULL, err));
    *json = rd_statistics_write(&sums, schema, step);
    if (*json == NULL)
        status = rd_fail(err, RD_ERR_MEMORY, "no memory to tell what was measured");
cleanup:
    rd_statistics_free(&sums);
    return status;
}

/* Labels of another kind than the model predicts: read without it, a file's own types said what they are. */
static bool wants_other_labels(const rd_samples *s, const rd_model *m)
{
    return s->source->format == RD_SOURCE_SAFETENSORS && m != NULL && rd_model_loss(m) != RD_LOSS_INERTIA &&
           rd_model_classifies(m) != (s->data.labels != NULL);
}

/* What the command line says of the data, and the run otherwise. */
static rd_status check_wishes(const rd_samples *s, const rd_schema *schema, rd_error *err)
{
    bool scaled = false;
    for (size_t i = 0; i < schema->column_count; i++)
        scaled = scaled || schema->columns[i].scale == RD_SCALE_STANDARD;
    if (s->source->standardise && !scaled)
        return rd_fail(err, RD_ERR_CONFIG,
                       "--standardise: how features are scaled is settled by the run, and it leaves them as they are "
                       "(data.schema.scale in its run.json)");
    if (s->source->regression == RD_YES && schema->label.type == RD_COLUMN_CATEGORY)
        return rd_fail(err, RD_ERR_CONFIG, "--regression: the run's model predicts classes");
    return RD_OK;
}

rd_status rd_samples_settle(rd_samples *s, const rd_schema *schema, const rd_model *m, rd_error *err)
{
    rd_status status = RD_OK;
    if (s->is_ready && !wants_other_labels(s, m))
        return RD_OK;
    if (s->is_ready)
        rd_dataset_free(&s->data);
    s->is_ready = false;
    if (s->is_table)
        RD_TRY(check_wishes(s, schema, err));
    RD_TRY(s->is_table ? rd_table_file_encode(&s->table, schema, true, &s->data, err)
                       : rd_source_load(s->source, m, NULL, false, &s->data, err));
    rd_table_file_close(&s->table); /* its text is not needed any more */
    s->is_ready = true;
cleanup:
    return status;
}
