/* first_schema.c: see first_schema.h. */
#include "config/first_schema.h"

#include <stdlib.h>

#include "config/schema_section.h"
#include "data/table_file.h"

static rd_status schema_of(rd_table_file *file, rd_column_type label, rd_schema *out, rd_error *err)
{
    const rd_schema open = {.label.type = label};
    char notes[1];
    rd_status status = rd_table_file_describe(file, &open, err);
    const rd_described alone = {file->table.path, &file->description};
    return status != RD_OK
               ? status
               : rd_schema_agree(&open, &(rd_described_tables){&alone, 1, false}, out, notes, sizeof notes, err);
}

rd_status rd_first_schema(const rd_source *source, char **json, rd_error *err)
{
    rd_status status = RD_OK;
    rd_table_file file = {0};
    rd_schema schema = {0};
    const rd_schema open = {0};
    cJSON *tree = NULL;
    *json = NULL;
    if (source->format != RD_SOURCE_CSV)
        return rd_fail(err, RD_ERR_USAGE, "%s: is not read as a table, and only tables have a schema", source->path);
    RD_TRY(rd_table_file_open(source, &open, false, &file, err));
    status = schema_of(&file, RD_COLUMN_CATEGORY, &schema, err);
    if (status == RD_ERR_DATA && source->regression != RD_NO) /* labels with a fraction */
        status = schema_of(&file, RD_COLUMN_NUMBER, &schema, err);
    RD_TRY(status);
    tree = rd_schema_json(&schema);
    *json = tree != NULL ? cJSON_Print(tree) : NULL;
    if (*json == NULL)
        status = rd_fail(err, RD_ERR_MEMORY, "no memory for a schema");
cleanup:
    cJSON_Delete(tree);
    rd_schema_free(&schema);
    rd_table_file_close(&file);
    return status;
}
