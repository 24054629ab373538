/* companion.h: named vectors of a strategy's own, beside the parameters and as long as what travels of them (n): a
 * control variate, a moment, an accumulator. A strategy declares them in its file; whoever sends, receives, sums,
 * keeps or reads vectors goes through that list and knows none of them by name.
 *
 *   where            whose it is                                     who changes it
 *   RD_KEPT_SERVER   the server's, written beside each model         `direct` or the companion's `take`
 *   RD_GOES_DOWN     the same, fetched with the model                nobody: clients read it
 *   RD_KEPT_CLIENT   each client's own, from one round to the next   `after`
 *   RD_GOES_UP       a part of the update behind the delta           `after` writes it; the server sums it with the
 *                                                                    delta's weight and gives `take` the mean
 *
 * In arrays of vectors a companion has the place that it has in the strategy's list; where it is not of that kind, the
 * array holds NULL. */
#ifndef RONDO_ROUND_COMPANION_H
#define RONDO_ROUND_COMPANION_H

#include <stddef.h>
#include <stdint.h>

struct rd_strategy;

#define RD_COMPANIONS_MAX 4

enum { RD_KEPT_SERVER = 1, RD_GOES_DOWN = 2, RD_KEPT_CLIENT = 4, RD_GOES_UP = 8 };

/* What is known at the end of a round beside its sums. */
typedef struct rd_round_facts {
    uint64_t updates; /* that are in the sums */
    uint64_t clients; /* of the whole run, those that were not selected included */
} rd_round_facts;

typedef struct rd_companion {
    unsigned where;     /* of the above; RD_GOES_DOWN only with RD_KEPT_SERVER */
    const char *prefix; /* where it travels: its tensors are those of the model, with this before their names */
    const char *file;   /* RD_KEPT_SERVER: its name in the server's file */
    /* RD_KEPT_SERVER: the value that its elements begin with; NULL: 0. Those of clients begin with 0. */
    double (*start)(const struct rd_strategy *s);
    /* RD_GOES_UP: `count` elements of the mean of what came up, from any one on; companions: the same elements of what
     * the server keeps. */
    void (*take)(const struct rd_strategy *s, const rd_round_facts *facts, const double *mean, size_t count,
                 float *const companions[RD_COMPANIONS_MAX]);
} rd_companion;

/* How many of a strategy's companions are of a kind; s may be NULL: none. */
size_t rd_companions_count(const struct rd_strategy *s, unsigned where);
/* Those of a kind lie behind one another at base, n elements each: where each begins. NULL for the others. */
void rd_companions_place(const struct rd_strategy *s, unsigned where, float *base, size_t n,
                         float *out[RD_COMPANIONS_MAX]);

#endif
