/* export.c: see export.h. */
#include "export.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/json_print.h"

rd_status export_choose(bool csv, bool jsonl, export_kind *out, rd_error *err)
{
    if (csv && jsonl)
        return rd_fail(err, RD_ERR_USAGE, "--csv and --jsonl exclude each other; give one of them");
    *out = csv ? EXPORT_CSV : jsonl ? EXPORT_JSONL : EXPORT_TABLE;
    return RD_OK;
}

void export_add_number(cJSON *object, const char *key, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, key, value);
    else
        cJSON_AddNullToObject(object, key);
}

static void print_number(double value)
{
    char text[40];
    if (fabs(value) < 9007199254740992.0 && value == trunc(value))
        (void)snprintf(text, sizeof text, "%.0f", value);
    else
        for (int digits = 15; digits <= 17; digits++) {
            (void)snprintf(text, sizeof text, "%.*g", digits, value);
            if (strtod(text, NULL) == value)
                break;
        }
    (void)fputs(text, stdout);
}

/* RFC 4180: quoted where it holds a comma, a quote or the end of a line. What a spreadsheet would take for a formula
 * gets an apostrophe in front: names and reasons are clients'. */
static void print_csv_text(const char *text)
{
    if (text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL) {
        (void)printf("\"'");
        for (; *text != '\0'; text++)
            (void)printf(*text == '"' ? "\"\"" : "%c", *text);
        (void)putchar('"');
        return;
    }
    if (strpbrk(text, ",\"\r\n") == NULL) {
        (void)fputs(text, stdout);
        return;
    }
    (void)putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"')
            (void)putchar('"');
        (void)putchar(*text);
    }
    (void)putchar('"');
}

static void print_csv_value(const cJSON *value)
{
    if (cJSON_IsString(value))
        print_csv_text(value->valuestring);
    else if (cJSON_IsNumber(value))
        print_number(value->valuedouble);
    else if (cJSON_IsBool(value))
        (void)putchar(cJSON_IsTrue(value) ? '1' : '0');
}

/* The member "test.loss" of an object; NULL: there is none. */
static const cJSON *find(const cJSON *object, const char *column)
{
    char outer[32];
    const char *dot = strchr(column, '.');
    if (dot == NULL)
        return cJSON_GetObjectItemCaseSensitive(object, column);
    (void)snprintf(outer, sizeof outer, "%.*s", (int)(dot - column), column);
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(object, outer), dot + 1);
}

void export_csv_heading(const char *const *columns)
{
    for (size_t i = 0; columns[i] != NULL; i++) {
        if (i > 0)
            (void)putchar(',');
        for (const char *p = columns[i]; *p != '\0'; p++)
            (void)putchar(*p == '.' ? '_' : *p);
    }
    (void)putchar('\n');
}

bool export_record(export_kind kind, const char *const *columns, cJSON *object)
{
    char *json = object != NULL && kind == EXPORT_JSONL ? rd_json_print(object) : NULL;
    bool whole = object != NULL && (kind != EXPORT_JSONL || json != NULL);
    if (json != NULL) {
        (void)fputs(json, stdout);
    } else if (whole) {
        for (size_t i = 0; columns[i] != NULL; i++) {
            if (i > 0)
                (void)putchar(',');
            print_csv_value(find(object, columns[i]));
        }
    }
    if (whole)
        (void)putchar('\n');
    cJSON_free(json);
    cJSON_Delete(object);
    return whole;
}
