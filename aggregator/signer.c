/* signer.c: see signer.h. The command runs in a process group of its own, so that what it has started ends with it. */
#include "signer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"

extern char **environ;

rd_status rd_signer_check(const rd_signer *s, rd_error *err)
{
    char pem[RD_CERTIFICATE_MAX];
    if (s->ca_key == NULL)
        return rd_authority_read(s->ca, pem, err);
    return rd_authority_check(&(rd_authority){s->ca, s->ca_key, s->seconds}, err);
}

/* ---- the command ---- */

static rd_status start(const char *command, int input, int output, pid_t *pid, rd_error *err)
{
    char *words[] = {"sh", "-c", (char *)command, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t defaults;
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawnattr_init(&how);
    (void)posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)posix_spawnattr_setsigdefault(&how, &defaults);
    (void)posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
    int code = posix_spawn(pid, "/bin/sh", &files, &how, words, environ);
    (void)posix_spawnattr_destroy(&how);
    (void)posix_spawn_file_actions_destroy(&files);
    return code == 0 ? RD_OK : rd_fail(err, RD_ERR_INTERNAL, "--sign-command cannot be started: %s", strerror(code));
}

/* Reads until the end, for so long. */
static rd_status read_answer(int fd, char pem[RD_CERTIFICATE_MAX], rd_error *err)
{
    const double end = rd_clock_seconds() + RD_SIGN_SECONDS;
    size_t size = 0;
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        const double left = end - rd_clock_seconds();
        if (left <= 0.0)
            return rd_fail(err, RD_ERR_INTERNAL, "--sign-command has not answered within %d s", RD_SIGN_SECONDS);
        if (poll(&wait, 1, (int)(1000.0 * left) + 1) <= 0)
            continue;
        ssize_t got = read(fd, pem + size, RD_CERTIFICATE_MAX - 1 - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return rd_fail(err, RD_ERR_INTERNAL, "--sign-command cannot be read: %s", strerror(errno));
        size += (size_t)got;
        pem[size] = '\0';
        if (got == 0)
            return RD_OK;
        if (size == RD_CERTIFICATE_MAX - 1)
            return rd_fail(err, RD_ERR_INTERNAL, "--sign-command prints more than %d bytes", RD_CERTIFICATE_MAX - 1);
    }
}

static rd_status run_command(const char *command, const char *request, char pem[RD_CERTIFICATE_MAX], rd_error *err)
{
    rd_status status = RD_OK;
    int in[2] = {-1, -1}, out[2] = {-1, -1}, code = 0;
    pid_t pid = -1;
    pem[0] = '\0';
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        RD_THROW(RD_ERR_INTERNAL, "--sign-command: %s", strerror(errno));
    RD_TRY(rd_fd_write_all(in[1], request, strlen(request), "--sign-command", err)); /* a pipe holds more than that */
    close(in[1]);
    in[1] = -1;
    RD_TRY(start(command, in[0], out[1], &pid, err));
    close(out[1]);
    out[1] = -1;
    status = read_answer(out[0], pem, err);
cleanup:
    for (int i = 0; i < 2; i++) {
        if (in[i] >= 0)
            close(in[i]);
        if (out[i] >= 0)
            close(out[i]);
    }
    if (pid > 0) {
        if (status != RD_OK)
            (void)kill(-pid, SIGKILL);
        while (waitpid(pid, &code, 0) < 0 && errno == EINTR) {
        }
        if (status == RD_OK && code != 0)
            status = rd_fail(err, RD_ERR_INTERNAL, "--sign-command ended with %s %d",
                             WIFSIGNALED(code) ? "signal" : "exit code",
                             WIFSIGNALED(code) ? WTERMSIG(code) : WEXITSTATUS(code));
    }
    return status;
}

rd_status rd_signer_sign(const rd_signer *s, const char *request, const char *name, char pem[RD_CERTIFICATE_MAX],
                         rd_peer *peer, rd_error *err)
{
    rd_status status = rd_request_check(request, name, err);
    if (status != RD_OK)
        return status;
    if (s->ca_key != NULL)
        status = rd_authority_sign(&(rd_authority){s->ca, s->ca_key, s->seconds}, request, name, pem, err);
    else
        status = run_command(s->command, request, pem, err);
    if (status == RD_OK)
        status = rd_certificate_check(pem, request, name, s->ca, peer, err);
    return status == RD_OK ? RD_OK : rd_fail_as(err, RD_ERR_INTERNAL);
}
