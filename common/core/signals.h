/* signals.h: SIGINT and SIGTERM as something to look at when it suits, instead of something that interrupts.
 */
#ifndef RONDO_CORE_SIGNALS_H
#define RONDO_CORE_SIGNALS_H

#include <stdbool.h>

/* Blocks both for the calling thread and those it starts later, and returns a file descriptor that becomes
 * readable when one arrives; close it when done. -1: the system has no more descriptors. */
int rd_signals_open(void);
/* Has one arrived, or does one within so many milliseconds (0: only look)? It stays visible to later calls.
 */
bool rd_signals_arrived(int fd, int milliseconds);

#endif
