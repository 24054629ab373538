/* criterion.h: as much of Criterion as the unit tests use, for a program in which Criterion itself does not start (under
 * the thread sanitizer). Unlike Criterion's, cr_expect ends the test as well. main() is in plain.c. */
#ifndef RONDO_TESTS_PLAIN_CRITERION_H
#define RONDO_TESTS_PLAIN_CRITERION_H

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN_SKIPPED 77 /* exit code of a test that cannot be run here */

typedef struct plain_options {
    void (*init)(void), (*fini)(void);
    double timeout; /* Criterion's: here it is one for all, see plain.c */
} plain_options;

typedef struct plain_test {
    const char *suite, *name;
    void (*body)(void);
    plain_options options;
    struct plain_test *next;
} plain_test;

struct criterion_test_set;
struct criterion_global_stats;

extern plain_test **plain_end;  /* where the next test goes */
extern const char *plain_suite; /* the one whose tests have something in common, if any */
extern plain_options plain_shared;
extern void (*plain_PRE_ALL)(struct criterion_test_set *);
extern void (*plain_POST_ALL)(struct criterion_global_stats *);

#define Test(Suite, Name, ...)                                                                      \
    static void plain_body_##Suite##_##Name(void);                                                  \
    __attribute__((constructor)) static void plain_add_##Suite##_##Name(void)                       \
    {                                                                                               \
        static plain_test test = {#Suite, #Name, plain_body_##Suite##_##Name, {__VA_ARGS__}, NULL}; \
        *plain_end = &test;                                                                         \
        plain_end = &test.next;                                                                     \
    }                                                                                               \
    static void plain_body_##Suite##_##Name(void)

#define TestSuite(Suite, ...)                                       \
    __attribute__((constructor)) static void plain_of_##Suite(void) \
    {                                                               \
        plain_suite = #Suite;                                       \
        plain_shared = (plain_options){__VA_ARGS__};                \
    }                                                               \
    extern int plain_takes_a_semicolon

#define ReportHook(When)                                            \
    static __typeof__(*plain_##When) plain_hook_##When;             \
    __attribute__((constructor)) static void plain_add_##When(void) \
    {                                                               \
        plain_##When = plain_hook_##When;                           \
    }                                                               \
    static void plain_hook_##When

__attribute__((format(printf, 5, 6))) static inline void plain_check(bool holds, const char *file, int line,
                                                                     const char *what, const char *format, ...)
{
    va_list list;
    if (holds)
        return;
    (void)fprintf(stderr, "%s:%d: %s: ", file, line, what);
    va_start(list, format);
    (void)vfprintf(stderr, format, list);
    va_end(list);
    (void)fputc('\n', stderr);
    exit(1);
}

static inline bool plain_same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

#define cr_assert(Condition, ...) plain_check(Condition, __FILE__, __LINE__, #Condition, "" __VA_ARGS__)
#define cr_assert_fail(...) cr_assert(false, __VA_ARGS__)
#define cr_assert_not(Condition, ...) cr_assert(!(Condition), __VA_ARGS__)
#define cr_assert_eq(A, B, ...) cr_assert((A) == (B), __VA_ARGS__)
#define cr_assert_neq(A, B, ...) cr_assert((A) != (B), __VA_ARGS__)
#define cr_assert_lt(A, B, ...) cr_assert((A) < (B), __VA_ARGS__)
#define cr_assert_leq(A, B, ...) cr_assert((A) <= (B), __VA_ARGS__)
#define cr_assert_gt(A, B, ...) cr_assert((A) > (B), __VA_ARGS__)
#define cr_assert_geq(A, B, ...) cr_assert((A) >= (B), __VA_ARGS__)
#define cr_assert_null(A, ...) cr_assert((A) == NULL, __VA_ARGS__)
#define cr_assert_not_null(A, ...) cr_assert((A) != NULL, __VA_ARGS__)
#define cr_assert_str_eq(A, B, ...) cr_assert(plain_same(A, B), __VA_ARGS__)
#define cr_assert_str_neq(A, B, ...) cr_assert(!plain_same(A, B), __VA_ARGS__)
#define cr_assert_arr_eq(A, B, Size, ...) cr_assert(memcmp(A, B, Size) == 0, __VA_ARGS__)
#define cr_assert_float_eq(A, B, Epsilon, ...) cr_assert(fabs((double)(A) - (double)(B)) <= (Epsilon), __VA_ARGS__)

#define cr_expect cr_assert
#define cr_expect_not cr_assert_not
#define cr_expect_eq cr_assert_eq
#define cr_expect_neq cr_assert_neq
#define cr_expect_lt cr_assert_lt
#define cr_expect_leq cr_assert_leq
#define cr_expect_gt cr_assert_gt
#define cr_expect_geq cr_assert_geq
#define cr_expect_null cr_assert_null
#define cr_expect_not_null cr_assert_not_null
#define cr_expect_str_eq cr_assert_str_eq
#define cr_expect_arr_eq cr_assert_arr_eq
#define cr_expect_float_eq cr_assert_float_eq

#define cr_log_info(...) ((void)fprintf(stderr, __VA_ARGS__), (void)fputc('\n', stderr))

#define cr_skip_test(...)                               \
    do {                                                \
        (void)fprintf(stderr, "skipped: " __VA_ARGS__); \
        (void)fputc('\n', stderr);                      \
        exit(PLAIN_SKIPPED);                            \
    } while (0)

#endif
