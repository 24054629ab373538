/* main.c: rondo-inspect, which shows what a run has done. It only reads, so it may be used at any time, also
 * on the directory of a run that is going on. */
#include <stdio.h>
#include <string.h>

#include "inspect.h"

static const struct {
    const char *name;
    rd_status (*run)(int argc, char **argv, rd_error *err);
} commands[] = {
    {"rounds", inspect_rounds},         {"clients", inspect_clients},
    {"model", inspect_model},           {"plot", inspect_plot},
    {"export", inspect_export},         {"predict", inspect_predict},
    {"forgetting", inspect_forgetting}, {"sample", inspect_sample},
    {"vocabulary", inspect_vocabulary}, {"compare", inspect_compare},
    {"audit", inspect_audit},           {"replay", inspect_replay},
};

static const rd_option no_options[] = {{.kind = RD_OPTION_END}};

static const rd_command program = {
    .program = "rondo-inspect",
    .usage = "COMMAND ...",
    .summary = "Shows what a run of federated learning has done, from its state directory. It only reads, and may "
               "be used while the run goes on.\n\n"
               "  rounds DIR    loss, accuracy, participants and cost, round by round\n"
               "  clients DIR   what each client contributed, in all or in one round\n"
               "  plot DIR      a picture of loss and accuracy by round\n"
               "  compare DIR DIR ...   runs side by side: a table, and a picture of both\n"
               "  model DIR     the layers of a run's model: shapes, parameters, FLOPs, memory\n"
               "  model FILE    the tensors of a model file (any safetensors file)\n"
               "  export DIR    a run's model as one file, frozen part and LoRA included\n"
               "  predict DIR   what a run's model puts out for samples\n"
               "  forgetting DIR   accuracy on every task after every task\n"
               "  sample DIR    text from a run's language model\n"
               "  audit DIR     the account of what happened, and whether it is whole\n"
               "  replay DIR    a round computed once more from its updates\n"
               "  vocabulary FILE   the symbols of a text, as model.input.vocabulary wants them\n\n"
               "`rondo-inspect COMMAND --help` describes a command's options.",
    .options = no_options,
    .footer = INSPECT_EXIT_CODES,
};

/* No command: --help, --version, or something we do not know. */
static rd_status no_command(int argc, char **argv, rd_error *err)
{
    rd_parse_result parsed = rd_options_parse(&program, argc, argv, NULL, err);
    return parsed == RD_PARSE_RUN ? rd_fail(err, RD_ERR_USAGE, "a command is needed, such as rounds (see --help)")
                                  : rd_parse_status(parsed);
}

int main(int argc, char **argv)
{
    rd_error error = {0};
    rd_status status = RD_ERR_USAGE;
    size_t known = sizeof commands / sizeof *commands, i = 0;
    while (i < known && (argc < 2 || strcmp(argv[1], commands[i].name) != 0))
        i++;
    if (i < known)
        status = commands[i].run(argc - 1, argv + 1, &error);
    else if (argc >= 2 && argv[1][0] != '-')
        status = rd_fail(&error, RD_ERR_USAGE,
                         "there is no command '%s'; the commands are rounds, clients, plot, model, export, "
                         "sample, audit, replay and vocabulary",
                         argv[1]);
    else
        status = no_command(argc, argv, &error);
    if (status == RD_OK)
        status = inspect_flush(&error);
    if (status != RD_OK)
        (void)fprintf(stderr, "rondo-inspect: %s\n", error.message);
    return status == RD_OK ? 0 : status == RD_ERR_USAGE ? 2 : 1;
}
