/* table_file.c: see table_file.h. */
#include "data/table_file.h"

#include <stdlib.h>
#include <string.h>

#include "data/encode.h"

rd_status rd_table_file_open(const rd_source *source, const rd_schema *schema, bool optional_label, rd_table_file *out,
                             rd_error *err)
{
    *out = (rd_table_file){.source = source, .optional_label = optional_label};
    rd_status status = rd_table_load(source, &out->table, err);
    if (status == RD_OK)
        status = rd_table_settle_roles(&out->table, source, schema, optional_label, &out->roles, err);
    if (status != RD_OK)
        rd_table_file_close(out);
    return status;
}

rd_status rd_table_file_describe(rd_table_file *f, const rd_schema *given, rd_error *err)
{
    rd_description_free(&f->description);
    rd_status status = rd_table_settle_roles(&f->table, f->source, given, f->optional_label, &f->roles, err);
    return status != RD_OK ? status : rd_table_describe(&f->table, &f->roles, given, &f->description, err);
}

rd_status rd_table_file_encode(rd_table_file *f, const rd_schema *s, bool features, rd_dataset *out, rd_error *err)
{
    rd_status status = RD_OK;
    char note[400];
    memset(out, 0, sizeof *out);
    RD_TRY(rd_table_settle_roles(&f->table, f->source, s, f->optional_label, &f->roles, err));
    RD_TRY(rd_table_encode(&f->table, &f->roles, s, features, out, err));
    if (!features)
        goto cleanup;
    rd_table_summary(&f->table, &f->roles, s, out, note, sizeof note);
    out->note = strdup(note);
    if (out->note == NULL) {
        rd_dataset_free(out);
        status = rd_fail(err, RD_ERR_MEMORY, "%s: no memory for its summary", f->table.path);
    }
cleanup:
    return status;
}

void rd_table_file_close(rd_table_file *f)
{
    rd_table_free(&f->table);
    rd_description_free(&f->description);
}
