/* driver.c: see driver.h and driver_state.h. One lock guards the round core and what is known of the current round; it is
 * held for microseconds. Everything slow happens outside of it, on this thread or on the workers. */
#include <stdlib.h>
#include <string.h>

#include "core/signals.h"
#include "driver_state.h"

static void on_wake(uv_async_t *async)
{
    rd_driver_carry_out(async->data);
}

static void on_watch(uv_timer_t *timer)
{
    rd_driver *d = timer->data;
    uint64_t what;
    char line[640];
    rd_driver_describe_waiting(d, &what, line, sizeof line);
    if (!d->finished && rd_waiting_is_due(&d->waiting, what, uv_now(&d->loop)))
        rd_driver_log(d, RD_LOG_INFO, "%s", line);
    d->callbacks.tick(d->callbacks.user);
    pthread_mutex_lock(&d->lock);
    const bool joins_wait = d->newcomers != NULL;
    pthread_mutex_unlock(&d->lock);
    if (joins_wait)
        rd_driver_wake(d);
}

static void on_hangup(uv_poll_t *handle, int status, int events)
{
    rd_driver *d = handle->data;
    (void)status;
    (void)events;
    if (!rd_signals_hangup())
        return;
    d->callbacks.reload(d->callbacks.user);
    d->callbacks.wake(d->callbacks.user);
}

static void on_signal(uv_poll_t *handle, int status, int events)
{
    rd_driver *d = handle->data;
    (void)status;
    (void)events;
    d->interrupted = true;
    uv_stop(&d->loop);
}

rd_status rd_driver_loop(rd_driver *d, double linger_seconds, bool *interrupted, rd_error *err)
{
    d->linger_seconds = linger_seconds;
    int code = uv_poll_start(&d->signals, UV_READABLE, on_signal);
    if (code == 0)
        code = uv_poll_start(&d->hangup, UV_READABLE, on_hangup);
    if (code != 0)
        return rd_fail(err, RD_ERR_IO, "event loop: %s", uv_strerror(code));
    uv_timer_start(&d->watch, on_watch, 1000, 1000);
    rd_driver_wake(d);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    /* A round that was published but not committed still can be: nothing of it is lost. */
    rd_status status = RD_OK;
    if (d->failure.status != RD_OK)
        status = rd_fail(err, d->failure.status, "%s", d->failure.message);
    else if (d->uncommitted)
        status = rd_driver_commit(d, err);
    *interrupted = d->interrupted && !d->finished;
    return status;
}

/* ---- life ---- */

static void add_handle(rd_driver *d, void *handle)
{
    ((uv_handle_t *)handle)->data = d;
    d->handles[d->handle_count++] = handle;
}

static rd_status open_loop(rd_driver *d, rd_error *err)
{
    int hangup_fd;
    rd_status status = RD_OK;
    RD_TRY(rd_signals_open(&d->signal_fd, err));
    RD_TRY(rd_signals_open_hangup(&hangup_fd, err));
    int code = uv_loop_init(&d->loop);
    if (code != 0)
        RD_THROW(RD_ERR_IO, "event loop: %s", uv_strerror(code));
    d->loop_open = true;
    (void)uv_timer_init(&d->loop, &d->deadline); /* a timer always can be */
    add_handle(d, &d->deadline);
    (void)uv_timer_init(&d->loop, &d->linger);
    add_handle(d, &d->linger);
    (void)uv_timer_init(&d->loop, &d->watch);
    add_handle(d, &d->watch);
    code = uv_async_init(&d->loop, &d->wake, on_wake);
    if (code == 0) {
        add_handle(d, &d->wake);
        code = uv_poll_init(&d->loop, &d->signals, d->signal_fd);
    }
    if (code == 0) {
        add_handle(d, &d->signals);
        code = uv_poll_init(&d->loop, &d->hangup, hangup_fd);
    }
    if (code != 0)
        RD_THROW(RD_ERR_IO, "event loop: %s", uv_strerror(code));
    add_handle(d, &d->hangup);
cleanup:
    return status;
}

rd_status rd_driver_create(rd_run *run, rd_settling *settling, rd_log *log, rd_driver **out, rd_error *err)
{
    rd_driver *d = calloc(1, sizeof *d);
    if (d == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the driver");
    d->signal_fd = -1;
    d->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    rd_account_init(&d->account);
    const rd_config *config = rd_run_config(run);
    const rd_rounds_options rounds = {.cohort = &config->cohort,
                                      .steps = rd_round_steps,
                                      .seed = config->seed,
                                      .rounds = rd_run_is_over(run) ? rd_run_next_round(run) - 1 : config->rounds,
                                      .first_round = rd_run_next_round(run)};
    rd_status status = RD_OK;
    RD_TRY(rd_sessions_create(&d->sessions, err));
    RD_TRY(rd_rounds_create(&rounds, &d->rounds, err));
    /* An asynchronous round is not that of the task which was done for it. */
    d->clients_keep = !rd_cohort_is_asynchronous(&config->cohort) &&
                      rd_client_kept_size(rd_run_model(run), &config->strategy, &config->personalisation) > 0;
    if (d->clients_keep)
        RD_TRY(rd_recalled_load_counted(&d->counted, rd_run_store(run), err));
    RD_TRY(rd_recalled_load_missed(&d->missed, rd_run_store(run), err));
    RD_TRY(open_loop(d, err));
    d->run = run;
    d->settling = settling;
    d->log = log;
    d->settled = rd_settling_is_done(settling);
    rd_driver_note_model(d);
    *out = d;
    d = NULL;
cleanup:
    rd_driver_free(d);
    return status;
}

void rd_driver_set_callbacks(rd_driver *d, const rd_driver_callbacks *callbacks)
{
    d->callbacks = *callbacks;
}

void rd_driver_free(rd_driver *d)
{
    if (d == NULL)
        return;
    for (size_t i = 0; i < d->handle_count; i++)
        uv_close(d->handles[i], NULL);
    if (d->loop_open) {
        uv_run(&d->loop, UV_RUN_DEFAULT);
        uv_loop_close(&d->loop);
    }
    rd_signals_close(d->signal_fd);
    while (d->newcomers != NULL) {
        newcomer *n = d->newcomers;
        d->newcomers = n->next;
        free(n);
    }
    rd_rounds_free(d->rounds);
    rd_sessions_free(d->sessions);
    rd_recalled_free(&d->counted);
    rd_recalled_free(&d->missed);
    pthread_mutex_destroy(&d->lock);
    rd_account_destroy(&d->account);
    rd_attendance_free(&d->attendance);
    free(d->record_parts);
    free(d);
}
