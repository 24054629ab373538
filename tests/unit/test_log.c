/* The aggregator's log: nobody waits for its reader, and nothing is lost without a word. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "log.h"

static rd_log *open_log(int fd, rd_log_level level, bool times)
{
    rd_log *l;
    rd_error err;
    const rd_log_options options = {.fd = fd, .level = level, .times = times};
    cr_assert_eq(rd_log_open(&options, &l, &err), RD_OK);
    return l;
}

/* Reads until the writer has closed, or until so much is there. */
static size_t read_all(int fd, char *text, size_t size)
{
    size_t at = 0;
    ssize_t got;
    while (at < size - 1 && (got = read(fd, text + at, size - 1 - at)) > 0)
        at += (size_t)got;
    text[at] = '\0';
    return at;
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
        count++;
    return count;
}

Test(log, levels_and_times)
{
    int ends[2];
    char text[4096];
    cr_assert_eq(pipe(ends), 0);
    rd_log *l = open_log(ends[1], RD_LOG_WARNING, true);
    rd_log_write(l, RD_LOG_INFO, "round 1");
    rd_log_write(l, RD_LOG_WARNING, "mallory refused");
    rd_log_write(l, RD_LOG_ERROR, "no disk");
    rd_log_close(l);
    close(ends[1]);
    read_all(ends[0], text, sizeof text);
    regex_t form;
    cr_assert_eq(regcomp(&form,
                         "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z mallory "
                         "refused\n[^ ]+Z no disk\n$",
                         REG_EXTENDED | REG_NOSUB),
                 0);
    cr_assert_eq(regexec(&form, text, 0, NULL, 0), 0, "%s", text);
    regfree(&form);
    close(ends[0]);
}

Test(log, a_reader_that_stands_still_holds_nobody)
{
    enum { LINES = 20000 };
    int ends[2];
    char line[64];
    char *text = calloc(4u << 20, 1);
    cr_assert_eq(pipe(ends), 0);
    rd_log *l = open_log(ends[1], RD_LOG_INFO, false);
    double started = rd_clock_seconds(), longest = 0;
    for (int i = 0; i < LINES; i++) {
        const double before = rd_clock_seconds();
        snprintf(line, sizeof line, "line %06d of a log that nobody reads just now", i);
        rd_log_write(l, RD_LOG_INFO, line);
        longest = rd_clock_seconds() - before > longest ? rd_clock_seconds() - before : longest;
    }
    cr_assert_lt(rd_clock_seconds() - started, 5.0);
    cr_assert_lt(longest, 1.0, "a line took %g s", longest);
    /* 64 KiB are in the pipe and RD_LOG_MOST_BYTES wait: now somebody reads, and all of it comes, in order. */
    size_t at = 0;
    for (double end = rd_clock_seconds() + 30; strstr(text, "were lost here") == NULL && rd_clock_seconds() < end;) {
        ssize_t got = read(ends[0], text + at, 4096);
        cr_assert_gt(got, 0);
        at += (size_t)got;
        text[at] = '\0';
    }
    rd_log_write(l, RD_LOG_INFO, "and on it goes");
    rd_log_close(l);
    close(ends[1]);
    read_all(ends[0], text + at, 65536);
    const char *lost = strstr(text, " lines were lost here");
    cr_assert_not_null(lost);
    while (lost > text && lost[-1] != '\n')
        lost--;
    const size_t kept = count_of(text, "of a log that nobody reads"), gone = strtoul(lost, NULL, 10);
    cr_assert_eq(kept + gone, LINES, "%zu and %zu", kept, gone);
    cr_assert_gt(kept * 47, RD_LOG_MOST_BYTES);
    int last = -1;
    for (const char *c = text; strncmp(c, "line ", 5) == 0; c = strchr(c, '\n') + 1) {
        cr_assert_eq(atoi(c + 5), last + 1);
        last++;
    }
    cr_assert_not_null(strstr(lost, "and on it goes\n"));
    free(text);
    close(ends[0]);
}

Test(log, warnings_that_are_alike_are_counted)
{
    int ends[2];
    char line[96];
    char *text = malloc(1u << 20);
    cr_assert_eq(pipe(ends), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
    rd_log *l = open_log(ends[1], RD_LOG_INFO, false);
    for (int i = 0; i < 5000; i++) {
        snprintf(line, sizeof line, "10.0.%d.%d:%d: not a TLS client", i / 250, i % 250, 20000 + i);
        rd_log_write(l, RD_LOG_WARNING, line);
        if (i % 100 == 0)
            rd_log_write(l, RD_LOG_INFO, "a round");
    }
    rd_log_write(l, RD_LOG_WARNING, "another trouble");
    rd_log_close(l);
    close(ends[1]);
    read_all(ends[0], text, 1u << 20);
    cr_assert_eq(count_of(text, "a round\n"), 50, "what is no warning is all there");
    cr_assert_eq(count_of(text, "another trouble\n"), 1);
    cr_assert_eq(count_of(text, "not a TLS client\n"), RD_LOG_ALIKE + 1);
    cr_assert_not_null(strstr(text, "and 4950 more like this in "));
    cr_assert_not_null(strstr(text, ": 10.0.19.249:24999: not a TLS client\n"), "the last of them as an example");
    free(text);
    close(ends[0]);
}
