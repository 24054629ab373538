/* background.c: see background.h. */
#include "https/background.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_THREADS 16 /* of a lane */
#define LATER_NICE 10   /* the rounds' threads come first wherever both want a core */

typedef struct lane {
    pthread_mutex_t lock; /* guards what follows, but the threads */
    pthread_cond_t news;
    rd_work *first, **end;
    bool stop, polite;
    pthread_t threads[MOST_THREADS];
    unsigned thread_count;
} lane;

struct rd_background {
    lane lanes[RD_LANES];
};

static rd_work *take(lane *l)
{
    pthread_mutex_lock(&l->lock);
    while (l->first == NULL && !l->stop)
        pthread_cond_wait(&l->news, &l->lock);
    rd_work *work = l->first;
    if (work != NULL && (l->first = work->next) == NULL)
        l->end = &l->first;
    pthread_mutex_unlock(&l->lock);
    return work;
}

static void *serve(void *user)
{
    lane *l = user;
    rd_work *work;
    const id_t self = (id_t)syscall(SYS_gettid);
    if (l->polite && getpriority(PRIO_PROCESS, self) < LATER_NICE) /* on Linux of this thread alone */
        (void)setpriority(PRIO_PROCESS, self, LATER_NICE);
    while ((work = take(l)) != NULL) {
        work->work(work->user);
        work->worker->hand_back(work);
    }
    return NULL;
}

static rd_status start_lane(lane *l, unsigned threads, rd_error *err)
{
    for (; l->thread_count < threads; l->thread_count++) {
        int code = pthread_create(&l->threads[l->thread_count], NULL, serve, l);
        if (code != 0)
            return rd_fail(err, RD_ERR_IO, "background thread: %s", strerror(code));
    }
    return RD_OK;
}

rd_status rd_background_start(rd_background **out, rd_error *err)
{
    rd_status status = RD_OK;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    rd_background *b = calloc(1, sizeof *b);
    if (b == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for background threads");
    for (size_t i = 0; i < RD_LANES; i++) {
        b->lanes[i].lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
        b->lanes[i].news = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
        b->lanes[i].end = &b->lanes[i].first;
    }
    b->lanes[RD_LANE_LATER].polite = true;
    RD_TRY(start_lane(&b->lanes[RD_LANE_ROUND],
                      cores < 1              ? 1
                      : cores > MOST_THREADS ? MOST_THREADS
                                             : (unsigned)cores,
                      err));
    RD_TRY(start_lane(&b->lanes[RD_LANE_LATER], 1, err));
    RD_TRY(start_lane(&b->lanes[RD_LANE_SIGN], 1, err));
    *out = b;
    b = NULL;
cleanup:
    rd_background_stop(b);
    return status;
}

void rd_background_add(rd_background *b, rd_lane which, rd_work *work)
{
    lane *l = &b->lanes[which];
    work->next = NULL;
    pthread_mutex_lock(&l->lock);
    *l->end = work;
    l->end = &work->next;
    pthread_cond_signal(&l->news);
    pthread_mutex_unlock(&l->lock);
}

void rd_background_stop(rd_background *b)
{
    if (b == NULL)
        return;
    for (size_t i = 0; i < RD_LANES; i++) {
        lane *l = &b->lanes[i];
        pthread_mutex_lock(&l->lock);
        l->stop = true;
        pthread_cond_broadcast(&l->news);
        pthread_mutex_unlock(&l->lock);
        for (unsigned k = 0; k < l->thread_count; k++)
            (void)pthread_join(l->threads[k], NULL);
        (void)pthread_cond_destroy(&l->news);
        (void)pthread_mutex_destroy(&l->lock);
    }
    free(b);
}
