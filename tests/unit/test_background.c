/* Work in the background: all of it is done and handed back once, in its lane's order, while the lane of the rounds has a
 * thread for each core and what is in no hurry stands behind; and what becomes of it in a server. */
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "https/background.h"
#include "toy_files.h"

/* ---- lanes ---- */

enum { PIECES = 300 };

typedef struct job {
    rd_work work;
    int priority;
    pid_t thread;
} job;

static job jobs[RD_LANES][PIECES];
static size_t order[RD_LANES][PIECES]; /* which piece was handed back as how many-th */
static atomic_size_t handed_back[RD_LANES];
static rd_worker worker;

static void do_piece(void *user)
{
    job *j = user;
    j->thread = (pid_t)syscall(SYS_gettid);
    j->priority = getpriority(PRIO_PROCESS, (id_t)j->thread);
}

static void take_back(rd_work *work)
{
    const size_t index = (size_t)((job *)work->user - jobs[0]);
    order[index / PIECES][atomic_fetch_add(&handed_back[index / PIECES], 1)] = index % PIECES;
}

static void add(rd_background *b, rd_lane lane, size_t i, void (*piece)(void *))
{
    job *j = &jobs[lane][i];
    j->work = (rd_work){.next = (rd_work *)1, .worker = &worker, .work = piece, .user = j};
    rd_background_add(b, lane, &j->work);
}

Test(background, every_piece_is_done_once_in_the_order_of_its_lane)
{
    rd_background *b;
    rd_error err;
    const int usual = getpriority(PRIO_PROCESS, 0);
    worker.hand_back = take_back;
    cr_assert_eq(rd_background_start(&b, &err), RD_OK, "%s", err.message);
    for (size_t i = 0; i < PIECES; i++)
        for (size_t lane = 0; lane < RD_LANES; lane++)
            add(b, (rd_lane)lane, i, do_piece);
    rd_background_stop(b); /* not before all is done */
    for (size_t lane = 0; lane < RD_LANES; lane++) {
        cr_assert_eq(handed_back[lane], PIECES, "lane %zu", lane);
        bool seen[PIECES] = {false};
        for (size_t i = 0; i < PIECES; i++) {
            cr_expect_not(seen[order[lane][i]]);
            seen[order[lane][i]] = true;
            if (lane != RD_LANE_ROUND) {
                cr_expect_eq(order[lane][i], i, "lane %zu has one thread", lane);
                cr_expect_eq(jobs[lane][i].thread, jobs[lane][0].thread);
            }
            const int nice = lane == RD_LANE_LATER && usual < 10 ? 10 : usual; /* never less polite than the process */
            cr_expect_eq(jobs[lane][i].priority, nice, "lane %zu: %d", lane, jobs[lane][i].priority);
        }
    }
    rd_background_stop(NULL);
}

static pthread_barrier_t together;

static void wait_for_the_others(void *user)
{
    do_piece(user);
    pthread_barrier_wait(&together);
}

/* As many pieces at a time as there are cores, at most 16: fewer threads would wait for ever. */
Test(background, rounds_have_every_core, .timeout = TOY_PATIENCE)
{
    rd_background *b;
    rd_error err;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const size_t threads = cores < 1 ? 1 : cores > 16 ? 16 : (size_t)cores;
    worker.hand_back = take_back;
    cr_assert_eq(pthread_barrier_init(&together, NULL, (unsigned)threads), 0);
    cr_assert_eq(rd_background_start(&b, &err), RD_OK, "%s", err.message);
    for (size_t i = 0; i < 3 * threads; i++)
        add(b, RD_LANE_ROUND, i, wait_for_the_others);
    rd_background_stop(b);
    cr_assert_eq(handed_back[RD_LANE_ROUND], 3 * threads);
    pthread_barrier_destroy(&together);
}

/* ---- in a server ---- */

static atomic_int begun, done, done_for_nobody, may_end;

static void work_slowly(void *user)
{
    (void)user;
    atomic_fetch_add(&begun, 1);
    for (double end = toy_now() + TOY_PATIENCE; may_end == 0 && toy_now() < end;)
        usleep(1000);
}

static void say_done(rd_exchange *x, void *user)
{
    (void)user;
    atomic_fetch_add(x != NULL ? &done : &done_for_nobody, 1);
    if (x != NULL)
        toy_say(x, 200, "it is done");
}

static void on_request(rd_exchange *x, void *app)
{
    if (!toy_is(x, "/work")) {
        toy_on_request(x, app);
        return;
    }
    atomic_fetch_add(&((toy *)app)->opened, 1);
    cr_assert(rd_exchange_work(x, RD_LANE_ROUND, work_slowly, say_done, NULL));
}

enum { IDLE = 10 }; /* seconds: a handshake under valgrind on a busy machine takes more than three */

static void start(toy *t, unsigned idle_seconds)
{
    memset(t, 0, sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    t->file = -1;
    rd_error err = {.message = ""};
    rd_server_app app = toy_app(t);
    rd_server_options options = toy_options();
    options.workers = 1;
    options.idle_seconds = idle_seconds;
    app.on_request = on_request;
    cr_assert_eq(rd_server_start(&options, &app, &t->server, &err), RD_OK, "%s", err.message);
}

/* A worker serves others while the work of one goes on for longer than its clients may be silent, and the next request
 * waits for its turn. */
Test(background, holds_up_nobody_and_has_no_deadline)
{
    toy t;
    char text[1024];
    start(&t, IDLE);
    CURL *one = toy_raw(&t);
    toy_tell(one, "GET /work HTTP/1.1\r\n\r\nGET /hello HTTP/1.1\r\n\r\n");
    toy_wait_for(begun == 1);
    cr_expect_str_eq(toy_get(&t, "bob", "/hello").text, "GET bob ");
    usleep((IDLE * 1000 + 500) * 1000);
    cr_expect_eq(t.closed, 1, "bob's");
    may_end = 1;
    toy_receive(one, text, sizeof text, "GET alice ");
    cr_expect_not_null(strstr(text, "it is done"), "%s", text);
    cr_expect(done == 1 && done_for_nobody == 0);
    curl_easy_cleanup(one);
    toy_stop(&t);
}

Test(background, is_told_that_its_client_has_gone)
{
    toy t;
    start(&t, 20 * TOY_PATIENCE);
    CURL *one = toy_raw(&t), *two = toy_raw(&t);
    toy_tell(one, "GET /work HTTP/1.1\r\n\r\n");
    toy_wait_for(begun == 1);
    toy_vanish(one);
    toy_wait_for(t.closed == 1);
    cr_expect(done == 0 && done_for_nobody == 0);
    may_end = 1;
    toy_wait_for(done_for_nobody == 1);
    toy_tell(two, "GET /work HTTP/1.1\r\n\r\n");
    char text[512];
    cr_expect_not_null(strstr(toy_receive(two, text, sizeof text, "it is done"), "200 OK"));
    curl_easy_cleanup(two);
    toy_stop(&t);
    cr_expect(done == 1 && done_for_nobody == 1);
}

/* A server that stops waits for work whose client has gone, too, or user would never be freed. */
static void *stop_server(void *user)
{
    toy_stop(user);
    return NULL;
}

Test(background, is_waited_for_by_a_server_that_stops)
{
    toy t;
    pthread_t thread;
    start(&t, 20 * TOY_PATIENCE);
    CURL *one = toy_raw(&t);
    toy_tell(one, "GET /work HTTP/1.1\r\n\r\n");
    toy_wait_for(begun == 1);
    cr_assert_eq(pthread_create(&thread, NULL, stop_server, &t), 0);
    toy_wait_for(t.closed == 1); /* its grace of 2 s is over */
    may_end = 1;
    pthread_join(thread, NULL);
    cr_expect(done == 0 && done_for_nobody == 1, "%d, %d", (int)done, (int)done_for_nobody);
    curl_easy_cleanup(one);
}
