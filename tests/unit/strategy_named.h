/* strategy_named.h: a strategy by its name, and its keys by theirs. */
#ifndef RONDO_TESTS_STRATEGY_NAMED_H
#define RONDO_TESTS_STRATEGY_NAMED_H

#include <stdlib.h>
#include <string.h>

#include "round/strategy.h"

static inline const rd_strategy_kind *kind_named(const char *name)
{
    for (size_t i = 0; i < rd_strategy_kind_count; i++)
        if (strcmp(rd_strategy_kinds[i]->name, name) == 0)
            return rd_strategy_kinds[i];
    abort();
}

static inline rd_strategy strategy_named(const char *name)
{
    return rd_strategy_of(kind_named(name));
}

/* Strategies without such a key stay as they are. */
static inline void set_key(rd_strategy *s, const char *key, double value)
{
    for (size_t i = 0; i < rd_strategy_key_count(s->kind); i++)
        if (strcmp(s->kind->keys[i].name, key) == 0)
            s->value[i] = value;
}

#endif
