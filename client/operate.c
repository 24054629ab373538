/* operate.c: see operate.h. What an operator asks for, and for whom, is the aggregator's to judge. */
#include "operate.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/enrol_messages.h"
#include "connection_options.h"
#include "once.h"

#define TOKEN_SIZE 256
#define EXIT_CODES                                                                                                   \
    "Exit codes: 0 done, 1 failure, 2 command line, 3 refused by the aggregator, 4 aggregator not reachable, 6 bad " \
    "certificate files, or an answer that is none.\n"

typedef struct operator_options {
    rd_connection_options connection;
    const char *role;
    double hours;
} operator_options;

#define OPERATORS_CONNECTION(o) RD_CONNECTION_OPTIONS(o, "the operator's certificate", "the operator")

static rd_status ask(const rd_connection_options *o, const char *path, const char *json, char **body, size_t *size,
                     rd_error *err)
{
    rd_transport_options options = rd_connection_transport(o);
    options.session = "operator";
    *body = NULL;
    signal(SIGPIPE, SIG_IGN);
    rd_status status = rd_address_check(o->aggregator, err);
    if (status == RD_OK && json == NULL)
        status = rd_fail(err, RD_ERR_MEMORY, "no memory for a request");
    if (status == RD_OK)
        status = rd_ask_once(&options, path, json, body, size, err);
    return status;
}

static rd_status give_token(const char *name, const operator_options *o, rd_error *err)
{
    rd_status status = RD_OK;
    char token[TOKEN_SIZE], digest[RD_SHA256_HEX], *json = NULL, *body = NULL;
    size_t size;
    rd_token_order order = {.hours = o->hours};
    if (strlen(name) >= sizeof order.name)
        RD_THROW(RD_ERR_USAGE, "NAME: expected at most %zu bytes", sizeof order.name - 1);
    if (strlen(o->role) >= sizeof order.role)
        RD_THROW(RD_ERR_USAGE, "--role: expected client or observer, found '%.40s'", o->role);
    (void)snprintf(order.name, sizeof order.name, "%s", name);
    (void)snprintf(order.role, sizeof order.role, "%s", o->role);
    json = rd_token_order_write(&order);
    RD_TRY(ask(&o->connection, "/v1/tokens", json, &body, &size, err));
    RD_TRY(rd_given_token_parse(body, size, &(rd_enrol_texts){token, sizeof token, digest, sizeof digest}, err));
    printf("rondo-client enroll --aggregator %s --token %s --ca-sha256 %s\n", o->connection.aggregator, token, digest);
cleanup:
    free(json);
    free(body);
    return status;
}

static rd_status throw_out(const char *name, const rd_connection_options *o, rd_error *err)
{
    size_t size;
    char *body, *json = rd_revocation_write(name);
    rd_status status = ask(o, "/v1/revocations", json, &body, &size, err);
    if (status == RD_OK)
        printf("%s: no certificate that it has is good from now on, nor a token\n", name);
    free(json);
    free(body);
    return status;
}

rd_status rd_operator_token_command(int argc, char **argv, rd_error *err)
{
    const char *name = "";
    operator_options o = {.role = "client", .hours = 24};
    const rd_option options[] = {
        OPERATORS_CONNECTION(&o.connection),
        {RD_OPTION_TEXT, "role", "ROLE",
         "client, or observer: reads the records of rounds, and takes no part; default client", &o.role, false, 0, 0},
        {RD_OPTION_NUMBER, "hours", "N", "for how long the token is good; default 24", &o.hours, false,
         RD_ORDER_HOURS_LEAST, RD_ORDER_HOURS_MOST},
        {RD_OPTION_END, NULL, NULL, NULL, NULL, false, 0, 0},
    };
    const rd_command command = {
        "rondo-client token", "NAME --aggregator URL --ca FILE --cert FILE --key FILE",
        "For an operator: gives a token with which NAME can enrol, once. Printed is the command line for its machine: "
        "whoever has it becomes NAME, so send it over a channel that you trust.",
        options, EXIT_CODES};
    rd_operands operands = {&name, 1, 1, "NAME, the client's name", 0};
    rd_parse_result parsed = rd_options_parse(&command, argc, argv, &operands, err);
    return parsed == RD_PARSE_RUN ? give_token(name, &o, err) : rd_parse_status(parsed);
}

rd_status rd_operator_revoke_command(int argc, char **argv, rd_error *err)
{
    const char *name = "";
    rd_connection_options o = {0};
    const rd_option options[] = {
        OPERATORS_CONNECTION(&o),
        {RD_OPTION_END, NULL, NULL, NULL, NULL, false, 0, 0},
    };
    const rd_command command = {"rondo-client revoke", "NAME --aggregator URL --ca FILE --cert FILE --key FILE",
                                "For an operator: throws NAME out: its certificates, its tokens and its role are of no "
                                "use from now on. The way back "
                                "is a new token.",
                                options, EXIT_CODES};
    rd_operands operands = {&name, 1, 1, "NAME, the client's name", 0};
    rd_parse_result parsed = rd_options_parse(&command, argc, argv, &operands, err);
    return parsed == RD_PARSE_RUN ? throw_out(name, &o, err) : rd_parse_status(parsed);
}
