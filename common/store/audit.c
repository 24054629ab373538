/* audit.c: the account of a run: an entry for all that happens, in the order in which it happened, which nobody can
 * change, take out or put in later without its being seen. Each entry has a SHA-256 of its text and of the SHA-256
 * before it, so that the last one stands for all of them: whoever has noted it elsewhere can prove the whole.
 *
 * The account is a table of the database and no file beside it. So an entry and the rows that it tells of are one
 * transaction: whatever is killed and when, the account agrees with the record, and has no torn line. Rounds that are
 * given up after a loss of power stay in it, followed by an entry that says so. It is read as JSON Lines by
 * `rondo-inspect audit`, and checked by audit_check.c. */
#include "store/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/json_print.h"
#include "core/clock.h"
#include "core/grow.h"
#include "format/foreign.h"

/* ---- an entry ---- */

static void note(rd_audit_entry *e, bool done)
{
    e->failed = e->failed || !done;
}

rd_audit_entry rd_audit_begin(const char *event)
{
    rd_audit_entry e = {.object = cJSON_CreateObject()};
    note(&e, e.object != NULL);
    note(&e, cJSON_AddNumberToObject(e.object, "at", rd_clock_unix()) != NULL);
    rd_audit_text(&e, "event", event);
    return e;
}

void rd_audit_text(rd_audit_entry *e, const char *key, const char *value)
{
    note(e, cJSON_AddStringToObject(e->object, key, value) != NULL);
}

void rd_audit_count(rd_audit_entry *e, const char *key, uint64_t value)
{
    note(e, cJSON_AddNumberToObject(e->object, key, (double)value) != NULL);
}

void rd_audit_json(rd_audit_entry *e, const char *key, const cJSON *value)
{
    cJSON *copy = cJSON_Duplicate(value, true);
    note(e, copy != NULL && cJSON_AddItemToObject(e->object, key, copy));
    /* A copy that could not be added is lost with the entry, which is refused. */
}

/* ---- who took part: written by hand, for there may be thousands of them in each of many rounds a second ---- */

static void add_bytes(rd_audit_entry *e, const char *bytes, size_t count)
{
    rd_error ignored;
    note(e, rd_grow(&e->parts, &e->capacity, e->length + count + 1, 1, "an entry", &ignored) == RD_OK);
    if (e->failed)
        return;
    memcpy(e->parts + e->length, bytes, count);
    e->length += count;
    e->parts[e->length] = '\0';
}

static void add(rd_audit_entry *e, const char *text)
{
    add_bytes(e, text, strlen(text));
}

/* What is plain has neither control characters nor anything but UTF-8, so two characters are left to be escaped. */
static void add_string(rd_audit_entry *e, const char *value)
{
    char plain[256];
    (void)snprintf(plain, sizeof plain, "%s", value);
    rd_foreign_plain(plain);
    add(e, "\"");
    for (const char *rest = plain; *rest != '\0';) {
        const size_t usual = strcspn(rest, "\"\\");
        add_bytes(e, rest, usual);
        rest += usual;
        if (*rest != '\0') {
            add_bytes(e, "\\", 1);
            add_bytes(e, rest++, 1);
        }
    }
    add(e, "\"");
}

/* ["alice",600,600,"9f86..."]: samples, weight, and the digest of the update where it is known; late: "bob"; failed:
 * ["eve","why"]. */
static void add_part(rd_audit_entry *e, const rd_participation_record *p)
{
    char numbers[64];
    if (p->status == RD_PART_LATE) {
        add_string(e, p->client);
        return;
    }
    add(e, "[");
    add_string(e, p->client);
    if (p->status == RD_PART_COUNTED) {
        (void)snprintf(numbers, sizeof numbers, ",%" PRIu64 ",%" PRIu32, p->report.samples, p->weight);
        add(e, numbers);
    }
    const char *last = p->status == RD_PART_COUNTED ? p->update_sha256 : p->reason;
    if (last[0] != '\0') {
        add(e, ",");
        add_string(e, last);
    }
    add(e, "]");
}

static int by_name(const void *a, const void *b)
{
    const rd_participation_record *const *x = a, *const *y = b;
    return strcmp((*x)->client, (*y)->client);
}

void rd_audit_parts(rd_audit_entry *e, const rd_participation_record *parts, size_t count)
{
    static const rd_participation kinds[] = {RD_PART_COUNTED, RD_PART_LATE, RD_PART_FAILED};
    const rd_participation_record **sorted = malloc((count + 1) * sizeof(*sorted));
    note(e, sorted != NULL);
    for (size_t i = 0; sorted != NULL && i < count; i++)
        sorted[i] = &parts[i];
    if (sorted != NULL)
        qsort(sorted, count, sizeof(*sorted), by_name); /* in no order of arrival, so that it can be compared */
    for (size_t k = 0; sorted != NULL && k < sizeof kinds / sizeof *kinds; k++) {
        size_t listed = 0;
        add(e, k == 0 ? "\"" : ",\"");
        add(e, rd_participation_name(kinds[k]));
        add(e, "\":[");
        for (size_t i = 0; i < count; i++)
            if (sorted[i]->status == kinds[k]) {
                add(e, listed++ > 0 ? "," : "");
                add_part(e, sorted[i]);
            }
        add(e, "]");
    }
    free(sorted);
}

/* ---- the chain ---- */

void rd_audit_link(const char before[RD_SHA256_HEX], const char *text, char own[RD_SHA256_HEX])
{
    rd_sha256 digest;
    rd_sha256_start(&digest);
    rd_sha256_add(&digest, before, strlen(before));
    rd_sha256_add(&digest, text, strlen(text));
    rd_sha256_finish_hex(&digest, own);
}

void rd_audit_start(char first[RD_SHA256_HEX])
{
    memset(first, '0', RD_SHA256_HEX - 1);
    first[RD_SHA256_HEX - 1] = '\0';
}

/* A database that was changed may hold anything. */
static const char *column(sqlite3_stmt *statement, int place)
{
    const unsigned char *text = sqlite3_column_text(statement, place);
    return text != NULL ? (const char *)text : "";
}

static rd_status last_entry(rd_store *s, sqlite3_int64 *number, char sha256[RD_SHA256_HEX], rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    rd_status status = rd_store_statement(s, RD_SQL_LAST_ENTRY, &statement, err);
    if (status != RD_OK)
        return status;
    *number = 0;
    rd_audit_start(sha256);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *number = sqlite3_column_int64(statement, 0);
        (void)snprintf(sha256, RD_SHA256_HEX, "%s", column(statement, 1));
    } else if (code != SQLITE_DONE) {
        status = rd_store_fail(s, code, "read its account", err);
    }
    sqlite3_reset(statement);
    return status;
}

void rd_audit_drop(rd_audit_entry *e)
{
    cJSON_Delete(e->object);
    free(e->parts);
    *e = (rd_audit_entry){0};
}

/* The entry as text, to be freed by cJSON_free; NULL: no memory. Who took part comes last. */
static char *print_entry(const rd_audit_entry *e)
{
    char *text = e->failed ? NULL : rd_json_print(e->object);
    if (text == NULL)
        return NULL;
    rd_foreign_plain(text); /* what it does to names and reasons leaves JSON what it is */
    if (e->parts == NULL)
        return text;
    const size_t length = strlen(text);
    char *longer = realloc(text, length + e->length + 2);
    if (longer == NULL)
        cJSON_free(text);
    else
        (void)snprintf(longer + length - 1, e->length + 3, ",%s}", e->parts);
    return longer;
}

rd_status rd_audit_put(rd_store *s, rd_audit_entry *e, rd_error *err)
{
    rd_status status = RD_OK;
    sqlite3_int64 number = 0;
    char before[RD_SHA256_HEX], own[RD_SHA256_HEX];
    sqlite3_stmt *statement = NULL;
    char *text = print_entry(e);
    if (text == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for an entry of the account");
    RD_TRY(last_entry(s, &number, before, err));
    RD_TRY(rd_store_statement(s, RD_SQL_ADD_ENTRY, &statement, err));
    rd_audit_link(before, text, own);
    sqlite3_bind_int64(statement, 1, number + 1);
    sqlite3_bind_text(statement, 2, text, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, own, -1, SQLITE_STATIC);
    RD_TRY(rd_store_run_statement(s, statement, "write its account", err));
cleanup:
    cJSON_free(text);
    rd_audit_drop(e);
    return status;
}

rd_status rd_store_note(rd_store *s, const char *event, const char *client, const char *text, rd_error *err)
{
    rd_audit_entry e = rd_audit_begin(event);
    if (client != NULL)
        rd_audit_text(&e, "client", client);
    if (text != NULL && text[0] != '\0')
        rd_audit_text(&e, "why", text);
    rd_status status = rd_store_set_durable(s, false, err);
    if (status != RD_OK) {
        rd_audit_drop(&e);
        return status;
    }
    return rd_audit_put(s, &e, err);
}

rd_status rd_store_account(rd_store *s, uint64_t from, bool (*visit)(const rd_account_line *, void *), void *user,
                           rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    int code;
    rd_status status = rd_store_statement(s, RD_SQL_ENTRIES, &statement, err);
    if (status != RD_OK)
        return status;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)from);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        const rd_account_line line = {.number = (uint64_t)sqlite3_column_int64(statement, 0),
                                      .entry = column(statement, 1),
                                      .sha256 = column(statement, 2)};
        if (!visit(&line, user))
            break;
    }
    status = code == SQLITE_DONE || code == SQLITE_ROW ? RD_OK : rd_store_fail(s, code, "read its account", err);
    sqlite3_reset(statement);
    return status;
}
