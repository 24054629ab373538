/* plain.c: runs the tests of a program, see criterion/criterion.h. Each has a process of its own, so that one which
 * crashes or hangs fails alone. --tap=FILE says where the results go; other options are Criterion's and mean nothing. */
#include "criterion/criterion.h"

#include <sys/wait.h>
#include <unistd.h>

#define PLAIN_SECONDS 600 /* a test that takes longer hangs */

static plain_test *first;
plain_test **plain_end = &first;
const char *plain_suite;
plain_options plain_shared;
void (*plain_PRE_ALL)(struct criterion_test_set *);
void (*plain_POST_ALL)(struct criterion_global_stats *);

/* Runs a test and returns its exit code, or 128 and the signal that ended it. */
static int plain_run(const plain_test *test)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(PLAIN_SECONDS);
        plain_options suite = plain_same(test->suite, plain_suite) ? plain_shared : (plain_options){NULL, NULL, 0};
        void (*init)(void) = test->options.init != NULL ? test->options.init : suite.init;
        void (*fini)(void) = test->options.fini != NULL ? test->options.fini : suite.fini;
        if (init != NULL)
            init();
        test->body();
        if (fini != NULL)
            fini();
        exit(0); /* where the sanitizer has its say */
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    FILE *tap = stdout;
    int count = 0, failed = 0;
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "--tap=", 6) == 0 && (tap = fopen(argv[i] + 6, "we")) == NULL)
            return 2;
    for (const plain_test *t = first; t != NULL; t = t->next)
        count++;
    (void)fprintf(tap, "1..%d\n", count);
    if (plain_PRE_ALL != NULL)
        plain_PRE_ALL(NULL);
    for (const plain_test *t = first; t != NULL; t = t->next) {
        (void)fflush(NULL);
        int code = plain_run(t);
        bool ok = code == 0 || code == PLAIN_SKIPPED;
        failed += !ok;
        (void)fprintf(tap, "%sok - %s::%s%s\n", ok ? "" : "not ", t->suite, t->name,
                      code == PLAIN_SKIPPED ? " # SKIP" : "");
        if (!ok)
            (void)fprintf(tap, "# ended with %d\n", code);
    }
    if (plain_POST_ALL != NULL)
        plain_POST_ALL(NULL);
    return fclose(tap) != 0 || failed > 0;
}
