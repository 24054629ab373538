/* Is a state directory whole, and is its account what it was? A run of three rounds is looked at, then spoilt in one place
 * after the other with plain SQL and plain files; and SHA-256 and JSON of the account are worked out here once more. */
#include <criterion/criterion.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/crypto.h"
#include "core/file.h"
#include "store/store.h"
#include "test_directory.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define MODEL_JSON                                                                                                  \
    "\"model\": {\"input\": 4, \"loss\": \"softmax_cross_entropy\", \"layers\": [{\"type\": \"dense\", \"units\": " \
    "3}]}"
#define RUN_JSON "{\"rounds\": 5, \"training\": {\"learning_rate\": 0.1}, " MODEL_JSON "}"

TestSuite(check, .init = make_directory, .fini = remove_directory, .timeout = 60);

static rd_store *open_run(void)
{
    rd_config config = {.rounds = 5, .name = "run", .for_clients = cJSON_Parse(RUN_JSON)};
    rd_store *store = NULL;
    rd_error err = {0};
    bool resumed;
    cr_assert_eq(rd_store_open(directory, &config, 0, &store, &resumed, &err), RD_OK, "%s", err.message);
    cJSON_Delete(config.for_clients);
    return store;
}

static void digest_of(const char *first, const char *second, char hex[RD_SHA256_HEX])
{
    rd_sha256 digest;
    rd_sha256_start(&digest);
    rd_sha256_add(&digest, first, strlen(first));
    rd_sha256_add(&digest, second, strlen(second));
    rd_sha256_finish_hex(&digest, hex);
}

static void put_file(const char *name, const char *bytes, size_t size)
{
    rd_error err;
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    cr_assert_eq(rd_file_write(path, bytes, size, &err), RD_OK, "%s", err.message);
}

/* Files of their own for each round: a header of two bytes, and what a server keeps. */
static void commit(rd_store *store, uint64_t round, bool aggregated, const rd_participation_record *parts, size_t count)
{
    rd_error err;
    char name[64], content[32];
    rd_round_record r = {.round = round,
                         .aggregated = aggregated,
                         .running_loss = NAN,
                         .finished_at = 1,
                         .test = {.samples = 3, .loss = 0.5, .accuracy = 1}};
    (void)snprintf(name, sizeof name, "models/%06d.safetensors", (int)round);
    (void)snprintf(content, sizeof content, "\2%c%c%c%c%c%c%c{}parameters %d", 0, 0, 0, 0, 0, 0, 0, (int)round);
    digest_of(content + 10, "", r.model_sha256);
    if (aggregated) {
        put_file(name, content, 22);
        (void)snprintf(name, sizeof name, "models/%06d.server.safetensors", (int)round);
        put_file(name, "kept", 4);
    }
    cr_assert_eq(rd_store_commit_round(store, &r, parts, count, 1, &err), RD_OK, "%s", err.message);
}

static rd_participation_record part(const char *client, rd_participation status, uint64_t samples, const char *reason)
{
    rd_participation_record p = {.status = status, .report = {.samples = samples, .running_loss = NAN}, .weight = 7};
    (void)snprintf(p.client, sizeof p.client, "%s", client);
    (void)snprintf(p.reason, sizeof p.reason, "%s", reason);
    return p;
}

/* Rounds 0, 1, 2 (abandoned) and 3. */
static void make_run(void)
{
    rd_error err;
    rd_store *store = open_run();
    put_file("models/frozen.safetensors", "frozen", 6);
    commit(store, 0, true, NULL, 0);
    const rd_participation_record first[] = {part("zoe", RD_PART_COUNTED, 600, ""), part("bob", RD_PART_LATE, 0, ""),
                                             part("amy", RD_PART_COUNTED, 5, ""),
                                             part("eve", RD_PART_FAILED, 0, "says \"no\"\\")};
    commit(store, 1, true, first, COUNT_OF(first));
    commit(store, 2, false, NULL, 0);
    cr_assert_eq(rd_store_note(store, "went", "bob", "tired", &err), RD_OK);
    commit(store, 3, true, NULL, 0);
    rd_store_close(store);
}

static void alter(const char *sql)
{
    char path[128];
    sqlite3 *db;
    (void)snprintf(path, sizeof path, "%s/rondo.db", directory);
    cr_assert(sqlite3_open(path, &db) == SQLITE_OK);
    cr_assert(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static int count_of(const char *where)
{
    char path[128], sql[400];
    sqlite3 *db;
    sqlite3_stmt *statement;
    (void)snprintf(path, sizeof path, "%s/rondo.db", directory);
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", where);
    cr_assert(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK);
    cr_assert(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    cr_assert(sqlite3_step(statement) == SQLITE_ROW);
    const int count = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return count;
}

static void note_wrong(void *user, const char *text)
{
    char *all = user;
    const size_t used = strlen(all);
    (void)snprintf(all + used, 4096 - used, "%s\n", text);
}

static rd_check_report check_run(const char *expected, char wrong[4096])
{
    rd_check_report report;
    rd_error err = {0};
    wrong[0] = '\0';
    const rd_check_listener listener = {note_wrong, wrong};
    cr_assert_eq(rd_store_check(directory, expected, &listener, &report, &err), RD_OK, "%s", err.message);
    size_t lines = 0;
    for (const char *at = wrong; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    cr_expect_eq(report.wrong, lines);
    return report;
}

typedef struct account {
    char before[RD_SHA256_HEX];
    uint64_t count;
    char entries[16][1024], digests[16][RD_SHA256_HEX];
} account;

static bool take(const rd_account_line *line, void *user)
{
    account *a = user;
    char own[RD_SHA256_HEX];
    digest_of(a->before, line->entry, own);
    cr_expect_str_eq(line->sha256, own, "of the 64 digits before it and the entry");
    cr_assert_lt(a->count, 16);
    (void)snprintf(a->entries[a->count], sizeof a->entries[0], "%s", line->entry);
    (void)snprintf(a->digests[a->count], sizeof a->digests[0], "%s", own);
    cr_expect_eq(line->number, ++a->count);
    memcpy(a->before, own, sizeof own);
    return true;
}

static account read_account(void)
{
    static account a;
    rd_store *store;
    rd_error err;
    a.count = 0;
    memset(a.before, '0', RD_SHA256_HEX - 1);
    a.before[RD_SHA256_HEX - 1] = '\0';
    cr_assert_eq(rd_store_open_reader(directory, &store, &err), RD_OK, "%s", err.message);
    cr_assert_eq(rd_store_account(store, 1, take, &a, &err), RD_OK);
    rd_store_close(store);
    return a;
}

Test(check, the_account_is_a_chain_that_tells_who_took_part)
{
    make_run();
    account a = read_account();
    cr_assert_eq(a.count, 6);
    static const char *const events[] = {"begun", "round", "round", "round", "went", "round"};
    for (size_t i = 0; i < a.count; i++) {
        cJSON *entry = cJSON_Parse(a.entries[i]);
        cr_assert_not_null(entry, "%s", a.entries[i]);
        cr_expect_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(entry, "event")), events[i]);
        cr_expect_gt(cJSON_GetObjectItem(entry, "at")->valuedouble, 1.6e9);
        cJSON_Delete(entry);
    }
    static const char ends[] = ",\"counted\":[[\"amy\",5,7],[\"zoe\",600,7]],\"late\":[\"bob\"],"
                               "\"failed\":[[\"eve\",\"says \\\"no\\\"\\\\\"]]}";
    cr_assert_gt(strlen(a.entries[2]), sizeof ends);
    cr_expect_str_eq(a.entries[2] + strlen(a.entries[2]) - (sizeof ends - 1), ends);
    cr_expect_not_null(strstr(a.entries[4], "\"client\":\"bob\",\"why\":\"tired\"}"), "%s", a.entries[4]);
}

Test(check, what_is_whole_is_counted)
{
    char wrong[4096];
    make_run();
    account a = read_account();
    rd_check_report report = check_run(NULL, wrong);
    cr_expect_str_eq(wrong, "");
    cr_expect(report.rounds == 4 && report.models == 3 && report.entries == 6, "%d, %d, %d", (int)report.rounds,
              (int)report.models, (int)report.entries);
    cr_expect_str_eq(report.last, a.digests[5]);
    for (size_t i = 0; i < 6; i++) {
        (void)check_run(a.digests[i], wrong);
        cr_expect_str_eq(wrong, "", "entry %zu", i + 1);
    }
    digest_of("another", "", a.digests[0]);
    (void)check_run(a.digests[0], wrong);
    cr_expect_not_null(strstr(wrong, "none of its entries has the SHA-256 that was given"), "%s", wrong);
}

/* One thing is wrong, and it is what is said. */
Test(check, each_thing_that_is_wrong_is_named)
{
#define FREELY "DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_cut; "
    static const struct {
        const char *sql, *words;
    } cases[] = {
        {"UPDATE rounds SET test_loss = 0.25 WHERE round = 1", "round 1"},
        {"UPDATE rounds SET model_sha256 = 'x' WHERE round = 3", "round 3"},
        {"UPDATE participation SET samples = 601 WHERE samples = 600",
         "round 1: the account tells other things of who took part"},
        {"DELETE FROM participation WHERE status = 'late'", "round 1: the account tells other things of who took part"},
        {"UPDATE participation SET reason = 'says yes' WHERE status = 'failed'",
         "round 1: the account tells other things of who took part"},
        {FREELY "UPDATE audit SET entry = replace(entry, 'tired', 'fired') WHERE number = 5",
         "the account: entry 5 is not what was written, or one before it is not"},
        {FREELY "UPDATE audit SET sha256 = replace(sha256, substr(sha256, 1, 4), 'zzzz') WHERE number = 1",
         "the account: entry 1 is not what was written"},
        {FREELY "DELETE FROM audit WHERE number = 2", "the account: entry 2 is not there"},
        {FREELY "DELETE FROM audit WHERE number = 6", "round 3: the account has no entry of it"},
        {FREELY "DELETE FROM audit", "the account is empty"},
        {"DELETE FROM rounds WHERE round = 3", "the account has more rounds than the record"},
        {"UPDATE run SET run_id = '0123'", "the account: its first entry is not the beginning of this run"},
    };
    char wrong[4096], words[64];
    make_run();
    char command[300];
    (void)snprintf(command, sizeof command, "cp -r %s %s.whole", directory, directory);
    cr_assert_eq(system(command), 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        alter(cases[i].sql);
        (void)check_run(NULL, wrong);
        cr_expect_not_null(strstr(wrong, cases[i].words), "%s: %s", cases[i].sql, wrong);
        (void)snprintf(command, sizeof command, "rm -rf %s && cp -r %s.whole %s", directory, directory, directory);
        cr_assert_eq(system(command), 0);
    }
    static const struct {
        const char *name;
        bool gone;
    } files[] = {{"000000.safetensors", false},       {"000001.safetensors", false},
                 {"000003.safetensors", false},       {"000003.server.safetensors", false},
                 {"000003.server.safetensors", true}, {"frozen.safetensors", false},
                 {"frozen.safetensors", true},        {"000003.safetensors", true}};
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        (void)snprintf(words, sizeof words, "models/%s", files[i].name);
        put_file(words, "\2\0\0\0\0\0\0\0{}other", 15);
        if (files[i].gone) {
            (void)snprintf(command, sizeof command, "%s/%s", directory, words);
            cr_assert_eq(unlink(command), 0);
        }
        rd_check_report report = check_run(NULL, wrong);
        cr_expect_eq(report.wrong, 1, "%s: %s", words, wrong);
        cr_expect_not_null(strstr(wrong, words), "%s: %s", words, wrong);
        (void)snprintf(command, sizeof command, "rm -rf %s && cp -r %s.whole %s", directory, directory, directory);
        cr_assert_eq(system(command), 0);
    }
    put_file("models/000004.safetensors", "x", 1);
    put_file("models/000005.safetensors", "x", 1);
    (void)check_run(NULL, wrong);
    cr_expect_not_null(strstr(wrong, "rounds that have models are not in it"), "%s", wrong);
    (void)snprintf(command, sizeof command, "rm -rf %s.whole", directory);
    cr_assert_eq(system(command), 0);
}

/* Zero would be a loss like any other. */
Test(check, what_was_not_measured_is_null)
{
    make_run();
    cr_expect_eq(count_of("rounds WHERE test_samples = 3 AND test_loss = 0.5 AND test_accuracy = 1"), 4);
    cr_expect_eq(count_of("rounds WHERE train_samples = 0 AND train_loss IS NULL AND train_accuracy IS NULL"), 4);
    cr_expect_eq(count_of("rounds WHERE holdout_samples = 0 AND holdout_loss IS NULL AND holdout_accuracy IS NULL"), 4);
    cr_expect_eq(count_of("rounds WHERE personal_samples = 0 AND personal_loss IS NULL AND personal_accuracy IS NULL"),
                 4);
    cr_expect_eq(count_of("rounds WHERE running_loss IS NULL AND finished_at = 1"), 4);
}

/* ---- what a run uses ---- */

static bool keep_change(const rd_change_record *c, void *user)
{
    rd_change_record **next = user;
    *(*next)++ = *c;
    return true;
}

Test(check, what_the_run_reads_is_recorded_and_accounted_for)
{
    rd_error err = {0};
    rd_change_record changes[4], *end = changes;
    rd_store *store = open_run();
    rd_store_input in = {.name = "data.test", .path = "/some/where/test.csv", .rows = 120, .digest = "SHA-256 5f70"};
    cr_assert_eq(rd_store_use(store, &in, &err), RD_OK, "%s", err.message);
    cr_assert_eq(rd_store_use(store, &in, &err), RD_OK, "the same once more is nothing new");
    cr_assert_eq(rd_store_set_data_schema(store, "{\"a\": 1}", &err), RD_OK);
    commit(store, 0, true, NULL, 0);
    rd_store_close(store);
    account a = read_account();
    cr_assert_eq(a.count, 4);
    cr_expect_not_null(strstr(a.entries[1],
                              "\"event\":\"uses\",\"what\":\"data.test\",\"path\":\"/some/where/test.csv\","
                              "\"rows\":120,\"digest\":\"SHA-256 5f70\"}"),
                       "%s", a.entries[1]);
    char digest[RD_SHA256_HEX], expected[160];
    digest_of("{\"a\": 1}", "", digest);
    (void)snprintf(expected, sizeof expected, "\"event\":\"schema\",\"sha256\":\"%s\"}", digest);
    cr_expect_not_null(strstr(a.entries[2], expected), "%s", a.entries[2]);
    store = open_run();
    char *json = NULL;
    cr_assert_eq(rd_store_data_schema(store, &json, &err), RD_OK);
    cr_expect_str_eq(json, "{\"a\": 1}");
    free(json);
    in.digest = "SHA-256 0000";
    in.rows = 7;
    cr_assert_eq(rd_store_use(store, &in, &err), RD_OK, "%s", err.message);
    in.path = NULL;
    cr_assert_eq(rd_store_use(store, &in, &err), RD_OK, "%s", err.message);
    cr_assert_eq(rd_store_changes(store, keep_change, &end, &err), RD_OK);
    cr_assert_eq(end - changes, 2);
    cr_expect_str_eq(changes[0].key, "data.test");
    cr_expect_str_eq(changes[0].before, "\"test.csv (120 rows, SHA-256 5f70)\"");
    cr_expect_str_eq(changes[0].after, "\"test.csv (7 rows, SHA-256 0000)\"");
    cr_expect_str_eq(changes[1].before, "\"test.csv (7 rows, SHA-256 0000)\"");
    cr_expect_str_eq(changes[1].after, "nothing");
    in = (rd_store_input){.name = "data.root", .path = "root.csv", .rows = 1, .digest = "CRC-32 1", .decides = true};
    cr_assert_eq(rd_store_use(store, &in, &err), RD_OK, "no round was trained without it");
    in.digest = "CRC-32 2";
    cr_assert_eq(rd_store_use(store, &in, &err), RD_ERR_STATE);
    cr_expect_not_null(strstr(err.message,
                              "its run has data.root = \"root.csv (1 rows, CRC-32 1)\", but now it would be "
                              "\"root.csv (1 rows, CRC-32 2)\""),
                       "%s", err.message);
    rd_store_close(store);
    a = read_account();
    cr_expect_not_null(strstr(a.entries[4], "\"event\":\"uses\""), "%s", a.entries[4]);
    cr_expect_not_null(strstr(a.entries[5], "\"event\":\"changed\",\"round\":0,\"key\":\"data.test\""), "%s",
                       a.entries[5]);
}
