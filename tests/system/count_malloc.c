/* count_malloc.c: loaded before the C library (LD_PRELOAD), counts a program's allocations and writes their number
 * to the file that MALLOC_COUNT names, when the program ends. The one whose number is MALLOC_FAIL fails. Counted is from
 * main() on: what the loader and libraries do before it is theirs. Where the program crashes, it says in whose code: the
 * functions that were being called, a line each, on standard error. */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The C library's own, under the names that it keeps for this. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static atomic_bool begun;
static atomic_ullong allocations;
static unsigned long long failing; /* 0: none */

static bool fails(void)
{
    if (!atomic_load(&begun))
        return false;
    const bool now = atomic_fetch_add(&allocations, 1) + 1 == failing;
    if (now)
        errno = ENOMEM;
    return now;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}

static void tell(void)
{
    unsigned long long sum = atomic_load(&allocations);
    const char *path = getenv("MALLOC_COUNT");
    failing = 0;
    FILE *file = path != NULL ? fopen(path, "w") : NULL;
    if (file == NULL)
        return;
    (void)fprintf(file, "%llu\n", sum);
    (void)fclose(file);
}

enum { FRAMES = 40 };

static void tell_where(int number)
{
    void *frames[FRAMES];
    failing = 0;
    backtrace_symbols_fd(frames, backtrace(frames, FRAMES), STDERR_FILENO);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static int (*real_main)(int, char **, char **);

static int counted_main(int argc, char **argv, char **environment)
{
    const char *text = getenv("MALLOC_FAIL");
    failing = text != NULL ? strtoull(text, NULL, 10) : 0;
    (void)atexit(tell);
    void *frame;
    (void)backtrace(&frame, 1); /* the first time it allocates */
    (void)signal(SIGSEGV, tell_where);
    atomic_store(&begun, true);
    return real_main(argc, argv, environment);
}

/* The C library begins every program here. */
int __libc_start_main(int (*start)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*loader_fini)(void), void *stack_end)
{
    typedef int begin(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void),
                      void *);
    union {
        void *symbol;
        begin *call;
    } next = {.symbol = dlsym(RTLD_NEXT, "__libc_start_main")};
    real_main = start;
    return next.call(counted_main, argc, argv, init, fini, loader_fini, stack_end);
}
