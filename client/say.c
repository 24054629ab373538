/* say.c: see say.h. */
#include "say.h"

#include <stdarg.h>
#include <stdio.h>

void rd_say(bool quiet, const char *format, ...)
{
    va_list arguments;
    if (quiet)
        return;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}
