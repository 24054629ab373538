/* ask.h: the next point of a search, from those that have been tried: pure, so that a search that was
 * interrupted asks for the same points as one that was not. */
#ifndef RONDO_SIMULATIONS_SEARCH_ASK_H
#define RONDO_SIMULATIONS_SEARCH_ASK_H

#include "search/space.h"

typedef struct search_trial {
    double point[SEARCH_KEYS];
    double objective; /* smaller is better; NaN: it is still running; infinite: it failed */
} search_trial;

/* The point of trial number count, after trials[0..count). Trials that still run count as if they had come
 * out as the mean of those that have (a constant liar, Ginsbourger et al. 2010), so that the next one goes
 * elsewhere. */
rd_status search_ask(const search_space *s, const search_trial *trials, size_t count, double point[SEARCH_KEYS],
                     rd_error *err) RD_MUST_CHECK;

#endif
