/* test_store.c: the state directory. What the store wrote is looked at with plain SQL as well as through the
 * store, so that a mistake made twice is found. */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/crypto.h"
#include "core/file.h"
#include "store/internal.h"
#include "store/store.h"
#include "test_directory.h"

#define MODEL_OF(layers) "\"model\": {\"input\": 4, \"loss\": \"softmax_cross_entropy\", \"layers\": [" layers "]}"
#define TWENTY "{\"type\": \"dense\", \"units\": 20}"
#define MODEL MODEL_OF(TWENTY ", {\"type\": \"dense\", \"units\": 3}")
#define RATE "\"training\": {\"learning_rate\": 0.1}"
#define RUN_JSON "{\"name\": \"first\", \"seed\": 7, \"rounds\": 5, " RATE ", " MODEL "}"

TestSuite(store, .init = make_directory, .fini = remove_directory, .timeout = 60);

/* A configuration with just what the store looks at. */
static rd_config config_of(const char *json)
{
    rd_config c = {0};
    c.for_clients = cJSON_Parse(json);
    cr_assert(c.for_clients != NULL);
    const cJSON *name = cJSON_GetObjectItem(c.for_clients, "name");
    (void)snprintf(c.name, sizeof c.name, "%s", name != NULL ? name->valuestring : "run");
    c.rounds = (uint64_t)cJSON_GetObjectItem(c.for_clients, "rounds")->valuedouble;
    return c;
}

static rd_status open_with(const char *json, rd_store **store, bool *resumed, rd_error *err)
{
    rd_config config = config_of(json);
    rd_status status = rd_store_open(directory, &config, 0, store, resumed, err);
    cJSON_Delete(config.for_clients);
    return status;
}

static rd_store *open_run(void)
{
    rd_store *store = NULL;
    rd_error error = {0};
    bool resumed;
    cr_assert(open_with(RUN_JSON, &store, &resumed, &error) == RD_OK, "%s", error.message);
    return store;
}

static rd_round_record plain_round(uint64_t round)
{
    rd_round_record r = {.round = round, .aggregated = true, .running_loss = NAN, .finished_at = 1000.5};
    (void)snprintf(r.model_sha256, sizeof r.model_sha256, "%064llu", (unsigned long long)round);
    return r;
}

static void commit(rd_store *store, uint64_t round, bool aggregated, uint64_t keep_every)
{
    rd_error error = {0};
    rd_round_record r = plain_round(round);
    r.aggregated = aggregated;
    cr_assert(rd_store_commit_round(store, &r, NULL, 0, keep_every, &error) == RD_OK, "%s", error.message);
}

/* The only value of a query, as text ("NULL" for null). */
static const char *query(const char *sql)
{
    static char text[512];
    char path[128];
    sqlite3 *db;
    sqlite3_stmt *statement;
    (void)snprintf(path, sizeof path, "%s/rondo.db", directory);
    cr_assert(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK);
    cr_assert(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    cr_assert(sqlite3_step(statement) == SQLITE_ROW);
    const unsigned char *value = sqlite3_column_text(statement, 0);
    (void)snprintf(text, sizeof text, "%s", value != NULL ? (const char *)value : "NULL");
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return text;
}

static void put_file(const char *name, const char *content)
{
    rd_error ignored;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    cr_assert(rd_file_write(path, content, strlen(content), &ignored) == RD_OK);
}

static bool has_file(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

static void in_directory(const char *command)
{
    char line[512];
    (void)snprintf(line, sizeof line, "cd %s && %s", directory, command);
    cr_assert(system(line) == 0, "%s", line);
}

static bool keep_round(const rd_round_record *r, void *user)
{
    *(rd_round_record *)user = *r;
    return true;
}

static bool keep_part(const rd_participation_record *p, void *user)
{
    rd_participation_record **next = user;
    *(*next)++ = *p;
    return true;
}

static bool keep_client(const rd_client_record *c, void *user)
{
    rd_client_record **next = user;
    *(*next)++ = *c;
    return true;
}

/* ---- the run ---- */

Test(store, new_run_has_an_id_of_32_digits_and_says_what_it_is)
{
    rd_error ignored;
    rd_run_record run = {0};
    rd_store *store = open_run();
    cr_assert(strlen(rd_store_run_id(store)) == 32);
    cr_assert(strspn(rd_store_run_id(store), "0123456789abcdef") == 32);
    cr_assert(rd_store_run(store, &run, &ignored) == RD_OK);
    cr_assert_str_eq(run.run_id, rd_store_run_id(store));
    cr_assert_str_eq(run.name, "first");
    cr_assert(run.rounds_planned == 5 && run.rounds_done == 0 && !run.finished);
    cr_assert(fabs(run.created_at - (double)time(NULL)) < 60.0);
    cJSON *config = cJSON_Parse(run.config_json), *expected = cJSON_Parse(RUN_JSON);
    cr_assert(cJSON_Compare(config, expected, true));
    cJSON_Delete(config);
    cJSON_Delete(expected);
    rd_run_record_free(&run);
    rd_store_close(store);
    cr_assert_str_eq(query("PRAGMA user_version"), "10");
    cr_assert_str_eq(query("PRAGMA journal_mode"), "wal");
    cr_assert_str_eq(query("SELECT run_id = lower(run_id) AND length(run_id) = 32 FROM run"), "1");
}

Test(store, two_runs_have_different_ids)
{
    char first[RD_RUN_ID_MAX], command[256];
    rd_store *store = open_run();
    (void)snprintf(first, sizeof first, "%s", rd_store_run_id(store));
    rd_store_close(store);
    (void)snprintf(command, sizeof command, "rm %s/rondo.db*", directory);
    cr_assert(system(command) == 0);
    store = open_run();
    cr_assert_str_neq(first, rd_store_run_id(store));
    rd_store_close(store);
}

Test(store, resuming_gives_the_same_run)
{
    char id[RD_RUN_ID_MAX];
    rd_error error = {0};
    bool resumed = true, found = true;
    uint64_t last = 0;
    rd_store *store;
    cr_assert(open_with(RUN_JSON, &store, &resumed, &error) == RD_OK);
    cr_assert(!resumed);
    cr_assert(rd_store_last_round(store, &last, &found, &error) == RD_OK);
    cr_assert(!found);
    commit(store, 0, true, 0);
    commit(store, 1, true, 0);
    (void)snprintf(id, sizeof id, "%s", rd_store_run_id(store));
    rd_store_close(store);

    cr_assert(open_with(RUN_JSON, &store, &resumed, &error) == RD_OK, "%s", error.message);
    cr_assert(resumed);
    cr_assert_str_eq(rd_store_run_id(store), id);
    cr_assert(rd_store_last_round(store, &last, &found, &error) == RD_OK);
    cr_assert(found && last == 1);
    rd_store_close(store);
}

Test(store, free_keys_may_change_on_resuming)
{
    rd_error error = {0};
    bool resumed;
    rd_run_record run = {0};
    rd_store *store = open_run();
    cr_assert(rd_store_finish(store, &error) == RD_OK);
    rd_store_close(store);
    cr_assert_str_eq(query("SELECT finished FROM run"), "1");
    cr_assert(open_with("{\"name\": \"second\", \"seed\": 7, \"rounds\": 5, \"keep_every\": 2,"
                        " \"cohort\": {\"deadline_seconds\": 3, \"min_clients\": 2, \"min_updates\": 2},"
                        " \"evaluation\": {\"every\": 5, \"metrics\": [\"top2\"]}, " RATE
                        ", " MODEL_OF("{\"units\": 20, \"type\": \"dense\"}, {\"type\": \"dense\", \"units\": 3}") "}",
                        &store, &resumed, &error) == RD_OK,
              "%s", error.message);
    cr_assert(rd_store_run(store, &run, &error) == RD_OK);
    cr_assert_str_eq(run.name, "second");
    cr_assert(run.finished, "nothing was added that would have to be done");
    rd_run_record_free(&run);
    rd_store_close(store);
    cr_assert_str_eq(query("SELECT group_concat(round || key || ' ' || before || ' ' || after, ', ') FROM changes"),
                     "0name \"first\" \"second\", 0keep_every 0 2, 0cohort.min_clients 1 2, 0cohort.min_updates "
                     "1 2, 0cohort.deadline_seconds 600 3, 0evaluation.every 1 5, 0evaluation.metrics nothing "
                     "[\"top2\"]");
}

static bool count_change(const rd_change_record *c, void *user)
{
    (void)c;
    ++*(int *)user;
    return true;
}

Test(store, a_writer_is_told_the_changes_of_its_own_opening_and_a_reader_all)
{
    rd_error error = {0};
    bool resumed;
    int count = 0;
    rd_store *store = open_run();
    commit(store, 0, true, 0);
    commit(store, 1, true, 0);
    rd_store_close(store);
    for (int keep = 1; keep <= 2; keep++) {
        char json[512];
        (void)snprintf(json, sizeof json,
                       "{\"name\": \"first\", \"seed\": 7, \"rounds\": %d, \"keep_every\": %d, " RATE ", " MODEL "}",
                       4 + keep, keep);
        cr_assert(open_with(json, &store, &resumed, &error) == RD_OK, "%s", error.message);
        count = 0;
        cr_assert(rd_store_changes(store, count_change, &count, &error) == RD_OK);
        cr_assert(count == keep, "of opening %d: %d", keep, count); /* keep_every; keep_every and rounds */
        rd_store_close(store);
    }
    cr_assert(rd_store_open_reader(directory, &store, &error) == RD_OK, "%s", error.message);
    count = 0;
    cr_assert(rd_store_changes(store, count_change, &count, &error) == RD_OK);
    cr_assert(count == 3);
    rd_store_close(store);
    cr_assert_str_eq(query("SELECT min(round) || ' ' || max(round) FROM changes"), "1 1");
}

Test(store, another_test_set_is_recorded_as_a_change_and_another_root_set_is_refused)
{
    static const char ones[] = "SHA-256 1111111111111111111111111111111111111111111111111111111111111111";
    static const char twos[] = "SHA-256 2222222222222222222222222222222222222222222222222222222222222222";
    rd_error error = {0};
    rd_store_input test = {.name = "data.test", .path = "a/x.csv", .rows = 10, .digest = ones},
                   root = {.name = "data.root", .path = "r.csv", .rows = 5, .digest = ones, .decides = true};
    rd_store *store = open_run();
    cr_assert(rd_store_use(store, &test, &error) == RD_OK && rd_store_use(store, &root, &error) == RD_OK);
    commit(store, 0, true, 0);
    rd_store_close(store);
    store = open_run();
    test.path = "b/y.csv"; /* the same rows from elsewhere are the same */
    cr_assert(rd_store_use(store, &test, &error) == RD_OK && rd_store_use(store, &root, &error) == RD_OK);
    cr_assert_str_eq(query("SELECT count(*) FROM changes"), "0");
    test.digest = root.digest = twos;
    cr_assert(rd_store_use(store, &test, &error) == RD_OK);
    cr_assert(rd_store_use(store, &root, &error) == RD_ERR_STATE);
    cr_assert_not_null(strstr(error.message, "data.root = \"r.csv (5 rows, SHA-256 111111111111)\""), "%s",
                       error.message);
    test.path = NULL;
    cr_assert(rd_store_use(store, &test, &error) == RD_OK);
    cr_assert_str_eq(query("SELECT group_concat(key || ' ' || before || ' ' || after, ', ') FROM changes"),
                     "data.test \"x.csv (10 rows, SHA-256 111111111111)\" \"y.csv (10 rows, SHA-256 222222222222)\", "
                     "data.test \"y.csv (10 rows, SHA-256 222222222222)\" nothing");
    rd_store_close(store);
}

Test(store, a_default_written_out_is_the_default)
{
    static const char *const same[] = {
        "{\"name\": \"first\", \"seed\": 7, \"rounds\": 5, \"training\": {\"learning_rate\": 0.1, "
        "\"epochs\": 1, "
        "\"weight_decay_skips\": [], \"schedule\": {\"type\": \"constant\"}}, \"personalisation\": "
        "{\"method\": \"none\"}, " MODEL "}",
        "{\"name\": \"first\", \"seed\": 7, \"rounds\": 5, \"strategy\": {\"name\": \"fedavg\", "
        "\"weighting\": \"samples\"}, " RATE ", \"cohort\": {\"select\": \"all\"}, " MODEL_OF(
            "{\"type\": \"dense\", \"name\": \"fc1\", \"units\": 20, \"bias\": true}, {\"type\": \"dense\", "
            "\"units\": 3, \"activation\": \"none\"}") "}",
    };
    rd_store_close(open_run());
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        rd_error error = {0};
        rd_store *store = NULL;
        bool resumed;
        cr_assert(open_with(same[i], &store, &resumed, &error) == RD_OK, "%s", error.message);
        rd_store_close(store);
        cr_assert_str_eq(query("SELECT count(*) FROM changes"), "0");
    }
}

Test(store, more_rounds_reopen_a_finished_run)
{
    rd_error error = {0};
    bool resumed;
    rd_run_record run = {0};
    rd_store *store = open_run();
    cr_assert(rd_store_finish(store, &error) == RD_OK);
    rd_store_close(store);
    cr_assert(open_with("{\"name\": \"first\", \"seed\": 7, \"rounds\": 9, " RATE ", " MODEL "}", &store, &resumed,
                        &error) == RD_OK,
              "%s", error.message);
    cr_assert(rd_store_run(store, &run, &error) == RD_OK);
    cr_assert(run.rounds_planned == 9 && !run.finished);
    rd_run_record_free(&run);
    rd_store_close(store);
}

struct refusal {
    const char *json, *says[4];
};

Test(store, another_run_json_is_refused_and_the_key_is_named)
{
    static const struct refusal refusals[] = {
        {"{\"seed\": 8, \"rounds\": 5, " RATE ", " MODEL "}", {"seed = 7", "would be 8", "another directory"}},
        {"{\"seed\": 7, \"rounds\": 4, " RATE ", " MODEL "}",
         {"rounds = 5", "has 4", "may only grow", "another directory"}},
        {"{\"seed\": 7, \"rounds\": 5, \"training\": {\"learning_rate\": 0.2}, " MODEL "}",
         {"training.learning_rate = 0.1", "would be 0.2"}},
        {"{\"seed\": 7, \"rounds\": 5, \"training\": {\"learning_rate\": 0.1, \"momentum\": 0.9}, " MODEL "}",
         {"training.momentum = 0,", "would be 0.9"}},
        {"{\"seed\": 7, \"rounds\": 5, " RATE ", " MODEL_OF(TWENTY ", {\"type\": \"dense\", \"units\": 4}") "}",
         {"model.layers[1].units = 3", "would be 4"}},
        /* what differs in both comes before a default that one of them has */
        {"{\"seed\": 7, \"rounds\": 5, " RATE
         ", " MODEL_OF("{\"bias\": true, \"type\": \"dense\", \"units\": 20}, {\"type\": \"dense\", \"units\": 4}") "}",
         {"model.layers[1].units = 3", "would be 4"}},
        {"{\"seed\": 7, \"rounds\": 5, " RATE
         ", " MODEL_OF("{\"bias\": false, \"type\": \"dense\", \"units\": 20}, {\"type\": \"dense\", "
                       "\"units\": 3}") "}",
         {"model.layers[0].bias = nothing", "would be false"}},
        {"{\"seed\": 7, \"rounds\": 5, " RATE ", " MODEL_OF(TWENTY) "}",
         {"model.layers[1].type = \"dense\"", "would be nothing"}},
        {"{\"seed\": 7, \"rounds\": 5, " RATE ", \"cohort\": {\"select\": \"fraction\", \"fraction\": 1}, " MODEL "}",
         {"cohort.select = \"all\"", "would be \"fraction\""}},
        {"{\"seed\": 7, \"rounds\": 5, \"evaluation\": {\"holdout\": 0.1}, " RATE ", " MODEL "}",
         {"evaluation.holdout = 0,", "would be 0.1"}},
    };
    rd_store_close(open_run());
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        rd_error error = {0};
        rd_store *store = NULL;
        bool resumed;
        cr_assert(open_with(refusals[i].json, &store, &resumed, &error) == RD_ERR_STATE, "case %zu", i);
        cr_assert(strstr(error.message, directory) != NULL, "%s", error.message);
        for (size_t k = 0; k < 4 && refusals[i].says[k] != NULL; k++)
            cr_assert(strstr(error.message, refusals[i].says[k]) != NULL, "'%s' is not in: %s", refusals[i].says[k],
                      error.message);
    }
    rd_store_close(open_run()); /* none of them changed anything */
}

/* With a cosine the rates of all rounds follow from how many there are. */
Test(store, a_run_whose_rate_falls_to_its_last_round_cannot_be_made_longer)
{
    static const char *const json =
        "{\"rounds\": %d, " MODEL ", \"training\": {\"learning_rate\": 1, \"schedule\": {\"type\": \"cosine\"}}, "
        "\"early_stopping\": {\"metric\": \"test_loss\", \"patience\": %d, \"min_delta\": %d}}";
    rd_error error = {0};
    rd_store *store = NULL;
    rd_run_record run = {0};
    bool resumed;
    char text[512];
    (void)snprintf(text, sizeof text, json, 5, 2, 0);
    cr_assert(open_with(text, &store, &resumed, &error) == RD_OK, "%s", error.message);
    cr_assert(rd_store_finish(store, &error) == RD_OK);
    rd_store_close(store);
    (void)snprintf(text, sizeof text, json, 6, 2, 0);
    cr_assert(open_with(text, &store, &resumed, &error) == RD_ERR_STATE);
    cr_assert_not_null(strstr(error.message, "rounds = 5, but run.json has 6; with a learning rate"), "%s",
                       error.message);
    (void)snprintf(text, sizeof text, json, 5, 2, 1);
    cr_assert(open_with(text, &store, &resumed, &error) == RD_ERR_STATE);
    cr_assert_not_null(strstr(error.message, "early_stopping.min_delta = 0"), "%s", error.message);
    (void)snprintf(text, sizeof text, json, 5, 3, 0); /* patience decides when to stop, and nothing else */
    cr_assert(open_with(text, &store, &resumed, &error) == RD_OK, "%s", error.message);
    cr_assert(rd_store_run(store, &run, &error) == RD_OK);
    cr_assert(!run.finished, "there may be something to do again");
    rd_run_record_free(&run);
    rd_store_close(store);
}

/* ---- one writer ---- */

Test(store, second_writer_is_refused_and_told_who_has_it)
{
    char expected[48];
    rd_error error = {0};
    rd_store *store = open_run(), *second = NULL;
    bool resumed;
    cr_assert(open_with(RUN_JSON, &second, &resumed, &error) == RD_ERR_STATE);
    (void)snprintf(expected, sizeof expected, "%ld", (long)getpid());
    cr_assert(strstr(error.message, expected) != NULL && strstr(error.message, directory) != NULL, "%s", error.message);
    in_directory("rm lock");
    cr_assert(open_with(RUN_JSON, &second, &resumed, &error) == RD_ERR_STATE, "the lock is not the file's name");
    rd_store_close(store);
    rd_store_close(open_run()); /* the lock goes with its owner */
}

static unsigned mode_of(const char *name)
{
    struct stat info;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    cr_assert(lstat(path, &info) == 0, "%s", path);
    return (unsigned)info.st_mode & 0777;
}

Test(store, nobody_else_may_look_into_a_new_directory_and_an_older_one_stays_as_it_is)
{
    rd_error error = {0};
    in_directory("mkdir older && chmod 755 older");
    const char *parent = strdupa(directory);
    size_t length = strlen(directory);
    umask(0);
    (void)snprintf(directory + length, sizeof directory - length, "/new");
    rd_store *store = open_run();
    commit(store, 0, true, 0);
    cr_assert_eq(mode_of("."), 0700);
    cr_assert_eq(mode_of("models"), 0700);
    cr_assert(mode_of("lock") == 0600 && mode_of("rondo.db") == 0600 && mode_of("rondo.db-wal") == 0600 &&
              mode_of("rondo.db-shm") == 0600);
    rd_store_close(store);
    (void)snprintf(directory + length, sizeof directory - length, "/older");
    rd_store_close(open_run());
    cr_assert_eq(mode_of("."), 0755);
    in_directory("mv rondo.db ../new && ln -s ../new/rondo.db rondo.db");
    bool resumed;
    cr_assert(open_with(RUN_JSON, &store, &resumed, &error) == RD_ERR_IO);
    cr_assert_not_null(strstr(error.message, "it is a link"), "%s", error.message);
    in_directory("rm rondo.db lock && ln -s ../new/lock lock");
    cr_assert(open_with(RUN_JSON, &store, &resumed, &error) == RD_ERR_IO, "the lock is a link");
    (void)snprintf(directory, sizeof directory, "%s", parent);
}

Test(store, a_reader_sees_rounds_while_they_are_committed)
{
    rd_error error = {0};
    uint64_t last = 99;
    bool found = true;
    rd_store *writer = open_run(), *reader;
    cr_assert(rd_store_open_reader(directory, &reader, &error) == RD_OK, "%s", error.message);
    cr_assert_str_eq(rd_store_run_id(reader), rd_store_run_id(writer));
    cr_assert(rd_store_last_round(reader, &last, &found, &error) == RD_OK && !found);
    commit(writer, 0, true, 0);
    cr_assert(rd_store_last_round(reader, &last, &found, &error) == RD_OK && found && last == 0);
    commit(writer, 1, true, 0);
    cr_assert(rd_store_last_round(reader, &last, &found, &error) == RD_OK && found && last == 1);
    rd_round_record r = plain_round(2);
    cr_assert(rd_store_commit_round(reader, &r, NULL, 0, 0, &error) != RD_OK, "a reader does not write");
    rd_store_close(reader);
    rd_store_close(writer);
}

Test(store, reading_where_there_is_no_run)
{
    rd_error error = {0};
    rd_store *store = NULL;
    cr_assert(rd_store_open_reader(directory, &store, &error) == RD_ERR_IO);
    cr_assert(strstr(error.message, directory) != NULL && strstr(error.message, "no run") != NULL, "%s", error.message);
    put_file("rondo.db", "");
    cr_assert(rd_store_open_reader(directory, &store, &error) == RD_ERR_IO);
    put_file("rondo.db", "This is no database, and it is long enough for SQLite to look at its header ........."
                         "....................................................................................");
    cr_assert(rd_store_open_reader(directory, &store, &error) == RD_ERR_FORMAT, "%s", error.message);
    bool resumed;
    cr_assert(open_with(RUN_JSON, &store, &resumed, &error) == RD_ERR_FORMAT, "%s", error.message);
}

/* How somebody fares who may read the directory but not write in it; RD_OK where he sees both rounds. */
static rd_status stranger_reads(const char *where)
{
    int ends[2]; /* the answer comes through a pipe: valgrind changes the exit code for what Criterion leaves behind */
    char answer = RD_ERR_INTERNAL;
    cr_assert(pipe(ends) == 0);
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        rd_error error = {0};
        rd_store *reader = NULL;
        uint64_t last = 0;
        bool found = false;
        if (setresuid(65534, 65534, 65534) != 0)
            _exit(2);
        rd_status status = rd_store_open_reader(where, &reader, &error);
        if (status == RD_OK)
            status = rd_store_last_round(reader, &last, &found, &error);
        if (status != RD_OK)
            (void)fprintf(stderr, "%s\n", error.message);
        rd_store_close(reader);
        answer = (char)(status == RD_OK && !(found && last == 1) ? RD_ERR_DATA : status);
        _exit(write(ends[1], &answer, 1) == 1 ? 0 : 1);
    }
    close(ends[1]);
    bool told = read(ends[0], &answer, 1) == 1;
    close(ends[0]);
    cr_assert(waitpid(child, NULL, 0) == child);
    return told ? (rd_status)answer : RD_ERR_INTERNAL;
}

Test(store, who_may_only_read_can_read)
{
    if (geteuid() != 0)
        cr_skip_test("only root can become somebody else");
    cr_assert(chmod(directory, 0755) == 0);
    rd_store *store = open_run();
    commit(store, 0, true, 0);
    commit(store, 1, true, 0);
    in_directory("chmod 644 rondo.db*"); /* he is let in */
    cr_assert_eq(stranger_reads(directory), RD_OK, "while the run goes on");
    rd_store_close(store);
    cr_assert_eq(stranger_reads(directory), RD_OK, "when nobody has it open");
}

/* The newest rounds are in rondo.db-wal, which SQLite reads through rondo.db-shm. */
Test(store, who_may_only_read_sees_every_round_of_a_copy_or_is_told_why_not)
{
    if (geteuid() != 0)
        cr_skip_test("only root can become somebody else");
    char copy[96];
    (void)snprintf(copy, sizeof copy, "%s/copy", directory);
    cr_assert(chmod(directory, 0755) == 0);
    rd_store *store = open_run();
    commit(store, 0, true, 0);
    in_directory("mkdir copy");
    cr_assert(has_file("rondo.db-wal") && has_file("rondo.db-shm"));
    commit(store, 1, true, 0);
    in_directory("cp rondo.db* copy && chmod a+r copy/*");
    rd_store_close(store);
    cr_assert_eq(stranger_reads(copy), RD_OK, "with the shared memory");
    in_directory("rm copy/rondo.db-shm");
    cr_assert_eq(stranger_reads(copy), RD_OK, "with the log alone");
    in_directory("chmod 600 copy/rondo.db-wal");
    cr_assert_eq(stranger_reads(copy), RD_ERR_STATE, "with a log that is not for him");
    in_directory("chmod 644 copy/rondo.db-wal && : > copy/rondo.db-shm && chmod 600 copy/rondo.db-shm");
    cr_assert_eq(stranger_reads(copy), RD_ERR_STATE, "with shared memory that is not for him");
}

Test(store, a_copy_without_its_log_is_known_by_its_models)
{
    rd_error error = {0};
    rd_store *store = open_run();
    commit(store, 0, true, 0);
    in_directory("mkdir -p copy/models && cp rondo.db copy");
    for (int i = 0; i < 40; i++)
        commit(store, (uint64_t)i + 1, true, 0);
    in_directory("touch copy/models/000040.safetensors copy/models/000039.safetensors");
    cr_assert_eq(rd_store_missing_rounds(store), 0);
    rd_store_close(store);
    char copy[96];
    (void)snprintf(copy, sizeof copy, "%s/copy", directory);
    cr_assert(rd_store_open_reader(copy, &store, &error) == RD_OK, "%s", error.message);
    uint64_t last = 99, version;
    bool any;
    cr_assert(rd_store_last_round(store, &last, &any, &error) == RD_OK);
    cr_assert_eq(rd_store_missing_rounds(store), 40 - last);
    cr_assert(rd_store_newest_model(store, &version, &error) == RD_ERR_STATE);
    cr_assert_not_null(strstr(error.message, "rondo-aggregator backup"), "%s", error.message);
    rd_store_close(store);
}

Test(store, a_backup_is_the_run_after_its_last_round)
{
    rd_error error = {0};
    rd_store *store = open_run(), *copy;
    rd_backup_report report;
    char to[96];
    uint64_t version;
    (void)snprintf(to, sizeof to, "%s/to", directory);
    cr_assert(rd_store_backup(directory, to, &report, &error) == RD_ERR_STATE, "no initial model yet");
    cr_assert_not(has_file("to"));
    put_file("models/000000.safetensors", "0");
    commit(store, 0, true, 0);
    put_file("models/000001.safetensors", "first");
    put_file("models/000001.server.safetensors", "memory");
    put_file("models/frozen.safetensors", "frozen");
    commit(store, 1, true, 0);
    put_file("models/000002.safetensors", "not committed");
    put_file("models/000003.safetensors.tmp", "half");
    commit(store, 2, false, 0); /* abandoned: the model stays the first */
    put_file("models/000003.safetensors", "not committed");
    cr_assert(rd_store_backup(directory, to, &report, &error) == RD_OK, "%s", error.message);
    cr_assert(report.round == 2 && report.version == 1);
    cr_assert(has_file("to/models/000000.safetensors") && has_file("to/models/000001.safetensors") &&
              has_file("to/models/000001.server.safetensors") && has_file("to/models/frozen.safetensors"));
    cr_assert_not(has_file("to/models/000003.safetensors") || has_file("to/models/000003.safetensors.tmp") ||
                  has_file("to/rondo.db-wal") || has_file("to/rondo.db.tmp"));
    cr_assert(rd_store_open_reader(to, &copy, &error) == RD_OK, "%s", error.message);
    cr_assert_str_eq(rd_store_run_id(copy), rd_store_run_id(store));
    cr_assert(rd_store_newest_model(copy, &version, &error) == RD_OK && version == 1);
    rd_store_close(copy);
    cr_assert(rd_store_backup(directory, to, &report, &error) == RD_ERR_STATE, "nothing is overwritten");
    cr_assert_not_null(strstr(error.message, "something in it already"), "%s", error.message);
    in_directory("rm models/000001.safetensors");
    (void)snprintf(to, sizeof to, "%s/second", directory);
    cr_assert(rd_store_backup(directory, to, &report, &error) == RD_ERR_STATE);
    cr_assert_not(has_file("second"));
    put_file("clients.keep", "x");
    put_file("models/000001.safetensors", "first");
    cr_assert(rd_store_backup(directory, to, &report, &error) == RD_ERR_STATE, "what clients keep is in motion");
    cr_assert_not(has_file("second"));
    rd_store_close(store);
    cr_assert(rd_store_backup(directory, to, &report, &error) == RD_OK, "%s", error.message);
    cr_assert(has_file("second/clients.keep"));
}

static void alter(const char *sql)
{
    char path[128];
    sqlite3 *db;
    (void)snprintf(path, sizeof path, "%s/rondo.db", directory);
    cr_assert(sqlite3_open(path, &db) == SQLITE_OK);
    cr_assert(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

Test(store, databases_of_others_and_of_other_versions_are_refused)
{
    rd_error error = {0};
    rd_store *store = NULL;
    bool resumed;
    alter("CREATE TABLE mine (x)");
    cr_assert(open_with(RUN_JSON, &store, &resumed, &error) == RD_ERR_FORMAT);
    cr_assert(strstr(error.message, "not one of Rondo's") != NULL, "%s", error.message);
    remove_directory();
    rd_store_close(open_run());
    alter("PRAGMA user_version = 9");
    cr_assert(open_with(RUN_JSON, &store, &resumed, &error) == RD_ERR_FORMAT);
    cr_assert(strstr(error.message, "version 9, this program knows version 10") != NULL, "%s", error.message);
    cr_assert(rd_store_open_reader(directory, &store, &error) == RD_ERR_FORMAT);
}

Test(store, a_directory_that_cannot_be_made)
{
    rd_error error = {0};
    rd_store *store = NULL;
    rd_config config = config_of(RUN_JSON);
    bool resumed;
    char path[128], long_path[1200];
    put_file("file", "x");
    (void)snprintf(path, sizeof path, "%s/file/state", directory);
    cr_assert(rd_store_open(path, &config, 0, &store, &resumed, &error) == RD_ERR_IO);
    cr_assert(strstr(error.message, "file") != NULL, "%s", error.message);
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    cr_assert(rd_store_open(long_path, &config, 0, &store, &resumed, &error) == RD_ERR_IO);
    cr_assert(strstr(error.message, "too long") != NULL, "%s", error.message);
    cJSON_Delete(config.for_clients);
}

/* ---- rounds ---- */

Test(store, a_round_is_read_back_as_it_was_written)
{
    rd_error error = {0};
    rd_store *store = open_run();
    rd_round_record back, r = {.round = 3,
                               .aggregated = true,
                               .test = {10000, 0.1 + 0.2, 0.8123},
                               .train = {60000, 1.0 / 3.0, NAN},
                               .holdout = {0, 5.0, 5.0},
                               .running_loss = NAN,
                               .selected = 10,
                               .counted = 7,
                               .late = 2,
                               .failed = 1,
                               .samples = UINT64_C(1) << 40,
                               .update_norm = 5e-324,
                               .bytes_in = UINT64_C(9007199254740993),
                               .bytes_out = 12,
                               .seconds = 1e300,
                               .finished_at = 1700000000.123456};
    (void)snprintf(r.model_sha256, sizeof r.model_sha256, "%s",
                   "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
    cr_assert(rd_store_commit_round(store, &r, NULL, 0, 0, &error) == RD_OK, "%s", error.message);
    cr_assert(rd_store_rounds(store, 0, keep_round, &back, &error) == RD_OK);
    cr_assert(back.round == 3 && back.aggregated);
    cr_assert(back.test.samples == 10000 && back.test.loss == 0.1 + 0.2 && back.test.accuracy == 0.8123);
    cr_assert(back.train.samples == 60000 && back.train.loss == 1.0 / 3.0 && isnan(back.train.accuracy));
    cr_assert(back.holdout.samples == 0 && isnan(back.holdout.loss) && isnan(back.holdout.accuracy),
              "what was not measured has no value");
    cr_assert(isnan(back.running_loss));
    cr_assert(back.selected == 10 && back.counted == 7 && back.late == 2 && back.failed == 1);
    cr_assert(back.samples == UINT64_C(1) << 40 && back.bytes_in == UINT64_C(9007199254740993));
    cr_assert(back.bytes_out == 12 && back.update_norm == 5e-324 && back.seconds == 1e300);
    cr_assert(back.finished_at == 1700000000.123456);
    cr_assert_str_eq(back.model_sha256, r.model_sha256);
    rd_store_close(store);
    cr_assert_str_eq(query("SELECT typeof(running_loss) || typeof(train_accuracy) || typeof(test_loss) FROM rounds"),
                     "nullnullreal");
}

static bool stop_after_two(const rd_round_record *r, void *user)
{
    uint64_t *seen = user;
    seen[1 + seen[0]++] = r->round;
    return seen[0] < 2;
}

Test(store, rounds_are_visited_in_order_from_where_one_likes)
{
    rd_error error = {0};
    uint64_t seen[8] = {0};
    rd_store *store = open_run();
    for (uint64_t r = 0; r < 6; r++)
        commit(store, r, true, 0);
    cr_assert(rd_store_rounds(store, 3, stop_after_two, seen, &error) == RD_OK);
    cr_assert(seen[0] == 2 && seen[1] == 3 && seen[2] == 4);
    commit(store, 6, true, 0); /* a walk that was broken off holds no lock */
    seen[0] = 0;
    cr_assert(rd_store_rounds(store, 99, stop_after_two, seen, &error) == RD_OK);
    cr_assert(seen[0] == 0);
    cr_assert(rd_store_rounds(store, UINT64_MAX, stop_after_two, seen, &error) == RD_OK);
    cr_assert(seen[0] == 0);
    rd_store_close(store);
}

Test(store, a_round_cannot_be_committed_twice)
{
    rd_error error = {0};
    rd_store *store = open_run();
    commit(store, 0, true, 0);
    rd_round_record r = plain_round(0);
    cr_assert(rd_store_commit_round(store, &r, NULL, 0, 0, &error) == RD_ERR_STATE);
    cr_assert(strstr(error.message, "round 0") != NULL, "%s", error.message);
    commit(store, 1, true, 0);
    rd_store_close(store);
}

/* ---- clients and participations ---- */

static rd_participation_record part(const char *client, rd_participation status, uint64_t samples)
{
    rd_participation_record p = {.status = status, .report = {.samples = samples}};
    (void)snprintf(p.client, sizeof p.client, "%s", client);
    return p;
}

Test(store, clients_add_up_over_rounds)
{
    rd_error error = {0};
    rd_join join = {.protocol = 1, .samples = 600, .software = "rondo-client 1.0.0"};
    rd_client_record clients[4], *end = clients;
    rd_store *store = open_run();
    cr_assert(rd_store_client(store, "zoë", &join, 100.0, &error) == RD_OK, "%s", error.message);
    cr_assert(rd_store_client(store, "bob", &join, 200.0, &error) == RD_OK);
    join.samples = 700;
    cr_assert(rd_store_client(store, "zoë", &join, 300.0, &error) == RD_OK);

    rd_round_record r = plain_round(1);
    rd_participation_record first[] = {part("zoë", RD_PART_COUNTED, 700), part("bob", RD_PART_LATE, 0),
                                       part("carl", RD_PART_COUNTED, 50)};
    cr_assert(rd_store_commit_round(store, &r, first, 3, 0, &error) == RD_OK, "%s", error.message);
    rd_participation_record second[] = {part("zoë", RD_PART_FAILED, 0), part("bob", RD_PART_COUNTED, 600)};
    r = plain_round(2);
    r.finished_at = 2000.0;
    cr_assert(rd_store_commit_round(store, &r, second, 2, 0, &error) == RD_OK, "%s", error.message);

    cr_assert(rd_store_clients(store, keep_client, &end, &error) == RD_OK);
    cr_assert(end - clients == 3);
    cr_assert_str_eq(clients[0].client, "zoë");
    cr_assert(clients[0].samples == 700 && clients[0].joined_at == 100.0 && clients[0].seen_at == 1000.5);
    cr_assert_str_eq(clients[0].software, "rondo-client 1.0.0");
    cr_assert(clients[0].selected == 2 && clients[0].counted == 1 && clients[0].late == 0 && clients[0].failed == 1);
    cr_assert(clients[1].selected == 2 && clients[1].counted == 1 && clients[1].late == 1 && clients[1].failed == 0);
    cr_assert(clients[1].seen_at == 2000.0);
    cr_assert_str_eq(clients[2].client, "carl", "who never joined is entered when it takes part");
    cr_assert(clients[2].samples == 50 && clients[2].selected == 1);
    rd_store_close(store);
    /* The counts are kept apart from the participations: they must agree. */
    cr_assert_str_eq(query("SELECT count(*) FROM clients c WHERE selected <> (SELECT count(*) FROM participation "
                           "WHERE client = c.id) OR counted <> (SELECT count(*) FROM participation WHERE client = "
                           "c.id AND status = 'counted')"),
                     "0");
}

/* Texts go into a row's digest with the zero that ends each: SHA-256 of 61 62 00 63 00, by sha256sum. */
Test(store, a_digest_holds_each_text_and_where_it_ends)
{
    rd_sha256 d;
    char hex[RD_SHA256_HEX];
    rd_sha256_start(&d);
    rd_store_digest_text(&d, "ab");
    rd_store_digest_text(&d, "c");
    rd_sha256_finish_hex(&d, hex);
    cr_assert_str_eq(hex, "629c2f14f654f026086f2aefe1855533d0897f49df86a19073be17b237361b09");
}

Test(store, participations_are_read_back_as_they_were_written)
{
    rd_error error = {0};
    rd_participation_record back[3], *end = back;
    rd_store *store = open_run();
    rd_participation_record parts[] = {part("a", RD_PART_COUNTED, 600), part("b", RD_PART_FAILED, 0),
                                       part("c", RD_PART_COUNTED, 1)};
    parts[0].report.running_loss = 0.7;
    parts[0].report.before = (rd_metrics){540, 0.5, 0.25};
    parts[0].report.holdout = (rd_metrics){60, 0.6, NAN};
    parts[0].report.delta_norm = 3.5;
    parts[0].report.seconds = NAN;
    parts[0].bytes_in = 796840;
    parts[0].seconds = 1.25;
    (void)snprintf(parts[1].reason, sizeof parts[1].reason, "%s", "tensor 'fc1.bias': element 17 is NaN");
    parts[1].seconds = NAN;
    rd_round_record r = plain_round(1);
    cr_assert(rd_store_commit_round(store, &r, parts, 3, 0, &error) == RD_OK, "%s", error.message);
    cr_assert(rd_store_participations(store, 1, keep_part, &end, &error) == RD_OK);
    cr_assert(end - back == 3);
    cr_assert_eq(back[2].report.samples, 1); /* one is enough for a report */
    cr_assert(back[0].round == 1 && back[0].status == RD_PART_COUNTED);
    cr_assert_str_eq(back[0].client, "a");
    cr_assert_str_eq(back[0].reason, "");
    const rd_report *report = &back[0].report;
    cr_assert(report->samples == 600 && report->running_loss == 0.7 && report->delta_norm == 3.5);
    cr_assert(report->before.samples == 540 && report->before.loss == 0.5 && report->before.accuracy == 0.25);
    cr_assert(report->holdout.samples == 60 && report->holdout.loss == 0.6 && isnan(report->holdout.accuracy));
    cr_assert(isnan(report->seconds) && back[0].bytes_in == 796840 && back[0].seconds == 1.25);
    cr_assert(back[1].status == RD_PART_FAILED && isnan(back[1].seconds));
    cr_assert_str_eq(back[1].reason, parts[1].reason);
    cr_assert(back[1].report.samples == 0 && back[1].report.running_loss == 0.0);
    end = back;
    cr_assert(rd_store_participations(store, 2, keep_part, &end, &error) == RD_OK && end == back);
    rd_store_close(store);
    cr_assert_str_eq(query("SELECT client_name || ' ' || status FROM participation_by_name ORDER BY client LIMIT 1"),
                     "a counted");
}

Test(store, a_commit_that_fails_leaves_nothing_behind)
{
    rd_error error = {0};
    rd_store *store = open_run();
    rd_round_record r = plain_round(1);
    rd_participation_record twice[] = {part("a", RD_PART_COUNTED, 1), part("b", RD_PART_COUNTED, 1),
                                       part("a", RD_PART_COUNTED, 1)};
    cr_assert(rd_store_commit_round(store, &r, twice, 3, 0, &error) == RD_ERR_INTERNAL);
    cr_assert(strstr(error.message, "'a'") != NULL, "%s", error.message);
    cr_assert_str_eq(query("SELECT (SELECT count(*) FROM rounds) || (SELECT count(*) FROM clients) || "
                           "(SELECT count(*) FROM participation)"),
                     "000");
    cr_assert(rd_store_commit_round(store, &r, twice, 2, 0, &error) == RD_OK, "%s", error.message);
    rd_store_close(store);
    cr_assert_str_eq(query("SELECT count(*) FROM participation"), "2");
}

Test(store, hostile_names_are_just_names)
{
    rd_error error = {0};
    rd_client_record clients[1], *end = clients;
    rd_store *store = open_run();
    rd_join join = {.samples = 1};
    cr_assert(rd_store_client(store, "'; DROP TABLE clients; --", &join, 1.0, &error) == RD_OK);
    cr_assert(rd_store_clients(store, keep_client, &end, &error) == RD_OK);
    cr_assert_str_eq(clients[0].client, "'; DROP TABLE clients; --");
    rd_store_close(store);
}

/* ---- model files ---- */

static void put_model(rd_store *store, uint64_t round)
{
    rd_error ignored;
    char path[1024];
    rd_store_model_path(store, round, path, sizeof path);
    cr_assert(rd_file_write(path, "model", 5, &ignored) == RD_OK);
}

Test(store, the_newest_two_models_and_the_retained_ones_stay)
{
    rd_error ignored;
    rd_store *store = open_run();
    for (uint64_t r = 0; r <= 7; r++) {
        put_model(store, r);
        commit(store, r, true, 3);
    }
    cr_assert(rd_store_finish(store, &ignored) == RD_OK);
    rd_store_close(store);
    static const bool stays[] = {true, false, false, true, false, false, true, true};
    for (int r = 0; r <= 7; r++) {
        char name[40];
        (void)snprintf(name, sizeof name, "models/%06d.safetensors", r);
        cr_assert(has_file(name) == stays[r], "%s", name);
    }
}

/* Rounds 0, 4 and 8 reach the disk, and then files are deleted; at 4 the model of round 1 is the best, at 8
 * that of round 5. */
Test(store, the_best_model_stays_until_there_is_a_better_one)
{
    rd_error ignored;
    rd_store *store = open_run();
    for (uint64_t r = 0; r <= 9; r++) {
        put_model(store, r);
        rd_store_pin(store, r < 1 ? 0 : r < 6 ? 1 : 5);
        commit(store, r, true, 4);
        if (r == 4)
            cr_assert(has_file("models/000001.safetensors") && !has_file("models/000002.safetensors"));
    }
    cr_assert(rd_store_finish(store, &ignored) == RD_OK);
    rd_store_close(store);
    static const bool stays[] = {true, false, false, false, true, true, false, false, true, true};
    for (int r = 0; r <= 9; r++) {
        char name[40];
        (void)snprintf(name, sizeof name, "models/%06d.safetensors", r);
        cr_assert(has_file(name) == stays[r], "%s", name);
    }
}

Test(store, abandoned_rounds_do_not_push_out_the_model_in_use)
{
    rd_error ignored;
    rd_store *store = open_run();
    put_model(store, 0);
    commit(store, 0, true, 0);
    put_model(store, 1);
    commit(store, 1, true, 0);
    for (uint64_t r = 2; r < 8; r++)
        commit(store, r, false, 0);
    cr_assert(has_file("models/000000.safetensors") && has_file("models/000001.safetensors"));
    put_model(store, 8);
    commit(store, 8, true, 0);
    cr_assert(rd_store_finish(store, &ignored) == RD_OK);
    cr_assert(!has_file("models/000000.safetensors"));
    cr_assert(has_file("models/000001.safetensors") && has_file("models/000008.safetensors"));
    rd_store_close(store);
}

/* ---- what waits for the disk ---- */

/* Stands in for the one of libc, for the store and for SQLite, and writes down what it was called for. */
static char synced[4096];
static const char *sync_fails; /* what ends so does not reach the disk; NULL: all does */

static int note_sync(int fd)
{
    char link[64], path[256] = "";
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    const char *name = length > 0 && strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    size_t at = strlen(synced);
    (void)snprintf(synced + at, sizeof synced - at, "%s ", name);
    if (sync_fails != NULL && strcmp(name, sync_fails) == 0) {
        errno = EIO;
        return -1;
    }
    return 0;
}

int fsync(int fd)
{
    return note_sync(fd);
}

int fdatasync(int fd)
{
    return note_sync(fd);
}

static void put_version(const char *number)
{
    static const char *const endings[] = {"", ".packed", ".server"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "models/%s%s.safetensors", number, endings[i]);
        put_file(name, "tensors");
    }
}

Test(store, all_that_a_round_needs_is_on_the_disk_before_the_database_says_so)
{
    rd_store *store = open_run();
    put_file("models/frozen.safetensors", "tensors");
    put_version("000000");
    synced[0] = '\0';
    commit(store, 0, true, 1);
    static const char first[] = "frozen.safetensors 000000.packed.safetensors 000000.server.safetensors "
                                "000000.safetensors models rondo.db-wal ";
    cr_assert(strncmp(synced, first, strlen(first)) == 0, "%s", synced);
    put_version("000001");
    synced[0] = '\0';
    commit(store, 1, true, 1);
    static const char second[] =
        "000001.packed.safetensors 000001.server.safetensors 000001.safetensors models rondo.db-wal ";
    cr_assert(strncmp(synced, second, strlen(second)) == 0, "%s", synced);
    rd_store_close(store);
}

Test(store, what_does_not_reach_the_disk_is_not_committed)
{
    static const char *const names[] = {"000001.packed.safetensors", "000001.server.safetensors", "000001.safetensors",
                                        "models"};
    rd_error error = {0};
    rd_store *store = open_run();
    commit(store, 0, true, 1);
    put_version("000001");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        rd_round_record r = plain_round(1);
        sync_fails = names[i];
        cr_assert_eq(rd_store_commit_round(store, &r, NULL, 0, 1, &error), RD_ERR_IO, "%s", names[i]);
        cr_assert_str_eq(query("SELECT max(round) FROM rounds"), "0");
    }
    rd_round_record r = plain_round(1);
    cr_assert_eq(rd_store_commit_round(store, &r, NULL, 0, 2, &error), RD_OK, "this commit does not wait");
    rd_store_close(store);
    cr_assert(has_file("rondo.db-wal"), "the log has a round whose files are not on the disk");
    sync_fails = NULL;
    commit(store = open_run(), 2, true, 1);
    rd_store_close(store);
    cr_assert_not(has_file("rondo.db-wal"));
}

/* ---- crashes ---- */

/* A child commits rounds as fast as it can, says each on a pipe once it is committed, and is killed. */
Test(store, kill_9_loses_nothing_that_was_committed)
{
    rd_error ignored;
    int ends[2];
    uint64_t told = 0, n, last = 0;
    bool found = false;
    cr_assert(pipe(ends) == 0);
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        rd_store *store = open_run();
        rd_participation_record parts[] = {part("a", RD_PART_COUNTED, 1), part("b", RD_PART_LATE, 0)};
        for (n = 0;; n++) {
            rd_round_record r = plain_round(n);
            if (rd_store_commit_round(store, &r, parts, 2, 0, &ignored) != RD_OK ||
                write(ends[1], &n, sizeof n) != sizeof n)
                _exit(1);
        }
    }
    close(ends[1]);
    while (told < 25 && read(ends[0], &n, sizeof n) == sizeof n)
        told = n;
    cr_assert(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    while (read(ends[0], &n, sizeof n) == sizeof n)
        told = n;
    close(ends[0]);
    rd_store *store = open_run(); /* the lock went with the process */
    cr_assert(rd_store_last_round(store, &last, &found, &ignored) == RD_OK);
    cr_assert(found && told >= 25 && last >= told, "told %llu, has %llu", (unsigned long long)told,
              (unsigned long long)last);
    rd_store_close(store);
    cr_assert_str_eq(query("PRAGMA integrity_check"), "ok");
    cr_assert_str_eq(query("SELECT count(*) FROM participation WHERE round NOT IN (SELECT round FROM rounds)"), "0");
    cr_assert_str_eq(query("SELECT 2 * (SELECT count(*) FROM rounds) = (SELECT count(*) FROM participation)"), "1");
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static rd_participation_record *thousand_parts(void)
{
    rd_participation_record *parts = calloc(1000, sizeof *parts);
    cr_assert(parts != NULL);
    for (int i = 0; i < 1000; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "client-%d", i);
        parts[i] = part(name, RD_PART_COUNTED, 600);
    }
    return parts;
}

/* A limit on the size of files stands for the full disk: writes beyond it fail. */
Test(store, a_full_disk_fails_the_commit_which_can_be_repeated)
{
    rd_error error = {0};
    struct rlimit normal, tight;
    rd_store *store = open_run();
    commit(store, 0, true, 0);
    rd_participation_record *parts = thousand_parts();
    rd_round_record r = plain_round(1);
    cr_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && getrlimit(RLIMIT_FSIZE, &normal) == 0);
    tight = normal;
    tight.rlim_cur = 64 * 1024;
    cr_assert(setrlimit(RLIMIT_FSIZE, &tight) == 0);
    cr_assert(rd_store_commit_round(store, &r, parts, 1000, 0, &error) == RD_ERR_IO, "%s", error.message);
    cr_assert(strstr(error.message, "rondo.db") != NULL, "%s", error.message);
    cr_assert(setrlimit(RLIMIT_FSIZE, &normal) == 0);
    cr_assert_str_eq(query("SELECT max(round) FROM rounds"), "0");
    cr_assert(rd_store_commit_round(store, &r, parts, 1000, 0, &error) == RD_OK, "%s", error.message);
    rd_store_close(store);
    free(parts);
    cr_assert_str_eq(query("SELECT count(*) FROM participation WHERE round = 1"), "1000");
}

/* ---- size (figures are for the log; no test depends on time) ---- */

Test(store, a_cohort_of_1000_in_one_transaction)
{
    rd_error ignored;
    rd_store *store = open_run();
    rd_participation_record *parts = thousand_parts();
    commit(store, 0, true, 0);
    double start = seconds_now();
    for (uint64_t n = 1; n <= 10; n++) {
        rd_round_record r = plain_round(n);
        cr_assert(rd_store_commit_round(store, &r, parts, 1000, 0, &ignored) == RD_OK);
    }
    cr_log_info("a round with a cohort of 1000: %.1f ms", 100.0 * (seconds_now() - start));
    rd_store_close(store);
    free(parts);
    cr_assert_str_eq(query("SELECT sum(selected) FROM clients"), "10000");
}

Test(store, many_clients_join)
{
    rd_error error = {0};
    rd_join join = {.samples = 10};
    rd_store *store = open_run();
    double start = seconds_now();
    for (int i = 0; i < 20000; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "client-%d", i);
        cr_assert(rd_store_client(store, name, &join, 1.0, &error) == RD_OK, "%s", error.message);
    }
    cr_log_info("20,000 clients joined in %.3f s", seconds_now() - start);
    commit(store, 0, true, 0);
    rd_store_close(store);
    cr_assert_str_eq(query("SELECT count(*) FROM clients"), "20000");
}
