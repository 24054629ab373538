/* collection.h: updates that strategies must see whole, in vectors of their own: while one is taken in, or until all
 * of a round are there. Vectors are used again. */
#ifndef RONDO_RUN_COLLECTION_H
#define RONDO_RUN_COLLECTION_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

/* An update that was collected. */
typedef struct rd_collected {
    float *values; /* (size) */
    uint64_t key;  /* of its client */
    uint32_t weight;
} rd_collected;

/* Begins as zero but for its size. */
typedef struct rd_collection {
    size_t size;                 /* of an update */
    rd_collected *updates;       /* (count) those of this round */
    size_t count, capacity, due; /* that are there, that there is room for, that are there or will come */
    float **spare;               /* (spare_count) vectors for updates to come */
    size_t spare_count, spare_capacity;
} rd_collection;

/* A vector for one update; NULL: no memory for it. */
float *rd_collection_take_vector(rd_collection *c);
void rd_collection_give_vector(rd_collection *c, float *values);
/* Room for one more update, so that rd_collection_add cannot fail. */
rd_status rd_collection_reserve(rd_collection *c, rd_error *err) RD_MUST_CHECK;
/* values: a vector that was taken. */
void rd_collection_add(rd_collection *c, float *values, uint64_t key, uint32_t weight);
/* In rising order of key. */
void rd_collection_sort(rd_collection *c);
/* The round is over. */
void rd_collection_clear(rd_collection *c);
void rd_collection_free(rd_collection *c);

#endif
