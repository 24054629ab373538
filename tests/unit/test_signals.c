/* Signals: noted while the process can, told where it cannot. */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "core/signals.h"

Test(signals, the_first_one_is_noted)
{
    int fd = -1;
    rd_error err;
    cr_assert_eq(rd_signals_open(&fd, &err), RD_OK);
    cr_assert_not(rd_signals_arrived(fd, 0));
    cr_assert_eq(raise(SIGTERM), 0);
    cr_assert(rd_signals_arrived(fd, 1000));
    cr_assert_eq(rd_signals_number(fd), SIGTERM);
    rd_signals_close(fd);
}

Test(signals, without_a_descriptor_nobody_is_told_that_they_are_watched)
{
    int fd = 0;
    rd_error err;
    struct rlimit few;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &few), 0);
    few.rlim_cur = 0;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    rd_status status = rd_signals_open(&fd, &err);
    few.rlim_cur = few.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    cr_assert_eq(status, RD_ERR_IO);
    cr_assert_eq(fd, -1);
    cr_assert(strstr(err.message, "cannot wait for signals: ") != NULL, "%s", err.message);
}
