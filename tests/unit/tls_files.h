/* tls_files.h: certificates for tests and benchmarks, made by the openssl command in a temporary folder. */
#ifndef RONDO_TESTS_TLS_FILES_H
#define RONDO_TESTS_TLS_FILES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the folder, each with its .key: ca.pem; server.pem for 127.0.0.1; the clients alice.pem, bob.pem; and
 * those to be refused: stranger.pem (of another CA), expired.pem (expired), nameless.pem, control.pem (a line
 * feed in its name), two_names.pem (two common names), serving.pem (for servers only), p521.pem and ed.pem (keys that
 * cannot be used), heavy.pem (comes with an authority whose key has a large exponent), many.pem (five times alice's).
 * Expired is signed in two ways, as new openssl refuses negative days and old openssl takes no dates. bob is RSA, the
 * others P-256; the name in zoe.pem is Zoe with a diaeresis, which openssl turns into UTF-8. */
static const char tls_files_script[] =
    "set -e; cd \"$1\"; exec 2>openssl.log\n"
    "request() { openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key \\\n"
    "  -out $1.csr -subj \"$2\"; }\n"
    "sign() { openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -set_serial 0x$RANDOM$RANDOM \\\n"
    "  -days $3 -out $1.pem -extfile $4; }\n"
    "printf 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth\\n' >server.ext\n"
    "printf 'extendedKeyUsage=clientAuth\\n' >client.ext\n"
    "printf 'subjectAltName=IP:127.0.0.1\\n' >any.ext\n"
    "printf 'basicConstraints=critical,CA:TRUE\\n' >ca.ext\n"
    "for ca in ca other; do request $ca \"/CN=Test $ca\"\n"
    "  openssl x509 -req -in $ca.csr -signkey $ca.key -days 9 -out $ca.pem -extfile ca.ext; done\n"
    "request server /CN=127.0.0.1; sign server ca 9 any.ext\n"
    "request serving /CN=serving; sign serving ca 9 server.ext\n"
    "request alice /CN=alice; sign alice ca 9 client.ext\n"
    "openssl req -new -newkey rsa:2048 -nodes -keyout bob.key -out bob.csr -subj /CN=bob; sign bob ca 9 "
    "client.ext\n"
    "request stranger /CN=stranger; sign stranger other 9 client.ext\n"
    "request expired /CN=expired; sign expired ca -1 client.ext || openssl x509 -req -in expired.csr -CA ca.pem -CAkey "
    "ca.key \\\n"
    "  -set_serial 1 -not_before 20200101000000Z -not_after 20200102000000Z -out expired.pem -extfile "
    "client.ext\n"
    "request nameless /O=nobody; sign nameless ca 9 client.ext\n"
    "request control \"$(printf '/CN=two\\nlines')\"; sign control ca 9 client.ext\n"
    "request zoe \"$(printf '/CN=Zo\\353')\"; sign zoe ca 9 client.ext\n"
    "request two_names /CN=one/CN=two; sign two_names ca 9 client.ext\n"
    "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-521 -nodes -keyout p521.key -out p521.csr -subj "
    "/CN=p521; sign p521 ca 9 client.ext\n"
    "openssl req -new -newkey ed25519 -nodes -keyout ed.key -out ed.csr -subj /CN=ed; sign ed ca 9 client.ext\n"
    "openssl req -new -newkey rsa:2048 -pkeyopt rsa_keygen_pubexp:131101 -nodes -keyout slow.key -out slow.csr -subj "
    "/CN=slow; openssl x509 -req -in slow.csr -signkey slow.key -days 9 -out slow.pem -extfile ca.ext\n"
    "request heavy /CN=heavy; sign heavy slow 9 client.ext; cat slow.pem >>heavy.pem\n"
    "cp alice.key many.key; for i in 1 2 3 4 5; do cat alice.pem; done >many.pem\n";

/* Makes the folder; its name goes into the environment, where tests that run in processes of their own find
 * it. */
static inline int tls_files_make(void)
{
    char folder[] = "/tmp/rondo-test-XXXXXX";
    if (mkdtemp(folder) == NULL)
        return -1;
    setenv("RONDO_TEST_CERTIFICATES", folder, 1);
    pid_t pid = fork();
    if (pid == 0) {
        execlp("bash", "bash", "-c", tls_files_script, "bash", folder, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "openssl could not make the certificates, see %s/openssl.log\n", folder);
        return -1;
    }
    return 0;
}

/* "/tmp/rondo-test-x/alice.pem"; 32 results stay valid. */
static inline const char *tls_file(const char *name)
{
    static _Thread_local char paths[32][256];
    static _Thread_local unsigned next;
    char *path = paths[next++ % 32];
    const char *folder = getenv("RONDO_TEST_CERTIFICATES");
    snprintf(path, sizeof paths[0], "%s/%s", folder == NULL ? "." : folder, name);
    return path;
}

static inline void tls_files_remove(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", tls_file(""), (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

#endif
