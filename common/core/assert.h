/* assert.h: what must be so, or the program has an error of its own. In release builds, too: wrong results are worse than
 * an end that says where. */
#ifndef RONDO_CORE_ASSERT_H
#define RONDO_CORE_ASSERT_H

#include <stdio.h>
#include <stdlib.h>

/* Where a comment says "must". Not for what comes from outside: that is refused (error.h). */
#define RD_ASSERT(condition)                                                                                 \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            (void)fprintf(stderr, "%s:%d: an error in Rondo: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

#endif
