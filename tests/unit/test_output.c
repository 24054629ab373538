/* Answers with a piece of a file behind some bytes: which bytes are read when, and what is said where they are not there. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "https/output.h"
#include "https/tls.h"

enum { SIZE = 3 * RD_TLS_RECORD };

static uint8_t byte_of(size_t i)
{
    return (uint8_t)(i * 2654435761u >> 13);
}

static int open_file(void)
{
    char path[] = "/tmp/rondo-test-output-XXXXXX";
    static uint8_t bytes[SIZE];
    int fd = mkstemp(path);
    unlink(path);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = byte_of(i);
    cr_assert_eq(write(fd, bytes, SIZE), SIZE);
    return fd;
}

static void begin(rd_output *o, int fd, uint64_t at, uint64_t count)
{
    *o = (rd_output){.file = -1};
    cr_assert(rd_output_reserve(o, RD_TLS_RECORD));
    memset(o->bytes, 'h', RD_TLS_RECORD);
    o->end = 10; /* a head */
    cr_assert(rd_output_attach(o, fd, at, count));
}

static void expect_record(const rd_output *o, size_t head, size_t at, size_t count)
{
    cr_assert_eq(o->end, head + count, "%zu", o->end);
    for (size_t i = 0; i < head; i++)
        cr_assert_eq(o->bytes[i], 'h');
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(o->bytes[head + i], byte_of(at + i), "byte %zu", i);
}

/* A head of 10 bytes, then a record less these, then what is left. What an earlier call has left in errno is nobody's. */
Test(output, records_are_filled_up_from_the_file)
{
    rd_output o;
    uint64_t count;
    int fd = open_file();
    begin(&o, fd, 7, RD_TLS_RECORD + 100);
    cr_assert(o.file >= 0 && o.file != fd);
    cr_assert((fcntl(o.file, F_GETFD) & FD_CLOEXEC) != 0);
    cr_assert(rd_output_wants_file(&o));
    errno = EINTR;
    cr_assert_null(rd_output_refill(&o, &count));
    cr_assert_eq(count, RD_TLS_RECORD - 10);
    expect_record(&o, 10, 7, RD_TLS_RECORD - 10);
    cr_assert_not(rd_output_wants_file(&o), "the record is full");
    o.begin = o.end = 0;
    cr_assert(rd_output_wants_file(&o));
    errno = EINTR;
    cr_assert_null(rd_output_refill(&o, &count));
    cr_assert_eq(count, 110);
    expect_record(&o, 0, 7 + RD_TLS_RECORD - 10, 110);
    cr_assert_not(rd_output_wants_file(&o), "all of it is there");
    cr_assert_null(rd_output_refill(&o, &count));
    cr_assert_eq(count, 0);
    int own = o.file;
    rd_output_release(&o);
    cr_expect(o.bytes == NULL && o.file == -1 && o.begin == 0 && o.end == 0 && o.file_left == 0);
    cr_expect_eq(fcntl(own, F_GETFD), -1, "its descriptor is closed");
    cr_expect_neq(fcntl(fd, F_GETFD), -1, "that of the caller is not");
    rd_output_release(&o);
    close(fd);
}

Test(output, a_record_that_has_begun_to_leave_takes_no_more)
{
    rd_output o;
    int fd = open_file();
    begin(&o, fd, 0, 100);
    o.begin = 1;
    cr_expect_not(rd_output_wants_file(&o));
    rd_output_release(&o);
    close(fd);
}

Test(output, what_is_not_there_is_said)
{
    rd_output o;
    uint64_t count;
    int fd = open_file(), writing = open("/dev/null", O_WRONLY | O_CLOEXEC);
    begin(&o, fd, SIZE - 20, 21);
    errno = EINTR;
    cr_expect_str_eq(rd_output_refill(&o, &count), "no more bytes");
    cr_expect_eq(count, 20);
    rd_output_release(&o);
    begin(&o, fd, SIZE, 1);
    errno = EIO;
    cr_expect_str_eq(rd_output_refill(&o, &count), "no more bytes");
    cr_expect_eq(count, 0);
    rd_output_release(&o);
    begin(&o, writing, 0, 5);
    cr_expect_str_eq(rd_output_refill(&o, &count), strerror(EBADF));
    rd_output_release(&o);
    o = (rd_output){.file = -1};
    cr_expect_not(rd_output_attach(&o, -1, 0, 5));
    close(fd);
    close(writing);
}

/* The lowest descriptor is one like any other. */
Test(output, descriptor_0_is_one)
{
    rd_output o;
    uint64_t count;
    int fd = open_file();
    const int kept = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 100);
    close(STDIN_FILENO);
    begin(&o, fd, 1, 5);
    cr_expect_eq(o.file, 0);
    cr_expect_null(rd_output_refill(&o, &count));
    rd_output_release(&o);
    cr_expect_eq(fcntl(0, F_GETFD), -1, "it is closed");
    if (kept >= 0)
        dup2(kept, STDIN_FILENO);
    close(kept);
    close(fd);
}
