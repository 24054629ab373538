/* revoke.c: `rondo-aggregator revoke`: a line in the journal of members (members.h), which a running aggregator sees at the
 * next request. */
#include "revoke.h"

#include <stdio.h>

#include "core/options.h"
#include "members.h"

static rd_status revoke(const char *name, const char *state, bool quiet, rd_error *err)
{
    rd_members *members = NULL;
    rd_status status = rd_members_open(state, &members, err);
    if (status == RD_OK)
        status = rd_members_revoke(members, name, err);
    rd_members_free(members);
    if (status == RD_OK && !quiet)
        printf("%s: no certificate that it has is good from now on, nor a token\n", name);
    return status;
}

rd_status rd_revoke_command(int argc, char **argv, rd_error *err)
{
    bool quiet = false;
    const char *state = NULL, *name = "";
    const rd_option options[] = {
        {RD_OPTION_TEXT, "state", "DIR", "the state directory of the run", &state, true, 0, 0},
        {RD_OPTION_FLAG, "quiet", NULL, "print nothing but errors", &quiet, false, 0, 0},
        {RD_OPTION_END, NULL, NULL, NULL, NULL, false, 0, 0},
    };
    const rd_command command = {
        "rondo-aggregator revoke", "NAME --state DIR",
        "Throws the client NAME out: its certificates, its tokens and its role are of no use from now on. An aggregator "
        "that is running sees it at the client's next request. The way back is a new token.",
        options, "Exit codes: 0 revoked, 1 failure, 2 command line.\n"};
    rd_operands operands = {&name, 1, 1, "NAME, the client's name", 0};
    rd_parse_result parsed = rd_options_parse(&command, argc, argv, &operands, err);
    return parsed == RD_PARSE_RUN ? revoke(name, state, quiet, err) : rd_parse_status(parsed);
}
