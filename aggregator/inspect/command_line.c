/* command_line.c: what all commands of rondo-inspect begin and end with (inspect.h). */
#include <stdio.h>

#include "inspect.h"

rd_status inspect_parse(const rd_command *command, int argc, char **argv, const char *what, const char **operand,
                        rd_error *err)
{
    rd_operands one = {operand, 1, 1, what, 0};
    rd_parse_result parsed = rd_options_parse(command, argc, argv, &one, err);
    if (parsed != RD_PARSE_RUN)
        *operand = NULL;
    return rd_parse_status(parsed);
}

rd_status inspect_flush(rd_error *err)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return rd_fail(err, RD_ERR_IO, "standard output could not be written");
    return RD_OK;
}
