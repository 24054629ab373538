/* schema.c: see schema.h. */
#include "schema.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/first_schema.h"
#include "data/source_options.h"

int rd_schema_command(int argc, char **argv)
{
    rd_error err = {0};
    rd_source source;
    rd_source_options o = {0};
    char *json = NULL;
    const rd_option options[] = {
        RD_SOURCE_DETAILS(&o),
        {RD_OPTION_END, NULL, NULL, NULL, NULL, false, 0, 0},
    };
    const rd_command command = {
        "rondo-sim schema", "FILE [options]",
        "Prints a first \"schema\" for the \"data\" of run.json: the columns of this table, what "
        "they hold, and the classes of its label. Edit it: what is left out is agreed by those who "
        "bring tables.",
        options, "Example:\n  rondo-sim schema patients.csv --label-column diagnosis\n"};
    rd_operands file = {&o.data, 1, 1, "a FILE", 0};
    rd_parse_result parsed = rd_options_parse(&command, argc, argv, &file, &err);
    if (parsed == RD_PARSE_EXIT)
        return 0;
    rd_status status = RD_OK;
    RD_TRY(rd_parse_status(parsed));
    RD_TRY(rd_source_from_options(&o, &source, &err));
    RD_TRY(rd_first_schema(&source, &json, &err));
    printf("%s\n", json);
cleanup:
    if (status != RD_OK)
        fprintf(stderr, "rondo-sim schema: %s\n", err.message);
    free(json);
    return status == RD_OK ? 0 : status == RD_ERR_USAGE ? 2 : 1;
}
