/* signals.h: SIGINT, SIGTERM and SIGHUP as something to look at when it suits, instead of something that interrupts.
 * The first one is noted; a second SIGINT or SIGTERM ends the process at once, as if nobody had asked. SIGHUP comes when a
 * terminal is closed, often twice, and is a wish to end like the others, unless the program takes it for another
 * (rd_signals_open_hangup) or was started with nohup. */
#ifndef RONDO_CORE_SIGNALS_H
#define RONDO_CORE_SIGNALS_H

#include <stdbool.h>

#include "core/error.h"

/* Begins to note the signals. *fd becomes readable when one has arrived. One at a time in a process;
 * rd_signals_close ends it. RD_ERR_IO, and *fd is -1: the system has no more descriptors. */
rd_status rd_signals_open(int *fd, rd_error *err) RD_MUST_CHECK;
/* Has one arrived, or does one within so many milliseconds (0: only look)? It stays visible to later calls.
 */
bool rd_signals_arrived(int fd, int milliseconds);
/* The signal that has arrived, for the exit code 128 + number; 0: none. */
int rd_signals_number(int fd);
/* From here on SIGHUP is no wish to end: the descriptor becomes readable with each, until rd_signals_hangup has taken it.
 * Closed by rd_signals_close. RD_ERR_IO as above. */
rd_status rd_signals_open_hangup(int *fd, rd_error *err) RD_MUST_CHECK;
/* Has there been a SIGHUP since the last call? */
bool rd_signals_hangup(void);
/* Gives the signals their default meaning back. */
void rd_signals_close(int fd);

#endif
