/* bench_models.c: samples a second that one core trains, for any model, by the time that the core really
 * gave.
 *
 *   bench_models MODEL_JSON BATCH [SECONDS]
 *
 * bench_models.py calls it beside PyTorch and compares. Rows are random; a round goes over 20 batches and
 * includes all that rd_local_round_run does. Also prints the share of this machine's sgemm, measured in the
 * same run. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "core/random.h"
#include "model/blas.h"
#include "train/local_round.h"

static rd_dataset random_data(const rd_model *m, size_t rows)
{
    rd_random random = rd_random_stream(1, RD_PURPOSE_TEST, 0, 0);
    size_t D = rd_model_input_size(m), vocabulary = rd_model_input(m)->vocabulary;
    rd_dataset d = {.rows = rows, .features = D, .rank = 1, .shape = {D}, .tokens = vocabulary > 0};
    d.x_f32 = malloc(rows * D * sizeof(float));
    d.label_count = rd_model_predictions(m);
    d.labels = malloc(rows * d.label_count * sizeof *d.labels);
    for (size_t i = 0; i < rows * D; i++)
        d.x_f32[i] =
            vocabulary > 0 ? (float)rd_random_below(&random, (uint32_t)vocabulary) : (float)rd_random_uniform(&random);
    for (size_t i = 0; i < rows * d.label_count; i++)
        d.labels[i] = (int32_t)rd_random_below(&random, (uint32_t)rd_model_class_count(m));
    return d;
}

/* GFLOP/s of a 1024^3 sgemm, the best of several. */
static double sgemm_peak(void)
{
    enum { N = 1024 };
    float *a = calloc(3 * (size_t)N * N, sizeof *a), *b = a + N * N, *c = b + N * N;
    double best = 1e9;
    for (int i = 0; i < 10; i++) {
        double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, a, N, b, N, 0, c, N);
        double taken = seconds_of(CLOCK_THREAD_CPUTIME_ID) - start;
        best = taken < best ? taken : best;
    }
    free(a);
    return 2.0 * N * N * N / best / 1e9;
}

int main(int argc, char **argv)
{
    rd_error err;
    rd_model *m;
    rd_trainer *trainer;
    rd_report report;
    rd_client_evaluation evaluation = {0};
    cJSON *json = argc > 2 ? cJSON_Parse(argv[1]) : NULL;
    rd_training training = {.epochs = 1, .learning_rate = 0.001f, .batch_size = argc > 2 ? (uint32_t)atoi(argv[2]) : 0};
    double seconds = argc > 3 ? atof(argv[3]) : 2.0;
    if (json == NULL || training.batch_size == 0) {
        fprintf(stderr, "usage: bench_models MODEL_JSON BATCH [SECONDS]\n");
        return 2;
    }
    succeed(rd_model_create(json, &m, &err), &err);
    cJSON_Delete(json);
    size_t n = rd_model_parameter_count(m), rows = 20 * training.batch_size;
    rd_dataset data = random_data(m, rows);
    float *global = malloc(n * sizeof *global), *delta = malloc(n * sizeof *delta);
    rd_model_init(m, 1, global);
    succeed(rd_trainer_create(m, &training, rows, &trainer, &err), &err);
    double start = 0, taken = 0, samples = 0;
    for (uint64_t round = 1; taken < seconds; round++) {
        rd_local_task task = {
            .training = &training, .evaluation = &evaluation, .seed = 1, .round = round, .client_key = 7};
        if (round == 2)
            start = seconds_of(CLOCK_THREAD_CPUTIME_ID); /* the first warms caches up */
        succeed(rd_local_round_run(trainer, &task, rd_dataset_all(&data), global, delta, &report, &err), &err);
        if (round == 1)
            continue;
        samples += (double)rows;
        taken = seconds_of(CLOCK_THREAD_CPUTIME_ID) - start;
    }
    double rate = samples / taken, gflops = 3 * (double)rd_model_forward_flops(m) * rate / 1e9, peak = sgemm_peak();
    printf("{\"parameters\": %zu, \"samples_per_second\": %.1f, \"gflops\": %.1f, \"sgemm_gflops\": %.1f}\n", n, rate,
           gflops, peak);
    rd_trainer_free(trainer);
    rd_dataset_free(&data);
    free(global);
    free(delta);
    rd_model_free(m);
    return 0;
}
