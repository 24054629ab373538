/* rondo-aggregator: serves one run of federated learning to its clients.
 *
 *   main.c     the command line, and the order in which things start and stop
 *   https/     HTTPS: connections, threads, TLS               (knows nothing of Rondo)
 *   routes.c   what a request means                           (PROTOCOL.md)
 *   upload.c   an update on its way in
 *   pace.c     when a client that is turned away, or has lost the aggregator, is to come again
 *   sessions.c which of several programs with one certificate is the client
 *   settling.c before the first round: what the columns of tables mean
 *   driver.c   what clients do -> round core -> what follows
 *   log.c      lines for whoever runs it, for which nobody waits
 *   gate.c     who may come in: the list of names, revoked certificates, members.c
 *   members.c  who was given a token, enrolled, revoked
 *   backup.c   the command `backup`; check.c, token.c, revoke.c those of that name
 *   ../common  the round core, the exact sum, the model, the state directory */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backup.h"
#include "check.h"
#include "config/config.h"
#include "config/effect.h"
#include "core/clock.h"
#include "core/crypto.h"
#include "core/options.h"
#include "core/random.h"
#include "credentials/endings.h"
#include "descriptors.h"
#include "driver.h"
#include "enrol.h"
#include "gate.h"
#include "https/server.h"
#include "log.h"
#include "members.h"
#include "revoke.h"
#include "round/selection.h"
#include "routes.h"
#include "run/parallel.h"
#include "run/run.h"
#include "token.h"

typedef struct serve_options {
    const char *config, *state, *listen, *ca, *cert, *key, *passphrase, *allow, *crl, *ca_key, *sign_command;
    uint64_t workers, max_connections, max_handshakes, per_address, per_client, rate, idle_seconds, linger_seconds;
    const char *log_level;
    bool quiet, log_times;
    double certificate_days;
} serve_options;

enum { EXIT_INTERRUPTED = 3, EXIT_IDLE = 4 };

static const char footer[] =
    "Example:\n"
    "  rondo-aggregator serve --config run.json --state state --listen 0.0.0.0:8443 \\\n"
    "      --ca certs/ca.crt --cert certs/aggregator.crt --key certs/aggregator.key\n"
    "\n"
    "`rondo-aggregator backup STATE TO` copies the state directory while the run goes on (--help says "
    "more).\n"
    "`rondo-aggregator check --state DIR` says whether all in it is what was committed.\n"
    "`rondo-aggregator token NAME --state DIR --ca FILE` gives a newcomer what it enrols with.\n"
    "`rondo-aggregator revoke NAME --state DIR` throws a client out, for good.\n"
    "\n"
    "The same command continues a run that was stopped or killed. Exit codes: 0 run finished, 1 failure,\n"
    "2 command line, 3 stopped by SIGINT or SIGTERM with rounds left to do, 4 run finished, but no round, or "
    "none\n"
    "of the last tenth of them (at least 3), aggregated anything.\n";

static rd_parse_result parse(int argc, char **argv, serve_options *o, rd_error *err)
{
    const rd_option options[] = {
        {RD_OPTION_TEXT, "config", "FILE", "the run: model, training, cohort (run.json)", &o->config, true, 0, 0},
        {RD_OPTION_TEXT, "state", "DIR", "where rounds and models are kept; made where it is missing", &o->state, true,
         0, 0},
        {RD_OPTION_TEXT, "listen", "ADDR:PORT", "where clients connect; default 127.0.0.1:8443", &o->listen, false, 0,
         0},
        {RD_OPTION_TEXT, "ca", "FILE", "certificate of the authority that signed the clients' certificates", &o->ca,
         true, 0, 0},
        {RD_OPTION_TEXT, "cert", "FILE", "certificate of this aggregator", &o->cert, true, 0, 0},
        {RD_OPTION_TEXT, "key", "FILE", "private key of this aggregator", &o->key, true, 0, 0},
        {RD_OPTION_TEXT, "key-passphrase-file", "FILE",
         "its first line is the pass phrase of --key; default: a plain key", &o->passphrase, false, 0, 0},
        {RD_OPTION_TEXT, "allow", "FILE",
         "names of the clients that may take part, one a line, read again at SIGHUP; default: every client "
         "of the CA",
         &o->allow, false, 0, 0},
        {RD_OPTION_TEXT, "crl", "FILE",
         "certificates that the authority has revoked (a CRL in PEM), read again at SIGHUP; default: none", &o->crl,
         false, 0, 0},
        {RD_OPTION_TEXT, "ca-key", "FILE",
         "private key of --ca, with which clients that bring a token get their certificate; default: nobody is enrolled",
         &o->ca_key, false, 0, 0},
        {RD_OPTION_TEXT, "sign-command", "COMMAND",
         "instead of --ca-key: gets a request (PEM) on its standard input and prints the certificate, within 20 s",
         &o->sign_command, false, 0, 0},
        {RD_OPTION_NUMBER, "certificate-days", "N", "how long certificates by --ca-key are good; default 90",
         &o->certificate_days, false, 1e-5, 3650},
        {RD_OPTION_COUNT, "workers", "N", "threads that serve connections; default: one a core", &o->workers, false, 1,
         256},
        {RD_OPTION_COUNT, "max-connections", "N",
         "connections at a time; default 10000, or what the limit of open files leaves room for", &o->max_connections,
         false, 1, 1000000},
        {RD_OPTION_COUNT, "max-handshakes", "N",
         "connections that have not shown a certificate yet; beyond it the oldest are closed; default 1000, at most a "
         "quarter of --max-connections",
         &o->max_handshakes, false, 1, 1000000},
        {RD_OPTION_COUNT, "connections-per-address", "N",
         "connections of one address at a time (IPv6: of one /64); default half of --max-connections", &o->per_address,
         false, 1, 1000000},
        {RD_OPTION_COUNT, "connections-per-client", "N", "connections with one certificate's name; default 16",
         &o->per_client, false, 1, 1000000},
        {RD_OPTION_COUNT, "rate-per-address", "N",
         "new connections of one address a second, and ten seconds' worth at once; default 100", &o->rate, false, 1,
         1000000},
        {RD_OPTION_COUNT, "idle-seconds", "N", "a sender that is silent for so long is dropped; default 30",
         &o->idle_seconds, false, 1, 86400},
        {RD_OPTION_COUNT, "linger-seconds", "N",
         "how long to wait after the last round for clients that have not been told; default 10", &o->linger_seconds,
         false, 0, 86400},
        {RD_OPTION_TEXT, "log-level", "LEVEL",
         "error, warning (also who was refused, and why) or info (also rounds, joins); default info", &o->log_level,
         false, 0, 0},
        {RD_OPTION_FLAG, "log-times", NULL, "begin each line of the log with the time (UTC)", &o->log_times, false, 0,
         0},
        {RD_OPTION_FLAG, "quiet", NULL, "print nothing but errors: the same as --log-level error", &o->quiet, false, 0,
         0},
        {RD_OPTION_END, NULL, NULL, NULL, NULL, false, 0, 0},
    };
    const rd_command command = {"rondo-aggregator", "serve --config FILE --state DIR --ca FILE --cert FILE --key FILE",
                                "Serves a run of federated learning: clients join over mutual TLS, train, and deliver "
                                "updates that are averaged round by round.",
                                options, footer};
    const char *word = "";
    rd_operands operands = {&word, 1, 0, NULL, 0};
    rd_parse_result result = rd_options_parse(&command, argc, argv, &operands, err);
    if (result == RD_PARSE_RUN && strcmp(word, "serve") != 0) {
        (void)rd_fail(err, RD_ERR_USAGE,
                      "expected the command 'serve', 'backup', 'check', 'token' or 'revoke'; see rondo-aggregator --help");
        return RD_PARSE_ERROR;
    }
    return result;
}

/* What the driver's callbacks work on. */
typedef struct service {
    rd_server *server;
    rd_driver *driver;
    rd_gate *gate;
    rd_routes *routes;
    const serve_options *options;
    rd_endings endings;
} service;

static void wake_clients(void *user)
{
    const service *s = user;
    rd_server_wake(s->server);
}

static void read_traffic(void *user, uint64_t *bytes_in, uint64_t *bytes_out)
{
    const service *s = user;
    rd_server_traffic(s->server, bytes_in, bytes_out);
}

static void round_closed(void *user)
{
    const service *s = user;
    rd_routes_round_closed(s->routes);
}

static void tell_reloaded(void *user, bool good, const char *line)
{
    rd_driver_log(user, good ? RD_LOG_INFO : RD_LOG_WARNING, "SIGHUP: %s", line);
}

/* SIGHUP: the lists of clients, certificate and key are read again; what is wrong leaves the old one in force. */
static void reload(void *user)
{
    service *s = user;
    rd_error err;
    double not_after;
    char date[RD_DATE_MAX];
    rd_gate_reload(s->gate, tell_reloaded, s->driver);
    if (rd_server_reload(s->server, &not_after, &err) == RD_OK)
        rd_driver_log(s->driver, RD_LOG_INFO, "SIGHUP: --cert %s read again: it is good until %s", s->options->cert,
                      rd_date_write(not_after, date));
    else
        rd_driver_log(s->driver, RD_LOG_WARNING, "SIGHUP: %s; certificate and key as they were stay in force",
                      err.message);
}

/* Once a second: is it time to say that something ends? */
static void tick(void *user)
{
    service *s = user;
    const double now = rd_clock_unix();
    char line[RD_ENDINGS_LINE];
    if (rd_endings_is_due(&s->endings, RD_ENDING_CERTIFICATE, rd_server_not_after(s->server), now, line))
        rd_driver_log(s->driver, RD_LOG_WARNING, "--cert %s %s: put a new one in its place, and send SIGHUP",
                      s->options->cert, line);
    if (rd_endings_is_due(&s->endings, RD_ENDING_CRL, rd_gate_crl_ends(s->gate), now, line))
        rd_driver_log(s->driver, RD_LOG_WARNING, "--crl %s %s: put a newer one in its place, and send SIGHUP",
                      s->options->crl, line);
}

static void log_line(void *user, const char *text)
{
    rd_driver_log(user, RD_LOG_INFO, "%s", text);
}

static rd_status announce(rd_driver *driver, const rd_config *config, const serve_options *o, unsigned port,
                          rd_error *err)
{
    rd_run *run = rd_driver_run(driver);
    uint64_t next = rd_run_next_round(run);
    rd_driver_log(driver, RD_LOG_INFO, "run '%s' (%s): %llu rounds, %zu parameters, seed %llu", config->name,
                  rd_store_run_id(rd_run_store(run)), (unsigned long long)config->rounds,
                  rd_model_parameter_count(rd_run_model(run)), (unsigned long long)config->seed);
    if (rd_run_initial(run)[0] != '\0')
        rd_driver_log(driver, RD_LOG_INFO, "initial: %s", rd_run_initial(run));
    if (next > 1)
        rd_driver_log(driver, RD_LOG_INFO, "continuing after round %llu of %s", (unsigned long long)(next - 1),
                      o->state);
    rd_status status = rd_run_tell_changes(run, log_line, driver, err);
    char unreached[160];
    rd_config_say_unreached(config, unreached, sizeof unreached);
    if (unreached[0] != '\0')
        rd_driver_log(driver, RD_LOG_INFO, "%s", unreached);
    if (config->simulation.system.given || config->simulation.attack.kind != RD_ATTACK_NONE)
        rd_driver_log(driver, RD_LOG_INFO, "run.json has a section \"simulation\": only rondo-sim heeds it");
    size_t needed = rd_cohort_needed(&config->cohort);
    rd_driver_log(driver, RD_LOG_INFO, "listening on %s (port %u); rounds begin when %zu client%s joined%s", o->listen,
                  port, needed, needed == 1 ? " has" : "s have",
                  needed > config->cohort.min_clients ? ", fewer could not deliver cohort.min_updates" : "");
    return status;
}

/* Starts the server on top of the driver, runs until the end, stops it. */
static rd_status serve_run(serve_options *o, const rd_config *config, rd_gate *gate, rd_enrolment *enrolment,
                           rd_driver *driver, bool *interrupted, rd_error *err)
{
    char note[200], ticket_keys[4096], word[17];
    const unsigned workers = o->workers != 0 ? (unsigned)o->workers : rd_processor_count();
    (void)snprintf(ticket_keys, sizeof ticket_keys, "%s/tickets.key", o->state);
    rd_status status = rd_descriptors_reserve(&o->max_connections, note, sizeof note, err);
    if (status == RD_OK)
        status = rd_random_hex(8, word, err);
    if (status != RD_OK)
        return status;
    rd_routes routes = {.driver = driver,
                        .state_directory = o->state,
                        .staging = {RD_STAGING_MEMORY},
                        .gate = gate,
                        .members = enrolment->members,
                        .enrolment = enrolment,
                        .pace = {.seed = rd_client_key(word), .workers = workers}};
    service s = {.driver = driver, .gate = gate, .routes = &routes, .options = o};
    rd_server_app app = rd_routes_app(&routes);
    rd_server_options options = {.listen = o->listen,
                                 .files = {o->ca, o->cert, o->key, o->passphrase},
                                 .workers = workers,
                                 .max_connections = (unsigned)o->max_connections,
                                 .max_handshakes = (unsigned)o->max_handshakes,
                                 .door = {(unsigned)o->per_address, (unsigned)o->per_client, (unsigned)o->rate},
                                 .strangers = enrolment->signer != NULL,
                                 .idle_seconds = (unsigned)o->idle_seconds,
                                 .ticket_keys = ticket_keys,
                                 /* a client may train for a whole round, and is there while it does */
                                 .keep_alive_seconds = 300 + (unsigned)config->cohort.deadline_seconds};
    rd_driver_callbacks callbacks = {.wake = wake_clients,
                                     .traffic = read_traffic,
                                     .closed = round_closed,
                                     .reload = reload,
                                     .tick = tick,
                                     .user = &s};
    rd_driver_set_callbacks(driver, &callbacks);
    if (note[0] != '\0')
        rd_driver_log(driver, RD_LOG_WARNING, "%s", note);
    rd_readers_init(&routes.readers);
    RD_TRY(rd_round_pages_create(o->state, &routes.round_pages, err));
    RD_TRY(rd_interrupted_create(&routes.interrupted, err));
    RD_TRY(rd_server_start(&options, &app, &s.server, err));
    status = announce(driver, config, o, rd_server_port(s.server), err);
    if (status == RD_OK)
        status = rd_driver_loop(driver, (double)o->linger_seconds, interrupted, err);
    rd_server_stop(s.server, 1.0);
    if (status == RD_OK && !*interrupted)
        status = rd_run_check_outcome(rd_driver_run(driver), err);
    if (*interrupted)
        rd_driver_log(driver, RD_LOG_INFO, "stopped after round %llu; the same command continues",
                      (unsigned long long)rd_run_last_record(rd_driver_run(driver))->round);
cleanup:
    rd_interrupted_free(routes.interrupted);
    rd_round_pages_free(routes.round_pages);
    rd_readers_destroy(&routes.readers);
    return status;
}

static rd_status read_level(const serve_options *o, rd_log_level *level, rd_error *err)
{
    if (o->quiet)
        *level = RD_LOG_ERROR;
    if (o->log_level == NULL)
        return RD_OK;
    if (o->quiet)
        return rd_fail(err, RD_ERR_USAGE, "--quiet and --log-level do not go together");
    for (int i = 0; rd_log_level_names[i] != NULL; i++)
        if (strcmp(rd_log_level_names[i], o->log_level) == 0) {
            *level = (rd_log_level)i;
            return RD_OK;
        }
    return rd_fail(err, RD_ERR_USAGE, "--log-level: expected error, warning or info, found '%s'", o->log_level);
}

/* Is there something to sign with? */
static rd_status check_signing(const serve_options *o, rd_signer *signer, rd_enrolment *enrolment, rd_error *err)
{
    *signer = (rd_signer){o->ca, o->ca_key, o->sign_command, 86400.0 * o->certificate_days};
    if (o->ca_key != NULL && o->sign_command != NULL)
        return rd_fail(err, RD_ERR_USAGE, "--ca-key and --sign-command do not go together");
    if (o->ca_key == NULL && o->sign_command == NULL)
        return RD_OK;
    enrolment->signer = signer;
    return rd_signer_check(signer, err);
}

static rd_status serve(serve_options *o, bool *interrupted, rd_error *err)
{
    rd_status status = RD_OK;
    rd_config config = {0};
    rd_enrolment enrolment = {.lock = PTHREAD_MUTEX_INITIALIZER};
    rd_signer signer;
    rd_gate *gate = NULL;
    rd_run *run = NULL;
    rd_settling *settling = NULL;
    rd_driver *driver = NULL;
    rd_log *log = NULL;
    const rd_gate_files files = {o->allow, o->crl, o->ca};
    rd_log_options logging = {.fd = STDOUT_FILENO, .level = RD_LOG_INFO, .times = o->log_times};
    signal(SIGPIPE, SIG_IGN);
    RD_TRY(read_level(o, &logging.level, err));
    RD_TRY(check_signing(o, &signer, &enrolment, err));
    RD_TRY(rd_log_open(&logging, &log, err));
    RD_TRY(rd_config_load(o->config, &config, err));
    RD_TRY(rd_settling_open(&config, o->state, rd_processor_count(), &settling, &run, err));
    RD_TRY(rd_members_open(o->state, &enrolment.members, err));
    RD_TRY(rd_gate_open(&files, enrolment.members, &gate, err));
    RD_TRY(rd_driver_create(run, settling, log, &driver, err));
    status = serve_run(o, &config, gate, &enrolment, driver, interrupted, err);
cleanup:
    rd_driver_free(driver);
    rd_settling_free(settling);
    rd_run_free(run);
    rd_gate_close(gate);
    rd_members_free(enrolment.members);
    rd_config_free(&config);
    rd_log_close(log);
    return status;
}

typedef rd_status (*other_command)(int argc, char **argv, rd_error *err);

static int run_other(other_command command, int argc, char **argv)
{
    rd_error err = {0};
    rd_status status = command(argc, argv, &err);
    if (status != RD_OK)
        fprintf(stderr, "rondo-aggregator: %s\n", err.message);
    return status == RD_OK ? 0 : status == RD_ERR_USAGE ? 2 : 1;
}

static const struct {
    const char *name;
    other_command run;
} commands[] = {
    {"backup", rd_backup_command},
    {"check", rd_check_command},
    {"revoke", rd_revoke_command},
    {"token", rd_token_command},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return run_other(commands[i].run, argc - 1, argv + 1);
    if (argc > 1 && argv[1][0] != '-' && strcmp(argv[1], "serve") != 0) {
        fprintf(stderr,
                "rondo-aggregator: there is no command '%s'; the commands are serve, backup, check, token and revoke\n",
                argv[1]);
        return 2;
    }
    rd_error err = {0};
    bool interrupted = false;
    serve_options options = {.listen = "127.0.0.1:8443", .linger_seconds = 10, .certificate_days = 90};
    rd_parse_result parsed = parse(argc, argv, &options, &err);
    if (parsed == RD_PARSE_EXIT)
        return 0;
    if (parsed == RD_PARSE_ERROR) {
        fprintf(stderr, "rondo-aggregator: %s\n", err.message);
        return 2;
    }
    rd_status status = serve(&options, &interrupted, &err);
    if (status != RD_OK) {
        fprintf(stderr, "rondo-aggregator: %s\n", err.message);
        return status == RD_ERR_IDLE ? EXIT_IDLE : status == RD_ERR_USAGE ? 2 : 1;
    }
    return interrupted ? EXIT_INTERRUPTED : 0;
}
