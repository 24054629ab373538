/* How long a deadline is put off for an update that is arriving. */
#include <criterion/criterion.h>

#include "grace.h"

Test(grace, ends_when_nothing_moves_or_all_of_it_is_given)
{
    rd_grace g = rd_grace_start(12);
    cr_assert_eq(rd_grace_more(&g, true, 7000), 5, "that it moves is seen at the next look");
    cr_assert_eq(rd_grace_more(&g, true, 7000 + 2560), 5, "512 bytes a second");
    cr_assert_eq(rd_grace_more(&g, true, 1000000), 2, "all that is left");
    cr_assert_eq(rd_grace_more(&g, true, 2000000), 0);

    g = rd_grace_start(12);
    cr_assert_eq(rd_grace_more(&g, true, 7000), 5);
    cr_assert_eq(rd_grace_more(&g, true, 7000 + 2559), 0, "slower than that");

    g = rd_grace_start(12);
    cr_assert_eq(rd_grace_more(&g, true, 0), 5);
    cr_assert_eq(rd_grace_more(&g, false, 1000000), 0, "none that the round waits for");

    g = rd_grace_start(12);
    cr_assert_eq(rd_grace_more(&g, false, 7000), 0);
    g = rd_grace_start(0);
    cr_assert_eq(rd_grace_more(&g, true, 7000), 0);
}

Test(grace, is_of_all_steps_of_a_round_together)
{
    rd_grace g = rd_grace_start(12);
    rd_grace_next_step(&g);
    cr_assert_eq(rd_grace_more(&g, true, 1000000), 5);
    cr_assert_eq(rd_grace_more(&g, true, 2000000), 5);
    rd_grace_next_step(&g);
    cr_assert_eq(rd_grace_more(&g, true, 2000000), 2, "what the step before has left, whatever moved before it");
    rd_grace_next_step(&g);
    cr_assert_eq(rd_grace_more(&g, true, 3000000), 0);
}
