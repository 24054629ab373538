/* make_state.c: writes a state directory through the store, for tests of the programs that read one.
 *
 *   make_state DIR KIND [ROUNDS [MILLISECONDS]]
 *
 * KIND: classification | regression | participants (no test set) | plain (nothing measured).
 * Figures are made up, but exact: round r has test loss 2.3 / (r + 1) + 0.1, and so on as below; the test
 * that reads them computes them again. With MILLISECONDS it pauses after each round, as a run in progress. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/store.h"

static const char *const run_json = "{\"name\": \"%s\", \"rounds\": %llu, \"training\": {\"learning_rate\": "
                                    "0.1}, \"model\": {\"preset\": \"%s\"}}";

static rd_round_record make_round(uint64_t n, const char *kind)
{
    double r = (double)n;
    rd_round_record record = {
        .round = n, .aggregated = true, .gap = NAN, .running_loss = NAN, .scores = rd_scores_none()};
    record.test = record.train = record.holdout = (rd_metrics){0, NAN, NAN};
    bool regression = strcmp(kind, "regression") == 0;
    if (strcmp(kind, "classification") == 0)
        record.test = (rd_metrics){10000, 2.3 / (r + 1.0) + 0.1, 0.9 - 0.8 / (r + 1.0)};
    if (regression)
        record.test = (rd_metrics){442, 29000.0 / (r * r + 1.0) + 30.0, NAN};
    record.finished_at = 1700000000.0 + r / 3.0;
    for (int i = 0; i < 64; i++)
        record.model_sha256[i] = "0123456789abcdef"[(n + (uint64_t)i * 7) % 16];
    if (n == 0)
        return record;
    if (strcmp(kind, "plain") != 0) {
        record.train =
            (rd_metrics){1500, regression ? 28000.0 / (r * r) : 2.2 / r + 0.15, regression ? NAN : 0.9 - 0.81 / r};
        record.running_loss = regression ? NAN : 2.0 / r;
    }
    record.selected = 3;
    record.samples = 1500;
    record.update_norm = 1.0 / (3.0 * r);
    record.bytes_in = 1593680;
    record.bytes_out = 2390520 + n;
    record.seconds = 1.0 / 7.0;
    record.aggregated = n % 4 != 0;
    record.counted = record.aggregated ? 2 : 0;
    record.late = record.aggregated ? 1 : 2;
    record.failed = record.aggregated ? 0 : 1;
    return record;
}

static void make_parts(const rd_round_record *r, rd_participation_record parts[3])
{
    static const char *const names[3] = {"alice", "b,\"ob\"", "zoë\033[31m"};
    memset(parts, 0, 3 * sizeof *parts);
    for (int i = 0; i < 3; i++) {
        parts[i].round = r->round;
        (void)snprintf(parts[i].client, sizeof parts[i].client, "%s", names[i]);
        parts[i].status = i < (int)r->counted ? RD_PART_COUNTED : RD_PART_LATE;
        parts[i].seconds = NAN;
        if (parts[i].status != RD_PART_COUNTED)
            continue;
        parts[i].report = (rd_report){.samples = 700 + 100 * (uint64_t)i,
                                      .running_loss = 1.0 / 3.0,
                                      .before = {630, 0.25, 0.5},
                                      .holdout = {70, 0.3, NAN},
                                      .delta_norm = 2.5,
                                      .seconds = 0.125};
        parts[i].bytes_in = 796840;
        parts[i].seconds = 0.5;
    }
    if (r->failed > 0) {
        parts[0].status = RD_PART_FAILED;
        (void)snprintf(parts[0].reason, sizeof parts[0].reason, "tensor 'fc1.bias', element 17: NaN");
    }
}

static rd_status make_run(const char *directory, const char *kind, uint64_t rounds, long milliseconds, rd_error *err)
{
    rd_status status = RD_OK;
    rd_store *store = NULL;
    rd_config config = {.rounds = rounds};
    char json[512];
    bool resumed;
    struct timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    rd_join join = {.protocol = 1, .samples = 700, .software = "rondo-client 1.0.0"};
    (void)snprintf(config.name, sizeof config.name, "it's a {test}_run: %s", kind);
    (void)snprintf(json, sizeof json, run_json, config.name, (unsigned long long)rounds,
                   strcmp(kind, "regression") == 0 ? "linear-regression" : "mnist-2nn");
    config.for_clients = cJSON_Parse(json);
    RD_TRY(rd_store_open(directory, &config, 0, &store, &resumed, err));
    RD_TRY(rd_store_client(store, "alice", &join, 1700000000.0, err));
    for (uint64_t n = 0; n <= rounds; n++) {
        rd_participation_record parts[3];
        rd_round_record record = make_round(n, kind);
        make_parts(&record, parts);
        RD_TRY(rd_store_commit_round(store, &record, parts, n > 0 ? 3 : 0, 0, err));
        (void)nanosleep(&pause, NULL);
    }
    RD_TRY(rd_store_finish(store, err));
cleanup:
    rd_store_close(store);
    cJSON_Delete(config.for_clients);
    return status;
}

int main(int argc, char **argv)
{
    rd_error error = {0};
    if (argc < 3) {
        (void)fprintf(stderr, "usage: make_state DIR KIND [ROUNDS [MILLISECONDS]]\n");
        return 2;
    }
    uint64_t rounds = argc > 3 ? strtoull(argv[3], NULL, 10) : 10;
    long milliseconds = argc > 4 ? strtol(argv[4], NULL, 10) : 0;
    if (make_run(argv[1], argv[2], rounds, milliseconds, &error) != RD_OK) {
        (void)fprintf(stderr, "make_state: %s\n", error.message);
        return 1;
    }
    return 0;
}
