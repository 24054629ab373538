/* bench.c: see bench.h. The peak is that of OpenBLAS's sgemm on matrices of 1024, on as many threads as
 * train, measured before and after the run: other work on the machine slows both down. */
#include "bench.h"
#include "core/clock.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>

#include "progress.h"
#include "run/parallel.h"

enum { SIDE = 1024, REPEATS = 6 };

extern void openblas_set_num_threads(int threads) __attribute__((weak));

typedef struct product {
    float *matrices; /* (threads, 3, SIDE, SIDE) */
} product;

static void multiply(void *user, unsigned thread)
{
    const product *p = user;
    float *a = p->matrices + (size_t)thread * 3 * SIDE * SIDE, *b = a + SIDE * SIDE, *c = b + SIDE * SIDE;
    for (int i = 0; i < REPEATS; i++)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIDE, SIDE, SIDE, 1.0f, a, SIDE, b, SIDE, 0.0f, c, SIDE);
}

/* Floating-point operations a second, of all threads. */
static double peak(product *p, unsigned threads)
{
    double best = 0;
    for (int attempt = 0; attempt < 3; attempt++) {
        double started = rd_clock_seconds();
        rd_parallel(threads, multiply, p);
        double rate = (double)threads * REPEATS * 2.0 * SIDE * SIDE * SIDE / (rd_clock_seconds() - started);
        best = rate > best ? rate : best;
    }
    return best;
}

rd_status rd_bench(rd_config *config, const rd_sim_options *options, rd_error *err)
{
    rd_sim_profile profile;
    rd_sim_options mine = *options;
    bool interrupted = false;
    rd_status status = RD_OK;
    product p = {calloc((size_t)options->threads * 3 * SIDE * SIDE, sizeof(float))};
    if (p.matrices == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the matrices of %u threads", options->threads);
    if (openblas_set_num_threads != NULL)
        openblas_set_num_threads(1);
    for (size_t i = 0; i < (size_t)options->threads * 3 * SIDE * SIDE; i++)
        p.matrices[i] = (float)(i % 17) / 17.0f;
    config->rounds = config->rounds < 5 ? config->rounds : 5;
    config->data.test.format = RD_SOURCE_NONE;
    config->evaluation.target_accuracy = 0;
    config->evaluation.scores = 0;
    config->early_stopping.patience = 0;
    mine.directory = NULL;
    mine.quiet = true;
    mine.profile = &profile;
    double before = peak(&p, options->threads);
    RD_TRY(rd_simulate(config, &mine, &interrupted, err));
    double after = peak(&p, options->threads), most = before > after ? before : after;
    double flops = 3 * profile.forward_flops / profile.wall; /* backward: two products for each of the forward pass */
    printf("%u thread%s, %llu rounds, %.2f s\n", options->threads, options->threads == 1 ? "" : "s",
           (unsigned long long)config->rounds, profile.wall);
    printf("%.0f samples/s, %.1f clients/s\n", (double)profile.samples / profile.wall,
           (double)profile.clients / profile.wall);
    printf("%.1f GFLOP/s, %.1f %% of the %.1f GFLOP/s that sgemm reaches here\n", flops / 1e9, 100 * flops / most,
           most / 1e9);
    rd_sim_profile_print(&profile);
cleanup:
    free(p.matrices);
    return status;
}
