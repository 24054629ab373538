/* Certificate and key files as openssl writes them: what can be used and what is said of the rest, who a certificate says it
 * is, lists of revoked ones, requests and what is signed. */
#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <fcntl.h>
#include <mbedtls/oid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"
#include "credentials/credentials.h"
#include "credentials/crl.h"
#include "credentials/mbedtls.h"
#include "credentials/request.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static const char script[] =
    "set -e; umask 077; cd \"$1\"; exec 2>log\n"
    "key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:$2 -out $1.key; }\n"
    "sign() { openssl req -new -key $1.key -subj \"$2\" -out $1.csr; printf \"$3\" >ext\n"
    "  openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -set_serial ${4:-1} -days 9 -out $1.pem -extfile ext; }\n"
    "for ca in ca same other nocrl; do key $ca P-256\n"
    "  name=ca; [ $ca = other ] && name=other; openssl req -new -key $ca.key -subj /CN=$name -out $ca.csr\n"
    "  printf 'basicConstraints=critical,CA:TRUE\\n' >ext; [ $ca = nocrl ] && echo keyUsage=keyCertSign >>ext\n"
    "  openssl x509 -req -in $ca.csr -signkey $ca.key -days 9 -out $ca.pem -extfile ext; done\n"
    "client='extendedKeyUsage=clientAuth\\n'\n"
    "key p256 P-256; sign p256 /CN=p256 $client 0x0ab1; key p384 P-384; sign p384 /CN=p384 $client\n"
    "key p521 P-521; sign p521 /CN=p521 $client; key k1 secp256k1; sign k1 /CN=k1 $client\n"
    "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key; sign rsa /CN=rsa $client\n"
    "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2040 -out short.key; sign short /CN=short $client\n"
    "cp p256.key server.key; sign server /CN=server 'extendedKeyUsage=serverAuth\\n'\n"
    "cp p256.key usage.key; sign usage /CN=usage 'keyUsage=keyAgreement\\n'\n"
    "cp p256.key any.key; sign any /CN=any 'keyUsage=digitalSignature\\n'\n"
    "printf 'secret\\r\\nmore\\n' >phrase; echo wrong >wrong; printf '\\nsecret\\n' >empty; : >nothing\n"
    "p8() { openssl pkcs8 -topk8 -in p256.key -passout pass:secret -out $1.key \"${@:2}\"; }\n"
    "for h in SHA1 SHA224 SHA256 SHA384 SHA512; do p8 aes256$h -v2 aes-256-cbc -v2prf hmacWith$h; done\n"
    "p8 aes128 -v2 aes-128-cbc; p8 aes192 -v2 aes-192-cbc; p8 scrypt -scrypt; p8 camellia -v2 camellia-256-cbc\n"
    "p8 md5 -v2 aes-256-cbc -v2prf hmacWithMD5; p8 des3 -v2 des3; openssl ec -in p256.key -aes256 -passout pass:secret "
    "-out old.key\n"
    "touch index; echo 01 >number; printf '[ca]\\ndefault_ca=x\\n[x]\\ndatabase=index\\ncrlnumber=number\\n"
    "default_md=sha256\\ndefault_crl_days=9\\n' >conf\n"
    "list() { openssl ca -gencrl -config conf -cert $1.pem -keyfile $1.key -out $2.crl \"${@:3}\"; }\n"
    "list ca none; for s in 0AB1 07 0F0000 01; do printf 'R\\t400101000000Z\\t240101000000Z\\t%s\\tunknown\\t/CN=x\\n' "
    "$s >>index; done\n"
    "list ca four; list same same; list other other; list nocrl nocrl; cat four.crl none.crl >two.crl\n"
    "list ca due -crl_lastupdate 20200101000000Z -crl_nextupdate 20200102000000Z\n";

static char folder[64];

static const char *file(const char *name)
{
    static char paths[8][160];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", getenv("RONDO_TEST_CREDENTIALS"), name);
    return path;
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests;
    (void)snprintf(folder, sizeof folder, "/tmp/rondo-test-credentials-XXXXXX");
    if (mkdtemp(folder) == NULL)
        exit(1); /* where a failed assertion would leave Criterion waiting for ever */
    setenv("RONDO_TEST_CREDENTIALS", folder, 1);
    pid_t pid = fork();
    if (pid == 0) {
        execlp("bash", "bash", "-c", script, "bash", folder, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "openssl could not make the files, see %s/log\n", folder);
        exit(1);
    }
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    char command[128];
    (void)stats;
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", folder);
}

/* ---- loading ---- */

static rd_status load(const char *ca, const char *cert, const char *key, const char *passphrase, rd_credentials **out,
                      rd_error *err)
{
    bool early = true;
    char names[3][32];
    (void)snprintf(names[0], sizeof names[0], "%s.pem", ca);
    (void)snprintf(names[1], sizeof names[1], "%s.pem", cert);
    (void)snprintf(names[2], sizeof names[2], "%s.key", key);
    const rd_credential_files files = {file(names[0]), file(names[1]), file(names[2]),
                                       passphrase != NULL ? file(passphrase) : NULL};
    *err = (rd_error){0};
    rd_status status = rd_credentials_load(&files, RD_SIDE_CLIENT, out, &early, err);
    cr_expect_not(early);
    return status;
}

Test(credentials, keys_that_the_aggregators_tls_can_use)
{
    static const char *const usable[] = {"p256", "p384", "rsa", "any"};
    static const struct {
        const char *name, *words;
    } others[] = {{"p521", "its key is EC secp521r1"},
                  {"k1", "its key is EC secp256k1"},
                  {"short", "its key is RSA of 2040 bits with an exponent of 17 bits"},
                  {"server", "it is not a client's certificate (its extended key usage is another)"},
                  {"usage", "it may not be used to sign (key usage)"}};
    rd_credentials *c;
    rd_error err;
    for (size_t i = 0; i < COUNT_OF(usable); i++) {
        cr_assert_eq(load("ca", usable[i], usable[i], NULL, &c, &err), RD_OK, "%s", err.message);
        cr_expect_str_eq(rd_credentials_peer(c)->name, usable[i]);
        cr_expect_str_eq(rd_credentials_passphrase(c), "");
        cr_expect(rd_credentials_own_authority(c));
        rd_credentials_free(c);
    }
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        cr_expect_eq(load("ca", others[i].name, others[i].name, NULL, &c, &err), RD_ERR_CONFIG, "%s", others[i].name);
        cr_expect_not_null(strstr(err.message, others[i].words), "%s", err.message);
        cr_expect_null(c);
    }
    cr_assert_eq(load("other", "p256", "p256", NULL, &c, &err), RD_OK, "%s", err.message);
    cr_expect_not(rd_credentials_own_authority(c), "it need not have signed it");
    rd_credentials_free(c);
    rd_credentials_free(NULL);
}

Test(credentials, what_does_not_belong_together_is_named)
{
    rd_credentials *c;
    rd_error err;
    cr_expect_eq(load("ca", "p256", "p384", NULL, &c, &err), RD_ERR_CONFIG);
    cr_expect_not_null(strstr(err.message, "is not the key of the certificate"), "%s", err.message);
    cr_expect_eq(load("ca", "p256", "missing", NULL, &c, &err), RD_ERR_CONFIG);
    cr_expect_not_null(strstr(err.message, "--key "), "%s", err.message);
    for (mode_t bit = 1; bit <= 4; bit <<= 1) {
        cr_assert_eq(chmod(file("p256.key"), 0600 | bit), 0);
        cr_expect_eq(load("ca", "p256", "p256", NULL, &c, &err), RD_ERR_CONFIG);
        cr_expect_not_null(strstr(err.message, "everybody may read it or write to it (mode 60"), "%s", err.message);
    }
    cr_assert_eq(chmod(file("p256.key"), 0660), 0);
    cr_assert_eq(load("ca", "p256", "p256", NULL, &c, &err), RD_OK, "a group may be given it");
    rd_credentials_free(c);
    cr_assert_eq(chmod(file("p256.key"), 0600), 0);
}

/* ---- keys behind a pass phrase ---- */

Test(credentials, pass_phrases_open_what_openssl_writes)
{
    static const char *const keys[] = {"aes256SHA1", "aes256SHA224", "aes256SHA256", "aes256SHA384", "aes256SHA512",
                                       "aes128",     "aes192",       "des3",         "old"};
    static const struct {
        const char *key, *passphrase, *words;
    } others[] = {{"aes256SHA256", NULL, "it is protected by a pass phrase; name a file that holds it"},
                  {"aes256SHA256", "wrong", "the pass phrase in --key-passphrase-file"},
                  {"aes128", "wrong", "does not open it"},
                  {"old", "wrong", "does not open it"},
                  {"scrypt", "phrase", "it is protected by a pass phrase in a way that cannot be read"},
                  {"camellia", "phrase", "it is protected by a pass phrase in a way that cannot be read"},
                  {"md5", "phrase", "it is protected by a pass phrase in a way that cannot be read"},
                  {"aes128", "empty", "expected the pass phrase in its first line"},
                  {"aes128", "nothing", "expected the pass phrase in its first line"},
                  {"aes128", "missing", "--key-passphrase-file"}};
    rd_credentials *c;
    rd_error err;
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        cr_assert_eq(load("ca", "p256", keys[i], "phrase", &c, &err), RD_OK, "%s: %s", keys[i], err.message);
        cr_expect_str_eq(rd_credentials_passphrase(c), "secret");
        rd_credentials_free(c);
    }
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        cr_expect_eq(load("ca", "p256", others[i].key, others[i].passphrase, &c, &err), RD_ERR_CONFIG);
        cr_expect_not_null(strstr(err.message, others[i].words), "%s, %s: %s", others[i].key,
                           others[i].passphrase != NULL ? others[i].passphrase : "none", err.message);
    }
}

/* A copy of aes256SHA1 in which some bytes are others. Its DER: 30 LL LL, algorithm (30 LL, oid, parameters (30 LL, kdf (30
 * LL, oid, 30 LL: 04 08 salt, 02 02 iterations), scheme (30 LL, oid, 04 10 iv))), 04 LL LL data. */
static rd_status load_changed(const char *from, const char *to, size_t size, const char *insert, rd_error *err)
{
    static char command[512];
    unsigned char der[1024];
    rd_credentials *c = NULL;
    (void)snprintf(command, sizeof command, "openssl asn1parse -in %s -noout -out %s", file("aes256SHA1.key"),
                   file("der"));
    cr_assert_eq(system(command), 0);
    int fd = open(file("der"), O_RDONLY);
    ssize_t count = read(fd, der, sizeof der);
    close(fd);
    cr_assert_gt(count, 0);
    unsigned char *at = memmem(der, (size_t)count, from, size);
    cr_assert_not_null(at);
    memcpy(at, to, size);
    if (insert != NULL) { /* three bytes behind it, and all that holds them becomes as much longer */
        static const size_t lengths[] = {2, 4, 17, 19, 32};
        memmove(at + size + 3, at + size, (size_t)(der + count - (at + size)));
        memcpy(at + size, insert, 3);
        count += 3;
        for (size_t i = 0; i < COUNT_OF(lengths); i++) {
            cr_assert_eq(der[lengths[i] - 1], i == 0 ? 0x81 : 0x30, "%zu", lengths[i]);
            der[lengths[i]] = (unsigned char)(der[lengths[i]] + 3);
        }
    }
    fd = open(file("der"), O_WRONLY | O_TRUNC);
    cr_assert_eq(write(fd, der, (size_t)count), count);
    close(fd);
    (void)snprintf(command, sizeof command,
                   "(echo -----BEGIN ENCRYPTED PRIVATE KEY-----; base64 -w 64 %s; echo -----END ENCRYPTED PRIVATE "
                   "KEY-----) >%s; chmod 600 %s",
                   file("der"), file("changed.key"), file("changed.key"));
    cr_assert_eq(system(command), 0);
    rd_status status = load("ca", "p256", "changed", "phrase", &c, err);
    rd_credentials_free(c);
    return status;
}

Test(credentials, a_recipe_that_is_none_is_no_wrong_pass_phrase)
{
    static const struct {
        const char *from, *to;
        size_t size;
    } cases[] = {
        {"\x02\x02\x08\x00", "\x02\x02\x00\x00", 4},                                         /* no iteration */
        {"\x02\x02\x08\x00", "\x04\x02\x08\x00", 4},                                         /* no number of them */
        {"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c", "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0f", 9}, /* another derivation */
        {"\x60\x86\x48\x01\x65\x03\x04\x01\x2a", "\x60\x86\x48\x01\x65\x03\x04\x01\x2b", 9}, /* another cipher */
        {"\x04\x10", "\x04\x0f", 2},                                                         /* a short start */
    };
    rd_error err;
    cr_assert_eq(load_changed("\x02\x02\x08\x00", "\x02\x02\x08\x00", 4, NULL, &err), RD_OK, "%s", err.message);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_expect_eq(load_changed(cases[i].from, cases[i].to, cases[i].size, NULL, &err), RD_ERR_CONFIG);
        cr_expect_not_null(strstr(err.message, "in a way that cannot be read"), "%zu: %s", i, err.message);
    }
    cr_assert_eq(load_changed("\x02\x02\x08\x00", "\x02\x02\x08\x00", 4, "\x02\x01\x20", &err), RD_OK,
                 "the length of the key may be said: %s", err.message);
    cr_expect_eq(load_changed("\x02\x02\x08\x00", "\x02\x02\x08\x01", 4, NULL, &err), RD_ERR_CONFIG);
    cr_expect_not_null(strstr(err.message, "does not open it"), "%s", err.message);
}

/* ---- names ---- */

static const char *name_of(const char *bytes, size_t size, char name[RD_PEER_NAME_MAX])
{
    static const char common_name[] = MBEDTLS_OID_AT_CN;
    mbedtls_x509_name n = {0};
    n.oid.p = (unsigned char *)common_name;
    n.oid.len = sizeof common_name - 1;
    n.oid.tag = MBEDTLS_ASN1_OID;
    n.val.p = (unsigned char *)bytes;
    n.val.len = size;
    return rd_x509_common_name(&n, name);
}

Test(credentials, a_name_is_utf8_without_control_characters)
{
    static const char *const names[] = {"a",
                                        " ",
                                        "~",
                                        "\xc2\xa0",
                                        "\xc2\xb5",
                                        "Zo\xc3\xab",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xef\xbf\xbd",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf"};
    static const char *const others[] = {"\x1f",
                                         "a\n",
                                         "\x7f",
                                         "\xc2\x80",
                                         "\xc2\x9f",
                                         "\x80",
                                         "\xc1\xbf",
                                         "\xc3",
                                         "\xc3(",
                                         "\xe0\x9f\xbf",
                                         "\xed\xa0\x80",
                                         "\xed\xbf\xbf",
                                         "\xe2\x82",
                                         "\xf0\x8f\xbf\xbf",
                                         "\xf4\x90\x80\x80",
                                         "\xf5\x80\x80\x80",
                                         "\xff",
                                         "ok\xf0\x90\x80"};
    char name[RD_PEER_NAME_MAX], longest[RD_PEER_NAME_MAX];
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        cr_expect_null(name_of(names[i], strlen(names[i]), name), "%zu", i);
        cr_expect_str_eq(name, names[i]);
    }
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        const char *wrong = name_of(others[i], strlen(others[i]), name);
        cr_assert_not_null(wrong, "%zu", i);
        cr_expect_str_eq(wrong, "its common name (CN) has control characters or is not UTF-8");
    }
    cr_expect_not_null(name_of("a\0b", 3, name));
    cr_expect_not_null(name_of("", 0, name));
    memset(longest, 'x', sizeof longest);
    cr_expect_null(name_of(longest, sizeof longest - 1, name));
    cr_expect_eq(strlen(name), sizeof longest - 1);
    cr_expect_str_eq(name_of(longest, sizeof longest, name), "its common name (CN) is longer than 127 bytes");
}

Test(credentials, serial_numbers_have_no_zeros_in_front)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *hex;
    } cases[] = {
        {"\x0a\xb1", 2, "0ab1"}, {"\0\x7f", 2, "7f"}, {"\0\0\1\0", 4, "0100"}, {"\0", 1, "00"}, {"\0\0", 2, "00"}};
    char hex[RD_PEER_SERIAL_MAX];
    unsigned char most[33] = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        mbedtls_x509_buf b = {.len = cases[i].size, .p = (unsigned char *)cases[i].bytes};
        cr_assert(rd_serial_write(&b, hex));
        cr_expect_str_eq(hex, cases[i].hex);
    }
    most[1] = 0x42;
    cr_assert(rd_serial_write(&(mbedtls_x509_buf){.len = 33, .p = most}, hex));
    cr_expect(strlen(hex) == 64 && strncmp(hex, "4200", 4) == 0);
    most[0] = 1;
    cr_expect_not(rd_serial_write(&(mbedtls_x509_buf){.len = 33, .p = most}, hex));
}

/* ---- lists of those that are revoked ---- */

Test(credentials, who_is_on_a_list)
{
    static const char *const on[] = {"0ab1", "07", "0f0000", "01"}, *const off[] = {"0ab2", "ab1", "7", "0f", "", "ff"};
    rd_crl *c;
    rd_error err;
    rd_peer peer = {0};
    cr_assert_eq(rd_crl_load(file("four.crl"), file("ca.pem"), &c, &err), RD_OK, "%s", err.message);
    cr_expect_eq(rd_crl_count(c), 4);
    const double days = (rd_crl_next_update(c) - rd_clock_unix()) / 86400;
    cr_expect(days > 8.9 && days <= 9.01, "%g", days);
    for (size_t i = 0; i < COUNT_OF(on); i++) {
        (void)snprintf(peer.serial, sizeof peer.serial, "%s", on[i]);
        cr_expect(rd_crl_has(c, &peer), "%s", on[i]);
    }
    for (size_t i = 0; i < COUNT_OF(off); i++) {
        (void)snprintf(peer.serial, sizeof peer.serial, "%s", off[i]);
        cr_expect_not(rd_crl_has(c, &peer), "%s", off[i]);
    }
    rd_crl_free(c);
    cr_assert_eq(rd_crl_load(file("none.crl"), file("ca.pem"), &c, &err), RD_OK, "%s", err.message);
    cr_expect_eq(rd_crl_count(c), 0);
    cr_expect_not(rd_crl_has(c, &peer));
    rd_crl_free(c);
    rd_crl_free(NULL);
}

Test(credentials, lists_that_cannot_be_used)
{
    static const struct {
        const char *list, *ca, *words;
    } cases[] = {{"same.crl", "ca.pem", "no authority in --ca"},
                 {"other.crl", "ca.pem", "no authority in --ca"},
                 {"four.crl", "other.pem", "no authority in --ca"},
                 {"nocrl.crl", "nocrl.pem", "no authority in --ca"}, /* its key usage does not say that it may */
                 {"two.crl", "ca.pem", "expected one list, found several"},
                 {"due.crl", "ca.pem", "its next update was due on 2020-01-02"},
                 {"ca.pem", "ca.pem", "expected a certificate revocation list in PEM, found none"},
                 {"nothing", "ca.pem", "expected a certificate revocation list in PEM, found none"},
                 {"missing", "ca.pem", "--crl "},
                 {"four.crl", "phrase", "expected certificates in PEM"}};
    rd_crl *c;
    rd_error err;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_expect_eq(rd_crl_load(file(cases[i].list), file(cases[i].ca), &c, &err), RD_ERR_CONFIG, "%s", cases[i].list);
        cr_expect_not_null(strstr(err.message, cases[i].words), "%s", err.message);
        cr_expect_null(c);
    }
}

/* ---- requests ---- */

Test(credentials, a_request_is_signed_for_its_name_and_no_more)
{
    char request[RD_REQUEST_MAX], pem[RD_CERTIFICATE_MAX], command[512];
    rd_error err;
    rd_peer peer;
    struct stat info;
    char key[160];
    (void)snprintf(key, sizeof key, "%s", file("new.key"));
    cr_assert_eq(rd_key_make(key, &err), RD_OK, "%s", err.message);
    cr_assert(stat(key, &info) == 0 && (info.st_mode & 0777) == 0600);
    const off_t size = info.st_size;
    const ino_t inode = info.st_ino;
    cr_assert_eq(rd_key_make(key, &err), RD_OK, "one that is there is kept");
    cr_assert(stat(key, &info) == 0 && info.st_size == size && info.st_ino == inode && size > 0);
    cr_assert_eq(rd_request_write(key, "", "new", request, &err), RD_OK, "%s", err.message);
    cr_assert_eq(rd_request_check(request, "new", &err), RD_OK, "%s", err.message);
    cr_assert_eq(rd_request_check(request, "old", &err), RD_ERR_REFUSED);
    cr_expect_not_null(strstr(err.message, "it is for 'new', expected 'old'"), "%s", err.message);
    cr_assert_eq(rd_request_check("nothing", "new", &err), RD_ERR_FORMAT);
    const rd_authority a = {file("ca.pem"), file("ca.key"), 3 * 86400.0};
    cr_assert_eq(rd_authority_check(&a, &err), RD_OK, "%s", err.message);
    const double now = rd_clock_unix();
    cr_assert_eq(rd_authority_sign(&a, request, "new", pem, &err), RD_OK, "%s", err.message);
    cr_assert_eq(rd_certificate_check(pem, request, "new", a.certificate, &peer, &err), RD_OK, "%s", err.message);
    cr_expect_str_eq(peer.name, "new");
    cr_expect(peer.not_after >= now + 3 * 86400.0 - 2 && peer.not_after <= now + 3 * 86400.0 + 60);
    cr_expect(peer.not_before >= now - 86400.0 - 2 && peer.not_before <= now - 86400.0 + 60);
    cr_expect(strlen(peer.serial) == 32 && peer.serial[0] >= '4' && peer.serial[0] <= '7', "%s", peer.serial);
    cr_assert_eq(rd_file_write(file("new.pem"), pem, strlen(pem), &err), RD_OK);
    (void)snprintf(
        command, sizeof command,
        "openssl verify -purpose sslclient -CAfile %s %s >%s && ! openssl verify -purpose sslserver -CAfile %s %s "
        "2>%s >&2",
        a.certificate, file("new.pem"), file("log2"), a.certificate, file("new.pem"), file("log2"));
    cr_expect_eq(system(command), 0, "it is a client's, and no server's");
    /* What was asked for is looked at, whoever has signed it. */
    static const struct {
        const char *certificate, *name, *ca, *words;
    } cases[] = {{"new.pem", "old", "ca.pem", "it is for another name"},
                 {"p256.pem", "p256", "ca.pem", "it is for another key"},
                 {"new.pem", "new", "other.pem", "it is not signed by --ca, or not valid now"},
                 {"new.pem", "new", "same.pem", "it is not signed by --ca, or not valid now"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *text = NULL;
        size_t length;
        cr_assert_eq(rd_file_read(file(cases[i].certificate), 1 << 16, &text, &length, &err), RD_OK);
        cr_expect_eq(rd_certificate_check(text, request, cases[i].name, file(cases[i].ca), &peer, &err),
                     RD_ERR_REFUSED);
        cr_expect_not_null(strstr(err.message, cases[i].words), "%s", err.message);
        free(text);
    }
    const rd_authority brief = {file("ca.pem"), file("ca.key"), 100};
    cr_assert_eq(rd_authority_sign(&brief, request, "new", pem, &err), RD_OK);
    cr_assert_eq(rd_certificate_check(pem, request, "new", brief.certificate, &peer, &err), RD_OK);
    cr_expect(peer.not_before >= now - 102 && peer.not_before < now - 40, "as long before as it is good after");
    const rd_authority strange = {file("ca.pem"), file("other.key"), 100};
    cr_expect_eq(rd_authority_check(&strange, &err), RD_ERR_CONFIG);
    cr_expect_not_null(strstr(err.message, "is not the key of the certificate --ca"), "%s", err.message);
    cr_expect_eq(rd_authority_sign(&strange, request, "new", pem, &err), RD_ERR_CONFIG);
}

Test(credentials, requests_that_cannot_be_used)
{
    static const struct {
        const char *file, *name, *words;
    } cases[] = {{"p521.csr", "p521", "its key is EC secp521r1, which cannot be used"},
                 {"k1.csr", "k1", "its key is EC secp256k1, which cannot be used"},
                 {"short.csr", "short", "its key is RSA of 2040 bits"}};
    rd_error err;
    char *text = NULL;
    size_t size;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_assert_eq(rd_file_read(file(cases[i].file), 1 << 16, &text, &size, &err), RD_OK);
        cr_expect_eq(rd_request_check(text, cases[i].name, &err), RD_ERR_REFUSED, "%s", cases[i].file);
        cr_expect_not_null(strstr(err.message, cases[i].words), "%s", err.message);
        free(text);
    }
    cr_assert_eq(rd_file_read(file("p256.csr"), 1 << 16, &text, &size, &err), RD_OK);
    cr_assert_eq(rd_request_check(text, "p256", &err), RD_OK, "%s", err.message);
    free(text);
}

Test(credentials, an_authority_is_one_certificate)
{
    char pem[RD_CERTIFICATE_MAX], digest[RD_SHA256_HEX], command[512], printed[RD_SHA256_HEX];
    rd_error err;
    cr_assert_eq(rd_authority_read(file("ca.pem"), pem, &err), RD_OK);
    cr_assert_eq(rd_certificate_digest(pem, digest, &err), RD_OK);
    (void)snprintf(command, sizeof command,
                   "openssl x509 -in %s -outform DER | sha256sum | cut -c 1-64 | tr -d '\\n' >%s; cat %s %s >%s",
                   file("ca.pem"), file("sum"), file("ca.pem"), file("other.pem"), file("both.pem"));
    cr_assert_eq(system(command), 0);
    char *text = NULL;
    size_t size;
    cr_assert_eq(rd_file_read(file("sum"), 100, &text, &size, &err), RD_OK);
    (void)snprintf(printed, sizeof printed, "%s", text);
    free(text);
    cr_expect_str_eq(digest, printed);
    cr_expect_eq(rd_authority_read(file("both.pem"), pem, &err), RD_ERR_CONFIG);
    cr_expect_not_null(strstr(err.message, "expected one certificate, found several"), "%s", err.message);
    cr_expect_eq(rd_authority_read(file("phrase"), pem, &err), RD_ERR_CONFIG);
    cr_expect_eq(rd_authority_read(file("missing"), pem, &err), RD_ERR_CONFIG);
}
