/* What exactness costs: adding one update to the exact sums, beside a plain float sum and beside memcpy.
 *
 * An element moves 36 bytes: 4 of the update, 16 of the sum read, 16 written. memcpy of the sum's size moves
 * 32 in the same run; "of memcpy" is how near the loop comes to its bytes per second. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "core/exact_sum.h"
#include "core/random.h"

enum { RUNS = 5 };
#define SECONDS_PER_RUN 0.04

typedef struct bench {
    rd_exact_vector sum;
    float *x, *plain;
    double *mean;
    char *copy; /* 16 bytes an element */
    size_t n;
    const rd_exact_loop *loop;
    volatile size_t kept; /* so that no result is thought useless */
} bench;

static void add(bench *b)
{
    rd_exact_vector_add(&b->sum, 0, b->x, b->n, 600);
}

static void add_with_loop(bench *b)
{
    b->loop->add(b->sum.high, b->sum.low, b->x, b->n, 600);
}

static void find_unfit(bench *b)
{
    b->kept = rd_exact_find_unfit(b->x, b->n);
}

static void average(bench *b)
{
    rd_exact_vector_mean(&b->sum, 0, b->n, 600, b->mean);
}

static void add_plain(bench *b)
{
    float *restrict plain = b->plain;
    const float *restrict x = b->x;
    for (size_t i = 0; i < b->n; i++)
        plain[i] += 600.0f * x[i];
    b->kept = (size_t)plain[b->n / 2];
}

static void copy(bench *b)
{
    memcpy(b->copy, b->sum.high, 8 * b->n);
    memcpy(b->copy + 8 * b->n, b->sum.low, 8 * b->n);
    b->kept = (size_t)b->copy[b->n];
}

/* Nanoseconds per element, the best of some runs. */
static double measure(bench *b, void (*what)(bench *))
{
    double best = 1e30;
    what(b);
    for (int run = 0; run < RUNS; run++) {
        double start = now(), end;
        size_t calls = 0;
        do {
            what(b);
            calls++;
            end = now();
        } while (end - start < SECONDS_PER_RUN);
        double each = (end - start) / (double)calls / (double)b->n * 1e9;
        best = each < best ? each : best;
    }
    return best;
}

static int run(size_t n)
{
    rd_error err;
    bench b = {.n = n,
               .x = malloc(n * sizeof *b.x),
               .plain = calloc(n, sizeof *b.plain),
               .mean = malloc(n * sizeof *b.mean),
               .copy = malloc(16 * n)};
    int failed = 1;
    if (b.x == NULL || b.plain == NULL || b.mean == NULL || b.copy == NULL ||
        rd_exact_vector_create(n, &b.sum, &err) != RD_OK) {
        fprintf(stderr, "bench_exact_sum: no memory for %zu elements\n", n);
        goto cleanup;
    }
    rd_random r = rd_random_stream(1, RD_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < n; i++)
        b.x[i] = (float)(0.01 * (rd_random_uniform(&r) - 0.5));
    double memory = measure(&b, copy), plain = measure(&b, add_plain), exact = measure(&b, add);
    printf("%10zu  %6.3f  %7.1f x  %6.1f  %6.0f %%  %6.3f  %6.3f  %6.3f ", n, exact, exact / plain, 36.0 / exact,
           100.0 * (36.0 / exact) / (32.0 / memory), plain, measure(&b, find_unfit), measure(&b, average));
    rd_exact_loop loops[RD_EXACT_LOOPS_MAX];
    size_t count = rd_exact_loops(loops);
    for (size_t i = 0; i < count; i++) {
        b.loop = &loops[i];
        printf("  %s %.3f", loops[i].name, measure(&b, add_with_loop));
    }
    printf("\n");
    fflush(stdout);
    failed = 0;
cleanup:
    rd_exact_vector_free(&b.sum);
    free(b.x);
    free(b.plain);
    free(b.mean);
    free(b.copy);
    return failed;
}

int main(void)
{
    static const size_t sizes[] = {10000, 199210, 1663370, 25000000};
    int failed = 0;
    printf("nanoseconds an element; best of %d runs\n", RUNS);
    printf("  elements   exact  to plain    GB/s  of memcpy   plain   unfit    mean   each loop\n");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        failed |= run(sizes[i]);
    return failed;
}
