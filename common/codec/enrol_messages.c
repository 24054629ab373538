/* enrol_messages.c: see enrol_messages.h. */
#include "codec/enrol_messages.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <string.h>

#include "config/json_print.h"
#include "format/foreign.h"

static char *write_pair(const char *first_key, const char *first, const char *second_key, const char *second)
{
    cJSON *root = cJSON_CreateObject();
    bool good = root != NULL && (first == NULL || cJSON_AddStringToObject(root, first_key, first) != NULL) &&
                cJSON_AddStringToObject(root, second_key, second) != NULL;
    char *text = good ? rd_json_print(root) : NULL;
    cJSON_Delete(root);
    return text;
}

static rd_status take_text(const cJSON *root, const char *key, char *out, size_t room, rd_error *err)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(root, key);
    if (!cJSON_IsString(text) || text->valuestring[0] == '\0')
        return rd_fail(err, RD_ERR_FORMAT, "%s: expected a text", key);
    const size_t size = strlen(text->valuestring) + 1;
    if (size > room)
        return rd_fail(err, RD_ERR_FORMAT, "%s: expected at most %zu bytes, found %zu", key, room - 1, size - 1);
    memcpy(out, text->valuestring, size);
    return RD_OK;
}

static rd_status parse_pair(const char *json, size_t size, const char *const keys[2], const rd_enrol_texts *out,
                            rd_error *err)
{
    rd_foreign_fault fault;
    rd_status status = RD_OK;
    cJSON *root = rd_foreign_json(json, size, &fault);
    if (root == NULL || !cJSON_IsObject(root))
        RD_THROW(RD_ERR_FORMAT, "the body is not a JSON object");
    if (out->first != NULL)
        RD_TRY(take_text(root, keys[0], out->first, out->first_size, err));
    RD_TRY(take_text(root, keys[1], out->second, out->second_size, err));
cleanup:
    cJSON_Delete(root);
    return status;
}

char *rd_enrol_write(const char *token, const char *request)
{
    return write_pair("token", token, "request", request);
}

rd_status rd_enrol_parse(const char *json, size_t size, const rd_enrol_texts *out, rd_error *err)
{
    return parse_pair(json, size, (const char *const[]){"token", "request"}, out, err);
}

char *rd_certificates_write(const char *certificate, const char *ca)
{
    return write_pair("certificate", certificate, "ca", ca);
}

rd_status rd_certificates_parse(const char *json, size_t size, const rd_enrol_texts *out, rd_error *err)
{
    return parse_pair(json, size, (const char *const[]){"certificate", "ca"}, out, err);
}

char *rd_token_order_write(const rd_token_order *order)
{
    cJSON *root = cJSON_CreateObject();
    bool good = root != NULL && cJSON_AddStringToObject(root, "name", order->name) != NULL &&
                cJSON_AddStringToObject(root, "role", order->role) != NULL &&
                cJSON_AddNumberToObject(root, "hours", order->hours) != NULL;
    char *text = good ? rd_json_print(root) : NULL;
    cJSON_Delete(root);
    return text;
}

rd_status rd_token_order_parse(const char *json, size_t size, rd_token_order *out, rd_error *err)
{
    rd_foreign_fault fault;
    rd_status status = RD_OK;
    cJSON *root = rd_foreign_json(json, size, &fault);
    if (root == NULL || !cJSON_IsObject(root))
        RD_THROW(RD_ERR_FORMAT, "the body is not a JSON object");
    RD_TRY(take_text(root, "name", out->name, sizeof out->name, err));
    RD_TRY(take_text(root, "role", out->role, sizeof out->role, err));
    const cJSON *hours = cJSON_GetObjectItemCaseSensitive(root, "hours");
    if (!cJSON_IsNumber(hours) ||
        !(hours->valuedouble >= RD_ORDER_HOURS_LEAST && hours->valuedouble <= RD_ORDER_HOURS_MOST))
        RD_THROW(RD_ERR_FORMAT, "hours: expected a number from %g to %g", RD_ORDER_HOURS_LEAST, RD_ORDER_HOURS_MOST);
    out->hours = hours->valuedouble;
cleanup:
    cJSON_Delete(root);
    return status;
}

char *rd_given_token_write(const char *token, const char *ca_sha256)
{
    return write_pair("token", token, "ca_sha256", ca_sha256);
}

rd_status rd_given_token_parse(const char *json, size_t size, const rd_enrol_texts *out, rd_error *err)
{
    return parse_pair(json, size, (const char *const[]){"token", "ca_sha256"}, out, err);
}

char *rd_revocation_write(const char *name)
{
    return write_pair(NULL, NULL, "name", name);
}

rd_status rd_revocation_parse(const char *json, size_t size, char name[RD_PEER_NAME_MAX], rd_error *err)
{
    return parse_pair(json, size, (const char *const[]){NULL, "name"},
                      &(rd_enrol_texts){NULL, 0, name, RD_PEER_NAME_MAX}, err);
}
