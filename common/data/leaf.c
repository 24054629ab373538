/* leaf.c: the JSON files of the LEAF benchmark, whose rows come with their natural owners.
 *
 *     {"users": ["u1", ...], "num_samples": [2, ...],
 *      "user_data": {"u1": {"x": [[0.5, ...], ...], "y": [3, ...]}, ...}}
 *
 * Source: S. Caldas et al., "LEAF: A Benchmark for Federated Settings", 2018 (arXiv:1812.01097), and its
 * repository, whose models/utils/model_utils.py reads a folder of such files as one data set. Further keys
 * ("hierarchies") are passed over. Rows keep the order of "users"; users without samples own nothing and
 * are left out.
 *
 * Where "x" holds strings (Shakespeare: 80 symbols, "y" the one that follows), a row is a window of text: as many
 * symbols as the model takes, by their numbers in its vocabulary; where it predicts at every place, the labels are
 * the window moved on by one. Lists of strings (Sent140, Reddit) are refused: how words become numbers is for
 * whoever prepares the data to say.
 *
 * cJSON builds a tree of about 64 bytes per number; a folder is read file by file, so one tree exists at a
 * time. */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/utf8.h"
#include "data/feature.h"
#include "data/kind.h"
#include "data/names.h"
#include "data/parse.h"
#include "format/foreign.h"

typedef struct leaf_reader {
    const char *whose;               /* the file at hand */
    const rd_model *model;           /* NULL: not known; texts need it */
    const rd_vocabulary *vocabulary; /* NULL: features are numbers */
    rd_names users;                  /* of all files */
    rd_dataset d;
} leaf_reader;

/* What one file says of one user. */
typedef struct leaf_user {
    const cJSON *name;
    double announced; /* num_samples, or -1 */
    const cJSON *x, *y;
    size_t samples;
} leaf_user;

static rd_status add_numbers(leaf_reader *r, const leaf_user *u, size_t sample, const cJSON *row, rd_error *err)
{
    const char *user = u->name->valuestring;
    float *x = r->d.x_f32 + (r->d.rows + sample) * r->d.features;
    size_t i = 0;
    const cJSON *item;
    if (!cJSON_IsArray(row))
        return rd_fail(err, RD_ERR_DATA, "%s: user '%.60s': x[%zu] is not an array of numbers, as the first one is",
                       r->whose, user, sample);
    cJSON_ArrayForEach(item, row)
    {
        if (i == r->d.features)
            break;
        const char *fault =
            cJSON_IsNumber(item) ? rd_feature_narrow(item->valuedouble, &x[i]) : "is not a finite number";
        if (fault != NULL)
            return rd_fail(err, RD_ERR_DATA, "%s: user '%.60s': x[%zu][%zu] %s", r->whose, user, sample, i, fault);
        i++;
    }
    if (i != r->d.features || item != NULL)
        return rd_fail(err, RD_ERR_DATA, "%s: user '%.60s': x[%zu] has %d features, but the first sample has %zu",
                       r->whose, user, sample, cJSON_GetArraySize(row), r->d.features);
    return RD_OK;
}

/* ---- texts ---- */

/* A text of a user, and where it stands: "x[3]". */
typedef struct leaf_text {
    const char *user, *name; /* name: "x" or "y" */
    size_t sample;
    const cJSON *item;
} leaf_text;

/* The numbers of all symbols of the text, which has to have `expected` of them. */
static rd_status find_symbols(const leaf_reader *r, const leaf_text *t, size_t expected, int32_t *out, rd_error *err)
{
    const cJSON *item = t->item;
    size_t n = 0, bytes;
    if (!cJSON_IsString(item))
        return rd_fail(err, RD_ERR_DATA, "%s: user '%.60s': %s[%zu] is not a string, as the first of x is", r->whose,
                       t->user, t->name, t->sample);
    const size_t size = strlen(item->valuestring);
    for (size_t i = 0; i < size; i += bytes, n++) {
        uint32_t code = 0;
        bytes = rd_utf8_decode(item->valuestring + i, size - i, &code);
        int32_t token = bytes > 0 ? rd_vocabulary_find(r->vocabulary, code) : -1;
        if (bytes == 0 || token < 0)
            return rd_fail(err, RD_ERR_DATA,
                           "%s: user '%.60s': %s[%zu]: symbol %zu (U+%04X) is not in model.input.vocabulary, which "
                           "has %zu symbols",
                           r->whose, t->user, t->name, t->sample, n + 1, (unsigned)code, r->vocabulary->count);
        if (n < expected)
            out[n] = token;
    }
    if (n == expected)
        return RD_OK;
    return rd_fail(err, RD_ERR_DATA, "%s: user '%.60s': %s[%zu] has %zu symbols; %zu %s expected", r->whose, t->user,
                   t->name, t->sample, n, expected, expected == 1 ? "was" : "as the model takes were");
}

static rd_status add_symbols(leaf_reader *r, const leaf_user *u, size_t sample, const cJSON *x, const cJSON *y,
                             rd_error *err)
{
    rd_status status = RD_OK;
    const size_t T = r->d.features, row = r->d.rows + sample;
    int32_t *token = malloc((T + 1) * sizeof *token);
    if (token == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for %zu symbols", r->whose, T);
    const char *user = u->name->valuestring;
    RD_TRY(find_symbols(r, &(leaf_text){user, "x", sample, x}, T, token, err));
    RD_TRY(find_symbols(r, &(leaf_text){user, "y", sample, y}, 1, token + T, err));
    for (size_t i = 0; i < T; i++) {
        if (r->d.x_u8 != NULL)
            r->d.x_u8[row * T + i] = (uint8_t)token[i];
        else
            r->d.x_f32[row * T + i] = (float)token[i];
    }
    memcpy(r->d.labels + row * r->d.label_count, token + T + 1 - r->d.label_count, r->d.label_count * sizeof *token);
cleanup:
    free(token);
    return status;
}

static rd_status begin_texts(leaf_reader *r, rd_error *err)
{
    r->vocabulary = r->model != NULL ? rd_model_vocabulary(r->model) : NULL;
    if (r->vocabulary == NULL)
        return rd_fail(err, RD_ERR_CONFIG,
                       "%s: x holds strings, for which a model is needed whose input lists symbols: \"input\": "
                       "{\"tokens\": T, \"vocabulary\": \"abc...\"}",
                       r->whose);
    r->d.features = rd_model_input_size(r->model);
    r->d.label_count = rd_model_predictions(r->model);
    r->d.classes = r->vocabulary->count;
    r->d.tokens = true;
    return RD_OK;
}

/* ---- numbers ---- */

static rd_status add_label(leaf_reader *r, const leaf_user *u, size_t sample, const cJSON *y, rd_error *err)
{
    double value = cJSON_IsNumber(y) ? y->valuedouble : -1;
    if (!(value >= 0 && value < RD_MAX_CLASSES && value == floor(value)))
        return rd_fail(err, RD_ERR_DATA,
                       "%s: user '%.60s': y[%zu] is not a class: a whole number from 0 to %d was expected", r->whose,
                       u->name->valuestring, sample, RD_MAX_CLASSES - 1);
    r->d.labels[r->d.rows + sample] = (int32_t)value;
    if ((size_t)value + 1 > r->d.classes)
        r->d.classes = (size_t)value + 1;
    return RD_OK;
}

static rd_status add_user(leaf_reader *r, const leaf_user *u, rd_error *err)
{
    rd_status status = RD_OK;
    int32_t owner = 0;
    const cJSON *row = u->x->child, *y = u->y->child;
    if (u->samples == 0)
        return RD_OK;
    RD_TRY(rd_names_add(&r->users, u->name->valuestring, &owner, err));
    for (size_t i = 0; i < u->samples; i++, row = row->next, y = y->next) {
        if (r->vocabulary != NULL) {
            RD_TRY(add_symbols(r, u, i, row, y, err));
        } else {
            RD_TRY(add_numbers(r, u, i, row, err));
            RD_TRY(add_label(r, u, i, y, err));
        }
        r->d.group[r->d.rows + i] = owner;
    }
    r->d.rows += u->samples;
cleanup:
    return status;
}

static rd_status check_user(const leaf_reader *r, leaf_user *u, const cJSON *data, rd_error *err)
{
    const char *user = u->name->valuestring;
    u->x = cJSON_GetObjectItemCaseSensitive(data, "x");
    u->y = cJSON_GetObjectItemCaseSensitive(data, "y");
    if (!cJSON_IsArray(u->x) || !cJSON_IsArray(u->y))
        return rd_fail(err, RD_ERR_DATA, "%s: user '%.60s': expected {\"x\": [...], \"y\": [...]}", r->whose, user);
    int samples = cJSON_GetArraySize(u->x), labels = cJSON_GetArraySize(u->y);
    if (samples != labels)
        return rd_fail(err, RD_ERR_DATA, "%s: user '%.60s': %d samples in x, but %d labels in y", r->whose, user,
                       samples, labels);
    if (u->announced >= 0 && u->announced != samples)
        return rd_fail(err, RD_ERR_DATA, "%s: user '%.60s': %d samples, but num_samples says %.0f", r->whose, user,
                       samples, u->announced);
    u->samples = (size_t)samples;
    return RD_OK;
}

static rd_status reserve_rows(leaf_reader *r, size_t more, rd_error *err)
{
    const bool narrow = r->vocabulary != NULL && r->vocabulary->count <= 256;
    size_t rows = r->d.rows + more, values, bytes, label_bytes;
    if (rows > UINT32_MAX || __builtin_mul_overflow(rows, r->d.features, &values) ||
        __builtin_mul_overflow(values, narrow ? 1 : sizeof(float), &bytes) ||
        __builtin_mul_overflow(rows, r->d.label_count * sizeof(int32_t), &label_bytes))
        return rd_fail(err, RD_ERR_DATA, "%s: %zu rows of %zu features are too many", r->whose, rows, r->d.features);
    void *x = realloc(narrow ? (void *)r->d.x_u8 : (void *)r->d.x_f32, bytes);
    if (x != NULL && narrow)
        r->d.x_u8 = x;
    else if (x != NULL)
        r->d.x_f32 = x;
    int32_t *labels = realloc(r->d.labels, label_bytes);
    r->d.labels = labels != NULL ? labels : r->d.labels;
    int32_t *group = realloc(r->d.group, rows * sizeof *group);
    r->d.group = group != NULL ? group : r->d.group;
    if (x == NULL || labels == NULL || group == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for %zu rows of %zu features", r->whose, rows, r->d.features);
    return RD_OK;
}

/* The very first sample says what all of them are. */
static rd_status settle_features(leaf_reader *r, const leaf_user *u, rd_error *err)
{
    const cJSON *first = u->x->child;
    r->d.label_count = 1;
    if (cJSON_IsString(first))
        return begin_texts(r, err);
    if (cJSON_IsArray(first) && (cJSON_IsString(first->child) || cJSON_IsArray(first->child)))
        return rd_fail(err, RD_ERR_DATA,
                       "%s: user '%.60s': x[0] is a list of %s (as in Sent140 or Reddit); what number a word has is "
                       "not for this reader to guess: prepare x as lists of numbers",
                       r->whose, u->name->valuestring, cJSON_IsString(first->child) ? "strings" : "lists");
    r->d.features = cJSON_IsArray(first) ? (size_t)cJSON_GetArraySize(first) : 0;
    if (r->d.features == 0)
        return rd_fail(err, RD_ERR_DATA, "%s: user '%.60s': x[0] is neither an array of numbers nor a string", r->whose,
                       u->name->valuestring);
    return RD_OK;
}

/* Makes room for all samples of the file. */
static rd_status reserve_file(leaf_reader *r, const leaf_user *users, size_t count, rd_error *err)
{
    size_t samples = 0;
    for (size_t i = 0; i < count; i++) {
        rd_status status = r->d.features == 0 && users[i].samples > 0 ? settle_features(r, &users[i], err) : RD_OK;
        if (status != RD_OK)
            return status;
        samples += users[i].samples;
    }
    return samples > 0 ? reserve_rows(r, samples, err) : RD_OK;
}

/* Fills users (count) from "users" and "num_samples", and in_file with their positions. */
static rd_status list_users(const leaf_reader *r, const cJSON *root, leaf_user *users, rd_names *in_file, rd_error *err)
{
    rd_status status = RD_OK;
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(root, "users"), *name;
    const cJSON *numbers = cJSON_GetObjectItemCaseSensitive(root, "num_samples");
    int expected = cJSON_GetArraySize(names), found = cJSON_GetArraySize(numbers);
    if (numbers != NULL && (!cJSON_IsArray(numbers) || found != expected))
        return rd_fail(err, RD_ERR_DATA, "%s: num_samples: expected an array of %d numbers, one a user; found %d",
                       r->whose, expected, found);
    const cJSON *number = numbers != NULL ? numbers->child : NULL;
    cJSON_ArrayForEach(name, names)
    {
        int32_t at = 0;
        size_t next = in_file->count;
        if (!cJSON_IsString(name))
            return rd_fail(err, RD_ERR_DATA, "%s: users[%zu] is not a text", r->whose, next);
        if (number != NULL && !(cJSON_IsNumber(number) && number->valuedouble >= 0))
            return rd_fail(err, RD_ERR_DATA, "%s: num_samples[%zu] is not a number from 0 up", r->whose, next);
        RD_TRY(rd_names_add(in_file, name->valuestring, &at, err));
        if (in_file->count == next)
            return rd_fail(err, RD_ERR_DATA, "%s: user '%.60s' is listed twice in users", r->whose, name->valuestring);
        users[next] = (leaf_user){.name = name, .announced = number != NULL ? number->valuedouble : -1};
        number = number != NULL ? number->next : NULL;
    }
cleanup:
    return status;
}

/* Takes one file's tree into the dataset. */
static rd_status add_tree(leaf_reader *r, const cJSON *root, rd_error *err)
{
    rd_status status = RD_OK;
    rd_names in_file = {0};
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(root, "users"), *data;
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(root, "user_data");
    if (!cJSON_IsArray(names) || !cJSON_IsObject(all))
        return rd_fail(err, RD_ERR_DATA, "%s: expected {\"users\": [...], \"user_data\": {...}}", r->whose);
    size_t count = (size_t)cJSON_GetArraySize(names);
    leaf_user *users = calloc(count + 1, sizeof *users);
    if (users == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for %zu users", r->whose, count);
    RD_TRY(list_users(r, root, users, &in_file, err));
    cJSON_ArrayForEach(data, all)
    {
        int32_t at = 0;
        bool listed = rd_names_find(&in_file, data->string, &at);
        if (!listed)
            RD_THROW(RD_ERR_DATA, "%s: user_data: '%.60s' is not among the users", r->whose, data->string);
        RD_TRY(check_user(r, &users[at], data, err));
    }
    for (size_t i = 0; i < count; i++)
        if (users[i].x == NULL)
            RD_THROW(RD_ERR_DATA, "%s: user '%.60s' has no entry in user_data", r->whose, users[i].name->valuestring);
    RD_TRY(reserve_file(r, users, count, err));
    for (size_t i = 0; i < count; i++)
        RD_TRY(add_user(r, &users[i], err));
cleanup:
    free(users);
    rd_names_free(&in_file);
    return status;
}

static rd_status add_text(leaf_reader *r, const char *text, size_t size, const char *whose, rd_error *err)
{
    rd_foreign_fault fault;
    r->whose = whose;
    cJSON *root = rd_foreign_json(text, size, &fault);
    if (root == NULL)
        return rd_fail(err, RD_ERR_DATA, "%s: line %zu, column %zu: %s", whose, fault.line, fault.column, fault.what);
    rd_status status = add_tree(r, root, err);
    cJSON_Delete(root);
    if (status != RD_OK)
        rd_foreign_plain(err->message); /* it quotes a user's name */
    return status;
}

/* Hands the dataset over when there is something in it. */
static rd_status finish(leaf_reader *r, const char *whose, rd_dataset *out, rd_error *err)
{
    if (r->d.rows == 0)
        return rd_fail(err, RD_ERR_DATA, "%s: holds no samples", whose);
    r->d.rank = 1;
    r->d.shape[0] = r->d.features;
    r->d.group_names = r->users.name;
    r->d.group_count = r->users.count;
    r->users.name = NULL;
    r->users.count = 0;
    *out = r->d;
    memset(&r->d, 0, sizeof r->d);
    return RD_OK;
}

static void free_reader(leaf_reader *r)
{
    rd_dataset_free(&r->d);
    rd_names_free(&r->users);
}

rd_status rd_leaf_parse(const char *text, size_t size, const char *whose, const rd_model *m, rd_dataset *out,
                        rd_error *err)
{
    rd_status status = RD_OK;
    leaf_reader r = {.model = m};
    memset(out, 0, sizeof *out);
    RD_TRY(add_text(&r, text, size, whose, err));
    RD_TRY(finish(&r, whose, out, err));
cleanup:
    free_reader(&r);
    return status;
}

/* *text is the caller's to free. */
static rd_status read_file(const char *path, char **text, size_t *size, rd_error *err)
{
    rd_status status = RD_OK;
    rd_input in = {0};
    RD_TRY(rd_kind_check(path, RD_SOURCE_LEAF, err)); /* a folder has many files */
    RD_TRY(rd_input_open(&in, path, err));
    RD_TRY(rd_input_read_all(&in, text, size, err));
cleanup:
    rd_input_close(&in);
    return status;
}

static rd_status load_file(const char *path, const rd_model *m, rd_dataset *out, rd_error *err)
{
    char *text = NULL;
    size_t size = 0;
    rd_status status = read_file(path, &text, &size, err);
    if (status == RD_OK)
        status = rd_leaf_parse(text, size, path, m, out, err);
    free(text);
    return status;
}

static rd_status add_file(leaf_reader *r, const char *path, rd_error *err)
{
    char *text = NULL;
    size_t size = 0;
    rd_status status = read_file(path, &text, &size, err);
    if (status == RD_OK)
        status = add_text(r, text, size, path, err);
    free(text);
    return status;
}

static int is_json(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 5 && strcmp(entry->d_name + length - 5, ".json") == 0;
}

/* Bytewise, not by the locale's order: the same folder gives the same rows everywhere. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static rd_status load_folder(const char *folder, const rd_model *m, rd_dataset *out, rd_error *err)
{
    rd_status status = RD_OK;
    leaf_reader r = {.model = m};
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_json, by_name);
    if (count < 0)
        RD_THROW(RD_ERR_DATA, "%s: %s", folder, strerror(errno));
    if (count == 0)
        RD_THROW(RD_ERR_DATA, "%s: there is no *.json in this folder", folder);
    for (int i = 0; i < count; i++) {
        char path[RD_SOURCE_PATH_MAX + 257];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        RD_TRY(add_file(&r, path, err));
    }
    RD_TRY(finish(&r, folder, out, err));
cleanup:
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    free_reader(&r);
    return status;
}

rd_status rd_leaf_load(const rd_source *source, const rd_model *m, rd_dataset *out, rd_error *err)
{
    struct stat info;
    memset(out, 0, sizeof *out);
    bool folder = stat(source->path, &info) == 0 && S_ISDIR(info.st_mode);
    return folder ? load_folder(source->path, m, out, err) : load_file(source->path, m, out, err);
}
