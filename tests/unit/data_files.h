/* data_files.h: a folder of its own for each test of the data readers, and a look at errors. */
#ifndef RONDO_TESTS_DATA_FILES_H
#define RONDO_TESTS_DATA_FILES_H

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"

static char folder[64]; /* each test runs in a process of its own */

static inline void make_folder(void)
{
    strcpy(folder, "/tmp/rondo-data-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static inline int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static inline void remove_folder(void)
{
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes folder/name and puts its path into path[256]. */
static inline void put_file(const char *name, const void *bytes, size_t count, char *path)
{
    snprintf(path, 256, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(bytes, 1, count, f), count);
    cr_assert_eq(fclose(f), 0);
}

static inline void put_text(const char *name, const char *text, char *path)
{
    put_file(name, text, strlen(text), path);
}

/* The call, which passes `why` as its rd_error, fails with this status and a message that holds this text. */
#define expect_error(call, wanted, text)                                                                \
    do {                                                                                                \
        rd_error e_ = {0};                                                                              \
        rd_error *why = &e_;                                                                            \
        rd_status s_ = (call);                                                                          \
        cr_expect_eq(s_, wanted, "status %s: %s", rd_status_name(s_), e_.message);                      \
        cr_expect(strstr(e_.message, text) != NULL, "found \"%s\"; expected \"%s\"", e_.message, text); \
    } while (0)

#endif
