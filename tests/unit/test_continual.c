/* Tasks that come one after another: which rows are trained on in which round. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "train/continual.h"

static const rd_continual three = {.task_count = 3, .classes = {0x3, 0x4, 0x18}, .rounds_per_task = 5, .replay = 0.2};

Test(continual, tasks_follow_one_another)
{
    const size_t task[] = {0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2};
    for (uint64_t round = 1; round <= 17; round++)
        cr_assert_eq(rd_continual_task(&three, round), task[round - 1], "round %d", (int)round);
    const size_t of[] = {0, 0, 1, 2, 2, 3};
    for (int32_t label = 0; label < 6; label++)
        cr_assert_eq(rd_continual_task_of(&three, label), of[label]);
    cr_assert_eq(rd_continual_task_of(&three, -1), 3);
    cr_assert_eq(rd_continual_task_of(&three, 1000), 3);
}

enum { ROWS = 6000 };

static size_t choose(const rd_continual *c, uint64_t round, uint64_t client, int32_t *labels, uint32_t *rows)
{
    for (uint32_t i = 0; i < ROWS; i++) {
        labels[i] = (int32_t)(i % 6);
        rows[i] = i;
    }
    return rd_continual_choose(c, 1, round, client, labels, rows, ROWS);
}

Test(continual, earlier_rows_are_replayed_in_their_share)
{
    static int32_t labels[ROWS];
    static uint32_t rows[ROWS], again[ROWS];
    cr_assert_eq(choose(&three, 1, 7, labels, rows), ROWS / 3, "task 1, and nothing is earlier");
    size_t n = choose(&three, 6, 7, labels, rows), replayed = 0;
    for (size_t i = 0; i < n; i++) {
        replayed += labels[rows[i]] < 2;
        cr_assert_leq(labels[rows[i]], 2, "later tasks are not known yet");
        cr_assert(i == 0 || rows[i] > rows[i - 1], "in their order");
    }
    cr_assert_eq(n - replayed, ROWS / 6);
    /* 2,000 rows with a chance of 0.2: mean 400, deviation 18 */
    cr_assert_lt(fabs((double)replayed - 400), 90);
    size_t later = choose(&three, 10, 7, labels, again);
    cr_assert_eq(later, n);
    cr_assert_eq(memcmp(rows, again, n * sizeof *rows), 0, "the same rows in every round");
    (void)choose(&three, 6, 8, labels, again);
    cr_assert_neq(memcmp(rows, again, n * sizeof *rows), 0, "another client keeps others");
}

Test(continual, without_replay_only_the_task)
{
    static int32_t labels[ROWS];
    static uint32_t rows[ROWS];
    rd_continual none = three;
    none.replay = 0;
    cr_assert_eq(choose(&none, 11, 7, labels, rows), ROWS / 3);
    none.replay = 1;
    cr_assert_eq(choose(&none, 11, 7, labels, rows), ROWS / 6 * 5);
}
