/* parallel.c: see parallel.h. Threads are started for each call: tens of microseconds against the
 * milliseconds of a round, and nothing to keep alive in between. */
#include "run/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

#define MOST_THREADS 256

typedef struct call {
    void (*work)(void *user, unsigned thread);
    void *user;
    unsigned thread;
} call;

static void *run_call(void *argument)
{
    call *c = argument;
    c->work(c->user, c->thread);
    return NULL;
}

void rd_parallel(unsigned threads, void (*work)(void *user, unsigned thread), void *user)
{
    call calls[MOST_THREADS];
    pthread_t ids[MOST_THREADS];
    bool started[MOST_THREADS] = {false};
    if (threads > MOST_THREADS)
        threads = MOST_THREADS;
    for (unsigned i = 1; i < threads; i++) {
        calls[i] = (call){work, user, i};
        started[i] = pthread_create(&ids[i], NULL, run_call, &calls[i]) == 0;
    }
    work(user, 0);
    for (unsigned i = 1; i < threads; i++) {
        if (started[i])
            pthread_join(ids[i], NULL);
        else
            work(user, i);
    }
}

unsigned rd_processor_count(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) < 1)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}
