/* Who gets in, who does not, and what the operator reads about it; suites and versions as the openssl command
 * sees them. */

#include "toy_files.h"

Test(tls, knows_clients_by_name)
{
    toy t;
    toy_start(&t, NULL);
    cr_expect_str_eq(toy_get(&t, "alice", "/hello").text, "GET alice ");
    cr_expect_str_eq(toy_get(&t, "bob", "/hello").text, "GET bob ");
    cr_expect_str_eq(toy_get(&t, "zoe", "/hello").text, "GET Zo\xc3\xab ");
    cr_expect_str_eq(t.troubles, "");
    toy_stop(&t);
}

Test(tls, refuses_strangers_and_says_why)
{
    static const struct {
        const char *who, *what;
    } cases[] = {
        {NULL, "the client sent no certificate"},
        {"stranger", "certificate \"CN=stranger\" refused: The certificate is not correctly signed by the trusted CA"},
        {"expired", "certificate \"CN=expired\" refused: The certificate validity has expired (valid from 20"},
        {"nameless", "certificate \"O=nobody\" refused: its subject has no common name (CN)"},
        {"control", "refused: its common name (CN) has control characters"},
        {"two_names", "certificate \"CN=one, CN=two\" refused: its subject has more than one common name (CN)"},
        {"serving", "certificate \"CN=serving\" refused: it is not a client's certificate"},
        {"p521", "certificate \"CN=p521\" refused: its key is EC secp521r1, which cannot be used"},
        {"heavy", "certificate \"CN=slow\" refused: its key is RSA of 2048 bits with an exponent of 18 bits, which"},
        {"many", "the client is refused: it sends more than 4 certificates"},
        {"ed", "has none that can be used (expected one signed by our CA, whose key is EC P-256"},
    };
    toy t;
    toy_start(&t, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CURLcode code = toy_get(&t, cases[i].who, "/hello").code;
        cr_expect_neq(code, CURLE_OK);
        toy_wait_for(toy_heard(&t, cases[i].what));
        cr_expect(toy_heard(&t, "127.0.0.1:"));
        t.troubles[0] = '\0';
    }
    cr_expect_eq(t.opened, 0);
    toy_stop(&t);
}

Test(tls, says_what_the_client_did_not_like)
{
    toy t;
    toy_start(&t, NULL);
    CURL *curl = toy_client(&t, "alice");
    curl_easy_setopt(curl, CURLOPT_CAINFO, tls_file("other.pem"));
    cr_expect_eq(toy_do(curl, "/hello").code, CURLE_PEER_FAILED_VERIFICATION);
    toy_wait_for(toy_heard(&t, "alert 48, unknown_ca"));
    curl_easy_cleanup(curl);
    toy_stop(&t);
}

/* What `openssl s_client` prints. */
static const char *s_client(const toy *t, const char *options, char *text, size_t size)
{
    char command[1024];
    snprintf(command, sizeof command,
             "openssl s_client -connect 127.0.0.1:%u -CAfile %s -cert %s -key %s %s </dev/null 2>&1",
             rd_server_port(t->server), tls_file("ca.pem"), tls_file("alice.pem"), tls_file("alice.key"), options);
    FILE *f = popen(command, "r");
    size_t n = fread(text, 1, size - 1, f);
    text[n] = '\0';
    pclose(f);
    return text;
}

Test(tls, speaks_modern_suites_only)
{
    static const struct {
        const char *options, *expected;
    } cases[] = {
        {"-tls1_2", "Cipher is ECDHE-ECDSA-CHACHA20-POLY1305"},
        {"-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256",
         "Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"},
        {"-tls1_2 -groups P-256:X25519", "Temp Key: X25519"},
        {"-tls1_2 -groups P-256", "Temp Key: ECDH, prime256v1"},
        {"-alpn h2,http/1.1", "ALPN protocol: http/1.1"},
        {"-alpn h2", "no application protocol"},
        {"-tls1_1 -cipher DEFAULT@SECLEVEL=0", "Cipher is (NONE)"},
        {"-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256", "Cipher is (NONE)"},
        {"-tls1_2 -cipher AES128-GCM-SHA256", "Cipher is (NONE)"},
        {"-tls1_2 -groups P-521", "Cipher is (NONE)"},
    };
    static char text[65536];
    toy t;
    toy_start(&t, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        s_client(&t, cases[i].options, text, sizeof text);
        cr_expect_not_null(strstr(text, cases[i].expected), "%s: expected %s, got\n%s", cases[i].options,
                           cases[i].expected, text);
    }
    toy_stop(&t);
}

/* Shakes hands as that client, with the session in the file where it is to be resumed; leaves a new one there. */
static bool is_resumed(const toy *t, const char *who, const char *session, bool resume)
{
    static char text[65536];
    char command[1024], name[2][32];
    snprintf(name[0], sizeof name[0], "%s.pem", who);
    snprintf(name[1], sizeof name[1], "%s.key", who);
    snprintf(command, sizeof command,
             "printf 'GET /hello HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n' | "
             "openssl s_client -tls1_2 -ign_eof -connect 127.0.0.1:%u -CAfile %s -cert %s -key %s %s %s -sess_out %s 2>&1",
             rd_server_port(t->server), tls_file("ca.pem"), tls_file(name[0]), tls_file(name[1]),
             resume ? "-sess_in" : "", resume ? session : "", session);
    FILE *f = popen(command, "r");
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    pclose(f);
    snprintf(command, sizeof command, "GET %s ", who);
    cr_expect_not_null(strstr(text, command), "it is known by name: %s", text);
    return strstr(text, "Reused, TLSv1.2") != NULL;
}

Test(tls, resumes_sessions_also_after_a_restart)
{
    char session[64], keys[64];
    toy t;
    rd_server_options options = toy_options();
    snprintf(session, sizeof session, "%s", tls_file("session"));
    snprintf(keys, sizeof keys, "%s", tls_file("tickets.key"));
    options.ticket_keys = keys;
    toy_start(&t, &options);
    cr_expect_not(is_resumed(&t, "alice", session, false));
    cr_expect(is_resumed(&t, "alice", session, true));
    toy_stop(&t);
    toy_start(&t, &options);
    cr_expect(is_resumed(&t, "alice", session, true), "after a restart");
    cr_expect_not(is_resumed(&t, "bob", session, false));
    cr_expect(is_resumed(&t, "bob", session, true), "bob's certificate is an RSA one");
    toy_stop(&t);
    unlink(keys);
    toy_start(&t, &options);
    cr_expect_not(is_resumed(&t, "alice", session, true), "with other keys");
    toy_stop(&t);
}

/* A TCP connection without TLS that says text and returns all that it hears until the end. */
static const char *say_plainly(const toy *t, const char *text, char *heard, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)rd_server_port(t->server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    size_t count = 0;
    ssize_t n;
    while ((n = recv(fd, heard + count, size - 1 - count, 0)) > 0)
        count += (size_t)n;
    heard[count] = '\0';
    cr_expect_eq(n, 0, "a reset came instead of an orderly end");
    close(fd);
    return heard;
}

Test(tls, explains_itself_to_plain_http)
{
    char heard[1024];
    toy t;
    toy_start(&t, NULL);
    say_plainly(&t, "GET /v1/task HTTP/1.1\r\nHost: a\r\n\r\n", heard, sizeof heard);
    cr_expect_eq(strncmp(heard, "HTTP/1.1 400 Bad Request\r\n", 26), 0, "%s", heard);
    cr_expect_not_null(strstr(heard, "\r\n\r\nThis port speaks HTTPS"), "%s", heard);
    const char *body = strstr(heard, "\r\n\r\n") + 4, *length = strstr(heard, "Content-Length: ");
    cr_expect_eq((size_t)atoi(length + 16), strlen(body));
    cr_expect(toy_heard(&t, "plain HTTP"));
    cr_expect_eq(t.opened, 0);
    toy_stop(&t);
}

Test(tls, does_not_wait_for_ever_for_a_handshake)
{
    char heard[64];
    toy t;
    rd_server_options options = toy_options();
    options.idle_seconds = 1;
    toy_start(&t, &options);
    double begin = toy_now();
    cr_expect_str_eq(say_plainly(&t, "\x16\x03\x01", heard, sizeof heard), "");
    cr_expect_geq(toy_now() - begin, 0.95);
    cr_expect(toy_heard(&t, "no complete TLS handshake within 1 s"));
    say_plainly(&t, "\x16\x03\x01\x7f\x7f\x7f\x7f", heard, sizeof heard);
    toy_wait_for(toy_heard(&t, "TLS handshake failed: "));
    toy_stop(&t);
}

Test(tls, start_names_what_is_wrong)
{
    const struct {
        rd_server_options options;
        rd_status status;
        const char *what;
    } cases[] = {
        {{.listen = "8443"}, RD_ERR_USAGE, "--listen: expected ADDRESS:PORT"},
        {{.listen = "127.0.0.1:99999"}, RD_ERR_USAGE, "found '127.0.0.1:99999'"},
        {{.listen = "::1:8443"}, RD_ERR_USAGE, "[::]:8443"},
        {{.listen = "192.0.2.1:0"}, RD_ERR_IO, "192.0.2.1:0: cannot listen: "},
        {{.listen = "127.0.0.1:0", .files.ca = tls_file("missing.pem")}, RD_ERR_CONFIG, "missing.pem"},
        {{.listen = "127.0.0.1:0", .files.ca = tls_file("server.key")}, RD_ERR_CONFIG, "--ca "},
        {{.listen = "127.0.0.1:0", .files.ca = tls_file("ca.pem"), .files.cert = tls_file("expired.pem")},
         RD_ERR_CONFIG,
         "expired.pem: the certificate expired on 20"},
        {{.listen = "127.0.0.1:0",
          .files.ca = tls_file("ca.pem"),
          .files.cert = tls_file("server.pem"),
          .files.key = tls_file("server.pem")},
         RD_ERR_CONFIG,
         "server.pem: expected a private key in PEM"},
        {{.listen = "127.0.0.1:0",
          .files.ca = tls_file("ca.pem"),
          .files.cert = tls_file("server.pem"),
          .files.key = tls_file("alice.key")},
         RD_ERR_CONFIG,
         "alice.key is not the key of the certificate"},
    };
    toy t;
    rd_server_app app = toy_app(&t);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rd_server *server = NULL;
        rd_error err = {.message = ""};
        cr_expect_eq(rd_server_start(&cases[i].options, &app, &server, &err), cases[i].status, "%s", err.message);
        cr_expect_not_null(strstr(err.message, cases[i].what), "expected %s, got %s", cases[i].what, err.message);
        cr_expect_null(server);
    }
}

Test(tls, names_a_port_in_use)
{
    toy t, second;
    char where[64];
    toy_start(&t, NULL);
    rd_server *server = NULL;
    rd_error err = {.message = ""};
    rd_server_options options = toy_options();
    rd_server_app app = toy_app(&second);
    snprintf(where, sizeof where, "127.0.0.1:%u", rd_server_port(t.server));
    options.listen = where;
    cr_expect_eq(rd_server_start(&options, &app, &server, &err), RD_ERR_IO);
    cr_expect_eq(strncmp(err.message, where, strlen(where)), 0);
    cr_expect_not_null(strstr(err.message, "address already in use"), "%s", err.message);
    toy_stop(&t);
}
