/* The database of a state directory that a disk, or somebody with an editor, has changed. A run of three rounds is
 * written once; an input is a list of changes to it, four bytes each: of bytes of the file, or, where the first byte is
 * odd, of values in its tables. Whatever is read of it is in range, or is refused with a reason. */
#include <fcntl.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "store/store.h"

static const char run_json[] = "{\"name\": \"fuzz\", \"rounds\": 3, \"training\": {\"learning_rate\": 0.1}, "
                               "\"model\": {\"preset\": \"linear-regression\", \"input\": 2}}";

static char folder[64], database[80];
static char *original;
static size_t original_size;

static void check(int holds)
{
    if (!holds)
        abort();
}

static void remove_database(void)
{
    static const char *const endings[] = {"rondo.db", "rondo.db-wal", "rondo.db-shm", "lock"};
    char path[128];
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, endings[i]);
        (void)unlink(path);
    }
}

static void remove_folder(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    check(system(command) == 0);
}

static rd_config make_config(void)
{
    rd_config c;
    rd_error err;
    check(rd_config_parse(run_json, sizeof run_json - 1, "run.json", NULL, &c, &err) == RD_OK);
    return c;
}

static void make_original(void)
{
    rd_store *s = NULL;
    rd_error err;
    bool resumed;
    rd_config c = make_config();
    rd_join join = {.protocol = 1, .samples = 7, .software = "fuzz"};
    (void)snprintf(folder, sizeof folder, "/dev/shm/rondo-fuzz-database-%d", (int)getpid());
    (void)snprintf(database, sizeof database, "%s/rondo.db", folder);
    check(rd_store_open(folder, &c, 0, &s, &resumed, &err) == RD_OK);
    check(atexit(remove_folder) == 0);
    check(rd_store_client(s, "alice", &join, 1.5, &err) == RD_OK);
    for (uint64_t round = 0; round <= 3; round++) {
        rd_round_record r = {.round = round,
                             .aggregated = true,
                             .gap = NAN,
                             .running_loss = 0.5,
                             .selected = round > 0,
                             .counted = round > 0,
                             .scores = rd_scores_none(),
                             .clock = NAN,
                             .attack_success = NAN};
        rd_participation_record part = {.round = round, .client = "alice", .status = RD_PART_COUNTED};
        check(rd_store_commit_round(s, &r, &part, round > 0, 0, &err) == RD_OK);
    }
    rd_store_close(s);
    rd_config_free(&c);
    check(rd_file_read(database, 1 << 20, &original, &original_size, &err) == RD_OK);
}

static void write_database(const uint8_t *changes, size_t count, bool of_bytes)
{
    char *copy = malloc(original_size);
    check(copy != NULL);
    memcpy(copy, original, original_size);
    for (size_t i = 0; of_bytes && i + 4 <= count; i += 4) {
        const size_t at = (changes[i] | (size_t)changes[i + 1] << 8 | (size_t)changes[i + 2] << 16) % original_size;
        copy[at] = (char)changes[i + 3];
    }
    remove_database();
    int fd = open(database, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    check(fd >= 0 && write(fd, copy, original_size) == (ssize_t)original_size && close(fd) == 0);
    free(copy);
}

/* A value that no program of Rondo writes there. */
static const char *const values[] = {
    "NULL", "-1",      "9223372036854775807", "1e300", "-1e300", "0.5", "'abc'", "x'00'",
    "''",   "'\x1b['", "hex(zeroblob(500))",  "0"};

static void change_values(const uint8_t *changes, size_t count)
{
    static const char *const columns = "SELECT m.name, c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c "
                                       "WHERE m.type = 'table' ORDER BY 1, c.cid";
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    char names[128][160];
    size_t known = 0;
    check(sqlite3_open(database, &db) == SQLITE_OK);
    check(sqlite3_exec(db, "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF",
                       NULL, NULL, NULL) == SQLITE_OK);
    check(sqlite3_prepare_v2(db, columns, -1, &statement, NULL) == SQLITE_OK);
    while (known < 128 && sqlite3_step(statement) == SQLITE_ROW)
        (void)snprintf(names[known++], sizeof names[0], "UPDATE %s SET %s = %%s WHERE rowid %% 4 = %%d",
                       (const char *)sqlite3_column_text(statement, 0),
                       (const char *)sqlite3_column_text(statement, 1));
    sqlite3_finalize(statement);
    check(known > 0);
    for (size_t i = 0; i + 4 <= count && i < 32; i += 4) {
        char sql[320];
        const char *value = values[changes[i + 1] % (sizeof values / sizeof *values)];
        char *at = strstr(names[changes[i] % known], "%s");
        (void)snprintf(sql, sizeof sql, "%.*s%s WHERE rowid %% 4 = %d", (int)(at - names[changes[i] % known]),
                       names[changes[i] % known], value, changes[i + 2] % 4);
        (void)sqlite3_exec(db, sql, NULL, NULL, NULL); /* some of them SQLite itself refuses */
    }
    sqlite3_close(db);
}

/* ---- what is read ---- */

static bool see_round(const rd_round_record *r, void *user)
{
    (void)user;
    check(memchr(r->model_sha256, '\0', sizeof r->model_sha256) != NULL);
    check(memchr(r->abandoned, '\0', sizeof r->abandoned) != NULL && r->round <= INT64_MAX);
    return true;
}

static bool see_participation(const rd_participation_record *p, void *user)
{
    (void)user;
    check(memchr(p->client, '\0', sizeof p->client) != NULL && memchr(p->reason, '\0', sizeof p->reason) != NULL);
    check(p->status == RD_PART_COUNTED || p->status == RD_PART_LATE || p->status == RD_PART_FAILED);
    return true;
}

static bool see_client(const rd_client_record *c, void *user)
{
    (void)user;
    check(memchr(c->client, '\0', sizeof c->client) != NULL && memchr(c->software, '\0', sizeof c->software) != NULL);
    return true;
}

static bool see_change(const rd_change_record *c, void *user)
{
    (void)user;
    check(memchr(c->key, '\0', sizeof c->key) != NULL && memchr(c->before, '\0', sizeof c->before) != NULL);
    return true;
}

static bool see_entry(const rd_account_line *line, void *user)
{
    (void)user;
    check(line->entry != NULL && line->sha256 != NULL);
    return true;
}

static bool see_round_of(const char *client, uint64_t round, uint64_t missed, void *user)
{
    (void)user;
    check(client != NULL && round <= INT64_MAX && missed <= INT64_MAX);
    return true;
}

static void wrong(void *user, const char *text)
{
    (void)user;
    check(text[0] != '\0');
}

static void told(rd_status status, const rd_error *err)
{
    check(status == RD_OK || (status == err->status && err->message[0] != '\0'));
}

static void read_all(void)
{
    rd_store *s = NULL;
    rd_error err = {RD_OK, ""};
    rd_run_record run = {0};
    char *schema = NULL;
    uint64_t number;
    bool found;
    rd_check_report report;
    const rd_check_listener listener = {.wrong = wrong};
    rd_status status = rd_store_open_reader(folder, &s, &err);
    told(status, &err);
    if (status != RD_OK)
        return;
    told(rd_store_run(s, &run, &err), &err);
    told(rd_store_rounds(s, 0, see_round, NULL, &err), &err);
    told(rd_store_participations(s, 2, see_participation, NULL, &err), &err);
    told(rd_store_clients(s, see_client, NULL, &err), &err);
    told(rd_store_changes(s, see_change, NULL, &err), &err);
    told(rd_store_account(s, 1, see_entry, NULL, &err), &err);
    told(rd_store_last_counted(s, see_round_of, NULL, &found, &err), &err);
    told(rd_store_missed(s, see_round_of, NULL, &found, &err), &err);
    told(rd_store_data_schema(s, &schema, &err), &err);
    told(rd_store_last_model(s, &number, &found, &err), &err);
    (void)rd_store_missing_rounds(s);
    rd_run_record_free(&run);
    free(schema);
    rd_store_close(s);
    told(rd_store_check(folder, NULL, &listener, &report, &err), &err);
}

static void write_on(void)
{
    rd_store *s = NULL;
    rd_error err = {RD_OK, ""};
    bool resumed;
    rd_config c = make_config();
    told(rd_store_open(folder, &c, 0, &s, &resumed, &err), &err);
    rd_store_close(s);
    rd_config_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count < 1)
        return 0;
    if (original == NULL)
        make_original();
    const bool of_bytes = bytes[0] % 2 == 0;
    write_database(bytes + 1, count - 1, of_bytes);
    if (!of_bytes)
        change_values(bytes + 1, count - 1);
    read_all();
    if (bytes[0] & 2)
        write_on();
    return 0;
}
