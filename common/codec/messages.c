/* messages.c: see messages.h. */
#include "codec/messages.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/table_messages.h"
#include "config/fields.h"
#include "config/json_print.h"
#include "config/schema_section.h"
#include "format/foreign.h"

/* Parses a body into an object; fields.c then reads it. Fields that nobody asks for are allowed on the wire,
 * so that a later version may add some: rd_fields_finish is not called. */
static rd_status open_body(const char *json, size_t size, cJSON **root, rd_fields *f, rd_error *err)
{
    rd_foreign_fault fault;
    *root = rd_foreign_json(json, size, &fault);
    if (*root == NULL)
        return rd_fail(err, RD_ERR_FORMAT, "the body is not a JSON object: at byte %zu it is %s", fault.at, fault.what);
    if (!cJSON_IsObject(*root)) {
        cJSON_Delete(*root);
        *root = NULL;
        return rd_fail(err, RD_ERR_FORMAT, "the body is not a JSON object");
    }
    *f = (rd_fields){.object = *root, .whose = "body", .path = "", .err = err};
    return RD_OK;
}

/* What fields.c calls a configuration error is a format error here. The message may quote the body, and ends
 * up in logs. */
static rd_status close_body(cJSON *root, rd_fields *f)
{
    (void)rd_fields_required(f);
    cJSON_Delete(root);
    if (f->status == RD_ERR_CONFIG)
        f->status = rd_fail_as(f->err, RD_ERR_FORMAT);
    if (f->status != RD_OK)
        rd_foreign_plain(f->err->message);
    return f->status;
}

/* Prints and deletes. */
static char *print(cJSON *root)
{
    char *text = rd_json_print(root);
    cJSON_Delete(root);
    return text;
}

#define MOST UINT64_C(9007199254740992) /* 2^53: whole numbers that JSON carries exactly */

void rd_join_data_free(rd_join_data *d)
{
    rd_description_free(&d->table);
    rd_schema_free(&d->schema);
    memset(d, 0, sizeof *d);
}

/* Adds what was made for it; NULL: memory was short. */
static char *print_with(cJSON *root, const char *key, cJSON *item)
{
    if (item != NULL && cJSON_AddItemToObject(root, key, item))
        return print(root);
    cJSON_Delete(item);
    cJSON_Delete(root);
    return NULL;
}

char *rd_join_write(const rd_join *j, const rd_join_data *data)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "protocol", (double)j->protocol);
    cJSON_AddNumberToObject(root, "samples", (double)j->samples);
    cJSON_AddStringToObject(root, "software", j->software);
    if (data->is_table)
        return print_with(root, "table", rd_description_json(&data->table));
    if (data->has_schema)
        return print_with(root, "schema", rd_schema_json(&data->schema));
    return print(root);
}

rd_status rd_join_parse(const char *json, size_t size, rd_join *out, rd_join_data *data, rd_error *err)
{
    cJSON *root;
    rd_fields f;
    memset(data, 0, sizeof *data);
    rd_status status = open_body(json, size, &root, &f, err);
    if (status != RD_OK)
        return status;
    memset(out, 0, sizeof *out);
    rd_fields_require(&f, "protocol");
    rd_fields_count(&f, "protocol", 0, MOST, &out->protocol);
    rd_fields_require(&f, "samples");
    rd_fields_count(&f, "samples", 1, MOST, &out->samples);
    const cJSON *software = rd_fields_item(&f, "software", false);
    if (!cJSON_IsString(software) || software->valuestring[0] != '\0')
        rd_fields_text(&f, "software", out->software, sizeof out->software);
    rd_foreign_plain(out->software); /* it ends up in terminals */
    data->is_table = rd_fields_has(&f, "table");
    data->has_schema = !data->is_table && rd_fields_has(&f, "schema");
    if (f.status == RD_OK && data->is_table)
        f.status = rd_description_read(&f, &data->table);
    if (f.status == RD_OK && data->has_schema)
        f.status = rd_config_read_schema(&f, &data->schema);
    if (f.status == RD_OK && data->has_schema && !rd_schema_is_settled(&data->schema))
        rd_fields_fail(&f, "schema", "a settled schema");
    return close_body(root, &f);
}

void rd_welcome_free(rd_welcome *w)
{
    rd_config_free(&w->config);
    rd_schema_free(&w->schema);
}

char *rd_welcome_write(const char *run_id, const char *client, const rd_config *config, const rd_schema *schema,
                       bool settled)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "protocol", RD_PROTOCOL_VERSION);
    cJSON_AddStringToObject(root, "run", run_id);
    cJSON_AddStringToObject(root, "client", client);
    cJSON_AddItemReferenceToObject(root, "config", config->for_clients);
    cJSON_AddBoolToObject(root, "settled", settled);
    return print_with(root, "schema", rd_schema_json(schema));
}

rd_status rd_welcome_parse(const char *json, size_t size, rd_welcome *out, rd_error *err)
{
    cJSON *root;
    rd_fields f;
    uint64_t protocol = 0;
    rd_status status = open_body(json, size, &root, &f, err);
    if (status != RD_OK)
        return status;
    memset(out, 0, sizeof *out);
    rd_fields_require(&f, "protocol");
    rd_fields_count(&f, "protocol", RD_PROTOCOL_VERSION, RD_PROTOCOL_VERSION, &protocol);
    rd_fields_require(&f, "run");
    rd_fields_text(&f, "run", out->run_id, sizeof out->run_id);
    rd_fields_require(&f, "client");
    rd_fields_text(&f, "client", out->client, sizeof out->client);
    rd_fields_require(&f, "config");
    rd_fields_bool(&f, "settled", &out->settled);
    if (f.status == RD_OK)
        f.status = rd_config_read_schema(&f, &out->schema);
    if (f.status == RD_OK && out->settled && !rd_schema_is_settled(&out->schema))
        rd_fields_fail(&f, "schema", "a settled schema");
    const cJSON *config = rd_fields_item(&f, "config", true);
    if (rd_fields_required(&f) == RD_OK) {
        char *text = rd_json_print(config);
        f.status = text == NULL
                       ? rd_fail(err, RD_ERR_MEMORY, "no memory for the run's configuration")
                       : rd_config_parse(text, strlen(text), "the aggregator's configuration", NULL, &out->config, err);
        free(text);
        cJSON_Delete(root);
        if (f.status != RD_OK)
            rd_welcome_free(out);
        return f.status; /* a bad configuration stays RD_ERR_CONFIG */
    }
    rd_welcome_free(out);
    return close_body(root, &f);
}

char *rd_task_write(const rd_task *t)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "task", t->name);
    cJSON_AddNumberToObject(root, "round", (double)t->round);
    cJSON_AddNumberToObject(root, "model", (double)t->model);
    if (t->remaining > 0)
        cJSON_AddNumberToObject(root, "kept", (double)t->remaining);
    if (t->counted != RD_COUNTED_UNKNOWN)
        cJSON_AddNumberToObject(root, "counted", (double)t->counted);
    return print(root);
}

rd_status rd_task_parse(const char *json, size_t size, rd_task *out, rd_error *err)
{
    cJSON *root;
    rd_fields f;
    rd_status status = open_body(json, size, &root, &f, err);
    if (status != RD_OK)
        return status;
    memset(out, 0, sizeof *out);
    rd_fields_require(&f, "task");
    rd_fields_text(&f, "task", out->name, sizeof out->name);
    if (strspn(out->name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(out->name))
        rd_fields_fail(&f, "task", "the name of a task");
    rd_fields_require(&f, "round");
    rd_fields_count(&f, "round", 0, MOST, &out->round);
    rd_fields_require(&f, "model");
    rd_fields_count(&f, "model", 0, MOST, &out->model);
    rd_fields_count(&f, "kept", 1, UINT64_C(1) << 31, &out->remaining);
    out->counted = RD_COUNTED_UNKNOWN;
    rd_fields_count(&f, "counted", 0, MOST, &out->counted);
    return close_body(root, &f);
}

void rd_task_path(const rd_task *t, char path[RD_TASK_PATH_MAX])
{
    (void)snprintf(path, RD_TASK_PATH_MAX, "/v1/rounds/%" PRIu64 "/%s", t->round, t->name);
}

char *rd_receipt_write(uint64_t round, int counted)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "round", (double)round);
    cJSON_AddBoolToObject(root, "counted", counted);
    return print(root);
}

rd_status rd_receipt_parse(const char *json, size_t size, uint64_t *round, int *counted, rd_error *err)
{
    cJSON *root;
    rd_fields f;
    bool yes = false;
    rd_status status = open_body(json, size, &root, &f, err);
    if (status != RD_OK)
        return status;
    rd_fields_require(&f, "round");
    rd_fields_count(&f, "round", 0, MOST, round);
    rd_fields_require(&f, "counted");
    rd_fields_bool(&f, "counted", &yes);
    *counted = yes;
    return close_body(root, &f);
}

char *rd_refusal_write(const char *kind, const char *message)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "error", kind);
    cJSON *item = cJSON_AddStringToObject(root, "message", message);
    if (item != NULL)
        rd_foreign_plain(item->valuestring); /* a path or a quotation need not be UTF-8, but JSON must be */
    return print(root);
}

char *rd_leave_write(const rd_leave *leave)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "reason", leave->reason);
    if (leave->idle)
        cJSON_AddTrueToObject(root, "idle");
    return print(root);
}

rd_status rd_leave_parse(const char *json, size_t size, rd_leave *out, rd_error *err)
{
    cJSON *root;
    rd_fields f;
    *out = (rd_leave){.reason = "left"};
    if (size == 0)
        return RD_OK;
    rd_status status = open_body(json, size, &root, &f, err);
    if (status != RD_OK)
        return status;
    rd_fields_require(&f, "reason");
    rd_fields_text(&f, "reason", out->reason, sizeof out->reason);
    rd_fields_bool(&f, "idle", &out->idle);
    return close_body(root, &f);
}

void rd_refusal_parse(const char *json, size_t size, rd_refusal *out)
{
    rd_foreign_fault fault;
    cJSON *root = rd_foreign_json(json, size, &fault);
    const cJSON *kind = cJSON_GetObjectItemCaseSensitive(root, "error"),
                *message = cJSON_GetObjectItemCaseSensitive(root, "message");
    bool whole = cJSON_IsString(kind) && strlen(kind->valuestring) < sizeof out->kind;
    (void)snprintf(out->kind, sizeof out->kind, "%s", whole ? kind->valuestring : "");
    (void)snprintf(out->message, sizeof out->message, "%s",
                   cJSON_IsString(message) ? message->valuestring : "the aggregator gave no reason that can be read");
    rd_foreign_plain(out->message); /* cut within a character, perhaps */
    cJSON_Delete(root);
}
