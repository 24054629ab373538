/* redirect.h: what a test says on its standard output, compared with what it should. */
#ifndef RONDO_TESTS_PLAIN_REDIRECT_H
#define RONDO_TESTS_PLAIN_REDIRECT_H

#include <unistd.h>

#include "criterion.h"

static FILE *plain_output;

static inline void cr_redirect_stdout(void)
{
    plain_output = tmpfile();
    cr_assert(plain_output != NULL && dup2(fileno(plain_output), STDOUT_FILENO) == STDOUT_FILENO);
}

static inline bool plain_said(const char *expected)
{
    size_t size = strlen(expected), count;
    char *said = calloc(1, size + 2);
    (void)fflush(stdout);
    rewind(plain_output);
    count = fread(said, 1, size + 1, plain_output);
    bool same = count == size && memcmp(said, expected, size) == 0;
    free(said);
    return same;
}

#define cr_assert_stdout_eq_str(Expected, ...) cr_assert(plain_said(Expected), __VA_ARGS__)

#endif
