/* token.c: `rondo-aggregator token`: a one-time token for a newcomer, as the command line that it enrols with. */
#include "token.h"

#include <stdio.h>

#include "codec/enrol_messages.h"
#include "core/file.h"
#include "core/options.h"
#include "credentials/request.h"
#include "members.h"

typedef struct token_options {
    const char *state, *ca, *aggregator, *role;
    double hours;
} token_options;

static rd_status give(const char *name, const token_options *o, rd_error *err)
{
    rd_status status = RD_OK;
    char pem[RD_CERTIFICATE_MAX], fingerprint[RD_SHA256_HEX], token[RD_MEMBER_TOKEN_MAX];
    rd_members *members = NULL;
    rd_role role;
    RD_TRY(rd_role_parse(o->role, &role, err));
    RD_TRY(rd_authority_read(o->ca, pem, err));
    RD_TRY(rd_certificate_digest(pem, fingerprint, err));
    RD_TRY(rd_make_private_directory(o->state, err));
    RD_TRY(rd_members_open(o->state, &members, err));
    RD_TRY(rd_members_add_token(members, name, role, 3600.0 * o->hours, token, err));
    printf("rondo-client enroll --aggregator %s --token %s --ca-sha256 %s\n", o->aggregator, token, fingerprint);
cleanup:
    rd_members_free(members);
    return status;
}

rd_status rd_token_command(int argc, char **argv, rd_error *err)
{
    const char *name = "";
    token_options o = {.aggregator = "https://HOST:8443", .role = "client", .hours = 24};
    const rd_option options[] = {
        {RD_OPTION_TEXT, "state", "DIR", "the state directory of the run; made where it is missing", &o.state, true, 0,
         0},
        {RD_OPTION_TEXT, "ca", "FILE", "certificate of the authority, which serve has too", &o.ca, true, 0, 0},
        {RD_OPTION_TEXT, "aggregator", "URL", "where clients reach the aggregator; default: to be filled in",
         &o.aggregator, false, 0, 0},
        {RD_OPTION_TEXT, "role", "ROLE",
         "client; observer: reads the records of rounds, and takes no part; or operator: reads them, gives tokens for "
         "these two "
         "and revokes them; default client",
         &o.role, false, 0, 0},
        {RD_OPTION_NUMBER, "hours", "N", "for how long the token is good; default 24", &o.hours, false,
         RD_ORDER_HOURS_LEAST, RD_ORDER_HOURS_MOST},
        {RD_OPTION_END, NULL, NULL, NULL, NULL, false, 0, 0},
    };
    const rd_command command = {
        "rondo-aggregator token", "NAME --state DIR --ca FILE",
        "Gives a token with which the client NAME can enrol, once, at an aggregator that serves with --ca-key or "
        "--sign-command. Printed is the command line for the client's machine: whoever has it becomes NAME, so send it "
        "over a channel that you trust.",
        options, "Exit codes: 0 given, 1 failure, 2 command line.\n"};
    rd_operands operands = {&name, 1, 1, "NAME, the client's name", 0};
    rd_parse_result parsed = rd_options_parse(&command, argc, argv, &operands, err);
    return parsed == RD_PARSE_RUN ? give(name, &o, err) : rd_parse_status(parsed);
}
