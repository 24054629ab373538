/* say.h: lines for whoever watches the client. */
#ifndef RONDO_CLIENT_SAY_H
#define RONDO_CLIENT_SAY_H

#include <stdbool.h>

/* A line to standard output at once; quiet (--quiet): nothing. */
void rd_say(bool quiet, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
