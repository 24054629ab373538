/* classes.c: see classes.h. */
#include "data/classes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/number.h"

bool rd_class_whole(const char *field, char canonical[RD_CLASS_TEXT_MAX])
{
    int64_t value;
    size_t length = strlen(field);
    const char *point = strchr(field, '.');
    if (point != NULL && point > field && point[1] != '\0' && point[1 + strspn(point + 1, "0")] == '\0')
        length = (size_t)(point - field);
    if (!rd_number_whole(field, length, &value))
        return false;
    (void)snprintf(canonical, RD_CLASS_TEXT_MAX, "%" PRId64, value);
    return true;
}

rd_status rd_class_fraction(const rd_table *t, size_t column, size_t row, const char *field, rd_error *err)
{
    char name[80];
    rd_table_column_name(t, column, name, sizeof name);
    return rd_fail(err, RD_ERR_DATA,
                   "%s: line %u: %s ('%.40s') is no class: it has a fraction (to predict a number, the model needs a "
                   "loss of real targets, such as mse)",
                   t->path, t->line[row], name, field);
}

static int64_t value_of(const char *word)
{
    int64_t value = 0;
    (void)rd_number_whole(word, strlen(word), &value);
    return value;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = value_of(*(char *const *)a), y = value_of(*(char *const *)b);
    return (x > y) - (x < y);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool all_whole(const rd_names *words, int64_t least)
{
    int64_t value;
    bool all = true;
    for (size_t i = 0; i < words->count && all; i++)
        all = rd_number_whole(words->name[i], strlen(words->name[i]), &value) && value >= least;
    return all;
}

bool rd_classes_numbered(const rd_names *words)
{
    return all_whole(words, 0);
}

rd_status rd_classes_sort(const rd_names *words, rd_names *out, rd_error *err)
{
    rd_status status = RD_OK;
    int32_t ignored;
    memset(out, 0, sizeof *out);
    char **sorted = malloc((words->count + 1) * sizeof *sorted);
    if (sorted == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for %zu classes", words->count);
    if (words->count > 0)
        memcpy(sorted, words->name, words->count * sizeof *sorted);
    qsort(sorted, words->count, sizeof *sorted, all_whole(words, INT64_MIN) ? by_value : by_bytes);
    for (size_t i = 0; i < words->count && status == RD_OK; i++)
        status = rd_names_add(out, sorted[i], &ignored, err);
    free(sorted);
    if (status != RD_OK)
        rd_names_free(out);
    return status;
}
