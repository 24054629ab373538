/* What a stranger's certificates may be before any signature is checked: bytes, number, kinds and sizes of keys, however
 * the network cuts them. The certificates are made here, byte by byte, because no tool makes them that bad quickly. */
#include <criterion/criterion.h>
#include <string.h>

#include "https/chain_guard.h"

typedef struct bytes {
    uint8_t at[20000];
    size_t count;
} bytes;

static void put(bytes *b, const void *from, size_t count)
{
    memcpy(b->at + b->count, from, count);
    b->count += count;
}

/* Type, length in its shortest form, content. */
static void element(bytes *b, uint8_t type, const bytes *content)
{
    size_t n = content->count;
    uint8_t head[4] = {type, (uint8_t)n, 0, 0};
    size_t size = 2;
    if (n >= 0x100) {
        head[1] = 0x82;
        head[2] = (uint8_t)(n >> 8);
        head[3] = (uint8_t)n;
        size = 4;
    } else if (n >= 0x80) {
        head[1] = 0x81;
        head[2] = (uint8_t)n;
        size = 3;
    }
    put(b, head, size);
    put(b, content->at, n);
}

/* A positive number of so many bits, the lowest one set. */
static void number(bytes *b, size_t bits)
{
    static bytes n;
    n.count = bits / 8 + 1;
    memset(n.at, 0, n.count);
    n.at[n.count - 1] = 1;
    n.at[n.count - 1 - (bits - 1) / 8] |= (uint8_t)(1u << (bits - 1) % 8);
    element(b, 0x02, &n);
}

/* The first byte of oid is how many follow. */
static void object(bytes *b, const char *oid)
{
    bytes content = {.count = 0};
    put(&content, oid + 1, (size_t)oid[0]);
    element(b, 0x06, &content);
}

/* SubjectPublicKeyInfo: algorithm with its parameters, then the key. */
static void public_key(bytes *out, const char *oid, const char *curve, const bytes *key)
{
    static bytes algorithm, bits, info;
    algorithm.count = bits.count = info.count = 0;
    object(&algorithm, oid);
    if (curve != NULL)
        object(&algorithm, curve);
    put(&bits, "", 1);
    put(&bits, key->at, key->count);
    element(&info, 0x30, &algorithm);
    element(&info, 0x03, &bits);
    element(out, 0x30, &info);
}

#define RSA "\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
#define EC "\x07\x2a\x86\x48\xce\x3d\x02\x01"
#define P256 "\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
#define P384 "\x05\x2b\x81\x04\x00\x22"
#define P521 "\x05\x2b\x81\x04\x00\x23"
#define K256 "\x05\x2b\x81\x04\x00\x0a"
#define ED25519 "\x03\x2b\x65\x70"

static void rsa_key(bytes *out, size_t bits, size_t exponent_bits)
{
    static bytes pair, key;
    pair.count = key.count = 0;
    number(&pair, bits);
    number(&pair, exponent_bits);
    element(&key, 0x30, &pair);
    public_key(out, RSA, NULL, &key);
}

static void ec_key(bytes *out, const char *curve)
{
    bytes point = {.at = {4}, .count = 65};
    public_key(out, EC, curve, &point);
}

/* A certificate with this key, three bytes of length in front, at the end of a list. */
static void certify(bytes *list, const bytes *key)
{
    static bytes version, two, tbs, whole, certificate;
    const bytes empty = {.count = 0};
    version.count = two.count = tbs.count = whole.count = certificate.count = 0;
    number(&two, 2);
    element(&version, 0xa0, &two);
    put(&tbs, version.at, version.count);
    number(&tbs, 64);
    for (int i = 0; i < 4; i++)
        element(&tbs, 0x30, &empty);
    put(&tbs, key->at, key->count);
    element(&whole, 0x30, &tbs);
    element(&certificate, 0x30, &whole);
    const uint8_t length[3] = {0, (uint8_t)(certificate.count >> 8), (uint8_t)certificate.count};
    put(list, length, 3);
    put(list, certificate.at, certificate.count);
}

static void message_of(bytes *message, const bytes *list)
{
    const uint8_t length[3] = {(uint8_t)(list->count >> 16), (uint8_t)(list->count >> 8), (uint8_t)list->count};
    message->count = 0;
    put(message, length, 3);
    put(message, list->at, list->count);
}

/* A hello and the message, each in records of at most `record` bytes. */
static void stream_of(bytes *stream, const bytes *message, size_t record)
{
    static bytes talk;
    const uint8_t head[4] = {11, (uint8_t)(message->count >> 16), (uint8_t)(message->count >> 8),
                             (uint8_t)message->count};
    talk.count = stream->count = 0;
    put(&talk, "\x01\x00\x00\x05hello", 9);
    put(&talk, head, 4);
    put(&talk, message->at, message->count);
    for (size_t at = 0; at < talk.count; at += record) {
        size_t n = talk.count - at < record ? talk.count - at : record;
        const uint8_t record_head[5] = {22, 3, 3, (uint8_t)(n >> 8), (uint8_t)n};
        put(stream, record_head, 5);
        put(stream, talk.at + at, n);
    }
}

/* Alike whole and in pieces; "" where it is taken. */
static const char *verdict(const bytes *list)
{
    static const size_t records[] = {16384, 3, 100}, pieces[] = {20000, 1, 7};
    static bytes message, stream;
    static rd_error first;
    message_of(&message, list);
    for (size_t i = 0; i < 3; i++) {
        rd_chain_guard g = {.done = false};
        rd_error err = {.message = ""};
        rd_status status = RD_OK;
        stream_of(&stream, &message, records[i]);
        for (size_t at = 0; at < stream.count && status == RD_OK; at += pieces[i]) {
            size_t n = stream.count - at < pieces[i] ? stream.count - at : pieces[i];
            status = rd_chain_guard_take(&g, stream.at + at, n, &err);
        }
        cr_expect_eq(g.done, status == RD_OK, "%s", err.message);
        rd_chain_guard_free(&g);
        if (i == 0)
            first = err;
        cr_expect_str_eq(err.message, first.message);
    }
    return first.message;
}

static void expect_refused(const bytes *list, const char *what)
{
    const char *said = verdict(list);
    cr_expect_not_null(strstr(said, what), "expected \"%s\", got \"%s\"", what, said);
}

Test(chain_guard, takes_what_a_client_may_have)
{
    static bytes list, key;
    list.count = 0;
    cr_expect_str_eq(verdict(&list), "", "no certificate at all is for the library to say");
    ec_key((key.count = 0, &key), P256);
    certify(&list, &key);
    ec_key((key.count = 0, &key), P384);
    certify(&list, &key);
    rsa_key((key.count = 0, &key), 2048, 17);
    certify(&list, &key);
    rsa_key((key.count = 0, &key), 4096, 17);
    certify(&list, &key);
    cr_expect_str_eq(verdict(&list), "");
    expect_refused((certify(&list, &key), &list), "it sends more than 4 certificates");
}

Test(chain_guard, refuses_keys_that_take_long)
{
    static const struct {
        size_t bits, exponent_bits;
        const char *what;
    } cases[] = {{4097, 17, "its key is RSA of 4097 bits with an exponent of 17 bits, which cannot be used"},
                 {8192, 8192, "RSA of 8192 bits with an exponent of 8192 bits"},
                 {2048, 18, "RSA of 2048 bits with an exponent of 18 bits"},
                 {2048, 2048, "RSA of 2048 bits with an exponent of 2048 bits"}};
    static bytes list, key;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        list.count = 0;
        ec_key((key.count = 0, &key), P256);
        certify(&list, &key); /* it is the second one with whose key the first is checked */
        rsa_key((key.count = 0, &key), cases[i].bits, cases[i].exponent_bits);
        certify(&list, &key);
        expect_refused(&list, cases[i].what);
    }
}

Test(chain_guard, refuses_kinds_that_it_does_not_know)
{
    static const struct {
        const char *oid, *curve, *what;
    } cases[] = {{EC, P521, "EC secp521r1"},
                 {EC, K256, "EC of an unknown curve"},
                 {EC, NULL, "EC of a curve without a name"},
                 {ED25519, NULL, "of an unknown kind"},
                 {RSA, NULL, "RSA that cannot be read"}};
    static bytes list, key;
    const bytes nothing = {.count = 0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        list.count = key.count = 0;
        public_key(&key, cases[i].oid, cases[i].curve, &nothing);
        expect_refused((certify(&list, &key), &list), cases[i].what);
    }
    list.count = key.count = 0;
    expect_refused((certify(&list, &key), &list), "its key is not to be found");
}

Test(chain_guard, refuses_long_messages_at_their_head)
{
    static bytes list;
    const uint8_t head[] = {22, 3, 3, 0x40, 0, 11, 0, 0x36, 0xb0}; /* 14000 bytes are to come */
    rd_chain_guard g = {.done = false};
    rd_error err = {.message = ""};
    cr_expect_eq(rd_chain_guard_take(&g, head, sizeof head, &err), RD_ERR_REFUSED);
    cr_expect_str_eq(err.message, "its certificates are 14000 bytes, and at most 4096 are taken");
    cr_expect_null(g.message);
    rd_chain_guard_free(&g);
    list.count = RD_CHAIN_BYTES_MAX - 3 + 1;
    expect_refused(&list, "its certificates are 4097 bytes");
}

Test(chain_guard, refuses_lists_that_do_not_fit)
{
    static const char longer[] = "\0\0\x09\0\0\x07hello", other[] = "\0\0\x09hello";
    rd_certificate_bytes which;
    rd_error err;
    cr_expect_eq(rd_chain_check((const uint8_t *)longer, sizeof longer - 1, &which, &err), RD_ERR_REFUSED);
    cr_expect_eq(rd_chain_check((const uint8_t *)other, sizeof other - 1, &which, &err), RD_ERR_REFUSED);
    cr_expect_eq(rd_chain_check((const uint8_t *)"\0", 2, &which, &err), RD_ERR_REFUSED);
}

Test(chain_guard, looks_no_further_than_to_where_encryption_begins)
{
    static const uint8_t encrypted[] = {20, 3, 3, 0, 1, 1, 22, 3, 3, 0x40, 0, 11, 0, 0x36, 0xb0};
    rd_chain_guard g = {.done = false};
    rd_error err;
    cr_expect_eq(rd_chain_guard_take(&g, encrypted, sizeof encrypted, &err), RD_OK);
    cr_expect(g.done);
    rd_chain_guard_free(&g);
}
