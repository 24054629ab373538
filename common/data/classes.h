/* classes.h: when a label is a whole number, and how classes are ordered. */
#ifndef RONDO_DATA_CLASSES_H
#define RONDO_DATA_CLASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "data/names.h"
#include "data/table.h"

#define RD_CLASS_TEXT_MAX 24

/* "7", "+7", "07" and "7.0" (which a column with missing values becomes in pandas) are the whole number "7". */
bool rd_class_whole(const char *field, char canonical[RD_CLASS_TEXT_MAX]);

/* A number with a fraction was meant as a target: fails. */
rd_status rd_class_fraction(const rd_table *t, size_t column, size_t row, const char *field, rd_error *err);

/* Are all of them whole numbers, and none negative? */
bool rd_classes_numbered(const rd_names *words);
/* Sorts them: by value where all are whole numbers, else bytewise. */
rd_status rd_classes_sort(const rd_names *words, rd_names *out, rd_error *err) RD_MUST_CHECK;

#endif
