/* rondo-sim: many clients in one process, with the aggregator's own round core and the client's own training.
 *
 *   main.c       the command line: simulate (default), partition, or search
 *   simulator.c  the loop that drives the round core; sim.h names the files that belong to it
 *   ranks.c      one run in several processes; seeds.c one run after another; bench.c how fast
 *   search/      hyperparameters: space.c what to try, ask.c and gp.c where next, trial.c one trial,
 *                record.c what came of it
 *   progress.c   the bar */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "config/config.h"
#include "config/schema_section.h"
#include "core/file.h"
#include "core/options.h"
#include "data/source.h"
#include "ranks.h"
#include "run/parallel.h"
#include "schema.h"
#include "search/search.h"
#include "seeds.h"
#include "simulator.h"
#include "usage.h"

enum { EXIT_INTERRUPTED = 3, EXIT_IDLE = 4 };

typedef struct sim_options {
    const char *config, *out, *space, *method;
    uint64_t clients, threads, parallel, trials, seeds, client_memory;
    bool quiet, profile, partition, search, bench;
} sim_options;

static const char footer[] =
    "Examples:\n"
    "  rondo-sim --config run.json --clients 100 --threads 2 --out runs/first\n"
    "  rondo-sim partition --config run.json --clients 5 --out private    (client-1.safetensors, ...)\n"
    "  rondo-sim schema patients.csv                   (a first data.schema; rondo-sim schema --help)\n"
    "  rondo-sim search --config run.json --space space.json --clients 100 --out runs/search\n"
    "\n"
    "The same --out continues a run that was stopped or killed. Exit codes: 0 finished, 1 failure, 2 command "
    "line,\n"
    "3 stopped by SIGINT or SIGTERM with rounds left to do, 4 finished, but no round, or none of the last "
    "tenth\n"
    "of them (at least 3), aggregated anything.\n";

static rd_parse_result parse(int argc, char **argv, sim_options *o, rd_error *err)
{
    const rd_option options[] = {
        {RD_OPTION_TEXT, "config", "FILE", "the run: model, training, cohort, data (run.json)", &o->config, true, 0, 0},
        {RD_OPTION_COUNT, "clients", "N", "clients that share data.train; default: one for each group in the data",
         &o->clients, false, 1, 10000000},
        {RD_OPTION_COUNT, "threads", "T", "threads that train; default: one a core; changes no bit of the result",
         &o->threads, false, 1, 256},
        {RD_OPTION_TEXT, "out", "DIR",
         "state directory as an aggregator keeps it (simulate), or where the files go (partition)", &o->out, false, 0,
         0},
        {RD_OPTION_TEXT, "space", "FILE", "search: which keys of run.json to change, and how (space.json)", &o->space,
         false, 0, 0},
        {RD_OPTION_TEXT, "method", "METHOD", "search: grid, random or bayesian, in place of space.json's", &o->method,
         false, 0, 0},
        {RD_OPTION_COUNT, "trials", "N", "search: how many, in place of space.json's; more continue a search",
         &o->trials, false, 1, 100000},
        {RD_OPTION_COUNT, "parallel", "P", "search: trials at a time, each with --threads; default 1", &o->parallel,
         false, 1, 256},
        {RD_OPTION_COUNT, "seeds", "S", "run with seed, seed + 1, ..., seed + S - 1, each in DIR/seed-N, and compare",
         &o->seeds, false, 1, 1000},
        {RD_OPTION_COUNT, "client-memory", "MB",
         "without --out: what clients keep between rounds may take so much memory, and goes to a file "
         "beyond; default 1024",
         &o->client_memory, false, 0, 1000000000},
        {RD_OPTION_FLAG, "profile", NULL, "say at the end where the time went", &o->profile, false, 0, 0},
        {RD_OPTION_FLAG, "quiet", NULL, "print nothing but errors", &o->quiet, false, 0, 0},
        {RD_OPTION_END, NULL, NULL, NULL, NULL, false, 0, 0},
    };
    const rd_command command = {"rondo-sim",
                                "[partition|search|bench] --config FILE --clients N [--threads T] [--out DIR]",
                                "Simulates federated learning with many clients on this host. With the word "
                                "'partition', writes each client's private data to a file of its own "
                                "instead; with the word 'search', looks for the best "
                                "values of keys in run.json; with the word 'bench', measures how fast this "
                                "machine is at it.",
                                options, footer};
    const char *word = "";
    rd_operands operands = {&word, 1, 0, NULL, 0};
    rd_parse_result result = rd_options_parse(&command, argc, argv, &operands, err);
    if (result != RD_PARSE_RUN)
        return result;
    o->partition = strcmp(word, "partition") == 0;
    o->search = strcmp(word, "search") == 0;
    o->bench = strcmp(word, "bench") == 0;
    if (operands.count == 1 && !o->partition && !o->search && !o->bench)
        (void)rd_fail(err, RD_ERR_USAGE, "unknown command '%s'; there are 'partition', 'schema', 'search' and 'bench'",
                      word);
    else if (o->seeds > 0 && (operands.count > 0 || o->out == NULL))
        (void)rd_fail(err, RD_ERR_USAGE, "%s",
                      operands.count > 0 ? "--seeds is for simulations" : "--out DIR is missing: --seeds needs it");
    else if (o->search && (o->space == NULL || o->out == NULL))
        (void)rd_fail(err, RD_ERR_USAGE, "--%s is missing: search needs it",
                      o->space == NULL ? "space FILE" : "out DIR");
    else if (!o->search && (o->space != NULL || o->method != NULL || o->trials > 0 || o->parallel > 1))
        (void)rd_fail(err, RD_ERR_USAGE, "--%s is for search",
                      o->space != NULL    ? "space"
                      : o->method != NULL ? "method"
                      : o->trials > 0     ? "trials"
                                          : "parallel");
    else if (o->partition && o->out == NULL)
        (void)rd_fail(err, RD_ERR_USAGE, "--out DIR is missing: partition writes the clients' files there");
    else
        return RD_PARSE_RUN;
    return RD_PARSE_ERROR;
}

/* Writes OUT/client-N.safetensors for every client. */
static rd_status write_partition(const rd_config *config, const sim_options *o, rd_error *err)
{
    rd_status status = RD_OK;
    rd_sim_data dealt = {0};
    char notes[1000];
    uint32_t *buffer = NULL;
    char line[400];
    RD_TRY(rd_sim_deal(config, (size_t)o->clients, &dealt, notes, sizeof notes, err));
    if (!o->quiet && dealt.data.note != NULL)
        printf("%s\n", dealt.data.note);
    if (!o->quiet && notes[0] != '\0')
        printf("%s\n", notes);
    if (config->data.train.format == RD_SOURCE_CSV && (dealt.data.schema = rd_schema_print(&dealt.schema)) == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for the schema");
    RD_TRY(rd_make_private_directory(o->out, err));
    buffer = malloc((rd_partition_most_rows(&dealt.partition) + 1) * sizeof *buffer);
    if (buffer == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for the rows of a client");
    for (size_t i = 0; i < dealt.partition.clients; i++) {
        char name[RD_SIM_CLIENT_NAME_MAX], path[RD_SOURCE_PATH_MAX];
        rd_rows rows = rd_partition_rows(&dealt.partition, i, buffer);
        rd_sim_client_name(i, name);
        (void)snprintf(path, sizeof path, "%s/%s.safetensors", o->out, name);
        RD_TRY(rd_dataset_file_save(&dealt.data, rows, path, err));
        if (!o->quiet)
            printf("%s: %zu samples\n", path, rows.count);
    }
    sim_usage usage = sim_usage_of(config, &dealt.data, &dealt.partition);
    sim_usage_line(&usage, false, line, sizeof line);
    if (!o->quiet)
        printf("data.train: %s\n", line);
cleanup:
    free(buffer);
    rd_sim_data_free(&dealt);
    return status;
}

static rd_status simulate(rd_config *config, const sim_options *o, bool *interrupted, rd_error *err)
{
    rd_sim_profile profile;
    rd_sim_options options = {.clients = (size_t)o->clients,
                              .threads = (unsigned)o->threads,
                              .directory = o->out,
                              .quiet = o->quiet,
                              .keep_limit = (size_t)o->client_memory << 20,
                              .profile = o->profile ? &profile : NULL};
    if (o->bench)
        return rd_bench(config, &options, err);
    if (o->seeds > 0)
        return rd_seeds(config, &options, o->seeds, interrupted, err);
    rd_status status = rd_simulate(config, &options, interrupted, err);
    if (status == RD_OK && o->profile && rd_rank() == 0)
        rd_sim_profile_print(&profile);
    return status;
}

static rd_status run(const sim_options *o, bool *interrupted, rd_error *err)
{
    rd_config config = {0};
    rd_status status = rd_config_load(o->config, &config, err);
    if (status != RD_OK)
        return status;
    if (config.data.partition.scheme != RD_PARTITION_GROUP && o->clients == 0)
        status = rd_fail(err, RD_ERR_USAGE,
                         "--clients N is missing (only data.partition.scheme \"group\" knows it from the data)");
    else if (o->partition)
        status = write_partition(&config, o, err);
    else if (o->search)
        status = rd_search(&(rd_search_options){.config = o->config,
                                                .space = o->space,
                                                .method = o->method,
                                                .trials = o->trials,
                                                .directory = o->out,
                                                .clients = (size_t)o->clients,
                                                .threads = (unsigned)o->threads,
                                                .parallel = (unsigned)o->parallel,
                                                .quiet = o->quiet},
                           interrupted, err);
    else
        status = simulate(&config, o, interrupted, err);
    rd_config_free(&config);
    return status;
}

int main(int argc, char **argv)
{
    rd_error err = {0};
    bool interrupted = false;
    if (argc > 1 && strcmp(argv[1], "schema") == 0)
        return rd_schema_command(argc - 1, argv + 1);
    sim_options options = {.threads = rd_processor_count(), .parallel = 1, .client_memory = 1024};
    rd_ranks_open(&argc, &argv);
    rd_parse_result parsed = parse(argc, argv, &options, &err);
    if (parsed == RD_PARSE_EXIT) {
        rd_ranks_close(false);
        return 0;
    }
    rd_status status = parsed == RD_PARSE_RUN ? run(&options, &interrupted, &err) : RD_ERR_USAGE;
    if (status != RD_OK)
        fprintf(stderr, "rondo-sim: %s\n", err.message);
    rd_ranks_close(status != RD_OK);
    if (status != RD_OK)
        return status == RD_ERR_USAGE ? 2 : status == RD_ERR_IDLE ? EXIT_IDLE : 1;
    return interrupted ? EXIT_INTERRUPTED : 0;
}
