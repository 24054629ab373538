/* check.c: `rondo-aggregator check`: is all of a state directory what its rounds committed? */
#include "check.h"

#include <stdio.h>

#include "core/options.h"
#include "store/store.h"

static void print_wrong(void *user, const char *text)
{
    (void)user;
    printf("%s\n", text);
}

static rd_status check(const char *state, bool quiet, rd_error *err)
{
    rd_check_report report;
    rd_status status = rd_store_check(state, NULL, &(rd_check_listener){print_wrong, NULL}, &report, err);
    if (status != RD_OK)
        return status;
    if (report.wrong > 0)
        return rd_fail(err, RD_ERR_FORMAT, "%s: it is not whole (%llu found)", state, (unsigned long long)report.wrong);
    if (!quiet)
        printf("%s: %llu rounds and %llu models are what was committed, and what the account says (%llu entries)\n",
               state, (unsigned long long)report.rounds, (unsigned long long)report.models,
               (unsigned long long)report.entries);
    return RD_OK;
}

rd_status rd_check_command(int argc, char **argv, rd_error *err)
{
    bool quiet = false;
    const char *state = NULL;
    const rd_option options[] = {
        {RD_OPTION_TEXT, "state", "DIR", "the state directory", &state, true, 0, 0},
        {RD_OPTION_FLAG, "quiet", NULL, "print nothing but what is wrong", &quiet, false, 0, 0},
        {RD_OPTION_END, NULL, NULL, NULL, NULL, false, 0, 0},
    };
    const rd_command command = {
        "rondo-aggregator check", "--state DIR",
        "Compares the database with itself, and the files of every round that is retained with the SHA-256 that the "
        "round committed. The run may be going on; nothing is changed.",
        options,
        "Exit codes: 0 all is whole, 1 something is wrong, a line for each, or cannot be read, 2 command line.\n"};
    rd_parse_result parsed = rd_options_parse(&command, argc, argv, NULL, err);
    return parsed == RD_PARSE_RUN ? check(state, quiet, err) : rd_parse_status(parsed);
}
