/* options.c: see options.h. */
#include "core/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/number.h"
#include "core/spelling.h"
#include "rondo/version.h"

enum {
    HELP_WIDTH = 92,       /* columns of the --help text */
    HELP_COLUMN_MAX = 30,  /* where descriptions begin at the latest */
    OPTIONS_MAX = 64,      /* of one table */
    MISSING_TEXT_MAX = 256 /* for the list of missing options */
};

/* ---- the --help text ---- */

/* Prints words of text up to end, continuing at column; lines break before HELP_WIDTH and go on at indent. */
static void print_filled(const char *text, const char *end, size_t indent, size_t column)
{
    bool first = true;
    while (text < end) {
        size_t length = strcspn(text, " \n");
        if (length > (size_t)(end - text))
            length = (size_t)(end - text);
        if (length > 0) {
            if (!first && column + 1 + length > HELP_WIDTH) {
                printf("\n%*s", (int)indent, "");
                column = indent;
            } else if (!first) {
                putchar(' ');
                column++;
            }
            printf("%.*s", (int)length, text);
            column += length;
            first = false;
        }
        text += length + 1;
    }
    putchar('\n');
}

/* Prints text as paragraphs: lines that begin with a space and empty lines stay as they are, others are
 * joined and filled. */
static void print_paragraphs(const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        if (*text == ' ' || *text == '\n') {
            printf("%.*s\n", (int)length, text);
        } else {
            const char *end = text + length;
            while (end[0] == '\n' && end[1] != '\0' && end[1] != ' ' && end[1] != '\n')
                end += 1 + strcspn(end + 1, "\n");
            print_filled(text, end, 0, 0);
            length = (size_t)(end - text);
        }
        text += length;
        if (*text == '\n')
            text++;
    }
}

/* "--name PLACEHOLDER" */
static size_t left_width(const rd_option *o)
{
    return 2 + strlen(o->name) + (o->placeholder != NULL ? 1 + strlen(o->placeholder) : 0);
}

static void print_option(const char *left, const char *help, size_t column)
{
    char line[2 * HELP_WIDTH];
    int used = snprintf(line, sizeof line, "  %s", left);
    printf("%s", line);
    if ((size_t)used + 2 > column)
        printf("\n%*s", (int)column, "");
    else
        printf("%*s", (int)(column - (size_t)used), "");
    print_filled(help, help + strlen(help), column, column);
}

static void print_help(const rd_command *c)
{
    static const char own_help[] = "-h, --help";
    size_t column = sizeof own_help - 1;
    for (const rd_option *o = c->options; o->kind != RD_OPTION_END; o++) {
        size_t width = left_width(o);
        if (width > column && width + 4 <= HELP_COLUMN_MAX)
            column = width;
    }
    column += 4; /* two spaces before, two behind */
    printf("Usage: ");
    size_t start = strlen("Usage: ") + strlen(c->program) + 1;
    printf("%s%s", c->program, c->usage[0] != '\0' ? " " : "");
    print_filled(c->usage, c->usage + strlen(c->usage), start, start);
    putchar('\n');
    print_paragraphs(c->summary);
    printf("\nOptions:\n");
    for (const rd_option *o = c->options; o->kind != RD_OPTION_END; o++) {
        char left[HELP_WIDTH], help[RD_ERROR_MESSAGE_MAX];
        (void)snprintf(left, sizeof left, "--%s%s%s", o->name, o->placeholder != NULL ? " " : "",
                       o->placeholder != NULL ? o->placeholder : "");
        (void)snprintf(help, sizeof help, "%s%s", o->help, o->required ? " (required)" : "");
        print_option(left, help, column);
    }
    print_option(own_help, "print this text and end", column);
    print_option("--version", "print the version and end", column);
    if (c->footer != NULL) {
        putchar('\n');
        print_paragraphs(c->footer);
    }
}

/* ---- suggestions ---- */

/* The known name that was probably meant, or NULL where none is near. */
static const char *nearest_name(const rd_option *options, const char *typed)
{
    const char *best = NULL;
    size_t length = strlen(typed), best_distance = rd_spelling_limit(typed);
    static const rd_option always[] = {
        {.kind = RD_OPTION_FLAG, .name = "help"},
        {.kind = RD_OPTION_FLAG, .name = "version"},
        {.kind = RD_OPTION_END},
    };
    const rd_option *tables[] = {options, always};
    for (int t = 0; t < 2; t++)
        for (const rd_option *o = tables[t]; o->kind != RD_OPTION_END; o++) {
            bool begins = length >= 2 && strncmp(o->name, typed, length) == 0;
            size_t distance = begins ? 0 : rd_edit_distance(typed, o->name);
            if (distance < best_distance) {
                best = o->name;
                best_distance = distance;
            }
        }
    return best;
}

static rd_status fail_unknown(const rd_command *c, const char *word, rd_error *err)
{
    char name[RD_SPELLING_MAX + 1];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    const char *nearest = nearest_name(c->options, name + strspn(name, "-"));
    if (nearest != NULL)
        return rd_fail(err, RD_ERR_USAGE, "unknown option %s; did you mean --%s?", name, nearest);
    return rd_fail(err, RD_ERR_USAGE, "unknown option %s; see %s --help", name, c->program);
}

/* ---- parsing ---- */

static bool has_bounds(const rd_option *o)
{
    return o->min != 0.0 || o->max != 0.0;
}

static rd_status set_count(const rd_option *o, const char *text, rd_error *err)
{
    uint64_t n;
    if (rd_number_count(text, strlen(text), &n) && (!has_bounds(o) || ((double)n >= o->min && (double)n <= o->max))) {
        *(uint64_t *)o->value = n;
        return RD_OK;
    }
    if (!has_bounds(o))
        return rd_fail(err, RD_ERR_USAGE, "--%s: expected a whole number, found '%s'", o->name, text);
    return rd_fail(err, RD_ERR_USAGE, "--%s: expected a whole number from %.0f to %.0f, found '%s'", o->name, o->min,
                   o->max, text);
}

static rd_status set_number(const rd_option *o, const char *text, rd_error *err)
{
    double x;
    if (rd_number_read(text, strlen(text), &x) == RD_NUMBER_OK && (!has_bounds(o) || (x >= o->min && x <= o->max))) {
        *(double *)o->value = x;
        return RD_OK;
    }
    if (!has_bounds(o))
        return rd_fail(err, RD_ERR_USAGE, "--%s: expected a number, found '%s'", o->name, text);
    return rd_fail(err, RD_ERR_USAGE, "--%s: expected a number from %g to %g, found '%s'", o->name, o->min, o->max,
                   text);
}

static rd_status set_value(const rd_option *o, const char *text, rd_error *err)
{
    if (text[0] == '\0')
        return rd_fail(err, RD_ERR_USAGE, "--%s: expected %s, found an empty word", o->name, o->placeholder);
    switch (o->kind) {
    case RD_OPTION_TEXT:
        *(const char **)o->value = text;
        return RD_OK;
    case RD_OPTION_COUNT:
        return set_count(o, text, err);
    case RD_OPTION_NUMBER:
        return set_number(o, text, err);
    case RD_OPTION_FLAG:
    case RD_OPTION_END:
        break;
    }
    return rd_fail(err, RD_ERR_INTERNAL, "--%s: its kind takes no value", o->name);
}

static const rd_option *find_option(const rd_option *options, const char *name, size_t length)
{
    for (const rd_option *o = options; o->kind != RD_OPTION_END; o++)
        if (strlen(o->name) == length && strncmp(o->name, name, length) == 0)
            return o;
    return NULL;
}

/* Takes the option argv[*at] and, where it has one, its value; *at ends on the last word taken. */
static rd_status take_option(const rd_command *c, int argc, char **argv, int *at, bool *seen, rd_error *err)
{
    const char *word = argv[*at];
    size_t length = strcspn(word + 2, "=");
    const char *attached = word[2 + length] == '=' ? word + 2 + length + 1 : NULL;
    const rd_option *o = strncmp(word, "--", 2) == 0 ? find_option(c->options, word + 2, length) : NULL;
    if (o == NULL)
        return fail_unknown(c, word, err);
    seen[o - c->options] = true;
    if (o->kind == RD_OPTION_FLAG) {
        if (attached != NULL)
            return rd_fail(err, RD_ERR_USAGE, "--%s takes no value, found '%s'", o->name, attached);
        *(bool *)o->value = true;
        return RD_OK;
    }
    if (attached != NULL)
        return set_value(o, attached, err);
    if (*at + 1 == argc)
        return rd_fail(err, RD_ERR_USAGE, "--%s: expected %s after it, found the end of the command line", o->name,
                       o->placeholder);
    const char *next = argv[*at + 1];
    if (strncmp(next, "--", 2) == 0) /* far more often a forgotten value than a value of such a form */
        return rd_fail(err, RD_ERR_USAGE, "--%s: expected %s after it, found '%s' (if that is meant: --%s=%s)", o->name,
                       o->placeholder, next, o->name, next);
    (*at)++;
    return set_value(o, next, err);
}

/* Names all that is missing at once, so that it can be put right at once. */
static rd_status check_required(const rd_command *c, const bool *seen, rd_error *err)
{
    char missing[MISSING_TEXT_MAX] = "";
    size_t used = 0, count = 0;
    for (const rd_option *o = c->options; o->kind != RD_OPTION_END; o++) {
        if (!o->required || seen[o - c->options] || used >= sizeof missing)
            continue;
        used += (size_t)snprintf(missing + used, sizeof missing - used, "%s--%s%s%s", count > 0 ? ", " : "", o->name,
                                 o->placeholder != NULL ? " " : "", o->placeholder != NULL ? o->placeholder : "");
        count++;
    }
    if (count == 0)
        return RD_OK;
    return rd_fail(err, RD_ERR_USAGE, "%s %s missing; see %s --help", missing, count == 1 ? "is" : "are", c->program);
}

/* --help and --version have been printed: did they arrive? */
static rd_parse_result printed(rd_error *err)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return RD_PARSE_EXIT;
    (void)rd_fail(err, RD_ERR_IO, "standard output cannot be written: %s", strerror(errno));
    return RD_PARSE_ERROR;
}

static rd_status take_operand(const rd_command *c, const char *word, rd_operands *operands, rd_error *err)
{
    if (operands == NULL || operands->count == operands->most)
        return rd_fail(err, RD_ERR_USAGE, "'%s' is one word too many; see %s --help", word, c->program);
    operands->words[operands->count++] = word;
    return RD_OK;
}

rd_parse_result rd_options_parse(const rd_command *command, int argc, char **argv, rd_operands *operands, rd_error *err)
{
    rd_status status = RD_OK;
    bool seen[OPTIONS_MAX] = {false}, options_end = false;
    size_t known = 0;
    if (operands != NULL)
        operands->count = 0;
    while (command->options[known].kind != RD_OPTION_END)
        known++;
    if (known > OPTIONS_MAX)
        RD_THROW(RD_ERR_INTERNAL, "%s: more than %d options", command->program, OPTIONS_MAX);
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (options_end || word[0] != '-' || word[1] == '\0') {
            RD_TRY(take_operand(command, word, operands, err));
        } else if (strcmp(word, "--") == 0) {
            options_end = true;
        } else if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
            print_help(command);
            return printed(err);
        } else if (strcmp(word, "--version") == 0) {
            printf("%.*s %s\n", (int)strcspn(command->program, " "), command->program, rd_version());
            return printed(err);
        } else {
            RD_TRY(take_option(command, argc, argv, &i, seen, err));
        }
    }
    RD_TRY(check_required(command, seen, err));
    if (operands != NULL && operands->count < operands->least)
        status = rd_fail(err, RD_ERR_USAGE, "%s needs %s; see %s --help", command->program, operands->what,
                         command->program);
cleanup:
    return status == RD_OK ? RD_PARSE_RUN : RD_PARSE_ERROR;
}

rd_status rd_parse_status(rd_parse_result result)
{
    return result == RD_PARSE_ERROR ? RD_ERR_USAGE : RD_OK;
}
