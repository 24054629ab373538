/* error.h: what functions that report failure as rondo/error.h says are written with.
 *
 * Inside Rondo err is never NULL: who has no use for the sentence gives an rd_error of its own, named `ignored`, and
 * librondo does so for a caller who gave it none. What a function knows of a failure further down is the status that
 * came back: what err holds is for people. */
#ifndef RONDO_CORE_ERROR_H
#define RONDO_CORE_ERROR_H

#include "rondo/error.h"

#define RD_MUST_CHECK RONDO_MUST_CHECK

/* Writes the message into err and returns status, so that a failure is one line:
 *     return rd_fail(err, RD_ERR_DATA, "%s: line %zu: expected %d columns, found %d", path, line, want, got);
 */
rd_status rd_fail(rd_error *err, rd_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the message that is there, and returns status, which may be another than the one that
 * the failure came with. */
rd_status rd_fail_context(rd_error *err, rd_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same message, but a failure of another kind: a data file that cannot be opened (RD_ERR_IO) may be one that is
 * missing (RD_ERR_DATA). Returns status. */
rd_status rd_fail_as(rd_error *err, rd_status status);

/* The one guard: leaves for the single exit of a function that has `rd_status status` and `cleanup:`. */
#define RD_TRY(expression)     \
    do {                       \
        status = (expression); \
        if (status != RD_OK)   \
            goto cleanup;      \
    } while (0)

/* Leaves in the same way with a failure of the function's own, which has `rd_error *err`:
 *     RD_THROW(RD_ERR_DATA, "%s: line %zu: expected %d columns, found %d", path, line, want, got);
 */
#define RD_THROW(code, ...)                         \
    do {                                            \
        status = rd_fail(err, (code), __VA_ARGS__); \
        goto cleanup;                               \
    } while (0)

#endif
