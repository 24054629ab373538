/* What is said while a client enrols: JSON as aggregator/PROTOCOL.md shows it, texts that fit and texts that do not. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "codec/enrol_messages.h"

typedef struct texts {
    char first[8], second[12];
} texts;

static rd_enrol_texts both(texts *t)
{
    memset(t, 0x55, sizeof *t);
    return (rd_enrol_texts){t->first, sizeof t->first, t->second, sizeof t->second};
}

Test(enrol_messages, what_is_written_is_read)
{
    texts t;
    rd_error err;
    rd_enrol_texts out = both(&t);
    char *json = rd_enrol_write("token-1", "request\"\n\\");
    cr_assert_str_eq(json, "{\"token\":\"token-1\",\"request\":\"request\\\"\\n\\\\\"}");
    cr_assert_eq(rd_enrol_parse(json, strlen(json), &out, &err), RD_OK, "%s", err.message);
    cr_expect(strcmp(t.first, "token-1") == 0 && strcmp(t.second, "request\"\n\\") == 0);
    free(json);
    json = rd_certificates_write("mine", "authority");
    cr_assert_str_eq(json, "{\"certificate\":\"mine\",\"ca\":\"authority\"}");
    out = both(&t);
    cr_assert_eq(rd_certificates_parse(json, strlen(json), &out, &err), RD_OK, "%s", err.message);
    cr_expect(strcmp(t.first, "mine") == 0 && strcmp(t.second, "authority") == 0);
    free(json);
    json = rd_certificates_write(NULL, "authority");
    cr_assert_str_eq(json, "{\"ca\":\"authority\"}");
    out = both(&t);
    out.first = NULL;
    cr_assert_eq(rd_certificates_parse(json, strlen(json), &out, &err), RD_OK, "%s", err.message);
    cr_expect_str_eq(t.second, "authority");
    out = both(&t);
    cr_expect_eq(rd_certificates_parse(json, strlen(json), &out, &err), RD_ERR_FORMAT);
    cr_expect_str_eq(err.message, "certificate: expected a text");
    free(json);
}

Test(enrol_messages, what_does_not_fit_is_named)
{
    static const struct {
        const char *json, *words; /* NULL: nothing is wrong */
    } cases[] = {{"{\"token\":\"1234567\",\"request\":\"12345678901\"}", NULL},
                 {"{\"token\":\"12345678\",\"request\":\"r\"}", "token: expected at most 7 bytes, found 8"},
                 {"{\"token\":\"t\",\"request\":\"123456789012\"}", "request: expected at most 11 bytes, found 12"},
                 {"{\"token\":\"\",\"request\":\"r\"}", "token: expected a text"},
                 {"{\"token\":7,\"request\":\"r\"}", "token: expected a text"},
                 {"{\"token\":\"t\"}", "request: expected a text"},
                 {"{\"Token\":\"t\",\"request\":\"r\"}", "token: expected a text"},
                 {"[\"t\",\"r\"]", "the body is not a JSON object"},
                 {"7", "the body is not a JSON object"},
                 {"", "the body is not a JSON object"},
                 {"{", "the body is not a JSON object"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        texts t;
        rd_error err;
        rd_enrol_texts out = both(&t);
        const rd_status status = rd_enrol_parse(cases[i].json, strlen(cases[i].json), &out, &err);
        cr_expect_eq(status, cases[i].words == NULL ? RD_OK : RD_ERR_FORMAT, "%s", cases[i].json);
        if (cases[i].words != NULL)
            cr_expect_str_eq(err.message, cases[i].words, "%s: %s", cases[i].json, err.message);
    }
}
