/* rondo-client: takes part in a run of federated learning with data that stay on this machine.
 *
 *   main.c            the command line
 *   enroll.c          the command `enroll`: from a token to a certificate
 *   operate.c         the commands `token` and `revoke`, of an operator
 *   renewal.c         a newer certificate before the one in use ends
 *   policy.c          what it lets itself be asked for
 *   session.c         join, wait, train, deliver: the path of a delta begins here
 *   request.c         a request until it is answered: lost connections, busy and restarted aggregators
 *   transport_curl.c  HTTPS
 *   ../common         model, training, data, what travels
 *
 * All that leaves the machine is listed in README.md beside this file. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/first_schema.h"
#include "connection_options.h"
#include "core/signals.h"
#include "data/source_options.h"
#include "enroll.h"
#include "operate.h"
#include "session.h"

/* Exit codes, by which scripts tell what to do. */
enum {
    EXIT_FINISHED = 0,
    EXIT_OTHER = 1,
    EXIT_USAGE = 2,
    EXIT_REFUSED = 3,
    EXIT_UNREACHABLE = 4,
    EXIT_BAD_DATA = 5,
    EXIT_BAD_CONFIG = 6
};

typedef struct client_options {
    rd_connection_options connection;
    rd_source_options data;
    const char *keep, *policy, *key_log;
    bool regression, standardise, describe, quiet;
    double retry_seconds;
} client_options;

static const char footer[] =
    "Example:\n"
    "  rondo-client --aggregator https://192.168.1.10:8443 --ca ca.crt --cert "
    "alice.crt --key alice.key --data alice.safetensors\n"
    "\n"
    "`rondo-client enroll` gets the certificate in exchange for a token; `rondo-client token` and `rondo-client "
    "revoke`\n"
    "are for operators (--help says more).\n"
    "\n"
    "SIGINT, SIGTERM and SIGHUP leave the run; a second SIGINT or SIGTERM ends the client at once. Exit "
    "codes: 0 the run is finished,\n"
    "1 failure, 2 command line, 3 refused by the aggregator (certificate, list of "
    "clients), 4 aggregator not reachable,\n"
    "5 bad data, 6 bad configuration (certificate files, or what the aggregator "
    "sent), 129, 130 or 143 left after a signal.\n";

static rd_parse_result parse(int argc, char **argv, client_options *o, rd_error *err)
{
    const rd_option options[] = {
        RD_CONNECTION_OPTIONS(&o->connection, "certificate of this client; its common name is the client's name",
                              "this client"),
        RD_SOURCE_OPTIONS(&o->data, true,
                          "data to train on: .safetensors, .csv, LEAF .json or folder, IDX images, .txt"),
        {RD_OPTION_FLAG, "regression", NULL,
         "csv: the label is a number to predict; refused where the run's model predicts classes", &o->regression, false,
         0, 0},
        {RD_OPTION_FLAG, "standardise", NULL,
         "csv: features are scaled to mean 0 and deviation 1 over all clients; refused where the run does "
         "not",
         &o->standardise, false, 0, 0},
        {RD_OPTION_FLAG, "describe", NULL,
         "print what of a table would be told, as a first data.schema for run.json, and end; needs only the options of "
         "the "
         "data",
         &o->describe, false, 0, 0},
        {RD_OPTION_TEXT, "keep", "FILE",
         "what this client keeps between rounds (control variates, models and layers of its own), for a client that is "
         "started again; "
         "default: in memory",
         &o->keep, false, 0, 0},
        {RD_OPTION_TEXT, "policy", "FILE",
         "JSON: what this client lets itself be asked for: max_parameters, max_epochs, max_round_seconds, "
         "min_updates; default: a model that fits into memory, a day of training a round",
         &o->policy, false, 0, 0},
        {RD_OPTION_TEXT, "tls-key-log", "FILE",
         "write the keys of its connections there, for who looks at what it sends; SSLKEYLOGFILE in the environment is "
         "ignored",
         &o->key_log, false, 0, 0},
        {RD_OPTION_NUMBER, "retry-seconds", "S",
         "give up when the aggregator has not answered for so long; default 300", &o->retry_seconds, false, 0, 1e7},
        {RD_OPTION_FLAG, "quiet", NULL, "print nothing but errors", &o->quiet, false, 0, 0},
        {RD_OPTION_END, NULL, NULL, NULL, NULL, false, 0, 0},
    };
    const rd_command command = {"rondo-client", "--aggregator URL --ca FILE --cert FILE --key FILE --data PATH",
                                "Takes part in a run of federated learning: trains the shared model on data that never "
                                "leave this machine and sends the aggregator what has changed in the parameters.",
                                options, footer};
    return rd_options_parse(&command, argc, argv, NULL, err);
}

/* The data options, as the description that run.json uses too. */
static rd_status describe_data(const client_options *o, rd_source *s, rd_error *err)
{
    rd_status status = rd_source_from_options(&o->data, s, err);
    if (status != RD_OK)
        return status;
    if ((o->regression || o->standardise) && s->format != RD_SOURCE_CSV)
        return rd_fail(err, RD_ERR_USAGE, "--%s is for tables; --data %s is not read as one (--format csv would)",
                       o->regression ? "regression" : "standardise", o->data.data);
    s->regression = o->regression ? RD_YES : RD_UNSAID;
    s->standardise = o->standardise;
    return RD_OK;
}

static int exit_code(rd_status status)
{
    switch (status) {
    case RD_OK:
        return EXIT_FINISHED;
    case RD_ERR_USAGE:
        return EXIT_USAGE;
    case RD_ERR_REFUSED:
        return EXIT_REFUSED;
    case RD_ERR_NETWORK:
        return EXIT_UNREACHABLE;
    case RD_ERR_DATA:
        return EXIT_BAD_DATA;
    case RD_ERR_CONFIG:
    case RD_ERR_FORMAT:
        return EXIT_BAD_CONFIG;
    default:
        return EXIT_OTHER;
    }
}

/* `rondo-client --describe --data FILE`: talks to nobody. */
static int describe(int argc, char **argv)
{
    rd_error err = {0};
    client_options o = {0};
    rd_source source;
    char *json = NULL;
    const rd_option options[] = {
        {RD_OPTION_FLAG, "describe", NULL, "print what of a table would be told, as a first data.schema", &o.describe,
         true, 0, 0},
        RD_SOURCE_OPTIONS(&o.data, true, "the table"),
        {RD_OPTION_END, NULL, NULL, NULL, NULL, false, 0, 0},
    };
    const rd_command command = {
        "rondo-client --describe", "--describe --data FILE",
        "Prints the columns of a table, what they hold, and the classes of its label: all that a "
        "client would tell of it at join, and no row.",
        options, NULL};
    rd_parse_result parsed = rd_options_parse(&command, argc, argv, NULL, &err);
    if (parsed == RD_PARSE_EXIT)
        return EXIT_FINISHED;
    rd_status status = RD_OK;
    RD_TRY(rd_parse_status(parsed));
    RD_TRY(rd_source_from_options(&o.data, &source, &err));
    RD_TRY(rd_first_schema(&source, &json, &err));
    printf("%s\n", json);
cleanup:
    if (status != RD_OK)
        fprintf(stderr, "rondo-client: %s\n", err.message);
    free(json);
    return exit_code(status);
}

/* The words that a command line can begin with; without one the client takes part in a run. */
static const struct {
    const char *word;
    rd_status (*run)(int argc, char **argv, rd_error *err);
} commands[] = {
    {"enroll", rd_enroll_command}, {"token", rd_operator_token_command}, {"revoke", rd_operator_revoke_command}};

static int run_command(size_t which, int argc, char **argv)
{
    rd_error err = {0};
    rd_status status = commands[which].run(argc, argv, &err);
    if (status != RD_OK)
        fprintf(stderr, "rondo-client: %s\n", err.message);
    return exit_code(status);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].word) == 0)
            return run_command(i, argc - 1, argv + 1);
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--describe") == 0)
            return describe(argc, argv);

    rd_error err = {0};
    client_options o = {.retry_seconds = 300.0};
    rd_session_options session = {0};
    int signals = -1;
    rd_parse_result parsed = parse(argc, argv, &o, &err);
    if (parsed == RD_PARSE_EXIT)
        return 0;
    rd_status status = RD_OK;
    RD_TRY(rd_parse_status(parsed));
    RD_TRY(rd_address_check(o.connection.aggregator, &err));
    RD_TRY(describe_data(&o, &session.data, &err));
    RD_TRY(rd_policy_load(o.policy, &session.policy, &err));
    RD_TRY(rd_signals_open(&signals, &err));
    signal(SIGPIPE, SIG_IGN);
    session.transport = rd_connection_transport(&o.connection);
    session.transport.key_log = o.key_log;
    session.transport.signals = signals;
    session.retry_seconds = o.retry_seconds;
    session.quiet = o.quiet;
    session.keep = o.keep;
    RD_TRY(rd_session_run(&session, &rd_built_in_learner, &err));
cleanup:
    if (status != RD_OK)
        fprintf(stderr, "rondo-client: %s\n", err.message);
    int number = rd_signals_number(signals);
    return number != 0 ? 128 + number : exit_code(status);
}
