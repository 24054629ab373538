/* Keys of session tickets: how long each is used, what lies in their file, and which files are not believed. Time is what the
 * test says it is. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "https/ticket_keys.h"

#define NOW UINT64_C(1800000000)
#define LIFE RD_TICKET_SECONDS

static char folder[64], path[128], note[512];

static void begin(void)
{
    snprintf(folder, sizeof folder, "/tmp/rondo-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/tickets.key", folder);
}

static void end(void)
{
    unlink(path);
    rmdir(folder);
}

static rd_ticket_keys *keys_at(uint64_t now)
{
    rd_ticket_keys *k = NULL;
    rd_error err = {.message = ""};
    cr_assert_eq(rd_ticket_keys_open(path, now, &k, note, sizeof note, &err), RD_OK, "%s", err.message);
    return k;
}

static rd_ticket_key newest(rd_ticket_keys *k)
{
    rd_ticket_key key;
    rd_ticket_keys_newest(k, &key);
    return key;
}

static bool has(rd_ticket_keys *k, const rd_ticket_key *key)
{
    rd_ticket_key found;
    return rd_ticket_keys_find(k, key->name, &found) && memcmp(found.secret, key->secret, sizeof found.secret) == 0;
}

static void rotate(rd_ticket_keys *k, uint64_t now)
{
    rd_error err;
    cr_expect_eq(rd_ticket_keys_rotate(k, now, &err), RD_OK);
}

static bool same(const rd_ticket_key *a, const rd_ticket_key *b)
{
    return memcmp(a->name, b->name, sizeof a->name) == 0;
}

TestSuite(ticket_keys, .init = begin, .fini = end);

Test(ticket_keys, a_key_seals_for_one_life_and_opens_for_two)
{
    rd_ticket_keys *k = keys_at(NOW);
    const rd_ticket_key first = newest(k);
    rotate(k, NOW + LIFE - 1);
    rd_ticket_key key = newest(k);
    cr_expect(same(&first, &key));
    rotate(k, NOW + LIFE);
    key = newest(k);
    cr_expect_not(same(&first, &key));
    cr_expect_neq(memcmp(first.secret, key.secret, sizeof key.secret), 0);
    cr_expect(has(k, &first), "what it sealed a moment ago is good");
    rotate(k, NOW + 2 * LIFE);
    cr_expect_not(has(k, &first));
    cr_expect(has(k, &key));
    rd_ticket_keys_close(k);
}

Test(ticket_keys, a_restart_finds_them)
{
    struct stat info;
    rd_ticket_keys *k = keys_at(NOW);
    const rd_ticket_key first = newest(k);
    rotate(k, NOW + LIFE);
    const rd_ticket_key second = newest(k);
    rd_ticket_keys_close(k);
    cr_assert_eq(stat(path, &info), 0);
    cr_expect_eq(info.st_mode & 0777, 0600);
    k = keys_at(NOW + LIFE + 5);
    cr_expect_str_eq(note, "");
    rd_ticket_key key = newest(k);
    cr_expect(same(&second, &key));
    cr_expect(has(k, &first));
    rd_ticket_keys_close(k);
    k = keys_at(NOW + 3 * LIFE); /* it was off for so long that neither is good */
    cr_expect_not(has(k, &first));
    cr_expect_not(has(k, &second));
    rd_ticket_keys_close(k);
}

Test(ticket_keys, a_clock_that_goes_back_keeps_no_key_for_ever)
{
    rd_ticket_keys *k = keys_at(NOW);
    const rd_ticket_key first = newest(k);
    rd_ticket_keys_close(k);
    k = keys_at(NOW - LIFE - 1);
    cr_expect_not(has(k, &first));
    rd_ticket_keys_close(k);
}

/* Opens the file as it is now; its keys must be others than key, and what is said is this. */
static void expect_new(const rd_ticket_key *key, const char *said)
{
    rd_ticket_keys *k = keys_at(NOW);
    cr_expect_not(has(k, key));
    cr_expect_not_null(strstr(note, said), "expected %s, got %s", said, note);
    rd_ticket_keys_close(k);
}

Test(ticket_keys, files_that_cannot_be_trusted_are_replaced)
{
    rd_ticket_keys *k = keys_at(NOW);
    rd_ticket_key key = newest(k);
    rd_ticket_keys_close(k);
    chmod(path, 0640);
    expect_new(&key, "tickets.key: others may read or write it; new keys are made");

    k = keys_at(NOW);
    key = newest(k);
    rd_ticket_keys_close(k);
    cr_assert_eq(truncate(path, 60), 0);
    expect_new(&key, "tickets.key: it is no file of ticket keys");

    char other[140];
    k = keys_at(NOW);
    key = newest(k);
    rd_ticket_keys_close(k);
    snprintf(other, sizeof other, "%s/other", folder);
    cr_assert_eq(rename(path, other), 0);
    cr_assert_eq(symlink("other", path), 0);
    expect_new(&key, "tickets.key: Too many levels of symbolic links");
    unlink(other);
}

Test(ticket_keys, without_a_place_for_the_file_they_last_as_long_as_the_process)
{
    rd_ticket_keys *k = NULL;
    rd_error err;
    cr_assert_eq(rd_ticket_keys_open("/nowhere/tickets.key", NOW, &k, note, sizeof note, &err), RD_OK);
    cr_expect_not_null(strstr(note, "after a restart no session can be resumed"), "%s", note);
    rd_ticket_key key = newest(k);
    cr_expect(has(k, &key));
    cr_expect_eq(rd_ticket_keys_rotate(k, NOW + LIFE, &err), RD_ERR_IO);
    rd_ticket_keys_close(k);
}
