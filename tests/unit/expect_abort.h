/* expect_abort.h: what an RD_ASSERT ends (core/assert.h). */
#ifndef RONDO_EXPECT_ABORT_H
#define RONDO_EXPECT_ABORT_H

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* The call, in a child, which says on standard error what was not so. */
#define expect_abort(call)                                                                            \
    do {                                                                                              \
        int state_ = 0;                                                                               \
        pid_t child_ = fork();                                                                        \
        if (child_ == 0) {                                                                            \
            if (freopen("/dev/null", "w", stderr) != NULL)                                            \
                (void)(call);                                                                         \
            _exit(0);                                                                                 \
        }                                                                                             \
        cr_assert_eq(waitpid(child_, &state_, 0), child_);                                            \
        cr_assert(WIFSIGNALED(state_) && WTERMSIG(state_) == SIGABRT, "%s: state %d", #call, state_); \
    } while (0)

#endif
