/* signals.h: SIGINT and SIGTERM as something to look at when it suits, instead of something that interrupts.
 * The first one is noted; a second one ends the process at once, as if nobody had asked. */
#ifndef RONDO_CORE_SIGNALS_H
#define RONDO_CORE_SIGNALS_H

#include <stdbool.h>

#include "core/error.h"

/* Begins to note the two signals. *fd becomes readable when one has arrived. One at a time in a process;
 * rd_signals_close ends it. RD_ERR_IO, and *fd is -1: the system has no more descriptors. */
rd_status rd_signals_open(int *fd, rd_error *err) RD_MUST_CHECK;
/* Has one arrived, or does one within so many milliseconds (0: only look)? It stays visible to later calls.
 */
bool rd_signals_arrived(int fd, int milliseconds);
/* The signal that has arrived, for the exit code 128 + number; 0: none. */
int rd_signals_number(int fd);
/* Gives the signals their default meaning back. */
void rd_signals_close(int fd);

#endif
