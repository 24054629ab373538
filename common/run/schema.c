/* schema.c: what the columns and classes of tables mean, settled once for every file of the run. */
#include <stdlib.h>
#include <string.h>

#include "config/schema_section.h"
#include "run/run_state.h"

const rd_schema *rd_run_schema(const rd_run *run)
{
    return run->settled ? &run->schema : NULL;
}

rd_status rd_run_settle(rd_run *run, const rd_schema *schema, rd_error *err)
{
    rd_schema_free(&run->schema);
    rd_status status = rd_schema_copy(schema, &run->schema, err);
    run->settled = status == RD_OK;
    return status == RD_OK ? rd_run_read_own_data(run, err) : status;
}

rd_status rd_run_keep_schema(rd_run *run, rd_error *err)
{
    rd_status status = RD_OK;
    char *text = rd_schema_print(&run->schema);
    if (text == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for the schema");
    if (!run->begun)
        RD_TRY(rd_run_begin(run, err));
    /* Behind round 0: a run that has a schema has begun. */
    if (run->store != NULL)
        RD_TRY(rd_store_set_data_schema(run->store, text, err));
cleanup:
    free(text);
    return status;
}

rd_status rd_run_read_schema(rd_run *run, const char *directory, rd_error *err)
{
    rd_status status = RD_OK;
    char *text = NULL;
    RD_TRY(rd_store_data_schema(run->store, &text, err));
    if (text != NULL) {
        RD_TRY(rd_schema_parse_text(text, directory, &run->schema, err));
        run->settled = true;
    }
cleanup:
    free(text);
    return status;
}

rd_status rd_run_check_schema(const rd_run *run, const rd_schema *given, const char *directory, rd_error *err)
{
    rd_status status = RD_OK;
    char *stored = NULL, *now = rd_schema_print(given);
    RD_TRY(rd_store_data_schema(run->store, &stored, err));
    if (stored == NULL || now == NULL || strcmp(stored, now) != 0)
        RD_THROW(RD_ERR_STATE,
                 "%s: its run was made with tables whose columns, classes or means are others than those of "
                 "the tables now; to continue the run restore the old tables, to start another one give "
                 "another directory",
                 directory);
cleanup:
    free(stored);
    free(now);
    return status;
}
