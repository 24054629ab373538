/* command_line.c: what all commands of rondo-inspect begin and end with (inspect.h). */
#include <stdio.h>

#include "inspect.h"

rd_status inspect_parse(const rd_command *command, int argc, char **argv, const char *what, const char **operand,
                        rd_error *err)
{
    const char *operands[2];
    size_t count = 0;
    switch (rd_options_parse(command, argc, argv, operands, 2, &count, err)) {
    case RD_PARSE_EXIT:
        *operand = NULL;
        return RD_OK;
    case RD_PARSE_ERROR:
        return RD_ERR_USAGE;
    case RD_PARSE_RUN:
        break;
    }
    if (count == 0)
        return rd_fail(err, RD_ERR_USAGE, "%s needs %s", command->program, what);
    if (count > 1)
        return rd_fail(err, RD_ERR_USAGE, "%s takes one argument (%s); '%s' is one too many", command->program, what,
                       operands[1]);
    *operand = operands[0];
    return RD_OK;
}

rd_status inspect_flush(rd_error *err)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return rd_fail(err, RD_ERR_IO, "standard output could not be written");
    return RD_OK;
}
