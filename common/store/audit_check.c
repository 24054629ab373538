/* audit_check.c: is the account of a run what it was, and is it the account of this run?
 *
 * First the chain: numbers without a gap, each SHA-256 that of the entry and the one before. Then what it says, against
 * the record: each round of the database is the newest entry of that round, with the same model, the same row and the
 * same participants; rounds follow each other, but where an entry says that the run went back. Both are looked at as
 * of one moment, while the run may be going on. */
#include "store/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/grow.h"

typedef struct audit_check {
    rd_store *store;
    const rd_check_listener *listener;
    rd_check_report *report;
    char before[RD_SHA256_HEX];
    const char *expected;  /* a SHA-256 that one of the entries has to have; NULL: none */
    bool met;              /* it has come */
    uint64_t *entries;     /* (rounds) number of the newest entry of each round; 0: none */
    uint64_t rounds, next; /* next: the round that has to come */
    size_t capacity;
    bool broken;                    /* the chain is, and what follows is not looked at */
    rd_participation_record *parts; /* of one round, from the record */
    size_t part_count, part_capacity;
    rd_error trouble; /* no memory */
} audit_check;

static void say(audit_check *c, const char *text)
{
    c->report->wrong++;
    c->listener->wrong(c->listener->user, text);
}

static const char *text_of(const cJSON *entry, const char *key)
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, key));
    return value != NULL ? value : "";
}

static uint64_t count_of(const cJSON *entry, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(entry, key);
    const bool fits = cJSON_IsNumber(value) && value->valuedouble >= 0 && value->valuedouble < 1e15;
    return fits ? (uint64_t)value->valuedouble : 0;
}

/* ---- the chain, and the order of rounds ---- */

static void check_begin(audit_check *c, const cJSON *entry)
{
    if (strcmp(text_of(entry, "event"), "begun") != 0 || strcmp(text_of(entry, "run"), rd_store_run_id(c->store)) != 0)
        say(c, "the account: its first entry is not the beginning of this run");
}

static void take_round(audit_check *c, const rd_account_line *line, uint64_t round)
{
    char text[200];
    if (round != c->next) {
        (void)snprintf(text, sizeof text,
                       "the account: entry %" PRIu64 " is round %" PRIu64 ", expected round %" PRIu64, line->number,
                       round, c->next);
        say(c, text);
        c->broken = true; /* no round of this number may have come, or a great many */
        return;
    }
    if (rd_grow(&c->entries, &c->capacity, round + 1, sizeof *c->entries, "rounds", &c->trouble) != RD_OK)
        return;
    c->entries[round] = line->number;
    c->rounds = c->next = round + 1;
}

static bool visit(const rd_account_line *line, void *user)
{
    audit_check *c = user;
    char own[RD_SHA256_HEX], text[200];
    const uint64_t number = ++c->report->entries;
    rd_audit_link(c->before, line->entry, own);
    if (line->number != number || strcmp(own, line->sha256) != 0) {
        (void)snprintf(text, sizeof text, "the account: entry %" PRIu64 " %s", number,
                       line->number != number ? "is not there" : "is not what was written, or one before it is not");
        say(c, text);
        c->broken = true;
        return false;
    }
    memcpy(c->before, own, sizeof own);
    c->met = c->met || (c->expected != NULL && strcmp(own, c->expected) == 0);
    cJSON *entry = cJSON_Parse(line->entry);
    if (number == 1)
        check_begin(c, entry);
    const char *event = text_of(entry, "event");
    if (strcmp(event, "round") == 0)
        take_round(c, line, count_of(entry, "round"));
    else if (strcmp(event, "changed") == 0 && strcmp(text_of(entry, "key"), "state") == 0 && c->rounds > 0)
        c->rounds = c->next = count_of(entry, "round") + 1 < c->rounds ? count_of(entry, "round") + 1 : c->rounds;
    cJSON_Delete(entry);
    return !c->broken && c->trouble.status == RD_OK;
}

/* ---- against the record ---- */

static bool take_part(const rd_participation_record *p, void *user)
{
    audit_check *c = user;
    if (rd_grow(&c->parts, &c->part_capacity, c->part_count + 1, sizeof *c->parts, "participations", &c->trouble) !=
        RD_OK)
        return false;
    c->parts[c->part_count++] = *p;
    return true;
}

typedef struct one_entry {
    uint64_t number;
    cJSON *entry;
    char *text;
} one_entry;

static bool take_entry(const rd_account_line *line, void *user)
{
    one_entry *one = user;
    if (line->number != one->number)
        return false;
    one->entry = cJSON_Parse(line->entry);
    one->text = strdup(line->entry);
    return false;
}

/* Does the entry say the same of who took part? That comes last in it. */
static bool ends_with(const char *text, const rd_audit_entry *parts)
{
    const size_t length = strlen(text);
    return length > parts->length && strncmp(text + length - 1 - parts->length, parts->parts, parts->length) == 0;
}

static rd_status check_round(audit_check *c, const rd_round_record *r, rd_error *err)
{
    rd_status status = RD_OK;
    char text[160];
    const char *what = NULL;
    rd_audit_entry expected = {0};
    one_entry found = {.number = r->round < c->rounds ? c->entries[r->round] : 0};
    c->part_count = 0;
    RD_TRY(rd_store_participations(c->store, r->round, take_part, c, err));
    if (found.number > 0)
        RD_TRY(rd_store_account(c->store, found.number, take_entry, &found, err));
    rd_audit_parts(&expected, c->parts, c->part_count);
    if (expected.failed || c->trouble.status != RD_OK || (found.number > 0 && found.text == NULL))
        RD_THROW(RD_ERR_MEMORY, "no memory to check the account of round %" PRIu64, r->round);
    if (found.entry == NULL)
        what = "the account has no entry of it";
    else if (strcmp(text_of(found.entry, "model"), r->model_sha256) != 0)
        what = "the account has another SHA-256 of its model";
    else if (strcmp(text_of(found.entry, "record"), r->row_sha256) != 0)
        what = "the account has another SHA-256 of its row";
    else if (!ends_with(found.text, &expected))
        what = "the account tells other things of who took part";
    if (what != NULL) {
        (void)snprintf(text, sizeof text, "round %" PRIu64 ": %s", r->round, what);
        say(c, text);
    }
cleanup:
    cJSON_Delete(found.entry);
    free(found.text);
    rd_audit_drop(&expected);
    return status;
}

static bool visit_round(const rd_round_record *r, void *user)
{
    audit_check *c = user;
    if (c->trouble.status == RD_OK && check_round(c, r, &c->trouble) != RD_OK)
        return false;
    c->next = r->round + 1;
    return c->trouble.status == RD_OK;
}

rd_status rd_audit_check(rd_store *s, const char *expected, const rd_check_listener *listener, rd_check_report *report,
                         rd_error *err)
{
    rd_status status = RD_OK;
    audit_check c = {.store = s, .listener = listener, .report = report, .expected = expected};
    rd_audit_start(c.before);
    RD_TRY(rd_store_execute(s, "BEGIN", "be read", err)); /* all that follows is of one moment */
    status = rd_store_account(s, 1, visit, &c, err);
    memcpy(report->last, c.before, sizeof report->last);
    if (status == RD_OK && !c.broken && report->entries == 0)
        say(&c, "the account is empty");
    if (status == RD_OK && expected != NULL && !c.met)
        say(&c, "the account: none of its entries has the SHA-256 that was given; it has been cut or written anew");
    c.next = 0;
    if (status == RD_OK && !c.broken)
        status = rd_store_rounds(s, 0, visit_round, &c, err);
    if (status == RD_ERR_FORMAT) /* a row that is damaged, which has been told */
        status = RD_OK;
    else if (status == RD_OK && !c.broken && c.trouble.status == RD_OK && c.next < c.rounds)
        say(&c, "the account has more rounds than the record");
    if (status == RD_OK && c.trouble.status != RD_OK)
        status = rd_fail(err, c.trouble.status, "%s", c.trouble.message);
    rd_status ended = rd_store_execute(s, "COMMIT", "end reading", status == RD_OK ? err : &(rd_error){0});
    status = status == RD_OK ? ended : status;
cleanup:
    free(c.entries);
    free(c.parts);
    return status;
}
