/* options.h: command lines. One table per program gives the parsing, the --help text and the README's list,
 * so an option is written down once.
 *
 * Long options only ("--name VALUE" or "--name=VALUE"; flags take no value); -h and --help, --version are
 * always there. An option given twice has its last value. A value that begins with "--" must be written
 * "--name=VALUE", so that a forgotten value is noticed. After the word "--" there are operands only. */
#ifndef RONDO_CORE_OPTIONS_H
#define RONDO_CORE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

typedef enum rd_option_kind {
    RD_OPTION_FLAG,   /* bool *      : set to true */
    RD_OPTION_TEXT,   /* const char **: points into argv */
    RD_OPTION_COUNT,  /* uint64_t *  : a whole number, min <= n <= max */
    RD_OPTION_NUMBER, /* double *    : a finite number, min <= x <= max */
    RD_OPTION_END,    /* closes the table */
} rd_option_kind;

typedef struct rd_option {
    rd_option_kind kind;
    const char *name;        /* "aggregator", without the dashes */
    const char *placeholder; /* "URL"; NULL for flags */
    const char *help;        /* one sentence, lower case, with the default in words */
    void *value;             /* where the value goes; holds the default before parsing */
    bool required;
    double min, max; /* for COUNT and NUMBER; both 0: no limits */
} rd_option;

typedef struct rd_command {
    const char *program;      /* "rondo-client" */
    const char *usage;        /* what follows the program's name in the usage line */
    const char *summary;      /* what the program is for */
    const rd_option *options; /* at most 64 */
    const char *footer;       /* examples and exit codes; may be NULL */
} rd_command;
/* Summary and footer are filled to the width of the page paragraph by paragraph; a line that begins with a
 * space (an example, a list) stays as it is. */

typedef enum rd_parse_result { RD_PARSE_RUN, RD_PARSE_EXIT, RD_PARSE_ERROR } rd_parse_result;

/* The words without dashes that a command takes. */
typedef struct rd_operands {
    const char **words; /* (most) where they go */
    size_t most, least;
    const char *what; /* "DIR, a state directory", for the message where there are fewer than least */
    size_t count;     /* how many there were */
} rd_operands;

/* Parses argv[1..]; operands NULL: there is none. RD_PARSE_EXIT: --help or --version was answered on stdout.
 * RD_PARSE_ERROR: err says which option and what it expects (unknown options name the nearest known one). */
rd_parse_result rd_options_parse(const rd_command *command, int argc, char **argv, rd_operands *operands,
                                 rd_error *err);
/* What a command returns that is not to run: RD_OK where help was given, else RD_ERR_USAGE. */
rd_status rd_parse_status(rd_parse_result result);

#endif
