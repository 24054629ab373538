/* The JSON of the wire: what is written is what aggregator/PROTOCOL.md shows, and what is not so is refused.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/enrol_messages.h"
#include "codec/messages.h"

/* The caller's err takes the message. */
#define REFUSE(call, words)                                                                       \
    do {                                                                                          \
        cr_assert_eq(call, RD_ERR_FORMAT);                                                        \
        cr_assert(strstr(err.message, words) != NULL, "'%s' is not in '%s'", words, err.message); \
    } while (0)

Test(messages, join)
{
    rd_join j = {.protocol = 1, .samples = 600, .software = "me 1"}, back;
    rd_join_data none_told = {0}, data;
    rd_error err;
    char *json = rd_join_write(&j, &none_told);
    cr_assert_str_eq(json, "{\"protocol\":1,\"samples\":600,\"software\":\"me 1\"}");
    cr_assert_eq(rd_join_parse(json, strlen(json), &back, &data, &err), RD_OK);
    cr_assert(back.protocol == 1 && back.samples == 600 && strcmp(back.software, "me 1") == 0);
    free(json);
    const char *least = "{\"protocol\": 1, \"samples\": 1, \"features\": 784, \"more\": [1]}";
    cr_assert_eq(rd_join_parse(least, strlen(least), &back, &data, &err), RD_OK);
    cr_assert_str_eq(back.software, "");
    REFUSE(rd_join_parse("{}", 2, &back, &data, &err), "protocol is missing");
    REFUSE(rd_join_parse("[]", 2, &back, &data, &err), "not a JSON object");
    REFUSE(rd_join_parse("{\"protocol\":1}", 14, &back, &data, &err), "samples is missing");
    const char *nameless = "{\"protocol\": 1, \"samples\": 1, \"software\": \"\"} \r\n";
    cr_assert_eq(rd_join_parse(nameless, strlen(nameless), &back, &data, &err), RD_OK);
    cr_assert_str_eq(back.software, "");
    const char *escape = "{\"protocol\":1,\"samples\":1,\"software\":\"\\u001b[2Jx\"}";
    cr_assert_eq(rd_join_parse(escape, strlen(escape), &back, &data, &err), RD_OK);
    cr_assert_str_eq(back.software, "?[2Jx"); /* nothing that a terminal would obey */
    const char *eight_bits = "{\"protocol\":1,\"samples\":1,\"software\":\"\\u009b2J\\u00fc\"}";
    cr_assert_eq(rd_join_parse(eight_bits, strlen(eight_bits), &back, &data, &err), RD_OK);
    cr_assert_str_eq(back.software, "??2J\303\274"); /* U+009B begins commands, too; a letter stays */
    const char *twice = "{\"protocol\":1,\"samples\":1,\"samples\":2}";
    REFUSE(rd_join_parse(twice, strlen(twice), &back, &data, &err),
           "at byte 26 it is not accepted: samples is there twice");
    const char *latin = "{\"protocol\":1,\"samples\":1,\"software\":\"\xfc\"}";
    REFUSE(rd_join_parse(latin, strlen(latin), &back, &data, &err), "at byte 38 it is not UTF-8");
    const char *forged = "{\"protocol\":1,\"samples\":\"1\\nround 9 done\"}";
    REFUSE(rd_join_parse(forged, strlen(forged), &back, &data, &err), "found \"1?round 9 done\"");
    const char *longer = "{\"protocol\":1,\"samples\":1,\"software\":"
                         "\"0123456789012345678901234567890123456789012345678901234567890123\"}";
    REFUSE(rd_join_parse(longer, strlen(longer), &back, &data, &err), "software: expected a string of 1 to 63 bytes");
    const char *followed = "{\"protocol\":1,\"samples\":1}x";
    REFUSE(rd_join_parse(followed, strlen(followed), &back, &data, &err), "not a JSON object");
    REFUSE(rd_join_parse("", 0, &back, &data, &err), "not a JSON object");
    const char *none = "{\"protocol\":1,\"samples\":0}";
    REFUSE(rd_join_parse(none, strlen(none), &back, &data, &err), "samples: expected a whole number from 1");
}

Test(messages, task)
{
    rd_task t = {.name = "train", .round = 3, .model = 2, .counted = RD_COUNTED_UNKNOWN}, back;
    rd_error err;
    char *json = rd_task_write(&t);
    cr_assert_str_eq(json, "{\"task\":\"train\",\"round\":3,\"model\":2}");
    cr_assert_eq(rd_task_parse(json, strlen(json), &back, &err), RD_OK);
    cr_assert(strcmp(back.name, "train") == 0 && back.round == 3 && back.model == 2 &&
              back.counted == RD_COUNTED_UNKNOWN);
    free(json);
    t.counted = 0;
    json = rd_task_write(&t);
    cr_assert_str_eq(json, "{\"task\":\"train\",\"round\":3,\"model\":2,\"counted\":0}");
    cr_assert_eq(rd_task_parse(json, strlen(json), &back, &err), RD_OK);
    cr_assert_eq(back.counted, 0);
    free(json);
    memset(&back, 0xff, sizeof back); /* what is not said is 0, whatever was there before */
    const char *over = "{\"task\": \"finished\", \"round\": 10, \"model\": 10}";
    cr_assert_eq(rd_task_parse(over, strlen(over), &back, &err), RD_OK);
    cr_assert_str_eq(back.name, RD_TASK_FINISHED);
    cr_assert_eq(back.remaining, 0);
    const char *climbing = "{\"task\": \"../leave\", \"round\": 10, \"model\": 10}";
    REFUSE(rd_task_parse(climbing, strlen(climbing), &back, &err), "task: expected the name of a task");
    const char *most = "{\"task\": \"train\", \"round\": 1, \"model\": 0, \"kept\": 2147483648}";
    cr_assert_eq(rd_task_parse(most, strlen(most), &back, &err), RD_OK);
    cr_assert_eq(back.remaining, UINT64_C(1) << 31);
    const char *above = "{\"task\": \"train\", \"round\": 1, \"model\": 0, \"kept\": 2147483649}";
    REFUSE(rd_task_parse(above, strlen(above), &back, &err), "kept: expected a whole number from 1 to 2147483648");
    char path[RD_TASK_PATH_MAX];
    rd_task_path(&(rd_task){.name = "measure-1", .round = UINT64_MAX}, path);
    cr_assert_str_eq(path, "/v1/rounds/18446744073709551615/measure-1");
}

Test(messages, leave)
{
    rd_leave leave = {.reason = "training diverged"}, back;
    rd_error err;
    char *json = rd_leave_write(&leave);
    cr_assert_str_eq(json, "{\"reason\":\"training diverged\"}");
    memset(&back, 0xff, sizeof back);
    cr_assert_eq(rd_leave_parse(json, strlen(json), &back, &err), RD_OK);
    cr_assert(strcmp(back.reason, leave.reason) == 0 && !back.idle);
    free(json);
    leave.idle = true;
    json = rd_leave_write(&leave);
    cr_assert_str_eq(json, "{\"reason\":\"training diverged\",\"idle\":true}");
    cr_assert_eq(rd_leave_parse(json, strlen(json), &back, &err), RD_OK);
    cr_assert(back.idle);
    free(json);
    memset(&back, 0xff, sizeof back);
    cr_assert_eq(rd_leave_parse("", 0, &back, &err), RD_OK);
    cr_assert(strcmp(back.reason, "left") == 0 && !back.idle);
    const char *number = "{\"reason\": \"no\", \"idle\": 1}", *nothing = "{\"idle\": true}";
    REFUSE(rd_leave_parse(number, strlen(number), &back, &err), "idle: expected true or false");
    REFUSE(rd_leave_parse(nothing, strlen(nothing), &back, &err), "reason");
}

Test(messages, welcome_carries_the_configuration)
{
    const char *run = "{\"rounds\": 7, \"seed\": 3, \"model\": {\"preset\": \"mnist-2nn\"}, \"training\": "
                      "{\"learning_rate\": 0.25}, "
                      "\"data\": {\"train\": {\"path\": \"secret.csv\"}}}";
    rd_config config;
    rd_welcome back;
    rd_error err;
    cr_assert_eq(rd_config_parse(run, strlen(run), "run.json", NULL, &config, &err), RD_OK);
    const rd_schema without_tables = {.columns_known = true};
    char *json = rd_welcome_write("0123456789abcdef0123456789abcdef", "alice", &config, &without_tables, true);
    cr_assert_null(strstr(json, "secret"));
    cr_assert_eq(rd_welcome_parse(json, strlen(json), &back, &err), RD_OK);
    cr_assert(back.settled);
    cr_assert_str_eq(back.client, "alice");
    cr_assert_str_eq(back.run_id, "0123456789abcdef0123456789abcdef");
    cr_assert(back.config.seed == 3 && back.config.training.learning_rate == 0.25f);
    rd_welcome_free(&back);
    free(json);
    const char *bad = "{\"protocol\":1,\"run\":\"r\",\"client\":\"c\",\"config\":{\"rounds\":1}}";
    cr_assert_eq(rd_welcome_parse(bad, strlen(bad), &back, &err), RD_ERR_CONFIG);
    cr_assert_not_null(strstr(err.message, "the aggregator's configuration: "));
    const char *later = "{\"protocol\":2,\"run\":\"r\",\"client\":\"c\",\"config\":{}}";
    REFUSE(rd_welcome_parse(later, strlen(later), &back, &err), "protocol");
    rd_config_free(&config);
}

Test(messages, receipt_and_refusal)
{
    uint64_t round;
    int counted;
    rd_error err;
    rd_refusal refusal;
    char *json = rd_receipt_write(3, 1);
    cr_assert_str_eq(json, "{\"round\":3,\"counted\":true}");
    cr_assert_eq(rd_receipt_parse(json, strlen(json), &round, &counted, &err), RD_OK);
    cr_assert(round == 3 && counted);
    free(json);
    json = rd_refusal_write("range", "element 17 is \"NaN\"");
    cr_assert_str_eq(json, "{\"error\":\"range\",\"message\":\"element 17 is \\\"NaN\\\"\"}");
    rd_refusal_parse(json, strlen(json), &refusal);
    cr_assert_str_eq(refusal.kind, "range");
    cr_assert_str_eq(refusal.message, "element 17 is \"NaN\"");
    REFUSE(rd_receipt_parse("{\"round\":1}", 11, &round, &counted, &err), "counted is missing");
    REFUSE(rd_receipt_parse("{\"counted\":1,\"round\":1}", 23, &round, &counted, &err),
           "counted: expected true or false");
    free(json);
    json = rd_refusal_write("io", "\xff\303.csv");
    cr_assert_str_eq(json, "{\"error\":\"io\",\"message\":\"??.csv\"}"); /* JSON is UTF-8 */
    free(json);
    const char *colour = "{\"message\":\"\\u001b[31m\303\274\\n\"}";
    rd_refusal_parse(colour, strlen(colour), &refusal);
    cr_assert_str_eq(refusal.message, "?[31m\303\274?");
    cr_assert_str_eq(refusal.kind, "");
    rd_refusal_parse("<html>", 6, &refusal);
    cr_assert_str_eq(refusal.message, "the aggregator gave no reason that can be read");
    cr_assert_str_eq(refusal.kind, "");
    /* A word in the message is no kind, and a kind that does not fit is not cut to another. */
    const char *quoted = "{\"error\":\"refused\",\"message\":\"\\\"join\\\" \"}";
    rd_refusal_parse(quoted, strlen(quoted), &refusal);
    cr_assert_str_eq(refusal.kind, "refused");
    const char *lengthy = "{\"error\":\"joinjoinjoinjoinjoinjoinjoinjoin\"}";
    rd_refusal_parse(lengthy, strlen(lengthy), &refusal);
    cr_assert_str_eq(refusal.kind, "");
    char longest[1024], body[1100];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    (void)snprintf(body, sizeof body, "{\"message\":\"%s\"}", longest);
    rd_refusal_parse(body, strlen(body), &refusal);
    cr_assert_eq(strlen(refusal.message), sizeof refusal.message - 1); /* cut where the room ends */
}

Test(messages, what_operators_ask_for)
{
    rd_token_order order = {.name = "alice", .role = "observer", .hours = 0.5}, back;
    char token[16], digest[16], name[RD_PEER_NAME_MAX];
    rd_error err;
    char *json = rd_token_order_write(&order);
    cr_assert_str_eq(json, "{\"name\":\"alice\",\"role\":\"observer\",\"hours\":0.5}");
    cr_assert_eq(rd_token_order_parse(json, strlen(json), &back, &err), RD_OK);
    cr_assert(strcmp(back.name, "alice") == 0 && strcmp(back.role, "observer") == 0 && back.hours == 0.5);
    free(json);
    static const struct {
        const char *hours;
        bool good;
    } cases[] = {{"0.001", true},     {"8760", true},   {"0.00099", false},
                 {"8760.001", false}, {"\"1\"", false}, {"-1", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[80];
        (void)snprintf(text, sizeof text, "{\"name\": \"a\", \"role\": \"client\", \"hours\": %s}", cases[i].hours);
        cr_assert_eq(rd_token_order_parse(text, strlen(text), &back, &err), cases[i].good ? RD_OK : RD_ERR_FORMAT, "%s",
                     text);
    }
    const char *no_role = "{\"name\": \"a\", \"hours\": 1}";
    REFUSE(rd_token_order_parse(no_role, strlen(no_role), &back, &err), "role: expected a text");

    const rd_enrol_texts out = {token, sizeof token, digest, sizeof digest};
    json = rd_given_token_write("alice:0f", "00ff");
    cr_assert_str_eq(json, "{\"token\":\"alice:0f\",\"ca_sha256\":\"00ff\"}");
    cr_assert_eq(rd_given_token_parse(json, strlen(json), &out, &err), RD_OK);
    cr_assert(strcmp(token, "alice:0f") == 0 && strcmp(digest, "00ff") == 0);
    free(json);
    const char *longer = "{\"token\": \"0123456789abcdef\", \"ca_sha256\": \"0\"}";
    REFUSE(rd_given_token_parse(longer, strlen(longer), &out, &err), "token: expected at most 15 bytes, found 16");

    json = rd_revocation_write("Clinic 7");
    cr_assert_str_eq(json, "{\"name\":\"Clinic 7\"}");
    cr_assert_eq(rd_revocation_parse(json, strlen(json), name, &err), RD_OK);
    cr_assert_str_eq(name, "Clinic 7");
    free(json);
    REFUSE(rd_revocation_parse("{\"name\": \"\"}", 12, name, &err), "name: expected a text");
}
