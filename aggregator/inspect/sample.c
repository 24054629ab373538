/* sample.c: `rondo-inspect sample`: text from a run's language model, and `rondo-inspect vocabulary`.
 *
 * The text so far fills the model's window from the left, and the symbol that comes next is drawn by the
 * logits at its last position; where the window is full, the oldest symbols fall out of it. A model with one
 * prediction for the whole window wants it full: what is missing in front is token 0. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/random.h"
#include "core/utf8.h"
#include "inspect.h"
#include "run_model.h"

#define MAX_TEXT ((size_t)1 << 30)

typedef struct sampler {
    const run_model *run;
    const rd_vocabulary *vocabulary;
    rd_workspace *workspace;
    rd_random random;
    double temperature;
    size_t top;    /* symbols to choose from */
    size_t window; /* T */
    int32_t *text; /* tokens so far */
    size_t count;
    double *weight; /* (V) */
} sampler;

static rd_status check(const run_model *run, rd_error *err)
{
    const rd_vocabulary *v = rd_model_vocabulary(run->model);
    if (v == NULL)
        return rd_fail(err, RD_ERR_CONFIG,
                       "the model is no language model: its input lists no symbols (model.input.vocabulary)");
    if (rd_model_loss(run->model) != RD_LOSS_SOFTMAX_CROSS_ENTROPY || rd_model_output_size(run->model) != v->count)
        return rd_fail(err, RD_ERR_CONFIG, "the model is no language model: it has %zu outputs for %zu symbols",
                       rd_model_output_size(run->model), v->count);
    return RD_OK;
}

static rd_status take_prompt(sampler *s, const char *prompt, rd_error *err)
{
    size_t size = strlen(prompt), bytes;
    for (size_t i = 0; i < size; i += bytes) {
        uint32_t code = 0;
        bytes = rd_utf8_decode(prompt + i, size - i, &code);
        int32_t token = bytes > 0 ? rd_vocabulary_find(s->vocabulary, code) : -1;
        if (token < 0)
            return rd_fail(err, RD_ERR_USAGE, "--prompt: the symbol at byte %zu is not one of the model's", i);
        s->text[s->count++] = token;
    }
    return RD_OK;
}

/* The logits (V) of the next symbol. */
static const float *next_logits(const sampler *s)
{
    float *x = rd_workspace_x(s->workspace);
    size_t used = s->count < s->window ? s->count : s->window, V = s->vocabulary->count;
    bool everywhere = rd_model_predictions(s->run->model) > 1;
    size_t start = everywhere ? 0 : s->window - used;
    for (size_t i = 0; i < s->window; i++)
        x[i] = i >= start && i - start < used ? (float)s->text[s->count - used + (i - start)] : 0.0f;
    const float *y = rd_model_forward(s->run->model, s->run->parameters, s->workspace, 1, NULL);
    return everywhere ? y + (used - 1) * V : y;
}

/* Temperature 0 takes the likeliest. */
static int32_t draw(sampler *s, const float *logits)
{
    size_t V = s->vocabulary->count, best = 0;
    double sum = 0;
    for (size_t i = 1; i < V; i++)
        best = logits[i] > logits[best] ? i : best;
    if (s->temperature == 0)
        return (int32_t)best;
    for (size_t i = 0; i < V; i++) {
        size_t better = 0;
        for (size_t j = 0; j < V; j++)
            better += logits[j] > logits[i] || (logits[j] == logits[i] && j < i);
        s->weight[i] = better < s->top ? exp((double)(logits[i] - logits[best]) / s->temperature) : 0;
        sum += s->weight[i];
    }
    double left = rd_random_uniform(&s->random) * sum;
    for (size_t i = 0; i < V; i++) {
        left -= s->weight[i];
        if (left < 0 && s->weight[i] > 0)
            return (int32_t)i;
    }
    return (int32_t)best;
}

static void print_symbol(const sampler *s, int32_t token)
{
    char text[5];
    (void)rd_utf8_encode(s->vocabulary->symbol[token], text);
    fputs(text, stdout);
}

static rd_status sample(const run_model *run, const char *prompt, uint64_t symbols, uint64_t top, double temperature,
                        uint64_t seed, rd_error *err)
{
    sampler s = {.run = run, .vocabulary = rd_model_vocabulary(run->model), .temperature = temperature};
    rd_status status = RD_OK;
    s.window = rd_model_input_size(run->model);
    s.top = top > 0 ? (size_t)top : s.vocabulary->count;
    s.random = rd_random_stream(seed, RD_PURPOSE_SAMPLE, 0, 0);
    s.text = malloc((strlen(prompt) + (size_t)symbols + 1) * sizeof *s.text);
    s.weight = malloc(s.vocabulary->count * sizeof *s.weight);
    if (s.text == NULL || s.weight == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for %llu symbols", (unsigned long long)symbols);
    RD_TRY(rd_workspace_create(run->model, 1, &s.workspace, err));
    RD_TRY(take_prompt(&s, prompt, err));
    if (s.count == 0) /* something has to come first */
        s.text[s.count++] = 0;
    else
        fputs(prompt, stdout);
    for (uint64_t i = 0; i < symbols; i++) {
        int32_t token = draw(&s, next_logits(&s));
        s.text[s.count++] = token;
        print_symbol(&s, token);
    }
    fputc('\n', stdout);
cleanup:
    rd_workspace_free(s.workspace);
    free(s.text);
    free(s.weight);
    return status;
}

rd_status inspect_sample(int argc, char **argv, rd_error *err)
{
    const char *prompt = "", *directory = NULL;
    double temperature = 1;
    uint64_t round = UINT64_MAX, symbols = 500, top = 0, seed = 1;
    const rd_option options[] = {
        {.kind = RD_OPTION_TEXT,
         .name = "prompt",
         .placeholder = "TEXT",
         .help = "how the text begins",
         .value = &prompt},
        {.kind = RD_OPTION_COUNT,
         .name = "symbols",
         .placeholder = "N",
         .help = "symbols to add; default 500",
         .value = &symbols,
         .min = 1,
         .max = 10000000},
        {.kind = RD_OPTION_NUMBER,
         .name = "temperature",
         .placeholder = "X",
         .help = "below 1 the likely becomes likelier; 0: always the likeliest; default 1",
         .value = &temperature,
         .max = 1000},
        {.kind = RD_OPTION_COUNT,
         .name = "top-k",
         .placeholder = "K",
         .help = "choose from the K likeliest symbols only",
         .value = &top,
         .min = 1,
         .max = 1000000},
        {.kind = RD_OPTION_COUNT,
         .name = "seed",
         .placeholder = "S",
         .help = "another seed, another text; default 1",
         .value = &seed,
         .max = 9007199254740992.0},
        {.kind = RD_OPTION_COUNT,
         .name = "round",
         .placeholder = "R",
         .help = "the model of this round; default: the newest",
         .value = &round,
         .max = 1e9},
        {.kind = RD_OPTION_END},
    };
    const rd_command command = {
        .program = "rondo-inspect sample",
        .usage = "DIR [options]",
        .summary = "Writes text, symbol after symbol, as a run's language model would continue the prompt.",
        .options = options,
        .footer = INSPECT_EXIT_CODES,
    };
    run_model run = {0};
    rd_status status = inspect_parse(&command, argc, argv, "DIR, a state directory", &directory, err);
    if (status != RD_OK || directory == NULL)
        return status;
    RD_TRY(run_model_load(directory, round, &run, err));
    RD_TRY(check(&run, err));
    RD_TRY(sample(&run, prompt, symbols, top, temperature, seed, err));
cleanup:
    run_model_free(&run);
    return status;
}

/* ---- vocabulary ---- */

static int by_code(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

rd_status inspect_vocabulary(int argc, char **argv, rd_error *err)
{
    const rd_option options[] = {{.kind = RD_OPTION_END}};
    const rd_command command = {
        .program = "rondo-inspect vocabulary",
        .usage = "FILE",
        .summary = "Prints the distinct symbols of a text in UTF-8, in the order of their code points, as "
                   "the JSON text that "
                   "model.input.vocabulary in run.json wants.",
        .options = options,
        .footer = INSPECT_EXIT_CODES,
    };
    rd_status status = RD_OK;
    const char *path = NULL;
    char *text = NULL, *list = NULL, *printed = NULL;
    uint32_t *symbols = NULL;
    size_t size, count = 0, bytes, at = 0;
    cJSON *item = NULL;
    RD_TRY(inspect_parse(&command, argc, argv, "FILE, a text", &path, err));
    if (path == NULL)
        goto cleanup;
    RD_TRY(rd_file_read(path, MAX_TEXT, &text, &size, err));
    symbols = malloc((size + 1) * sizeof *symbols);
    list = malloc(4 * size + 1);
    if (symbols == NULL || list == NULL)
        RD_THROW(RD_ERR_MEMORY, "%s: no memory for its symbols", path);
    for (size_t i = 0; i < size; i += bytes) {
        bytes = rd_utf8_decode(text + i, size - i, &symbols[count]);
        if (bytes == 0)
            RD_THROW(RD_ERR_DATA, "%s: byte %zu is not UTF-8", path, i);
        count++;
    }
    qsort(symbols, count, sizeof *symbols, by_code);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || symbols[i] != symbols[i - 1])
            at += rd_utf8_encode(symbols[i], list + at);
    list[at] = '\0';
    item = cJSON_CreateString(list);
    printed = item != NULL ? cJSON_PrintUnformatted(item) : NULL;
    if (printed == NULL)
        status = rd_fail(err, RD_ERR_MEMORY, "%s: no memory for its symbols", path);
    else
        printf("%s\n", printed);
cleanup:
    cJSON_Delete(item);
    cJSON_free(printed);
    free(list);
    free(symbols);
    free(text);
    return status;
}
