/* What a state directory goes on from when one of its files is not what was committed: each kind of file by itself. And
 * what is said of directories that hold no run, and which files belong to one. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/crypto.h"
#include "core/file.h"
#include "store/internal.h"
#include "store/store.h"
#include "test_directory.h"

TestSuite(recover, .init = make_directory, .fini = remove_directory, .timeout = 60);

#define MODEL_JSON                                                                                                  \
    "\"model\": {\"input\": 4, \"loss\": \"softmax_cross_entropy\", \"layers\": [{\"type\": \"dense\", \"units\": " \
    "3}]}"
#define RUN_JSON "{\"rounds\": 5, \"training\": {\"learning_rate\": 0.1}, " MODEL_JSON "}"

static rd_store *open_run(rd_status expected, rd_error *err)
{
    rd_config config = {.rounds = 5, .name = "run", .for_clients = cJSON_Parse(RUN_JSON)};
    rd_store *store = NULL;
    bool resumed;
    *err = (rd_error){0};
    cr_assert_eq(rd_store_open(directory, &config, 0, &store, &resumed, err), expected, "%s", err->message);
    cJSON_Delete(config.for_clients);
    return store;
}

static void put_file(const char *name, const char *bytes, size_t size)
{
    rd_error err;
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    cr_assert_eq(rd_file_write(path, bytes, size, &err), RD_OK, "%s", err.message);
}

static bool has_file(const char *name)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

/* A round with all the files that there are: a header of two bytes, parameters, and others that differ by round. */
static void commit_keeping(rd_store *store, uint64_t round, uint64_t keep_every)
{
    static const char *const endings[] = {"packed", "server"};
    rd_error err;
    char name[64], content[32];
    rd_round_record r = {.round = round, .aggregated = true, .running_loss = NAN, .finished_at = 1};
    (void)snprintf(name, sizeof name, "models/%06d.safetensors", (int)round);
    (void)snprintf(content, sizeof content, "\2%c%c%c%c%c%c%c{}parameters %d", 0, 0, 0, 0, 0, 0, 0, (int)round);
    put_file(name, content, 22);
    rd_sha256 digest;
    rd_sha256_start(&digest);
    rd_sha256_add(&digest, content + 10, 12);
    rd_sha256_finish_hex(&digest, r.model_sha256);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(name, sizeof name, "models/%06d.%s.safetensors", (int)round, endings[i]);
        (void)snprintf(content, sizeof content, "%s of %d", endings[i], (int)round);
        put_file(name, content, strlen(content));
    }
    cr_assert_eq(rd_store_commit_round(store, &r, NULL, 0, keep_every, &err), RD_OK, "%s", err.message);
}

static void commit(rd_store *store, uint64_t round)
{
    commit_keeping(store, round, 1);
}

static void make_run(void)
{
    rd_error err;
    rd_store *store = open_run(RD_OK, &err);
    put_file("models/frozen.safetensors", "frozen", 6);
    for (uint64_t round = 0; round <= 2; round++)
        commit(store, round);
    rd_store_close(store);
}

static void flip(const char *name, long at)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "r+b");
    cr_assert_not_null(f);
    cr_assert_eq(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    const int byte = fgetc(f);
    cr_assert_eq(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    cr_assert_neq(fputc(byte ^ 1, f), EOF);
    cr_assert_eq(fclose(f), 0);
}

static uint64_t last_round(void)
{
    rd_error err;
    uint64_t last = 99;
    bool any;
    rd_store *store = open_run(RD_OK, &err);
    cr_assert_eq(rd_store_last_round(store, &last, &any, &err), RD_OK);
    rd_store_close(store);
    return last;
}

Test(recover, what_is_whole_stays)
{
    make_run();
    cr_assert_eq(last_round(), 2);
    cr_assert_eq(last_round(), 2, "also the second time");
}

/* Of the last round one file is not what was committed, or is not there: the run goes on from the round before it. */
Test(recover, each_file_of_a_round_is_looked_at)
{
    static const struct {
        const char *name;
        long at; /* the byte that changes */
    } files[] = {{"models/000002.safetensors", 8},        {"models/000002.safetensors", 9},
                 {"models/000002.safetensors", 10},       {"models/000002.safetensors", -1},
                 {"models/000002.packed.safetensors", 0}, {"models/000002.packed.safetensors", -1},
                 {"models/000002.server.safetensors", 0}, {"models/000002.server.safetensors", -1}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (int gone = 0; gone <= 1; gone++) {
            char path[160];
            make_run();
            (void)snprintf(path, sizeof path, "%s/%s", directory, files[i].name);
            if (gone)
                cr_assert_eq(unlink(path), 0);
            else
                flip(files[i].name, files[i].at);
            cr_expect_eq(last_round(), 1, "%s, %ld, %d", files[i].name, files[i].at, gone);
            remove_directory();
            cr_assert_eq(mkdir(directory, 0700), 0);
        }
}

Test(recover, without_what_is_frozen_no_round_is_whole)
{
    rd_error err;
    make_run();
    flip("models/frozen.safetensors", 0);
    cr_assert_null(open_run(RD_ERR_FORMAT, &err));
    cr_expect_not_null(strstr(err.message, "models/frozen.safetensors: it is not what round 0 committed"), "%s",
                       err.message);
}

/* Two, and one more for each round that may pass while a client trains; of updates that are kept, the model before the first
 * of them. */
Test(recover, as_many_models_stay_as_may_be_asked_for)
{
    static const struct {
        uint64_t staleness, updates, stay;
    } cases[] = {{0, 0, 2}, {3, 0, 5}, {0, 1, 2}, {0, 2, 3}, {0, 6, 7}, {3, 6, 7}, {6, 3, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rd_config config = {.rounds = 20, .name = "run", .for_clients = cJSON_Parse(RUN_JSON)};
        rd_store *store;
        rd_error err = {0};
        bool resumed;
        config.cohort.most_staleness = cases[i].staleness;
        config.keep_updates = cases[i].updates;
        cr_assert_eq(rd_store_open(directory, &config, 0, &store, &resumed, &err), RD_OK, "%s", err.message);
        cJSON_Delete(config.for_clients);
        for (uint64_t round = 0; round <= 12; round++)
            commit_keeping(store, round, 0);
        cr_assert_eq(rd_store_finish(store, &err), RD_OK);
        rd_store_close(store);
        for (int round = 0; round <= 12; round++) {
            char name[64];
            (void)snprintf(name, sizeof name, "models/%06d.safetensors", round);
            cr_expect_eq(has_file(name), (uint64_t)round + cases[i].stay > 12, "case %zu: %s", i, name);
        }
        remove_directory();
        cr_assert_eq(mkdir(directory, 0700), 0);
    }
}

/* ---- what is no run ---- */

static void expect_below(const char *words)
{
    rd_store *store = NULL;
    rd_error err = {0};
    cr_assert_neq(rd_store_open_reader(directory, &store, &err), RD_OK);
    cr_expect_not_null(strstr(err.message, words), "'%s' is not in '%s'", words, err.message);
}

static void make_folder(const char *name)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    cr_assert_eq(mkdir(path, 0700), 0);
}

Test(recover, runs_below_a_folder_are_named)
{
    char words[160];
    rd_store *store = NULL;
    rd_error err = {0};
    make_folder("seed-2"); /* without a run */
    make_folder("other");
    put_file("other/rondo.db", "x", 1);
    cr_assert_neq(rd_store_open_reader(directory, &store, &err), RD_OK);
    cr_expect_null(strstr(err.message, "below it"), "%s", err.message);
    make_folder("seed-12");
    put_file("seed-12/rondo.db", "x", 1);
    (void)snprintf(words, sizeof words, "; there is a run below it: name one, such as %s/seed-12", directory);
    expect_below(words);
    make_folder("seed-7");
    put_file("seed-7/rondo.db", "x", 1);
    (void)snprintf(words, sizeof words, "; there are runs below it: name one, such as %s/seed-7", directory);
    expect_below(words);
}

/* ---- what belongs to one ---- */

Test(recover, a_backup_takes_the_files_of_its_round_and_no_notes)
{
    rd_error err;
    rd_backup_report report;
    char to[96];
    make_run();
    put_file("models/000002.note", "somebody's", 10);
    put_file("models/notes", "somebody's", 10);
    put_file("models/.safetensors", "somebody's", 10);
    (void)snprintf(to, sizeof to, "%s/to", directory);
    cr_assert_eq(rd_store_backup(directory, to, &report, &err), RD_OK, "%s", err.message);
    cr_expect(report.round == 2 && report.version == 2);
    static const char *const taken[] = {"frozen.safetensors", "000002.safetensors", "000002.packed.safetensors",
                                        "000002.server.safetensors"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "to/models/%s", taken[i]);
        cr_expect(has_file(name), "%s", name);
    }
    cr_expect_not(has_file("to/models/000002.note") || has_file("to/models/notes") ||
                  has_file("to/models/.safetensors"));
}
