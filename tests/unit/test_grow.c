/* Arrays that grow: how far, what stays where it was, and what happens where there is no memory. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/grow.h"

Test(grow, one_by_one_it_doubles_and_keeps_what_is_there)
{
    uint32_t *numbers = NULL;
    size_t capacity = 0, expected = RD_GROW_LEAST;
    rd_error err;
    for (size_t i = 0; i < 10000; i++) {
        cr_assert_eq(rd_grow(&numbers, &capacity, i + 1, sizeof *numbers, "numbers", &err), RD_OK);
        if (i == expected)
            expected *= 2;
        cr_assert_eq(capacity, expected);
        numbers[i] = (uint32_t)(i * i);
    }
    for (size_t i = 0; i < 10000; i++)
        cr_assert_eq(numbers[i], (uint32_t)(i * i));
    free(numbers);
}

Test(grow, what_suffices_stays)
{
    rd_error ignored;
    char *text = malloc(4), *before = text;
    size_t capacity = 4;
    cr_assert_eq(rd_grow(&text, &capacity, 4, 1, "bytes", &ignored), RD_OK);
    cr_assert_eq(rd_grow(&text, &capacity, 0, 1, "bytes", &ignored), RD_OK);
    cr_assert_eq(text, before);
    cr_assert_eq(capacity, 4);
    free(text);
}

Test(grow, many_at_once_get_what_they_need)
{
    rd_error ignored;
    double *values = NULL;
    size_t capacity = 0;
    cr_assert_eq(rd_grow(&values, &capacity, 1000, sizeof *values, "values", &ignored), RD_OK);
    cr_assert_eq(capacity, 1000);
    memset(values, 0, 1000 * sizeof *values);
    cr_assert_eq(rd_grow(&values, &capacity, 1001, sizeof *values, "values", &ignored), RD_OK);
    cr_assert_eq(capacity, 2000);
    cr_assert_eq(rd_grow(&values, &capacity, 9000, sizeof *values, "values", &ignored), RD_OK);
    cr_assert_eq(capacity, 9000);
    free(values);
}

/* More bytes than can be counted, or than an array can have. */
Test(grow, without_memory_all_stays_as_it_was)
{
    const struct {
        size_t capacity, needed, element;
    } cases[] = {{1, SIZE_MAX, 2},
                 {SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 2, 3},
                 {SIZE_MAX / 8, SIZE_MAX / 8 + 1, 8},
                 {1, (size_t)PTRDIFF_MAX + 1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *bytes = malloc(8), *before = bytes;
        size_t capacity = cases[i].capacity;
        rd_error err = {0};
        bytes[0] = 'x';
        cr_assert_eq(rd_grow(&bytes, &capacity, cases[i].needed, cases[i].element, "things", &err), RD_ERR_MEMORY);
        cr_assert_eq(bytes, before);
        cr_assert_eq(bytes[0], 'x');
        cr_assert_eq(capacity, cases[i].capacity);
        cr_assert(strncmp(err.message, "no memory for ", 14) == 0 && strstr(err.message, " things") != NULL, "%s",
                  err.message);
        free(bytes);
    }
}
