/* Files, errors and digests: what every other module stands on. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/crypto.h"
#include "core/error.h"
#include "core/file.h"
#include "expect_abort.h"

/* A folder of this test's own, as the working directory. */
static char folder[64];

static void enter(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/rondo-file-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
}

static void leave(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(chdir("/"), 0);
    cr_assert_eq(system(command), 0);
}

TestSuite(file, .init = enter, .fini = leave);

static void expect_content(const char *path, const char *expected, size_t expected_size)
{
    char *bytes;
    size_t size;
    rd_error err;
    cr_assert_eq(rd_file_read(path, 1 << 20, &bytes, &size, &err), RD_OK);
    cr_assert_eq(size, expected_size);
    cr_assert_arr_eq(bytes, expected, size);
    cr_assert_eq(bytes[size], '\0');
    free(bytes);
}

/* ---- whole files ---- */

Test(file, what_is_written_is_read)
{
    static const char text[] = "first\0second"; /* zeros are bytes like others */
    rd_error err;
    struct stat info;
    cr_assert_eq(rd_file_write("a", text, sizeof text, &err), RD_OK);
    expect_content("a", text, sizeof text);
    cr_assert_eq(rd_file_write("a", "new", 3, &err), RD_OK);
    expect_content("a", "new", 3);
    cr_assert_eq(rd_file_write("a", NULL, 0, &err), RD_OK);
    expect_content("a", "", 0);
    cr_assert_neq(stat("a.tmp", &info), 0);
}

Test(file, reading_what_cannot_be_read)
{
    char *bytes = NULL;
    size_t size = 77;
    rd_error err;
    cr_assert_eq(rd_file_read("absent.json", 10, &bytes, &size, &err), RD_ERR_IO);
    cr_assert_str_eq(err.message, "absent.json: No such file or directory");
    cr_assert_eq(rd_file_read("/", 10, &bytes, &size, &err), RD_ERR_IO);
    cr_assert_str_eq(err.message, "/: not a regular file");
    cr_assert_eq(rd_file_write("eleven", "12345678901", 11, &err), RD_OK);
    cr_assert_eq(rd_file_read("eleven", 10, &bytes, &size, &err), RD_ERR_IO);
    cr_assert_str_eq(err.message, "eleven: 11 bytes, more than the 10 expected here");
    cr_assert_null(bytes);
    cr_assert_eq(size, 77);
    cr_assert_eq(rd_file_read("eleven", 11, &bytes, &size, &err), RD_OK);
    free(bytes);
}

Test(file, writing_where_nothing_can_be_written)
{
    rd_error err;
    struct stat info;
    char path[5000];
    cr_assert_eq(rd_file_write("absent/a", "x", 1, &err), RD_ERR_IO);
    cr_assert_str_eq(err.message, "absent/a.tmp: No such file or directory");
    cr_assert_eq(mkdir("folder", 0777), 0);
    cr_assert_eq(rd_file_write("folder", "x", 1, &err), RD_ERR_IO);
    cr_assert_str_eq(err.message, "folder: cannot take its place: Is a directory");
    cr_assert_neq(stat("folder.tmp", &info), 0);
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    cr_assert_eq(rd_file_write(path, "x", 1, &err), RD_ERR_IO);
    cr_assert_not_null(strstr(err.message, "aaa"));
}

/* A file that may not grow stands in for a full disk. */
Test(file, a_write_that_fails_half_way_leaves_the_old_file)
{
    static char large[100000];
    struct rlimit limit = {.rlim_cur = 50000, .rlim_max = RLIM_INFINITY};
    struct stat info;
    rd_error err;
    cr_assert_eq(rd_file_write("model", "old", 3, &err), RD_OK);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_eq(rd_file_write("model", large, sizeof large, &err), RD_ERR_IO);
    cr_assert_str_eq(err.message, "model.tmp: cannot write: File too large");
    cr_assert_neq(stat("model.tmp", &info), 0);
    expect_content("model", "old", 3);
}

/* ---- descriptors ---- */

Test(file, positions_are_kept_apart)
{
    rd_error err;
    char bytes[8] = "";
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(rd_fd_write_all(fd, "abcdef", 6, "f", &err), RD_OK);
    cr_assert_eq(rd_fd_pwrite_all(fd, "XY", 2, 2, "f", &err), RD_OK);
    cr_assert_eq(rd_fd_write_all(fd, "g", 1, "f", &err), RD_OK);
    cr_assert_eq(rd_fd_pread_all(fd, bytes, 7, 0, "f", &err), RD_OK);
    cr_assert_str_eq(bytes, "abXYefg");
    cr_assert_eq(rd_fd_pread_all(fd, bytes, 0, 100, "f", &err), RD_OK);
    cr_assert_eq(rd_fd_pread_all(fd, bytes, 7, 3, "f", &err), RD_ERR_IO);
    cr_assert_str_eq(err.message, "f: ends 3 bytes too early");
    close(fd);
}

Test(file, the_system_says_no)
{
    rd_error err;
    char byte = 'x';
    int full = open("/dev/full", O_WRONLY);
    cr_assert_geq(full, 0);
    cr_assert_eq(rd_fd_write_all(full, "x", 1, "state", &err), RD_ERR_IO);
    cr_assert_str_eq(err.message, "state: cannot write: No space left on device");
    cr_assert_eq(rd_fd_pwrite_all(full, "x", 1, 0, "state", &err), RD_ERR_IO);
    cr_assert_str_eq(err.message, "state: cannot write: No space left on device");
    close(full);
    cr_assert_eq(rd_fd_pread_all(-1, &byte, 1, 0, "gone", &err), RD_ERR_IO);
    cr_assert_str_eq(err.message, "gone: cannot read: Bad file descriptor");
}

static void on_alarm(int number)
{
    (void)number;
}

/* Reads the pipe slowly; exits with 0 when byte i was (i * 7) mod 251, up to the end. */
static void read_pipe(int fd, size_t expected)
{
    unsigned char bytes[5000];
    size_t seen = 0;
    ssize_t n;
    while ((n = read(fd, bytes, sizeof bytes)) > 0) {
        for (ssize_t i = 0; i < n; i++, seen++)
            if (bytes[i] != seen * 7 % 251)
                _exit(1);
        usleep(200);
    }
    _exit(seen == expected ? 0 : 2);
}

Test(file, short_and_interrupted_writes_are_continued)
{
    enum { SIZE = 1 << 20 };
    unsigned char *bytes = malloc(SIZE);
    int ends[2], code;
    rd_error err;
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (unsigned char)(i * 7 % 251);
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        close(ends[1]);
        read_pipe(ends[0], SIZE);
    }
    close(ends[0]);
    struct sigaction action = {.sa_handler = on_alarm}; /* without SA_RESTART: write is interrupted */
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    cr_assert_eq(rd_fd_write_all(ends[1], bytes, SIZE, "pipe", &err), RD_OK);
    setitimer(ITIMER_REAL, &never, NULL);
    close(ends[1]);
    cr_assert_eq(waitpid(child, &code, 0), child);
    cr_assert(WIFEXITED(code) && WEXITSTATUS(code) == 0);
    free(bytes);
}

/* ---- folders ---- */

Test(file, folders_are_made_with_their_parents)
{
    rd_error err;
    struct stat info;
    char path[5000], absolute[128];
    cr_assert_eq(rd_make_directory("a/b/c", &err), RD_OK);
    cr_assert(stat("a/b/c", &info) == 0 && S_ISDIR(info.st_mode));
    cr_assert_eq(rd_make_directory("a/b/c/", &err), RD_OK);
    cr_assert_eq(rd_make_directory(".", &err), RD_OK);
    cr_assert_eq(rd_make_directory("/", &err), RD_OK);
    (void)snprintf(absolute, sizeof absolute, "%s/d//e", folder);
    cr_assert_eq(rd_make_directory(absolute, &err), RD_OK);
    cr_assert(stat("d/e", &info) == 0 && S_ISDIR(info.st_mode));
    cr_assert_eq(rd_file_write("file", "", 0, &err), RD_OK);
    cr_assert_eq(rd_make_directory("file", &err), RD_ERR_IO);
    cr_assert_str_eq(err.message, "file: exists, but is not a folder");
    cr_assert_eq(rd_make_directory("file/below", &err), RD_ERR_IO);
    cr_assert_str_eq(err.message, "file/below: cannot make the folder: Not a directory");
    cr_assert_eq(rd_make_directory("", &err), RD_ERR_IO);
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    cr_assert_eq(rd_make_directory(path, &err), RD_ERR_IO);
}

/* ---- errors ---- */

Test(error, a_failure_is_one_line)
{
    rd_error err = {0};
    cr_assert_eq(rd_fail(&err, RD_ERR_DATA, "%s: line %d", "wine.csv", 7), RD_ERR_DATA);
    cr_assert_eq(err.status, RD_ERR_DATA);
    cr_assert_str_eq(err.message, "wine.csv: line 7");
    cr_assert_eq(rd_fail_context(&err, RD_ERR_DATA, "client '%s'", "alice"), RD_ERR_DATA);
    cr_assert_str_eq(err.message, "client 'alice': wine.csv: line 7");
    cr_assert_eq(rd_fail_as(&err, RD_ERR_CONFIG), RD_ERR_CONFIG);
    cr_assert_eq(err.status, RD_ERR_CONFIG);
    cr_assert_eq(rd_fail_context(&err, RD_ERR_FORMAT, "join"), RD_ERR_FORMAT);
    cr_assert_eq(err.status, RD_ERR_FORMAT);
}

Test(error, somebody_has_to_listen)
{
    expect_abort(rd_fail(NULL, RD_ERR_IO, "nobody listens"));
    expect_abort(rd_fail_context(NULL, RD_ERR_DATA, "client '%s'", "alice"));
    expect_abort(rd_fail_as(NULL, RD_ERR_FORMAT));
}

Test(error, long_messages_are_cut)
{
    rd_error err = {0};
    char name[2 * RD_ERROR_MESSAGE_MAX];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    (void)rd_fail(&err, RD_ERR_IO, "%s", name);
    cr_assert_eq(strlen(err.message), RD_ERROR_MESSAGE_MAX - 1);
    (void)rd_fail_context(&err, RD_ERR_IO, "in front");
    cr_assert_eq(strlen(err.message), RD_ERROR_MESSAGE_MAX - 1);
    cr_assert_eq(strncmp(err.message, "in front: nnn", 13), 0);
    (void)rd_fail_context(&err, RD_ERR_IO, "%s", name);
    cr_assert_eq(strlen(err.message), RD_ERROR_MESSAGE_MAX - 1);
}

Test(error, every_status_has_a_word_of_its_own)
{
    static const char *const words[] = {"ok",     "usage", "config",  "data",    "format", "range",   "io",
                                        "memory", "state", "network", "refused", "idle",   "internal"};
    for (int s = RD_OK; s <= RD_ERR_INTERNAL; s++)
        cr_assert_str_eq(rd_status_name((rd_status)s), words[s]);
    cr_assert_eq(sizeof words / sizeof *words, RD_ERR_INTERNAL + 1);
    cr_assert_str_eq(rd_status_name((rd_status)99), "unknown");
}

static rd_status leave_early(int *steps, rd_error *err)
{
    rd_status status = RD_OK;
    RD_TRY(RD_OK);
    (*steps)++;
    RD_THROW(RD_ERR_STATE, "now");
    (*steps)++;
cleanup:
    return status;
}

Test(error, the_guard_leaves_for_the_one_exit)
{
    int steps = 0;
    rd_error err = {0};
    cr_assert_eq(leave_early(&steps, &err), RD_ERR_STATE);
    cr_assert_str_eq(err.message, "now");
    cr_assert_eq(steps, 1);
}

/* ---- digests: the examples of FIPS 180-2, appendix B, and the empty message ---- */

static void check_digest(const char *message, const char *expected)
{
    rd_sha256 d;
    char hex[RD_SHA256_HEX];
    size_t length = strlen(message);
    for (size_t piece = 1; piece <= length + 1; piece++) { /* in pieces of every size */
        rd_sha256_start(&d);
        for (size_t at = 0; at < length; at += piece)
            rd_sha256_add(&d, message + at, length - at < piece ? length - at : piece);
        rd_sha256_finish_hex(&d, hex);
        cr_assert_str_eq(hex, expected);
    }
}

Test(digest, published_examples)
{
    check_digest("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_digest("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

Test(digest, a_million_letters)
{
    static const uint8_t expected[RD_SHA256_BYTES] = {0xcd, 0xc7, 0x6e, 0x5c, 0x99, 0x14, 0xfb, 0x92, 0x81, 0xa1, 0xc7,
                                                      0xe2, 0x84, 0xd7, 0x3e, 0x67, 0xf1, 0x80, 0x9a, 0x48, 0xa4, 0x97,
                                                      0x20, 0x0e, 0x04, 0x6d, 0x39, 0xcc, 0xc7, 0x11, 0x2c, 0xd0};
    char letters[1000];
    uint8_t out[RD_SHA256_BYTES];
    rd_sha256 d;
    memset(letters, 'a', sizeof letters);
    rd_sha256_start(&d);
    for (int i = 0; i < 1000; i++)
        rd_sha256_add(&d, letters, sizeof letters);
    rd_sha256_finish(&d, out);
    cr_assert_arr_eq(out, expected, sizeof out);
}
