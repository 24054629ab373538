/* say.c: see say.h. */
#include "say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/foreign.h"

void rd_say(bool quiet, const char *format, ...)
{
    va_list arguments;
    char *line = NULL;
    if (quiet)
        return;
    va_start(arguments, format);
    const int length = vasprintf(&line, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    rd_foreign_plain(line); /* the aggregator names the run and the client */
    puts(line);
    free(line);
    fflush(stdout);
}
