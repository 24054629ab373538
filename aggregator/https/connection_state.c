/* connection_state.c: see connection_state.h. */
#include "https/connection_state.h"

#include <linux/sockios.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "core/error.h"

/* ---- rings ---- */

void rd_link_init(rd_link *l)
{
    l->next = l->previous = l;
}

bool rd_link_alone(const rd_link *l)
{
    return l->next == l;
}

void rd_link_append(rd_link *ring, rd_link *l)
{
    l->previous = ring->previous;
    l->next = ring;
    ring->previous->next = l;
    ring->previous = l;
}

void rd_link_remove(rd_link *l)
{
    l->previous->next = l->next;
    l->next->previous = l->previous;
    rd_link_init(l);
}

void rd_connection_enter_guests(rd_connection *c)
{
    rd_link_append(&c->worker->guests.all, &c->in_guests);
    c->worker->guests.count++;
}

void rd_connection_leave_guests(rd_connection *c)
{
    if (rd_link_alone(&c->in_guests))
        return;
    rd_link_remove(&c->in_guests);
    c->worker->guests.count--;
}

/* ---- time ---- */

void rd_connection_arm_timer(rd_connection *c, uint64_t ms)
{
    c->timer_due = uv_now(&c->worker->loop) + ms;
    (void)uv_timer_start(&c->timer, c->on_timer, ms, 0);
}

void rd_connection_set_deadline(rd_connection *c, uint64_t ms)
{
    const uint64_t now = uv_now(&c->worker->loop);
    if (c->ends_at != 0 && now + ms > c->ends_at)
        ms = c->ends_at > now ? c->ends_at - now : 0;
    c->deadline = now + ms;
    if (!uv_is_active((uv_handle_t *)&c->timer) || c->deadline < c->timer_due)
        rd_connection_arm_timer(c, ms);
}

bool rd_connection_in_request(const rd_connection *c)
{
    return c->exchange.open || rd_http_in_request(c->http);
}

/* What was sent, but for what the system has still to send or to see acknowledged. */
static uint64_t count_arrived(const rd_connection *c)
{
    int queued = 0;
    if (ioctl(c->fd, SIOCOUTQ, &queued) != 0 || queued < 0)
        queued = 0;
    return rd_tls_sent(c->tls) > (uint64_t)queued ? rd_tls_sent(c->tls) - (uint64_t)queued : 0;
}

void rd_connection_begin_stretch(rd_connection *c)
{
    c->stretch_began = uv_now(&c->worker->loop);
    c->stretch_bytes = 0;
    c->arrived = c->arrived_before = count_arrived(c);
}

bool rd_connection_answer_moves(const rd_connection *c)
{
    return c->phase == PHASE_SEND && count_arrived(c) > c->arrived;
}

void rd_connection_touch(rd_connection *c)
{
    const uint64_t idle_ms = 1000u * (uint64_t)c->worker->idle_seconds;
    c->slow = false;
    if (c->phase != PHASE_SEND && !rd_connection_in_request(c)) {
        rd_connection_set_deadline(c, 1000u * (uint64_t)c->worker->keep_alive_seconds);
        return;
    }
    const uint64_t taken = uv_now(&c->worker->loop) - c->stretch_began;
    if (c->phase == PHASE_SEND)
        c->arrived = count_arrived(c);
    uint64_t moved = c->stretch_bytes;
    if (c->phase == PHASE_SEND)
        moved = c->arrived - c->arrived_before;
    const uint64_t granted = idle_ms + 1000u * moved / RD_LEAST_RATE;
    const uint64_t left = granted > taken ? granted - taken : 0;
    c->slow = left < idle_ms;
    rd_connection_set_deadline(c, c->slow ? left : idle_ms);
}

void rd_connection_trouble(rd_connection *c, const char *format, ...)
{
    char what[RD_ERROR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    rd_door_tell(c->worker->door, c->peer, what, uv_hrtime() / 1000000);
}

void rd_connection_apply_parking(rd_connection *c)
{
    if (!c->exchange.park_anew)
        return;
    c->exchange.park_anew = false;
    uv_update_time(&c->worker->loop);
    rd_connection_set_deadline(c, c->exchange.park_ms);
}

/* ---- the end of an exchange ---- */

void rd_connection_release_input(rd_connection *c)
{
    free(c->in);
    c->in = NULL;
    c->in_begin = c->in_end = 0;
}

void rd_connection_finish_exchange(rd_connection *c)
{
    rd_link_remove(&c->in_parked);
    rd_output_release(&c->output);
    if (!c->exchange.open)
        return;
    c->exchange.open = false;
    if (c->exchange.work != NULL)
        c->exchange.work->connection = NULL;
    c->exchange.work = NULL;
    c->worker->app->on_close(&c->exchange, c->worker->app->app);
    c->exchange.user = NULL;
}
