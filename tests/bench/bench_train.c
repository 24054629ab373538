/* bench_train.c: how fast a client trains, as a share of what the machine's matrix product can do.
 *
 * The network is the 2NN of McMahan et al. 2017 (784-200-200-10), the data are random bytes, and a "client"
 * has 600 of them, as in that paper; the figures include all that rd_local_round_run does (shuffling,
 * gathering, copying the model, taking the delta). Takes about ten seconds. */
#include <cblas.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "core/random.h"
#include "train/local_round.h"

enum { ROWS = 600, FEATURES = 784, CLASSES = 10 };
static const double seconds_each = 1.0;
/* PyTorch 1.13, the same network and batch on one core, measured on a machine of this kind. */
static const double pytorch_batch_10 = 14200;

static rd_dataset random_data(void)
{
    rd_random random = rd_random_stream(1, RD_PURPOSE_TEST, 0, 0);
    rd_dataset d = {.rows = ROWS, .features = FEATURES, .rank = 1, .shape = {FEATURES}, .classes = CLASSES};
    d.x_u8 = checked(malloc(ROWS * FEATURES));
    d.label_count = 1;
    d.labels = checked(malloc(ROWS * sizeof *d.labels));
    for (size_t i = 0; i < ROWS * FEATURES; i++)
        d.x_u8[i] = (uint8_t)rd_random_u32(&random);
    for (size_t i = 0; i < ROWS; i++)
        d.labels[i] = (int32_t)rd_random_below(&random, CLASSES);
    return d;
}

/* GFLOP/s of a 1024 x 1024 x 1024 sgemm on this thread, the best of several. */
static double sgemm_peak(void)
{
    enum { N = 1024 };
    float *a = checked(calloc(3 * (size_t)N * N, sizeof *a)), *b = a + N * N, *c = b + N * N;
    double best = 1e9;
    for (int i = 0; i < N * N; i++)
        a[i] = b[i] = (float)(i % 7);
    for (int i = 0; i < 20; i++) {
        double start = seconds_of(CLOCK_MONOTONIC);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, a, N, b, N, 0, c, N);
        double taken = seconds_of(CLOCK_MONOTONIC) - start;
        best = taken < best ? taken : best;
    }
    free(a);
    return 2.0 * N * N * N / best / 1e9;
}

/* Floating-point operations of one sample's training: forward, dW of every layer, dx of all but the first. */
static double training_flops(const rd_model *m)
{
    const rd_tensor_table table = rd_model_tensors(m, RD_TENSORS_ALL);
    return 3.0 * (double)rd_model_forward_flops(m) - 2.0 * (double)table.tensors->count;
}

typedef struct worker {
    const rd_model *model;
    const rd_dataset *data;
    rd_training training;
    double samples_per_second;
    double core; /* share of a core that the thread was given; below 1 other programs ran there too */
} worker;

static void *work(void *user)
{
    worker *w = user;
    rd_error err;
    rd_trainer *trainer;
    rd_report report;
    rd_client_evaluation evaluation = {0};
    size_t n = rd_model_parameter_count(w->model);
    float *global = checked(malloc(n * sizeof *global)), *delta = checked(malloc(n * sizeof *delta));
    rd_model_init(w->model, 1, global);
    succeed(rd_trainer_create(w->model, &w->training, ROWS, &trainer, &err), &err);

    double start = 0, taken = 0, cpu = 0;
    size_t samples = 0;
    for (uint64_t round = 1; taken < seconds_each; round++) {
        rd_local_task task = {
            .training = &w->training, .evaluation = &evaluation, .seed = 1, .round = round, .client_key = 7};
        succeed(rd_local_round_run(trainer, &task, rd_dataset_all(w->data), global, delta, &report, &err), &err);
        if (round == 1) { /* warms caches up */
            start = seconds_of(CLOCK_MONOTONIC);
            cpu = seconds_of(CLOCK_THREAD_CPUTIME_ID);
            continue;
        }
        samples += ROWS;
        taken = seconds_of(CLOCK_MONOTONIC) - start;
    }
    w->core = (seconds_of(CLOCK_THREAD_CPUTIME_ID) - cpu) / taken;
    w->samples_per_second = (double)samples / taken;
    rd_trainer_free(trainer);
    free(global);
    free(delta);
    return NULL;
}

typedef struct measured {
    double rate; /* samples per second, all threads together */
    double core; /* share of a core that each was given, on average */
} measured;

/* So many threads, each with a client of its own. */
static measured measure(const worker *kind, unsigned threads)
{
    enum { MOST = 2 };
    worker workers[MOST];
    pthread_t ids[MOST];
    measured sum = {0, 0};
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = *kind;
        if (pthread_create(&ids[i], NULL, work, &workers[i]) != 0) {
            fprintf(stderr, "bench_train: cannot start a thread\n");
            exit(1);
        }
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        sum.rate += workers[i].samples_per_second;
        sum.core += workers[i].core / threads;
    }
    return sum;
}

int main(void)
{
    rd_error err;
    rd_model *model;
    rd_dataset data = random_data();
    cJSON *json = checked(cJSON_Parse("{\"preset\": \"mnist-2nn\"}"));
    succeed(rd_model_create(json, &model, &err), &err);
    cJSON_Delete(json);

    worker kind = {.model = model, .data = &data, .training = {.epochs = 1, .learning_rate = 0.01f}};
    kind.training.batch_size = 10;
    measured one = measure(&kind, 1); /* makes a trainer first, which tells the BLAS to stay on one thread */
    double peak = sgemm_peak();

    printf("2NN 784-200-200-10, %zu parameters, one core; sgemm 1024^3: %.1f GFLOP/s\n\n",
           rd_model_parameter_count(model), peak);
    printf("%-28s %12s %10s %15s %14s\n", "", "samples/s", "GFLOP/s", "share of sgemm", "share of core");
    struct {
        const char *name;
        uint32_t batch;
        float momentum;
    } cases[] = {{"SGD, batch 10", 10, 0},
                 {"SGD, batch 32", 32, 0},
                 {"SGD, batch 64", 64, 0},
                 {"SGD + momentum, batch 10", 10, 0.9f},
                 {"SGD, whole data as batch", 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kind.training.batch_size = cases[i].batch;
        kind.training.momentum = cases[i].momentum;
        measured result = i == 0 ? one : measure(&kind, 1);
        double gflops = result.rate * training_flops(model) / 1e9;
        printf("%-28s %12.0f %10.1f %14.0f%% %13.0f%%\n", cases[i].name, result.rate, gflops, 100 * gflops / peak,
               100 * result.core);
    }

    kind.training.batch_size = 10;
    kind.training.momentum = 0;
    measured two = measure(&kind, 2);
    printf("\ntwo threads against one, batch 10: %.0f samples/s, ratio %.2f by the clock; each thread had "
           "%.0f%% of a "
           "core,\nper second of which it did %.2f times what one thread alone does (below 1: they are in "
           "each other's "
           "way)\n",
           two.rate, two.rate / one.rate, 100 * two.core, two.rate / (2 * two.core) / (one.rate / one.core));
    printf("against PyTorch 1.13 (%.0f samples/s at batch 10 on one core, measured on a machine of this kind): "
           "%.1f times\n",
           pytorch_batch_10, one.rate / pytorch_batch_10);

    rd_model_free(model);
    rd_dataset_free(&data);
    return 0;
}
