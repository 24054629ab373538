/* The JSON of the wire: the first byte chooses the parser. What is accepted survives being written and read
 * again. */
#include <stdlib.h>
#include <string.h>

#include "codec/enrol_messages.h"
#include "codec/messages.h"

static void check(int holds)
{
    if (!holds)
        abort();
}

static rd_status join(const char *json, size_t size, rd_error *err)
{
    rd_join j, again;
    rd_join_data data, data_again = {0};
    rd_status status = rd_join_parse(json, size, &j, &data, err);
    if (status != RD_OK) {
        rd_join_data_free(&data);
        return status;
    }
    check(j.samples >= 1 && strlen(j.software) < sizeof j.software);
    char *text = rd_join_write(&j, &data);
    check(text == NULL || rd_join_parse(text, strlen(text), &again, &data_again, err) == RD_OK);
    check(text == NULL || strcmp(j.software, again.software) == 0);
    check(text == NULL || data.table.column_count == data_again.table.column_count);
    free(text);
    rd_join_data_free(&data);
    rd_join_data_free(&data_again);
    return status;
}

static rd_status welcome(const char *json, size_t size, rd_error *err)
{
    rd_welcome w, again;
    rd_status status = rd_welcome_parse(json, size, &w, err);
    if (status != RD_OK)
        return status;
    char *text = rd_welcome_write(w.run_id, w.client, &w.config, &w.schema, w.settled);
    if (text != NULL) {
        check(rd_welcome_parse(text, strlen(text), &again, err) == RD_OK);
        check(strcmp(w.run_id, again.run_id) == 0 && strcmp(w.client, again.client) == 0);
        check(w.settled == again.settled && w.schema.column_count == again.schema.column_count);
        rd_welcome_free(&again);
    }
    free(text);
    rd_welcome_free(&w);
    return status;
}

static rd_status task(const char *json, size_t size, rd_error *err)
{
    rd_task t, again;
    rd_status status = rd_task_parse(json, size, &t, err);
    if (status != RD_OK)
        return status;
    char *text = rd_task_write(&t);
    check(text == NULL || rd_task_parse(text, strlen(text), &again, err) == RD_OK);
    check(text == NULL || strcmp(again.name, t.name) == 0);
    free(text);
    return status;
}

static rd_status receipt(const char *json, size_t size, rd_error *err)
{
    uint64_t round;
    int counted;
    return rd_receipt_parse(json, size, &round, &counted, err);
}

static rd_status refusal(const char *json, size_t size, rd_error *err)
{
    rd_refusal out;
    memset(&out, 'x', sizeof out);
    (void)err;
    rd_refusal_parse(json, size, &out);
    check(memchr(out.kind, '\0', sizeof out.kind) != NULL);
    check(memchr(out.message, '\0', sizeof out.message) != NULL);
    return RD_OK;
}

static rd_status leave(const char *json, size_t size, rd_error *err)
{
    rd_leave out, again;
    rd_status status = rd_leave_parse(json, size, &out, err);
    if (status != RD_OK)
        return status;
    char *text = rd_leave_write(&out);
    check(text == NULL || rd_leave_parse(text, strlen(text), &again, err) == RD_OK);
    check(text == NULL || (strcmp(out.reason, again.reason) == 0 && out.idle == again.idle));
    free(text);
    return status;
}

/* Two texts, by a parser that fills in both: written and read again they are the same. */
typedef rd_status parse_texts(const char *json, size_t size, const rd_enrol_texts *out, rd_error *err);
typedef char *write_texts(const char *first, const char *second);

static rd_status texts(const char *json, size_t size, parse_texts *parse, write_texts *write, rd_error *err)
{
    char first[90], second[90], first_again[90], second_again[90];
    rd_status status = parse(json, size, &(rd_enrol_texts){first, sizeof first, second, sizeof second}, err);
    if (status != RD_OK)
        return status;
    check(memchr(first, '\0', sizeof first) != NULL && memchr(second, '\0', sizeof second) != NULL);
    char *text = write(first, second);
    const rd_enrol_texts again = {first_again, sizeof first_again, second_again, sizeof second_again};
    check(text == NULL || parse(text, strlen(text), &again, err) == RD_OK);
    check(text == NULL || (strcmp(first, first_again) == 0 && strcmp(second, second_again) == 0));
    free(text);
    return RD_OK;
}

static rd_status enrol(const char *json, size_t size, rd_error *err)
{
    return texts(json, size, rd_enrol_parse, rd_enrol_write, err);
}

static rd_status certificates(const char *json, size_t size, rd_error *err)
{
    return texts(json, size, rd_certificates_parse, rd_certificates_write, err);
}

static rd_status given_token(const char *json, size_t size, rd_error *err)
{
    return texts(json, size, rd_given_token_parse, rd_given_token_write, err);
}

static rd_status token_order(const char *json, size_t size, rd_error *err)
{
    rd_token_order order, again;
    rd_status status = rd_token_order_parse(json, size, &order, err);
    if (status != RD_OK)
        return status;
    check(order.hours >= RD_ORDER_HOURS_LEAST && order.hours <= RD_ORDER_HOURS_MOST);
    char *text = rd_token_order_write(&order);
    check(text == NULL || rd_token_order_parse(text, strlen(text), &again, err) == RD_OK);
    check(text == NULL || (strcmp(order.name, again.name) == 0 && order.hours == again.hours));
    free(text);
    return RD_OK;
}

static rd_status revocation(const char *json, size_t size, rd_error *err)
{
    char name[RD_PEER_NAME_MAX], again[RD_PEER_NAME_MAX];
    rd_status status = rd_revocation_parse(json, size, name, err);
    if (status != RD_OK)
        return status;
    char *text = rd_revocation_write(name);
    check(text == NULL || rd_revocation_parse(text, strlen(text), again, err) == RD_OK);
    check(text == NULL || strcmp(name, again) == 0);
    free(text);
    return RD_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static rd_status (*const parsers[])(const char *, size_t, rd_error *) = {
        join, welcome, task, receipt, refusal, leave, enrol, certificates, given_token, token_order, revocation};
    rd_error err = {RD_OK, ""};
    if (count < 1)
        return 0;
    char *json = malloc(count > 1 ? count - 1 : 1);
    if (json == NULL)
        return 0;
    memcpy(json, bytes + 1, count - 1);
    rd_status status = parsers[bytes[0] % (sizeof parsers / sizeof *parsers)](json, count - 1, &err);
    check(status == RD_OK || (status == err.status && err.message[0] != '\0'));
    check(status == RD_OK || status == RD_ERR_FORMAT || status == RD_ERR_CONFIG);
    free(json);
    return 0;
}
