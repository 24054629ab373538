/* bench_robust.c: what the robust rules cost, beside the exact sum of the same updates and one pass over their bytes.
 *
 *     bench_robust [UPDATES PARAMETERS]      default 50 updates of 199,210 parameters (the 2NN)
 *
 * The rules run on one thread; deltas are normally distributed. */
#include <stdio.h>
#include <stdlib.h>

#include "../unit/strategy_named.h"
#include "bench.h"
#include "core/exact_sum.h"
#include "core/random.h"

typedef struct updates {
    size_t k, n;
    float **values;
    uint32_t *weights;
} updates;

static updates draw(size_t k, size_t n)
{
    updates u = {k, n, checked(malloc(k * sizeof *u.values)), checked(malloc(k * sizeof *u.weights))};
    for (size_t i = 0; i < k; i++) {
        rd_random random = rd_random_stream(1, RD_PURPOSE_TEST, 0, i);
        u.weights[i] = 600;
        u.values[i] = checked(malloc(n * sizeof **u.values));
        for (size_t j = 0; j < n; j++)
            u.values[i][j] = (float)(0.01 * rd_random_normal(&random));
    }
    return u;
}

/* Seconds to read every byte once. */
static double pass(const updates *u)
{
    volatile float kept = 0;
    double start = now();
    for (size_t i = 0; i < u->k; i++) {
        float sum[16] = {0};
        for (size_t j = 0; j + 16 <= u->n; j += 16)
            for (size_t l = 0; l < 16; l++)
                sum[l] += u->values[i][j + l];
        kept = kept + sum[0];
    }
    return now() - start;
}

static double exact(const updates *u)
{
    rd_exact_vector sum;
    rd_error err;
    succeed(rd_exact_vector_create(u->n, &sum, &err), &err);
    double start = now();
    for (size_t i = 0; i < u->k; i++)
        rd_exact_vector_add(&sum, 0, u->values[i], u->n, u->weights[i]);
    double seconds = now() - start;
    rd_exact_vector_free(&sum);
    return seconds;
}

static double rule(const updates *u, const char *name, float *out)
{
    rd_strategy s = strategy_named(name);
    const rd_collected_updates collected = {(const float *const *)u->values, u->weights, u->k, u->n};
    set_key(&s, "byzantine", (double)((u->k - s.kind->withstands.among) / s.kind->withstands.each));
    set_key(&s, "iterations", 10);
    rd_error err;
    double start = now();
    succeed(s.kind->combine(&s, &collected, out, &err), &err);
    return now() - start;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"median", "trimmed_mean", "krum", "multi_krum", "bulyan", "geometric_median"};
    size_t k = argc == 3 ? strtoull(argv[1], NULL, 10) : 50, n = argc == 3 ? strtoull(argv[2], NULL, 10) : 199210;
    if ((argc != 1 && argc != 3) || k < 7 || n < 1) {
        fprintf(stderr, "usage: bench_robust [UPDATES PARAMETERS], at least 7 updates\n");
        return 2;
    }
    updates u = draw(k, n);
    float *out = checked(malloc(n * sizeof *out));
    double once = pass(&u), sum = exact(&u);
    printf("%zu updates of %zu parameters, %.1f MB; as many attackers as each rule withstands, 10 steps\n", k, n,
           4e-6 * (double)(k * n));
    printf("%-28s %10s %16s\n", "", "seconds", "of the exact sum");
    printf("%-28s %10.4f %16.2f  (%.1f GB/s)\n", "reading them once", once, once / sum, 4e-9 * (double)(k * n) / once);
    printf("%-28s %10.4f %16.2f\n", "exact sum (fedavg)", sum, 1.0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        double seconds = rule(&u, names[i], out);
        printf("%-28s %10.4f %16.2f\n", names[i], seconds, seconds / sum);
    }
    for (size_t i = 0; i < k; i++)
        free(u.values[i]);
    free(u.values);
    free(u.weights);
    free(out);
    return 0;
}
