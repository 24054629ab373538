/* memory_input.h: bytes that lie in memory, as the input of a reader. */
#ifndef RONDO_TESTS_MEMORY_INPUT_H
#define RONDO_TESTS_MEMORY_INPUT_H

#include "data/input.h"

static inline rd_input memory_input(const char *name, const void *bytes, size_t size)
{
    return (rd_input){.name = name, .memory = bytes, .most = size};
}

#endif
