/* Command lines: what is understood, what is refused and in which words, and how --help looks. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

#include "core/options.h"
#include "rondo/version.h"

/* What a program would have on its stack. */
typedef struct settings {
    const char *config, *state;
    uint64_t clients, seed;
    double rate, any;
    bool quiet;
    const char *operands[2];
    size_t operand_count;
    rd_error err;
} settings;

static rd_parse_result parse_as(const char *usage, const char *summary, const char *footer, int argc, char **argv,
                                settings *s)
{
    const rd_option options[] = {
        {RD_OPTION_TEXT, "config", "FILE", "the run: model, training, cohort, data", &s->config, true, 0, 0},
        {RD_OPTION_TEXT, "state", "DIR", "where rounds and models are kept; made where it is missing", &s->state, true,
         0, 0},
        {RD_OPTION_COUNT, "clients", "N",
         "clients that share the data set that is described in the file of the run; default: 3, which is "
         "enough to see how rounds go, and few enough to read every line that they print",
         &s->clients, false, 1, 1000},
        {RD_OPTION_COUNT, "seed", "N", "any whole number; default 1", &s->seed, false, 0, 0},
        {RD_OPTION_NUMBER, "rate", "X", "a share of one; default 0.5", &s->rate, false, 0, 1},
        {RD_OPTION_NUMBER, "any-number-that-one-could-think-of", "NUMBER", "no limits", &s->any, false, 0, 0},
        {RD_OPTION_FLAG, "quiet", NULL, "print nothing but errors", &s->quiet, false, 0, 0},
        {.kind = RD_OPTION_END},
    };
    const rd_command command = {"rondo-test", usage, summary, options, footer};
    rd_operands operands = {s->operands, 2, 0, NULL, 0};
    rd_parse_result result = rd_options_parse(&command, argc, argv, &operands, &s->err);
    s->operand_count = operands.count;
    return result;
}

/* Parses words (ended by NULL) behind the program's name. */
static rd_parse_result parse(settings *s, const char *const *words)
{
    char *argv[16] = {"rondo-test"};
    int argc = 1;
    for (; words[argc - 1] != NULL; argc++)
        argv[argc] = (char *)words[argc - 1];
    *s = (settings){.clients = 3, .seed = 1, .rate = 0.5};
    return parse_as("--config FILE --state DIR", "Tests command lines.", NULL, argc, argv, s);
}

#define PARSE(s, ...) parse(s, (const char *const[]){__VA_ARGS__, NULL})

/* The words end in an error with exactly this message. */
#define REFUSED(message_expected, ...)                               \
    do {                                                             \
        settings refused_;                                           \
        cr_expect_eq(PARSE(&refused_, __VA_ARGS__), RD_PARSE_ERROR); \
        cr_expect_str_eq(refused_.err.message, message_expected);    \
        cr_expect_eq(refused_.err.status, RD_ERR_USAGE);             \
    } while (0)

/* ---- understood ---- */

Test(options, both_ways_of_writing_a_value)
{
    settings s;
    cr_assert_eq(PARSE(&s, "--config", "run.json", "--state=a=b", "--clients=7", "--rate", "0.25", "--quiet",
                       "--any-number-that-one-could-think-of", "-1e-3", "--seed", "18446744073709551615"),
                 RD_PARSE_RUN);
    cr_assert_str_eq(s.config, "run.json");
    cr_assert_str_eq(s.state, "a=b");
    cr_assert_eq(s.clients, 7);
    cr_assert_eq(s.rate, 0.25);
    cr_assert_eq(s.any, -0.001);
    cr_assert_eq(s.seed, UINT64_MAX);
    cr_assert(s.quiet);
    cr_assert_eq(s.operand_count, 0);
}

Test(options, what_is_not_given_keeps_its_default)
{
    settings s;
    cr_assert_eq(PARSE(&s, "--config", "c", "--state", "s"), RD_PARSE_RUN);
    cr_assert_eq(s.clients, 3);
    cr_assert_eq(s.rate, 0.5);
    cr_assert_not(s.quiet);
}

Test(options, operands_stand_anywhere)
{
    settings s;
    cr_assert_eq(PARSE(&s, "serve", "--config", "c", "-", "--state", "s"), RD_PARSE_RUN);
    cr_assert_eq(s.operand_count, 2);
    cr_assert_str_eq(s.operands[0], "serve");
    cr_assert_str_eq(s.operands[1], "-");
    cr_assert_eq(PARSE(&s, "--config", "c", "--state", "s", "--", "--quiet", "--help"), RD_PARSE_RUN);
    cr_assert_eq(s.operand_count, 2);
    cr_assert_str_eq(s.operands[0], "--quiet");
    cr_assert_not(s.quiet);
}

Test(options, the_last_of_two_values_counts)
{
    settings s;
    cr_assert_eq(PARSE(&s, "--config=a", "--state=s", "--config=b"), RD_PARSE_RUN);
    cr_assert_str_eq(s.config, "b");
}

Test(options, limits_belong_to_the_range)
{
    settings s;
    cr_assert_eq(PARSE(&s, "--config=a", "--state=s", "--clients=1", "--rate=0"), RD_PARSE_RUN);
    cr_assert_eq(s.clients, 1);
    cr_assert_eq(PARSE(&s, "--config=a", "--state=s", "--clients=1000", "--rate=1"), RD_PARSE_RUN);
    cr_assert_eq(s.clients, 1000);
}

/* ---- refused ---- */

Test(options, unknown_ones_suggest_the_nearest)
{
    REFUSED("unknown option --cnofig; did you mean --config?", "--cnofig", "x");
    REFUSED("unknown option --client; did you mean --clients?", "--client=4");
    REFUSED("unknown option --sta; did you mean --state?", "--sta", "x");
    REFUSED("unknown option -config; did you mean --config?", "-config", "x");
    REFUSED("unknown option --hlep; did you mean --help?", "--hlep");
    REFUSED("unknown option --versoin; did you mean --version?", "--versoin");
    REFUSED("unknown option --any-number; did you mean --any-number-that-one-could-think-of?", "--any-number");
    REFUSED("unknown option --bandwidth; see rondo-test --help", "--bandwidth", "3");
    REFUSED("unknown option -v; see rondo-test --help", "-v");
    REFUSED("unknown option --xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; see rondo-test "
            "--help",
            "--xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

Test(options, missing_ones_are_named_together)
{
    REFUSED("--config FILE, --state DIR are missing; see rondo-test --help", "--quiet");
    REFUSED("--state DIR is missing; see rondo-test --help", "--config", "c");
}

Test(options, values_that_are_missing_or_too_many)
{
    REFUSED("--config: expected FILE after it, found the end of the command line", "--state=s", "--config");
    REFUSED("--config: expected FILE after it, found '--state' (if that is meant: --config=--state)", "--config",
            "--state", "s");
    REFUSED("--config: expected FILE, found an empty word", "--config", "");
    REFUSED("--config: expected FILE, found an empty word", "--config=");
    REFUSED("--quiet takes no value, found 'yes'", "--quiet=yes");
    REFUSED("'c' is one word too many; see rondo-test --help", "a", "b", "c");
}

Test(options, numbers_that_are_none_or_out_of_range)
{
    REFUSED("--clients: expected a whole number from 1 to 1000, found '0'", "--clients", "0");
    REFUSED("--clients: expected a whole number from 1 to 1000, found '1001'", "--clients=1001");
    REFUSED("--clients: expected a whole number from 1 to 1000, found '-5'", "--clients", "-5");
    REFUSED("--clients: expected a whole number from 1 to 1000, found '5x'", "--clients", "5x");
    REFUSED("--clients: expected a whole number from 1 to 1000, found ' 5'", "--clients", " 5");
    REFUSED("--clients: expected a whole number from 1 to 1000, found '1e2'", "--clients", "1e2");
    REFUSED("--clients: expected a whole number from 1 to 1000, found '99999999999999999999'", "--clients",
            "99999999999999999999");
    REFUSED("--seed: expected a whole number, found '18446744073709551616'", "--seed", "18446744073709551616");
    REFUSED("--rate: expected a number from 0 to 1, found '1.5'", "--rate", "1.5");
    REFUSED("--rate: expected a number from 0 to 1, found 'nan'", "--rate", "nan");
    REFUSED("--rate: expected a number from 0 to 1, found '0x1'", "--rate", "0x1");
    REFUSED("--rate: expected a number from 0 to 1, found '0.1.2'", "--rate", "0.1.2");
    REFUSED("--any-number-that-one-could-think-of: expected a number, found '1e999'",
            "--any-number-that-one-could-think-of=1e999");
}

/* ---- --help and --version ---- */

static void redirect(void)
{
    cr_redirect_stdout();
}

static const char expected_help[] =
    "Usage: rondo-test [command] --config FILE --state DIR [--clients N] [--seed N] [--rate X]\n"
    "                  [--quiet]\n"
    "\n"
    "A paragraph that is written in two pieces in the source and is longer than one line of the\n"
    "page, so it is broken where the page ends.\n"
    "\n"
    "  one  a list\n"
    "  two  stays as it is\n"
    "\n"
    "Options:\n"
    "  --config FILE  the run: model, training, cohort, data (required)\n"
    "  --state DIR    where rounds and models are kept; made where it is missing (required)\n"
    "  --clients N    clients that share the data set that is described in the file of the run;\n"
    "                 default: 3, which is enough to see how rounds go, and few enough to read\n"
    "                 every line that they print\n"
    "  --seed N       any whole number; default 1\n"
    "  --rate X       a share of one; default 0.5\n"
    "  --any-number-that-one-could-think-of NUMBER\n"
    "                 no limits\n"
    "  --quiet        print nothing but errors\n"
    "  -h, --help     print this text and end\n"
    "  --version      print the version and end\n"
    "\n"
    "Example:\n"
    "  rondo-test --config run.json\n"
    "\n"
    "Exit codes: 0 finished.\n";

static void ask_for_help(char *word)
{
    char *argv[] = {"rondo-test", "serve", word, "--bogus"};
    settings s = {0};
    cr_assert_eq(parse_as("[command] --config FILE --state DIR [--clients N] [--seed N] [--rate X] [--quiet]",
                          "A paragraph that is written in two pieces\nin the source and is longer than one "
                          "line of the page, so it is broken where the page ends.\n\n  one  a list\n"
                          "  two  stays as it is",
                          "Example:\n  rondo-test --config run.json\n\nExit codes: 0 finished.\n", 4, argv, &s),
                 RD_PARSE_EXIT);
    fflush(stdout);
    cr_assert_stdout_eq_str(expected_help);
}

Test(options, help_is_a_page, .init = redirect)
{
    ask_for_help("--help");
}

Test(options, short_help_is_the_same, .init = redirect)
{
    ask_for_help("-h");
}

Test(options, version, .init = redirect)
{
    char *argv[] = {"rondo-test", "--version"};
    const rd_option none[] = {{.kind = RD_OPTION_END}};
    const rd_command command = {"rondo-test rounds", "", "", none, NULL};
    rd_error err;
    cr_assert_eq(rd_options_parse(&command, 2, argv, NULL, &err), RD_PARSE_EXIT);
    fflush(stdout);
    cr_assert_stdout_eq_str("rondo-test " RONDO_VERSION "\n");
    cr_assert_str_eq(rd_version(), RONDO_VERSION);
}

Test(options, no_operand_where_none_is_taken)
{
    char *argv[] = {"rondo-test", "word"};
    const rd_option none[] = {{.kind = RD_OPTION_END}};
    const rd_command command = {"rondo-test", "", "", none, NULL};
    rd_error err;
    cr_assert_eq(rd_options_parse(&command, 2, argv, NULL, &err), RD_PARSE_ERROR);
    cr_assert_str_eq(err.message, "'word' is one word too many; see rondo-test --help");
}

Test(options, operands_that_are_missing_are_named)
{
    char *argv[] = {"rondo-test", "from"};
    const char *words[2];
    const rd_option none[] = {{.kind = RD_OPTION_END}};
    const rd_command command = {"rondo-test copy", "", "", none, NULL};
    rd_operands operands = {words, 2, 2, "two directories, FROM and TO", 0};
    rd_error err;
    rd_parse_result result = rd_options_parse(&command, 2, argv, &operands, &err);
    cr_assert_eq(result, RD_PARSE_ERROR);
    cr_assert_eq(rd_parse_status(result), RD_ERR_USAGE);
    cr_assert_str_eq(err.message, "rondo-test copy needs two directories, FROM and TO; see rondo-test copy --help");
    operands.least = 1;
    cr_assert_eq(rd_options_parse(&command, 2, argv, &operands, &err), RD_PARSE_RUN);
    cr_assert_eq(operands.count, 1);
    cr_assert_str_eq(words[0], "from");
}

Test(options, help_that_cannot_be_written_is_an_error)
{
    char *argv[] = {"rondo-test", "--help"};
    const rd_option none[] = {{.kind = RD_OPTION_END}};
    const rd_command command = {"rondo-test", "", "Nothing.", none, NULL};
    rd_error err;
    cr_assert_not_null(freopen("/dev/full", "w", stdout));
    cr_assert_eq(rd_options_parse(&command, 2, argv, NULL, &err), RD_PARSE_ERROR);
    cr_assert_eq(err.status, RD_ERR_IO);
}
