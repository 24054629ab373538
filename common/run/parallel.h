/* parallel.h: the same function on a few threads, and a counter from which they take their work. */
#ifndef RONDO_RUN_PARALLEL_H
#define RONDO_RUN_PARALLEL_H

/* Calls work(user, 0) ... work(user, threads - 1), each on a thread of its own (0 on the caller's), and
 * returns when all have returned. Where a thread cannot be started its call is made on the caller's. */
void rd_parallel(unsigned threads, void (*work)(void *user, unsigned thread), void *user);

/* Processors this process may use; at least 1. */
unsigned rd_processor_count(void);

#endif
