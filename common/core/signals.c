/* signals.c: see signals.h. A handler and not a blocked mask with signalfd: libraries start threads before
 * main (OpenBLAS does), and a signal that is blocked everywhere else would be delivered to one of those. */
#include "core/signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A handler has no argument of ours: these are the variables of their kind. */
static volatile sig_atomic_t event = -1, hangup_event = -1;
static bool hears_hangup;
static volatile sig_atomic_t arrived; /* the signal's number; looking at it costs nothing in a loop */

static void on_signal(int number)
{
    int saved = errno;
    uint64_t value = 1;
    arrived = number;
    ssize_t written = write(event, &value, sizeof value);
    (void)written; /* the counter cannot be full: a second signal does not come here */
    errno = saved;
}

static void on_hangup(int number)
{
    int saved = errno;
    uint64_t value = 1;
    (void)number;
    ssize_t written = write(hangup_event, &value, sizeof value);
    (void)written; /* many that nobody has taken are one */
    errno = saved;
}

rd_status rd_signals_open(int *fd, rd_error *err)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)(SA_RESETHAND | SA_RESTART)},
                     again = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
    arrived = 0;
    *fd = event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (event < 0)
        return rd_fail(err, RD_ERR_IO, "cannot wait for signals: %s", strerror(errno));
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        hears_hangup = sigaction(SIGHUP, &again, NULL) == 0;
    return RD_OK;
}

rd_status rd_signals_open_hangup(int *fd, rd_error *err)
{
    struct sigaction action = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};
    *fd = hangup_event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (hangup_event < 0)
        return rd_fail(err, RD_ERR_IO, "cannot wait for signals: %s", strerror(errno));
    hears_hangup = sigaction(SIGHUP, &action, NULL) == 0;
    return RD_OK;
}

bool rd_signals_hangup(void)
{
    uint64_t count;
    return hangup_event >= 0 && read(hangup_event, &count, sizeof count) == (ssize_t)sizeof count;
}

bool rd_signals_arrived(int fd, int milliseconds)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    if (fd >= 0 && milliseconds > 0)
        (void)poll(&waiting, 1, milliseconds);
    return fd >= 0 && arrived != 0;
}

int rd_signals_number(int fd)
{
    return fd >= 0 ? arrived : 0;
}

void rd_signals_close(int fd)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    if (hears_hangup)
        signal(SIGHUP, SIG_DFL);
    event = -1;
    if (hangup_event >= 0)
        close(hangup_event);
    hangup_event = -1;
    if (fd >= 0)
        close(fd);
}
