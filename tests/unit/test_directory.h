/* test_directory.h: a folder for each test of a suite: TestSuite(..., .init = make_directory, .fini = remove_directory). */
#ifndef RONDO_TESTS_TEST_DIRECTORY_H
#define RONDO_TESTS_TEST_DIRECTORY_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static char directory[64];

static void make_directory(void)
{
    (void)snprintf(directory, sizeof directory, "/tmp/rondo-test-XXXXXX");
    cr_assert(mkdtemp(directory) != NULL);
}

static void remove_directory(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    cr_assert(system(command) == 0);
}

#endif
