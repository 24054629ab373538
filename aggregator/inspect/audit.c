/* audit.c: `rondo-inspect audit`: the account of a run, a line an entry, and whether it is what was written. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "inspect.h"
#include "store/store.h"

typedef struct reading {
    bool jsonl, one_round;
    uint64_t round;
    const char *client; /* NULL: of all */
} reading;

/* Is the name in a list of names, or of lists that begin with one? */
static bool list_names(const cJSON *list, const char *client)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        const cJSON *name = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, 0) : item;
        if (cJSON_IsString(name) && strcmp(name->valuestring, client) == 0)
            return true;
    }
    return false;
}

static bool is_about(const cJSON *entry, const char *client)
{
    const char *own = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "client"));
    return (own != NULL && strcmp(own, client) == 0) ||
           list_names(cJSON_GetObjectItemCaseSensitive(entry, "counted"), client) ||
           list_names(cJSON_GetObjectItemCaseSensitive(entry, "late"), client) ||
           list_names(cJSON_GetObjectItemCaseSensitive(entry, "failed"), client);
}

static bool is_wanted(const reading *r, const cJSON *entry)
{
    const cJSON *round = cJSON_GetObjectItemCaseSensitive(entry, "round");
    if (r->one_round && !(cJSON_IsNumber(round) && round->valuedouble == (double)r->round))
        return false;
    return r->client == NULL || is_about(entry, r->client);
}

/* "17  2026-11-26 19:00:00Z  round  {"round":3,...}": what is common to all in columns, then the rest as it stands. */
static void print_entry(const rd_account_line *line, cJSON *entry)
{
    char when[32] = "";
    const cJSON *at = cJSON_GetObjectItemCaseSensitive(entry, "at");
    const char *event = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "event"));
    const time_t seconds = cJSON_IsNumber(at) ? (time_t)at->valuedouble : 0;
    struct tm utc;
    if (gmtime_r(&seconds, &utc) != NULL)
        (void)strftime(when, sizeof when, "%Y-%m-%d %H:%M:%SZ", &utc);
    (void)printf("%6" PRIu64 "  %s  %-9s", line->number, when, event != NULL ? event : "");
    const char *rest = strstr(line->entry, "\"event\":");
    rest = rest != NULL ? strchr(rest, ',') : NULL;
    (void)printf("  %s%s\n", rest != NULL ? "{" : "", rest != NULL ? rest + 1 : "");
}

static bool visit(const rd_account_line *line, void *user)
{
    const reading *r = user;
    cJSON *entry = cJSON_Parse(line->entry);
    if (is_wanted(r, entry) && r->jsonl)
        (void)printf("{\"number\":%" PRIu64 ",\"sha256\":\"%s\",\"entry\":%s}\n", line->number, line->sha256,
                     line->entry);
    else if (is_wanted(r, entry))
        print_entry(line, entry);
    cJSON_Delete(entry);
    return true;
}

static void print_wrong(void *user, const char *text)
{
    (void)user;
    (void)printf("%s\n", text);
}

static rd_status verify(const char *directory, const char *expected, rd_error *err)
{
    rd_check_report report;
    rd_status status = rd_store_check(directory, expected, &(rd_check_listener){print_wrong, NULL}, &report, err);
    if (status != RD_OK)
        return status;
    if (report.wrong > 0)
        return rd_fail(err, RD_ERR_FORMAT,
                       "%s: its account is not whole, or not what the record says (%" PRIu64 " found)", directory,
                       report.wrong);
    (void)printf("%s: %" PRIu64 " entries are what was written, and %" PRIu64 " rounds and %" PRIu64
                 " models are what they say; the last is\n%s\n",
                 directory, report.entries, report.rounds, report.models, report.last);
    return RD_OK;
}

rd_status inspect_audit(int argc, char **argv, rd_error *err)
{
    bool check = false;
    reading r = {0};
    const char *expected = NULL, *directory = NULL;
    uint64_t round = UINT64_MAX;
    rd_store *store = NULL;
    const rd_option options[] = {
        {.kind = RD_OPTION_FLAG,
         .name = "verify",
         .help = "check instead that nothing of it was changed, and that rounds, participants and models are what it "
                 "says; print the SHA-256 of its last entry",
         .value = &check},
        {.kind = RD_OPTION_TEXT,
         .name = "expect",
         .placeholder = "SHA256",
         .help = "with --verify: one of its entries must have this SHA-256, which was noted before",
         .value = &expected},
        {.kind = RD_OPTION_COUNT,
         .name = "round",
         .placeholder = "N",
         .help = "show only entries about round N",
         .value = &round,
         .min = 0,
         .max = 1e9},
        {.kind = RD_OPTION_TEXT,
         .name = "client",
         .placeholder = "NAME",
         .help = "show only entries about this client",
         .value = &r.client},
        {.kind = RD_OPTION_FLAG,
         .name = "jsonl",
         .help = "print JSON Lines, each entry with its number and SHA-256",
         .value = &r.jsonl},
        {.kind = RD_OPTION_END},
    };
    const rd_command command = {
        .program = "rondo-inspect audit",
        .usage = "DIR [options]",
        .summary = "Shows the account of the run in state directory DIR: its configuration, who enrolled, joined, left or "
                   "was refused and why, and of each round who was counted (name, samples, weight in the sum, SHA-256 of "
                   "the update where it is known), late or failed, and which model came out. Each entry has the "
                   "SHA-256 of the one before it and itself, so that none can be changed or taken out unnoticed.",
        .options = options,
        .footer = INSPECT_EXIT_CODES,
    };
    rd_status status = inspect_parse(&command, argc, argv, "DIR, a state directory", &directory, err);
    if (status != RD_OK || directory == NULL)
        return status;
    if (expected != NULL && !check)
        return rd_fail(err, RD_ERR_USAGE, "--expect is for --verify");
    if (check && (r.jsonl || r.client != NULL || round != UINT64_MAX))
        return rd_fail(err, RD_ERR_USAGE,
                       "--verify looks at all of the account: without --round, --client and --jsonl");
    if (check)
        return verify(directory, expected, err);
    r.one_round = round != UINT64_MAX;
    r.round = round;
    RD_TRY(rd_store_open_reader(directory, &store, err));
    RD_TRY(rd_store_account(store, 1, visit, &r, err));
cleanup:
    rd_store_close(store);
    return status;
}
