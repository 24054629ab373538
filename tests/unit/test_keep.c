/* What clients keep: a round that is repeated finds what it found the first time. Spread, and Student's t. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "run/spread.h"
#include "train/keep.h"

static void write_all(rd_keep *k, size_t client, uint64_t round, float value)
{
    rd_error err;
    float v[3] = {value, value + 1, value + 2};
    cr_assert_eq(rd_keep_write(k, client, round, RD_KEEP_NEWEST, v, &err), RD_OK, "%s", err.message);
}

static float read_first(rd_keep *k, size_t client, uint64_t round)
{
    rd_error err;
    float v[3] = {-1, -1, -1};
    rd_keep_found found;
    cr_assert_eq(rd_keep_read(k, client, round, RD_KEEP_NEWEST, v, &found, &err), RD_OK, "%s", err.message);
    cr_assert(found != RD_KEEP_FOUND || v[2] == v[0] + 2);
    return found != RD_KEEP_FOUND ? -1 : v[0];
}

static rd_keep_options options_of(const char *path, const char *run, const char *client, size_t floats)
{
    return (rd_keep_options){.path = path,
                             .run = run,
                             .client = client,
                             .what = "scaffold",
                             .clients = 1000000,
                             .floats = floats,
                             .rounds = 1,
                             .memory_limit = 1 << 20};
}

Test(keep, a_repeated_round_finds_what_was_there_before)
{
    char path[64];
    rd_error err;
    rd_keep *k;
    (void)snprintf(path, sizeof path, "/tmp/rondo-keep-%d", (int)getpid());
    for (int named = 0; named < 2; named++) {
        rd_keep_options o = options_of(named ? path : NULL, "r1", "ann", 3);
        cr_assert_eq(rd_keep_open(&o, &k, &err), RD_OK, "%s", err.message);
        cr_assert_eq(read_first(k, 999999, 1), -1);
        write_all(k, 999999, 1, 10);
        write_all(k, 999999, 4, 40);
        cr_assert_eq(read_first(k, 999999, 5), 40);
        cr_assert_eq(read_first(k, 999999, 4), 10, "round 4 again");
        write_all(k, 999999, 4, 41);
        cr_assert_eq(read_first(k, 999999, 4), 10, "and again");
        cr_assert_eq(read_first(k, 999999, 5), 41);
        cr_assert_eq(read_first(k, 3, 5), -1, "another client");
        if (named) {
            rd_keep_close(k);
            o.floats = 4;
            cr_assert_eq(rd_keep_open(&o, &k, &err), RD_ERR_STATE, "of another size");
            o.floats = 3;
            cr_assert_eq(rd_keep_open(&o, &k, &err), RD_OK);
            cr_assert_eq(read_first(k, 999999, 9), 41);
        }
        rd_keep_close(k);
    }
    unlink(path);
}

/* A client is told in which round its update last counted: it goes on from exactly there, whatever it wrote since, and
 * after an aggregator that comes back one round earlier, too. */
Test(keep, goes_on_from_the_round_that_counted)
{
    rd_error err;
    rd_keep *k;
    rd_keep_found found;
    rd_keep_options o = options_of(NULL, "r1", "ann", 1);
    o.clients = 1;
    o.rounds = 2;
    cr_assert_eq(rd_keep_open(&o, &k, &err), RD_OK, "%s", err.message);
    static const struct {
        uint64_t round, kept; /* kept: told with the task of this round */
    } rounds[] = {{1, 0}, {2, 1}, {3, 2} /* refused */, {4, 2} /* and so was this */, {5, 2},
                  {6, 5}, {5, 2} /* again */};
    for (size_t i = 0; i < sizeof rounds / sizeof *rounds; i++) {
        float v = -1;
        cr_assert_eq(rd_keep_read(k, 0, rounds[i].round, rounds[i].kept, &v, &found, &err), RD_OK);
        cr_assert_eq(found, i == 0 ? RD_KEEP_NOTHING : RD_KEEP_FOUND, "%zu", i);
        cr_assert_eq(v, rounds[i].kept == 0 ? -1 : (float)rounds[i].kept, "%zu: %g", i, (double)v);
        v = (float)rounds[i].round;
        cr_assert_eq(rd_keep_write(k, 0, rounds[i].round, rounds[i].kept, &v, &err), RD_OK);
    }
    float v;
    cr_assert_eq(rd_keep_read(k, 0, 9, 6, &v, &found, &err), RD_OK);
    cr_assert_eq(found, RD_KEEP_LOST, "round 6 was another course of the run");
    cr_assert_eq(rd_keep_read(k, 0, 9, 0, &v, &found, &err), RD_OK);
    cr_assert_eq(found, RD_KEEP_NOTHING);
    rd_keep_close(k);
}

Test(keep, is_of_one_run_client_and_strategy)
{
    char path[64], aside[96], note[RD_KEEP_NOTE_MAX];
    rd_error err;
    rd_keep *k, *second;
    (void)snprintf(path, sizeof path, "/tmp/rondo-keep-of-%d", (int)getpid());
    (void)snprintf(aside, sizeof aside, "%s.0123456789ab", path);
    rd_keep_options o = options_of(path, "0123456789abcdef", "ann", 3), other = o;
    o.alone = other.alone = true;
    cr_assert_eq(rd_keep_set_aside(&o, note, &err), RD_OK, "there is none yet");
    cr_assert_eq(rd_keep_open(&o, &k, &err), RD_OK, "%s", err.message);
    write_all(k, 0, 1, 10);
    cr_assert_eq(rd_keep_open(&o, &second, &err), RD_ERR_STATE);
    cr_assert(strstr(err.message, "another program is using it"), "%s", err.message);
    rd_keep_close(k);

    other.client = "bob";
    cr_assert_eq(rd_keep_set_aside(&other, note, &err), RD_OK);
    cr_assert_str_eq(note, "", "another client's is left where it is");
    cr_assert_eq(rd_keep_open(&other, &k, &err), RD_ERR_STATE);
    cr_assert(strstr(err.message, "for client 'ann', and this is 'bob'"), "%s", err.message);
    other = o;
    other.what = "fedavg, ditto";
    cr_assert_eq(rd_keep_open(&other, &k, &err), RD_ERR_STATE);
    cr_assert(strstr(err.message, "with 'scaffold', and this is 'fedavg, ditto'"), "%s", err.message);
    other = o;
    other.run = "fedcba9876543210";
    cr_assert_eq(rd_keep_open(&other, &k, &err), RD_ERR_STATE);
    cr_assert(strstr(err.message, "in run '0123456789abcdef'"), "%s", err.message);

    cr_assert_eq(rd_keep_set_aside(&other, note, &err), RD_OK, "%s", err.message);
    cr_assert(strstr(note, aside) && strstr(note, "another run"), "%s", note);
    cr_assert_eq(rd_keep_open(&other, &k, &err), RD_OK, "%s", err.message);
    cr_assert_eq(read_first(k, 0, 2), -1, "begun anew");
    rd_keep_close(k);
    o.path = aside;
    cr_assert_eq(rd_keep_open(&o, &k, &err), RD_OK, "%s", err.message);
    cr_assert_eq(read_first(k, 0, 2), 10, "and nothing is lost");
    rd_keep_close(k);
    o.path = path;
    cr_assert_eq(rd_keep_set_aside(&o, note, &err), RD_OK);
    cr_assert_eq(rd_keep_set_aside(&other, note, &err), RD_OK);

    /* A run's name that somebody has written there becomes no path. */
    for (size_t i = 0; i < 3; i++) {
        static const char *const names[] = {"../../tmp/x", "", "a b"};
        char head[24 + 3 * 128] = "rdkeep2";
        head[8] = 3;
        head[16] = 2;
        (void)snprintf(head + 24, 128, "%s", names[i]);
        (void)snprintf(head + 24 + 128, 128, "ann");
        FILE *made = fopen(path, "wb");
        cr_assert_eq(fwrite(head, sizeof head, 1, made), 1);
        (void)fclose(made);
        cr_assert_eq(rd_keep_set_aside(&o, note, &err), RD_ERR_STATE, "'%s'", names[i]);
        cr_assert_eq(access(path, F_OK), 0, "it is where it was");
    }

    /* Somebody's file that is none of ours is not written to. */
    FILE *f = fopen(path, "wb");
    (void)fputs("a,b,c\n", f);
    (void)fclose(f);
    cr_assert_eq(rd_keep_open(&o, &k, &err), RD_ERR_STATE);
    cr_assert_eq(rd_keep_set_aside(&o, note, &err), RD_ERR_STATE);
    char line[16] = "";
    f = fopen(path, "rb");
    cr_assert(fgets(line, sizeof line, f) && strcmp(line, "a,b,c\n") == 0);
    (void)fclose(f);
    unlink(path);
    unlink(aside);
    (void)snprintf(aside, sizeof aside, "%s.fedcba987654", path);
    unlink(aside);
}

/* Losses 1 to 12: mean 6.5, deviation sqrt(143 / 12), the worst two of twelve 11.5. */
Test(spread, by_hand)
{
    rd_participation_record parts[14];
    memset(parts, 0, sizeof parts);
    for (int i = 0; i < 14; i++) {
        parts[i].status = i < 12 ? RD_PART_COUNTED : RD_PART_LATE;
        parts[i].report.running_loss = 100;
        parts[i].report.before = (rd_metrics){5, 12 - i, NAN};
    }
    rd_spread s = rd_spread_of(parts, 14);
    cr_expect_float_eq(s.mean, 6.5, 1e-12);
    cr_expect_float_eq(s.deviation, sqrt(143.0 / 12), 1e-12);
    cr_expect_float_eq(s.worst, 11.5, 1e-12);
    parts[3].report.holdout = (rd_metrics){1, 50, NAN};
    cr_expect_float_eq(rd_spread_of(parts, 14).worst, (50 + 12) / 2.0, 1e-12, "hold-out rows come first");
    cr_expect(isnan(rd_spread_of(parts + 12, 2).mean), "nobody was counted");
    s = rd_spread_of(parts, 1);
    cr_expect(s.mean == 12 && s.worst == 12 && isnan(s.deviation), "one differs from nobody");
}

/* What a loss of power has left is noticed: values that are not what was written are lost, and a label that is none is
 * of nothing. */
Test(keep, what_is_not_what_was_written_is_noticed)
{
    enum { HEAD = 8 + 16 + 3 * 128, LABEL = 24, PLACE = LABEL + 3 * 4 };
    char path[64];
    rd_error err;
    rd_keep *k;
    rd_keep_found found;
    float v[3] = {1, 2, 3}, read[3];
    (void)snprintf(path, sizeof path, "/tmp/rondo-keep-torn-%d", (int)getpid());
    rd_keep_options o = options_of(path, "r1", "ann", 3);
    for (int at = HEAD; at < HEAD + PLACE; at++) {
        cr_assert_eq(rd_keep_open(&o, &k, &err), RD_OK, "%s", err.message);
        cr_assert_eq(rd_keep_write(k, 0, 1, 0, v, &err), RD_OK);
        cr_assert_eq(rd_keep_sync(k, &err), RD_OK);
        cr_assert_eq(rd_keep_read(k, 0, 2, 1, read, &found, &err), RD_OK);
        cr_assert_eq(found, RD_KEEP_FOUND);
        rd_keep_close(k);
        FILE *f = fopen(path, "r+b");
        (void)fseek(f, at, SEEK_SET);
        int byte = fgetc(f);
        (void)fseek(f, at, SEEK_SET);
        (void)fputc(byte ^ 1, f);
        (void)fclose(f);
        cr_assert_eq(rd_keep_open(&o, &k, &err), RD_OK, "%s", err.message);
        cr_assert_eq(rd_keep_read(k, 0, 2, 1, read, &found, &err), RD_OK);
        cr_assert_eq(found, RD_KEEP_LOST, "byte %d", at);
        cr_assert_eq(rd_keep_read(k, 0, 2, RD_KEEP_NEWEST, read, &found, &err), RD_OK);
        cr_assert_eq(found, at < HEAD + LABEL ? RD_KEEP_NOTHING : RD_KEEP_LOST, "byte %d", at);
        rd_keep_close(k);
        cr_assert_eq(truncate(path, HEAD + PLACE - 1), 0);
        cr_assert_eq(rd_keep_open(&o, &k, &err), RD_OK, "%s", err.message);
        cr_assert_eq(rd_keep_read(k, 0, 2, 1, read, &found, &err), RD_OK);
        cr_assert_eq(found, RD_KEEP_LOST, "it ends too early");
        rd_keep_close(k);
        unlink(path);
    }
}

/* Simulated: a client's first round was cut off after it had trained, and is repeated. What it kept of that attempt is
 * nothing that it goes on from, nor a sign of another moment; something of a later round is. */
Test(keep, a_first_round_that_is_repeated_finds_nothing)
{
    rd_error err;
    rd_keep *k;
    rd_keep_found found;
    float v = 7;
    rd_keep_options o = options_of(NULL, "r1", "simulated", 1);
    o.clients = o.rounds = 1;
    cr_assert_eq(rd_keep_open(&o, &k, &err), RD_OK, "%s", err.message);
    cr_assert_eq(rd_keep_write(k, 0, 6, RD_KEEP_NEWEST, &v, &err), RD_OK);
    cr_assert_eq(rd_keep_read(k, 0, 6, RD_KEEP_NEWEST, &v, &found, &err), RD_OK);
    cr_assert_eq(found, RD_KEEP_NOTHING);
    cr_assert_eq(rd_keep_read(k, 0, 5, RD_KEEP_NEWEST, &v, &found, &err), RD_OK);
    cr_assert_eq(found, RD_KEEP_LOST);
    rd_keep_close(k);
}
