/* gnuplot.c: see gnuplot.h. */
#include "gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Script on standard input, picture on standard output, complaints where ours go. */
static int spawn(gnuplot *g, int script, int picture)
{
    char *const arguments[] = {"gnuplot", "--default-settings", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t pipe_signal;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0)
        return code;
    code = posix_spawnattr_init(&attributes);
    if (code != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return code;
    }
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    if ((code = posix_spawn_file_actions_adddup2(&actions, script, STDIN_FILENO)) == 0 &&
        (code = posix_spawn_file_actions_adddup2(&actions, picture, STDOUT_FILENO)) == 0 &&
        (code = posix_spawnattr_setsigdefault(&attributes, &pipe_signal)) == 0 &&
        (code = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF)) == 0)
        code = posix_spawnp(&g->pid, "gnuplot", &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

rd_status gnuplot_start(const char *out, gnuplot *g, rd_error *err)
{
    rd_status status = RD_OK;
    int ends[2] = {-1, -1}, picture = -1, code;
    g->script = NULL;
    g->temporary[0] = '\0';
    if (snprintf(g->out, sizeof g->out, "%s", out) >= (int)sizeof g->out)
        return rd_fail(err, RD_ERR_IO, "--out: the path is too long");
    (void)snprintf(g->temporary, sizeof g->temporary, "%s.tmp", out);
    picture = open(g->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (picture < 0)
        return rd_fail(err, RD_ERR_IO, "%s: %s", g->temporary, strerror(errno));
    if (pipe2(ends, O_CLOEXEC) != 0)
        RD_THROW(RD_ERR_IO, "no pipe to gnuplot: %s", strerror(errno));
    /* A gnuplot that gives up early must not end us with it: its exit status says more. */
    (void)signal(SIGPIPE, SIG_IGN);
    code = spawn(g, ends[0], picture);
    if (code == ENOENT)
        status = rd_fail(err, RD_ERR_IO,
                         "gnuplot, which draws the picture, is not installed (Debian, Ubuntu: apt install "
                         "gnuplot-nox)");
    else if (code != 0)
        status = rd_fail(err, RD_ERR_IO, "gnuplot cannot be started: %s", strerror(code));
    if (status != RD_OK)
        goto cleanup;
    g->script = fdopen(ends[1], "w");
    if (g->script == NULL) {
        status = rd_fail(err, RD_ERR_MEMORY, "no memory for the pipe to gnuplot");
        close(ends[1]);
        (void)waitpid(g->pid, NULL, 0);
    }
    ends[1] = -1; /* closed with the stream */
cleanup:
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    close(picture);
    if (status != RD_OK)
        unlink(g->temporary);
    return status;
}

rd_status gnuplot_finish(gnuplot *g, rd_error *err)
{
    rd_status status = RD_OK;
    int how = 0;
    /* Both may fail because gnuplot has gone; then its exit status tells. */
    (void)fflush(g->script);
    (void)fclose(g->script);
    while (waitpid(g->pid, &how, 0) < 0)
        if (errno != EINTR)
            RD_THROW(RD_ERR_IO, "gnuplot cannot be waited for: %s", strerror(errno));
    if (WIFSIGNALED(how))
        status = rd_fail(err, RD_ERR_IO, "gnuplot was ended by signal %d", WTERMSIG(how));
    else if (WEXITSTATUS(how) != 0)
        status = rd_fail(err, RD_ERR_IO, "gnuplot failed (exit status %d); what it said is above", WEXITSTATUS(how));
    else if (rename(g->temporary, g->out) != 0)
        status = rd_fail(err, RD_ERR_IO, "%s: %s", g->out, strerror(errno));
cleanup:
    if (status != RD_OK)
        unlink(g->temporary);
    return status;
}
